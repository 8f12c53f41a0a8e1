use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::model::{Cursor, Filter, Page};
use windlass::{Context, Job, JobOptions, JobRecord, NewJob, Outcome, State, Timestamp};

use super::{ProcessMessage, Services, TellFailure};

/// Jobs looked at in one step.
const PAGE: u32 = 500;
/// How old a message may be; its job ends long before, or nobody waits for it any more.
const OLDEST: Duration = TellFailure::REMEMBERED;
/// How long ago a job may have ended. Later, the writer has found out.
const RECENT: Duration = Duration::from_hours(24);

/// Looks for messages whose jobs ended for ever without an answer, so that their writers are told: each by a
/// [`TellFailure`] of its own, once.
///
/// A job that runs out of attempts tells its writer itself. One whose worker was killed three times, or that an
/// operator discarded, cannot.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindFailures {}

impl Job for FindFailures {
    const KIND: &'static str = "find_failures";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "maintenance",
            timeout: Duration::from_mins(5),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let dead = Filter {
            states: vec![State::Dead],
            kind: Some(ProcessMessage::KIND.to_owned()),
            ..Filter::default()
        };
        let (mut after, mut found) = (None, 0);
        loop {
            let page = Page { after, limit: PAGE };
            let jobs = cx.client().list(&dead, page).await?;
            let followers = jobs
                .iter()
                .filter(|job| is_recent(job, cx.now()))
                .filter_map(|job| follower(&cx, job).transpose())
                .collect::<Result<Vec<_>, _>>()?;
            let inserted = cx.client().insert_many(&followers).await;
            let inserted = inserted.context("failed to enqueue what tells writers")?;
            found += inserted.iter().filter(|job| job.is_inserted()).count();
            after = match jobs.last() {
                Some(last) if jobs.len() == PAGE as usize && !is_old(last, cx.now()) => {
                    Some(Cursor(last.id))
                }
                _ => return Ok(Outcome::complete_with(&json!({"found": found}))?),
            };
        }
    }
}

fn is_recent(job: &JobRecord, now: Timestamp) -> bool {
    let ended = job.finished_at.unwrap_or(now);
    now.since(ended) <= RECENT && !is_old(job, now)
}

fn is_old(job: &JobRecord, now: Timestamp) -> bool {
    now.since(job.enqueued_at) > OLDEST
}

/// What tells the writer; it belongs to what the message belonged to.
fn follower(cx: &Context<Services>, dead: &JobRecord) -> anyhow::Result<Option<NewJob>> {
    let Some(tenant_id) = dead.tenant_id.clone() else {
        return Ok(None);
    };
    let mut job = cx.client().prepare(&TellFailure {
        tenant_id,
        job_id: dead.id,
    })?;
    job.correlation_id.clone_from(&dead.correlation_id);
    Ok(Some(job))
}
