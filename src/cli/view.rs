//! How a job is shown.

use std::fmt::Write as _;

use serde::Serialize;
use windlass::engine::Shown;
use windlass::model::AttemptRecord;
use windlass::{JobId, JobRecord, Json, State, Timestamp};

use super::printer::table;

/// What is shown of a job in a list. Never its args: they may hold messages of people.
#[derive(Debug, Serialize)]
pub(super) struct JobLine {
    pub(super) id: JobId,
    kind: String,
    queue: String,
    state: State,
    priority: u8,
    run_at: Timestamp,
    attempt: u16,
    max_attempts: u16,
    crashes: u16,
    tags: Vec<String>,
    tenant_id: Option<String>,
    correlation_id: Option<String>,
    unique_key: Option<String>,
    ordering_key: Option<String>,
    enqueued_at: Timestamp,
    claimed_at: Option<Timestamp>,
    worker: Option<String>,
    lease_expires_at: Option<Timestamp>,
    cancel_requested_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

/// A job with all that happened to it; its args only if they were asked for.
#[derive(Debug, Serialize)]
pub(super) struct JobSheet {
    #[serde(flatten)]
    job: JobLine,
    progress: Option<Json>,
    result: Option<Json>,
    attempts: Vec<AttemptRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Json>,
}

impl From<JobRecord> for JobLine {
    fn from(job: JobRecord) -> Self {
        Self {
            id: job.id,
            kind: job.kind,
            queue: job.queue,
            state: job.state,
            priority: job.priority,
            run_at: job.run_at,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            crashes: job.crashes,
            tags: job.tags,
            tenant_id: job.tenant_id,
            correlation_id: job.correlation_id,
            unique_key: job.unique_key,
            ordering_key: job.ordering_key,
            enqueued_at: job.enqueued_at,
            claimed_at: job.claimed_at,
            worker: job.worker,
            lease_expires_at: job.lease_expires_at,
            cancel_requested_at: job.cancel_requested_at,
            finished_at: job.finished_at,
        }
    }
}

impl JobSheet {
    pub(super) fn new(job: JobRecord, shown: Shown, with_args: bool) -> Self {
        Self {
            progress: shown.progress,
            result: shown.result,
            attempts: job.all_attempts(),
            args: with_args.then_some(shown.args),
            job: job.into(),
        }
    }

    pub(super) fn text(&self) -> String {
        let job = &self.job;
        let mut text = String::new();
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let json = |json: &Option<Json>| json.as_ref().map(|json| json.as_str().to_owned());
        let lines = [
            ("id", Some(job.id.to_string())),
            ("kind", Some(job.kind.clone())),
            ("state", Some(job.state.to_string())),
            (
                "queue",
                Some(format!("{} (priority {})", job.queue, job.priority)),
            ),
            ("attempts", Some(attempts(job))),
            (
                "crashes",
                (job.crashes > 0).then(|| job.crashes.to_string()),
            ),
            ("run at", time(Some(job.run_at))),
            ("enqueued", time(Some(job.enqueued_at))),
            ("claimed", time(job.claimed_at)),
            ("worker", job.worker.clone()),
            ("lease until", time(job.lease_expires_at)),
            ("asked to stop", time(job.cancel_requested_at)),
            ("finished", time(job.finished_at)),
            ("tenant", job.tenant_id.clone()),
            ("correlation", job.correlation_id.clone()),
            ("unique key", job.unique_key.clone()),
            ("ordering key", job.ordering_key.clone()),
            ("tags", (!job.tags.is_empty()).then(|| job.tags.join(", "))),
            ("progress", json(&self.progress)),
            ("result", json(&self.result)),
            ("args", json(&self.args)),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                let _ = writeln!(text, "{name:14}{value}");
            }
        }
        if !self.attempts.is_empty() {
            text.push('\n');
            text.push_str(&table(
                ["ATTEMPT", "OUTCOME", "STARTED", "TOOK", "WORKER", "ERROR"],
                &self.attempts.iter().map(attempt).collect::<Vec<_>>(),
            ));
        }
        text
    }
}

/// Jobs as lines.
pub(super) fn job_table(jobs: &[JobLine]) -> String {
    let rows: Vec<_> = jobs
        .iter()
        .map(|job| {
            [
                job.id.to_string(),
                job.state.to_string(),
                job.kind.clone(),
                job.queue.clone(),
                attempts(job),
                job.run_at.to_string(),
                job.tenant_id.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table(
        [
            "ID", "STATE", "KIND", "QUEUE", "ATTEMPTS", "RUN AT", "TENANT",
        ],
        &rows,
    )
}

fn attempts(job: &JobLine) -> String {
    format!("{}/{}", job.attempt, job.max_attempts)
}

fn attempt(record: &AttemptRecord) -> [String; 6] {
    let took = record.ended_at.since(record.started_at);
    let error = record.error.as_ref();
    [
        record.attempt.to_string(),
        record.outcome.as_str().to_owned(),
        record.started_at.to_string(),
        format!("{took:.1?}"),
        record.worker.clone(),
        error.map_or_else(String::new, |error| error.message.replace('\n', " ")),
    ]
}
