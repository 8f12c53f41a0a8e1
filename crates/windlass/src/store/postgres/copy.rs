//! The fastest way to make many jobs durable: COPY, all or none.
//!
//! Half the work of an INSERT for the server, which does not look at each row for a conflict; an id
//! that is there already fails the whole of it. The format is described in PostgreSQL's manual under
//! COPY, "Binary Format": every field is its length and its bytes, in network order.

use std::collections::HashSet;

use super::{Error, Session, sql};
use crate::model::{NewJob, State, Timestamp};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const FIELDS: i16 = 15;
const TEXT_OID: i32 = 25;

/// 2000-01-01 in microseconds since 1970: where PostgreSQL's clock starts.
const ITS_EPOCH: i64 = 946_684_800_000_000;

/// Sent at a time.
const CHUNK: usize = 256 * 1024;

/// Adds jobs that are not there. Without keys, and without ordering keys.
pub(super) async fn insert(
    connection: &mut Session<'_>,
    jobs: &[&NewJob],
    governed: &HashSet<String>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut copy = connection.copy_in(sql::ENQUEUE_COPY).await?;
    let mut buffer = Buffer::default();
    buffer.0.extend_from_slice(SIGNATURE);
    buffer.long(0); // no flags
    buffer.long(0); // no more header
    for job in jobs {
        buffer.job(job, governed.contains(&job.queue), now);
        if buffer.0.len() >= CHUNK {
            copy.send(buffer.0.as_slice()).await?;
            buffer.0.clear();
        }
    }
    buffer.short(-1); // the end
    copy.send(buffer.0.as_slice()).await?;
    copy.finish().await?;
    Ok(())
}

#[derive(Debug, Default)]
struct Buffer(Vec<u8>);

impl Buffer {
    /// The columns of `enqueue_copy.sql`.
    fn job(&mut self, job: &NewJob, governed: bool, now: Timestamp) {
        let run_at = job.run_at.resolve(now);
        let state = if run_at > now {
            State::Scheduled
        } else {
            State::Available
        };
        self.short(FIELDS);
        self.field(job.id.as_uuid().as_bytes());
        self.field(job.kind.as_bytes());
        self.time(run_at);
        self.time(now);
        self.field(state.as_str().as_bytes());
        self.field(job.queue.as_bytes());
        self.field(&i16::from(job.priority).to_be_bytes());
        self.field(&super::rows::small(job.max_attempts).to_be_bytes());
        self.field(job.args.as_str().as_bytes());
        self.tags(&job.tags);
        self.text(job.tenant_id.as_deref());
        self.text(job.correlation_id.as_deref());
        self.text(job.trace_parent.as_deref());
        self.field(&[u8::from(governed)]);
        self.text(job.limit_key.as_deref());
    }

    fn short(&mut self, number: i16) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn long(&mut self, number: i32) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn length(&mut self, length: usize) {
        // No field is near 2 GiB: args have a limit, and PostgreSQL refuses a length that lies.
        self.long(i32::try_from(length).unwrap_or(i32::MAX));
    }

    fn field(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.field(text.as_bytes()),
            None => self.long(-1),
        }
    }

    fn time(&mut self, at: Timestamp) {
        self.field(&(at.as_micros() - ITS_EPOCH).to_be_bytes());
    }

    /// An array of texts: dimensions, nulls, type; then length and lower bound; then the texts.
    fn tags(&mut self, tags: &[String]) {
        if tags.is_empty() {
            return self.long(-1);
        }
        let bytes: usize = tags.iter().map(|tag| 4 + tag.len()).sum();
        self.length(20 + bytes);
        for number in [1, 0, TEXT_OID] {
            self.long(number);
        }
        self.length(tags.len());
        self.long(1);
        for tag in tags {
            self.field(tag.as_bytes());
        }
    }
}
