use std::collections::BTreeMap;

use apalis_core::backend::queue::Queue;
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::metadata::MetadataStore;
use apalis_core::task::status::Status;
use apalis_core::task::task_id::TaskId;
use serde::{Deserialize, Serialize};

use super::ids;
use super::options::BackendOptions;
use super::record::Claimed;
use crate::engine::client::EnqueueError;
use crate::model::{
    Conflict, Filter, InvalidJob, JobRecord, Json, NewJob, RunAt, State, Timestamp, Unique,
};

/// How the metadata of a task is kept: around its args. A task without any is stored as its args alone,
/// so that other programs may enqueue for an apalis worker by kind and args.
///
/// ```
/// use windlass::Json;
/// use windlass::apalis::Stored;
///
/// let args = Json::parse(r#"{"to":"ada"}"#)?;
/// let plain = Stored::new(args.clone(), []);
/// assert_eq!(plain.to_json()?, args);
/// let stored = Stored::new(args, [("source".to_owned(), "import".to_owned())]);
/// let text = stored.to_json()?;
/// assert_eq!(text.as_str(), r#"{"$apalis":{"source":"import"},"args":{"to":"ada"}}"#);
/// assert_eq!(Stored::read(&text), stored);
/// # Ok::<(), windlass::model::InvalidJson>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    #[serde(rename = "$apalis")]
    metadata: BTreeMap<String, String>,
    args: Json,
}

/// How an envelope begins. It is written and kept to the letter, so that this is enough to know it by.
const ENVELOPE: &str = r#"{"$apalis":"#;

impl Stored {
    /// Args and metadata.
    pub fn new(args: Json, metadata: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            metadata: metadata.into_iter().collect(),
            args,
        }
    }

    /// As they are stored.
    pub fn to_json(&self) -> Result<Json, crate::model::InvalidJson> {
        if self.metadata.is_empty() && !self.args.as_str().starts_with(ENVELOPE) {
            return Ok(self.args.clone());
        }
        Json::encode(self)
    }

    /// What was stored.
    pub fn read(json: &Json) -> Self {
        let plain = || Self::new(json.clone(), []);
        if !json.as_str().starts_with(ENVELOPE) {
            return plain();
        }
        json.decode().unwrap_or_else(|_| plain())
    }

    /// The task's own args.
    pub fn args(&self) -> &Json {
        &self.args
    }

    /// The task's metadata.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}

/// apalis runs higher numbers first, and counts from 0, which is our default; nothing is less urgent.
fn priority(apalis: Option<usize>) -> u8 {
    let urgency = u8::try_from(apalis.unwrap_or(0)).unwrap_or(u8::MAX);
    NewJob::DEFAULT_PRIORITY.saturating_sub(urgency)
}

fn urgency(priority: u8) -> usize {
    usize::from(NewJob::DEFAULT_PRIORITY.saturating_sub(priority))
}

/// A task to be pushed, as a job.
pub(super) fn new_job(task: Task<Json>, options: &BackendOptions) -> Result<NewJob, EnqueueError> {
    let (args, ctx) = task.take();
    let metadata = ctx.metadata().iter();
    let metadata = metadata.map(|(key, value)| (key.clone(), value.clone()));
    let stored = Stored::new(args, metadata)
        .to_json()
        .map_err(InvalidJob::from)?;
    let mut job = NewJob::new(options.kind.clone(), stored);
    job.queue.clone_from(&options.queue);
    job.priority = priority(ctx.priority());
    job.max_attempts = match ctx.max_attempts() {
        Some(attempts) => u16::try_from(attempts).unwrap_or(u16::MAX),
        None => options.max_attempts,
    };
    if let Some(at) = ctx.run_at() {
        let micros = at.saturating_mul(1_000_000);
        let at = Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
        job.run_at = RunAt::At(at);
    }
    let mut key = ctx.idempotency_key().map(ToOwned::to_owned);
    if let Some(id) = ctx.task_id() {
        job.id = ids::job_id(id);
        if ids::are_repeatable() {
            key = key.or_else(|| Some(format!("task {}", job.id)));
        }
    }
    job.unique = key.map(|key| Unique {
        key,
        window: Some(options.unique_for),
        conflict: Conflict::ReturnExisting,
    });
    Ok(job)
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros() / 1_000_000).unwrap_or(0)
}

/// A claimed job, as the task that is handed to the worker. apalis counts the attempt as it starts.
pub(super) fn claimed(claimed: &Claimed) -> Task<Json> {
    let job = &claimed.attempt().job;
    let stored = Stored::read(&job.args);
    TaskBuilder::new(stored.args)
        .with_metadata(MetadataStore::from_map(
            stored.metadata.into_iter().collect(),
        ))
        .task_id(TaskId::Uuid(job.id.as_uuid()))
        .attempt(usize::from(job.attempt.saturating_sub(1)))
        .max_attempts(usize::from(job.max_attempts))
        .status(Status::Queued)
        .priority(urgency(job.priority))
        .queue(Queue::from(job.queue.as_str()))
        .run_at_timestamp(seconds(job.run_at))
        .lock_at(Some(seconds(job.claimed_at)))
        .data(claimed.cancelled().clone())
        .data(claimed.clone())
        .build()
}

/// A job as it was read.
pub(super) fn recorded(job: JobRecord) -> Task<Json> {
    let stored = Stored::read(&job.args);
    let mut task = TaskBuilder::new(stored.args)
        .with_metadata(MetadataStore::from_map(
            stored.metadata.into_iter().collect(),
        ))
        .task_id(TaskId::Uuid(job.id.as_uuid()))
        .attempt(usize::from(job.attempt))
        .max_attempts(usize::from(job.max_attempts))
        .status(status(job.state))
        .priority(urgency(job.priority))
        .queue(Queue::from(job.queue))
        .run_at_timestamp(seconds(job.run_at))
        .done_at(job.finished_at.map(seconds));
    if job.state == State::Running {
        task = task
            .lock_at(job.claimed_at.map(seconds))
            .lock_by(job.worker);
    }
    if let Some(key) = job.unique_key {
        task = task.idempotency_key(key);
    }
    task.build()
}

/// A state, in the words of apalis.
pub(super) const fn status(state: State) -> Status {
    match state {
        State::Scheduled | State::Available | State::Waiting => Status::Pending,
        State::Running => Status::Running,
        State::Retryable => Status::Failed,
        State::Completed => Status::Done,
        State::Cancelled | State::Dead => Status::Killed,
    }
}

/// The states that a status stands for; none for one that no job of ours has.
pub(super) const fn states(status: &Status) -> &'static [State] {
    match status {
        Status::Pending => &[State::Scheduled, State::Available, State::Waiting],
        Status::Running => &[State::Running],
        Status::Failed => &[State::Retryable],
        Status::Done => &[State::Completed],
        Status::Killed => &[State::Cancelled, State::Dead],
        _ => &[],
    }
}

/// Jobs of a queue with a status; `None` if there can be none.
pub(super) fn filter(queue: Option<&str>, status: Option<&Status>) -> Option<Filter> {
    let named = status.map_or(&[][..], states);
    (status.is_none() || !named.is_empty()).then(|| Filter {
        states: named.to_vec(),
        queue: queue.map(ToOwned::to_owned),
        ..Filter::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_comes_back_and_args_never_pass_for_it() {
        for args in [
            "{}",
            "17",
            r#"{"$apalis":{"a":"b"},"args":1}"#,
            r#"{"$apalis":5}"#,
        ] {
            let args = Json::parse(args).unwrap();
            for metadata in [vec![], vec![("k".to_owned(), "\"v\"".to_owned())]] {
                let stored = Stored::new(args.clone(), metadata);
                assert_eq!(Stored::read(&stored.to_json().unwrap()), stored);
            }
        }
        // Nobody of ours wrote that; its worker will say what is wrong with it.
        let odd = Json::parse(r#"{"$apalis":[]}"#).unwrap();
        assert_eq!(Stored::read(&odd).args(), &odd);
    }

    #[test]
    fn a_task_becomes_a_job_and_comes_back() {
        let options = BackendOptions::new("mail");
        let mut metadata = MetadataStore::default();
        metadata.insert("k", "v").unwrap();
        let task = TaskBuilder::new(Json::parse("[1]").unwrap())
            .task_id(TaskId::String("first".into()))
            .with_metadata(metadata)
            .priority(2)
            .max_attempts(3)
            .run_at_timestamp(1_700_000_000)
            .idempotency_key("once")
            .build();
        let job = new_job(task, &options).unwrap();
        assert_eq!((job.kind.as_str(), job.queue.as_str()), ("mail", "mail"));
        assert_eq!(job.id, ids::job_id(&TaskId::String("first".into())));
        assert_eq!((job.priority, job.max_attempts), (3, 3));
        let at = Timestamp::from_micros(1_700_000_000_000_000);
        assert_eq!(job.run_at, RunAt::At(at));
        let unique = job.unique.unwrap();
        assert_eq!(
            (unique.key.as_str(), unique.window),
            ("once", Some(options.unique_for))
        );
        let plain = new_job(Task::new(Json::empty_object()), &options).unwrap();
        assert_eq!((plain.priority, plain.max_attempts), (5, 10));
        assert_eq!((plain.unique, plain.run_at), (None, RunAt::Now));
        let none = TaskBuilder::new(Json::empty_object())
            .max_attempts(0)
            .build();
        let job = new_job(none, &options).unwrap();
        assert_eq!(
            job.validate(&crate::model::Limits::default())
                .unwrap_err()
                .field,
            "max_attempts"
        );
    }

    #[test]
    fn urgency_is_kept_as_far_as_there_are_priorities() {
        for (apalis, ours, back) in [
            (None, 5, 0),
            (Some(0), 5, 0),
            (Some(1), 4, 1),
            (Some(99), 0, 5),
        ] {
            assert_eq!(priority(apalis), ours);
            assert_eq!(urgency(ours), back);
        }
        assert_eq!(urgency(9), 0);
    }
}
