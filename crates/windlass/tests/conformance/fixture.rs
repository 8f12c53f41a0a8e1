//! What every case starts from: a fresh store, a second handle to the same data, and a clock that
//! only moves when told to.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use uuid::Uuid;
use windlass::db;
use windlass::model::{
    AttemptOutcome, ClaimedJob, Enqueued, Finish, JobId, JobRecord, Lease, Recorded, RunAt, State,
    Verdict,
};
use windlass::store::{Beat, Claim, Heartbeat, Rescue, Rescued, Store};
use windlass::{Json, NewJob, Timestamp};

/// How long a claim of [`Fixture`] lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// How many crashes [`Fixture::rescue`] puts up with.
pub(crate) const MAX_CRASHES: u16 = 3;
/// Cases start at 2026-01-01T12:00:00.123457Z: a store that rounds to milliseconds is found out.
pub(crate) const START: i64 = 1_767_268_800_123_457;

/// A kind of store, and what surrounds it.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// A place for jobs, migrated and empty.
    async fn open() -> Self
    where
        Self: Sized;

    /// One more handle to the same data: as far as the store can tell, another process.
    async fn handle(&self) -> Arc<dyn Store>;

    /// A transaction on the caller's side: of the same database if the store can join one, and of
    /// any other if it cannot and has to say so.
    async fn begin(&self) -> db::Tx;

    /// Leaves nothing behind.
    async fn close(&self);
}

pub(crate) struct Fixture {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) other: Arc<dyn Store>,
    backend: Box<dyn Backend>,
    clock: AtomicI64,
}

/// Runs one case and cleans up after it, whatever became of it.
pub(crate) async fn run<B: Backend + 'static>(case: impl AsyncFn(&Fixture)) {
    let backend = B::open().await;
    let fixture = Fixture {
        store: backend.handle().await,
        other: backend.handle().await,
        backend: Box::new(backend),
        clock: AtomicI64::new(START),
    };
    let outcome = AssertUnwindSafe(Box::pin(case(&fixture)))
        .catch_unwind()
        .await;
    let Fixture {
        store,
        other,
        backend,
        ..
    } = fixture;
    drop((store, other));
    backend.close().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

impl Fixture {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.clock.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) async fn handle(&self) -> Arc<dyn Store> {
        self.backend.handle().await
    }

    pub(crate) async fn begin(&self) -> db::Tx {
        self.backend.begin().await
    }

    pub(crate) async fn enqueue(&self, jobs: &[NewJob]) -> Vec<Enqueued> {
        self.store.enqueue(jobs, Some(self.now())).await.unwrap()
    }

    pub(crate) async fn enqueue_one(&self, job: NewJob) -> Enqueued {
        let answers = self.enqueue(&[job]).await;
        assert_eq!(answers.len(), 1);
        answers[0]
    }

    /// Enqueues a job that nothing stands in the way of.
    pub(crate) async fn add(&self, job: NewJob) -> JobId {
        let id = job.id;
        assert_eq!(self.enqueue_one(job).await, Enqueued::Inserted(id));
        id
    }

    pub(crate) async fn claim_from(&self, queue: &str, limit: u32) -> Vec<ClaimedJob> {
        let claim = Claim {
            queue,
            worker: "worker",
            limit,
            lease: LEASE,
            now: Some(self.now()),
        };
        self.store.claim(claim).await.unwrap()
    }

    /// Claims from the default queue.
    pub(crate) async fn claim(&self, limit: u32) -> Vec<ClaimedJob> {
        self.claim_from(NewJob::DEFAULT_QUEUE, limit).await
    }

    /// Claims the only job there is to claim.
    pub(crate) async fn claim_one(&self) -> ClaimedJob {
        let mut claimed = self.claim(2).await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed.remove(0)
    }

    /// Ids that a claim of everything gives, in order.
    pub(crate) async fn claim_ids(&self) -> Vec<JobId> {
        ids(&self.claim(1000).await)
    }

    pub(crate) async fn finish(&self, finish: Finish) -> Recorded {
        let answers = self.finish_all(&[finish]).await;
        assert_eq!(answers.len(), 1);
        answers[0]
    }

    pub(crate) async fn finish_all(&self, finishes: &[Finish]) -> Vec<Recorded> {
        self.store.finish(finishes, Some(self.now())).await.unwrap()
    }

    /// Ends an attempt under a lease that is held.
    pub(crate) async fn end(&self, lease: Lease, verdict: Verdict) {
        assert_eq!(self.finish(ended(lease, verdict)).await, Recorded::Yes);
    }

    pub(crate) async fn complete(&self, lease: Lease) {
        self.end(lease, Verdict::Complete { result: None }).await;
    }

    pub(crate) async fn heartbeat(&self, leases: &[Lease]) -> Vec<Beat> {
        let heartbeat = Heartbeat {
            leases,
            lease: LEASE,
            now: Some(self.now()),
        };
        self.store.heartbeat(heartbeat).await.unwrap()
    }

    pub(crate) async fn rescue(&self) -> Vec<Rescued> {
        self.rescue_some(1000).await
    }

    /// Rescued jobs, by id.
    pub(crate) async fn rescue_some(&self, limit: u32) -> Vec<Rescued> {
        let rescue = Rescue {
            limit,
            max_crashes: MAX_CRASHES,
            now: Some(self.now()),
        };
        let mut rescued = self.store.rescue(rescue).await.unwrap();
        rescued.sort_by_key(|job| job.id);
        rescued
    }

    /// Lets the lease of whatever runs expire, and takes it back.
    pub(crate) async fn crash(&self) -> Vec<Rescued> {
        self.advance(LEASE + Duration::from_micros(1));
        self.rescue().await
    }

    /// A job that exists.
    pub(crate) async fn get(&self, id: JobId) -> JobRecord {
        let job = self.store.get(id, None, Some(self.now())).await.unwrap();
        job.unwrap_or_else(|| panic!("{id} is gone"))
    }

    pub(crate) async fn state(&self, id: JobId) -> State {
        self.get(id).await.state
    }

    /// A job in each state there is, with a name for where it stands. They share nothing.
    pub(crate) async fn one_in_each_state(&self) -> Vec<(State, JobId)> {
        let mut jobs = Vec::new();
        for state in State::ALL {
            jobs.push((state, self.one_in(state).await));
        }
        for (state, id) in &jobs {
            assert_eq!(self.state(*id).await, *state);
        }
        jobs
    }

    /// A new job in a state, alone in a queue named after it.
    pub(crate) async fn one_in(&self, state: State) -> JobId {
        let hour = self.now() + Duration::from_hours(1);
        let queue = state.as_str().to_owned();
        let job = NewJob { queue, ..job() };
        let id = job.id;
        match state {
            State::Available => self.add(job).await,
            State::Scheduled => {
                let run_at = RunAt::At(hour);
                self.add(NewJob { run_at, ..job }).await
            }
            State::Waiting => {
                let key = Some(format!("line of {id}"));
                let first = job_with(|first| {
                    first.queue = String::from("first in line");
                    first.ordering_key.clone_from(&key);
                    first.run_at = RunAt::At(hour);
                });
                self.add(first).await;
                let ordering_key = key;
                self.add(NewJob {
                    ordering_key,
                    ..job
                })
                .await
            }
            State::Running => {
                self.add(job).await;
                self.claim_from(state.as_str(), 1).await;
                id
            }
            State::Retryable => self.ended_as(job, Verdict::Retry { at: hour }).await,
            State::Completed => self.ended_as(job, Verdict::Complete { result: None }).await,
            State::Cancelled => self.ended_as(job, Verdict::Cancel).await,
            State::Dead => self.ended_as(job, Verdict::Dead).await,
        }
    }

    async fn ended_as(&self, job: NewJob, verdict: Verdict) -> JobId {
        let queue = job.queue.clone();
        let id = self.add(job).await;
        let claimed = self.claim_from(&queue, 1).await;
        self.end(claimed[0].lease(), verdict).await;
        id
    }
}

/// The last moment before something.
pub(crate) fn just_before(end: Duration) -> Duration {
    end.saturating_sub(Duration::from_micros(1))
}

/// A job that waits for nothing. Its id is later than that of every job made before.
pub(crate) fn job() -> NewJob {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let nth = u128::from(MADE.fetch_add(1, Ordering::SeqCst));
    NewJob {
        id: JobId::from_uuid(Uuid::from_u128(
            0x0198_f2c4_7d6e_7000_8000_0000_0000_0000 + nth,
        )),
        ..NewJob::new("work", Json::empty_object())
    }
}

pub(crate) fn job_with(change: impl FnOnce(&mut NewJob)) -> NewJob {
    let mut job = job();
    change(&mut job);
    job
}

pub(crate) fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

pub(crate) fn ids(claimed: &[ClaimedJob]) -> Vec<JobId> {
    claimed.iter().map(|job| job.id).collect()
}

/// The end of an attempt, with the outcome that goes with a verdict.
pub(crate) fn ended(lease: Lease, verdict: Verdict) -> Finish {
    let outcome = match &verdict {
        Verdict::Complete { .. } => AttemptOutcome::Completed,
        Verdict::Retry { .. } | Verdict::Dead => AttemptOutcome::Failed,
        Verdict::Snooze { .. } | Verdict::Await { .. } => AttemptOutcome::Snoozed,
        Verdict::Release => AttemptOutcome::Released,
        Verdict::Cancel => AttemptOutcome::Cancelled,
    };
    Finish {
        lease,
        verdict,
        outcome,
        error: None,
    }
}

/// Runs something in so many tasks at once, each with its number; answers in no order.
pub(crate) async fn at_once<F, T>(tasks: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let start = Arc::new(tokio::sync::Barrier::new(tasks));
    let mut running = tokio::task::JoinSet::new();
    for number in 0..tasks {
        let (start, task) = (Arc::clone(&start), task(number));
        running.spawn(async move {
            start.wait().await;
            task.await
        });
    }
    running.join_all().await
}
