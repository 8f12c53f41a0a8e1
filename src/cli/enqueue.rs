use std::io::Read as _;
use std::time::Duration;

use clap::value_parser;
use serde::Serialize;
use windlass::model::{Enqueued, RunAt, Unique};
use windlass::{Client, JobId, Json, Timestamp};

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::{Failure, Printer};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What is to be done
    kind: String,
    /// With what: JSON, or - to read it from stdin
    #[arg(value_name = "ARGS", default_value = "{}")]
    given: String,
    /// Where it waits
    #[arg(long)]
    queue: Option<String>,
    /// 0 first .. 9 last
    #[arg(long, value_parser = value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// How long from now it is due, in milliseconds
    #[arg(long, value_name = "MS", conflicts_with = "run_at")]
    delay_ms: Option<u64>,
    /// When it is due, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    run_at: Option<Timestamp>,
    /// How many attempts it may have
    #[arg(long, value_parser = value_parser!(u16).range(1..=1000))]
    max_attempts: Option<u16>,
    /// A word to find it by; may be repeated
    #[arg(long)]
    tag: Vec<String>,
    /// Whose it is
    #[arg(long)]
    tenant: Option<String>,
    /// What it belongs to
    #[arg(long)]
    correlation: Option<String>,
    /// What its queue's limits per key count it by; its tenant if its kind chooses nothing else
    #[arg(long, value_name = "KEY")]
    limit_key: Option<String>,
    /// At most one unfinished job of this key
    #[arg(long, value_name = "KEY")]
    unique: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    id: JobId,
    status: &'static str,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let json = json(args.given)?;
    let mut job = client.prepare_raw(&args.kind, json)?;
    job.queue = args.queue.unwrap_or(job.queue);
    job.priority = args.priority.unwrap_or(job.priority);
    job.max_attempts = args.max_attempts.unwrap_or(job.max_attempts);
    job.run_at = match (args.run_at, args.delay_ms) {
        (Some(at), _) => RunAt::At(at),
        (None, Some(delay)) => RunAt::In(Duration::from_millis(delay)),
        (None, None) => job.run_at,
    };
    job.tags = args.tag;
    job.tenant_id = tenant(job.tenant_id, args.tenant)?;
    job.correlation_id = args.correlation;
    job.limit_key = args.limit_key.or(job.limit_key);
    if let Some(key) = args.unique {
        job.unique = Some(Unique {
            key,
            window: None,
            conflict: windlass::model::Conflict::ReturnExisting,
        });
    }

    let enqueued = client.insert(job).await?;
    let answer = Answer {
        id: enqueued.id(),
        status: match enqueued {
            Enqueued::Inserted(_) => "enqueued",
            Enqueued::Replaced(_) => "replaced",
            _ => "duplicate",
        },
    };
    printer.data(&answer, |answer| format!("{}\n", answer.id))?;
    if answer.status != "enqueued" {
        printer.talk("this job was there already and stands for yours");
    }
    Ok(())
}

pub(super) fn text(given: String) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("failed to read stdin: {error}")))?;
    Ok(text)
}

/// A kind whose args name a tenant belongs to that tenant.
fn tenant(of_args: Option<String>, asked: Option<String>) -> Result<Option<String>, Failure> {
    match (of_args, asked) {
        (Some(of_args), Some(asked)) if of_args != asked => Err(Failure::usage(
            "--tenant: the args name another tenant; leave it out, or let the two agree",
        )),
        (of_args, asked) => Ok(of_args.or(asked)),
    }
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "expected an RFC 3339 time such as 2026-01-31T12:00:00Z".to_owned())
}

/// As the API takes it.
#[derive(Serialize)]
struct Request {
    kind: String,
    args: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    priority: Option<u8>,
    run_at: Option<Timestamp>,
    delay_ms: Option<u64>,
    max_attempts: Option<u16>,
    tags: Vec<String>,
    tenant_id: Option<String>,
    correlation_id: Option<String>,
    limit_key: Option<String>,
    unique: Option<UniqueRequest>,
}

#[derive(Serialize)]
struct UniqueRequest {
    key: String,
    conflict: windlass::model::Conflict,
}

impl Args {
    pub(super) fn ask(self) -> Result<Ask, Failure> {
        let request = Request {
            args: json(self.given)?,
            kind: self.kind,
            queue: self.queue,
            priority: self.priority,
            run_at: self.run_at,
            delay_ms: self.delay_ms,
            max_attempts: self.max_attempts,
            tags: self.tag,
            tenant_id: self.tenant,
            correlation_id: self.correlation,
            limit_key: self.limit_key,
            unique: self.unique.map(|key| UniqueRequest {
                key,
                conflict: windlass::model::Conflict::ReturnExisting,
            }),
        };
        Ask::post(&[&"jobs"], Shows::Member("id")).body(&request)
    }

    pub(super) fn would(&self) -> Would {
        Would::Change(format!("enqueue a job of kind {}", self.kind))
    }
}

fn json(given: String) -> Result<Json, Failure> {
    Json::parse(text(given)?)
        .map_err(|error| Failure::usage(format!("args: {error}; expected one JSON object")))
}
