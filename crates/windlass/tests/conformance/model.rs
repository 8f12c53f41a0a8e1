//! Any sequence of operations: the store under test answers as the memory store does, and keeps the
//! same jobs.
//!
//! 64 sequences of 40 operations; `PROPTEST_CASES` asks for more. What once failed is kept beside
//! this file and tried first.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, FileFailurePersistence, TestError, TestRunner};
use uuid::Uuid;
use windlass::model::{
    AttemptError, ClaimedJob, Conflict, Enqueued, Filter, Finish, Idempotency, Lease, Page,
    QueueStats, Recorded, RunAt, Unique, Verdict,
};
use windlass::store::memory::MemoryStore;
use windlass::store::{
    Beat, Changed, Claim, Error, Heartbeat, Operate, Operation, Prune, Rescue, Rescued, Store,
};
use windlass::{JobId, JobRecord, NewJob, Timestamp};

use crate::fixture::{Backend, LEASE, MAX_CRASHES, START, ended, json};

const SEQUENCES: u32 = 64;
const OPERATIONS: usize = 40;
const QUEUES: [&str; 2] = ["default", "other"];
const MICRO: Duration = Duration::from_micros(1);
const MINUTE: Duration = Duration::from_mins(1);

/// One operation, as drawn: it names jobs and leases by where they stand in the past.
#[derive(Debug, Clone)]
enum Op {
    Enqueue(Vec<Wanted>),
    Claim { queue: &'static str, limit: u32 },
    Finish(Vec<(Index, Verdict)>),
    Heartbeat(Vec<Index>),
    Progress(Index),
    Checkpoint(Index, u8),
    Rescue,
    Wish(Wish, Index, Option<&'static str>),
    Prune(Duration),
    Maintain,
    NextDue(&'static str),
    Wait(Duration),
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Cancel,
    Discard,
    Requeue,
    RequeueLater,
    Snooze,
}

/// A job to be enqueued; few values for each field, so that they meet.
#[derive(Debug, Clone)]
struct Wanted {
    job: NewJob,
    again: Option<Index>,
}

fn few<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(values.to_vec())
}

fn span() -> impl Strategy<Value = Duration> {
    few(&[
        Duration::ZERO,
        MICRO,
        Duration::from_secs(1),
        LEASE,
        LEASE + MICRO,
        MINUTE,
        MINUTE * 10,
    ])
}

/// A window is never empty: it would hold its key for no time at all.
fn window() -> impl Strategy<Value = Duration> {
    span().prop_map(|span| span.max(MICRO))
}

fn sometimes<T: Strategy>(strategy: T) -> impl Strategy<Value = Option<T::Value>>
where
    T::Value: Clone,
{
    prop::option::weighted(0.3, strategy)
}

fn tenant() -> impl Strategy<Value = Option<&'static str>> {
    sometimes(few(&["acme", "other"]))
}

fn unique() -> impl Strategy<Value = Unique> {
    let conflicts = [
        Conflict::ReturnExisting,
        Conflict::Replace,
        Conflict::Reject,
    ];
    let drawn = (few(&["k", "l"]), sometimes(window()), few(&conflicts));
    drawn.prop_map(|(key, window, conflict)| Unique {
        key: key.to_owned(),
        window,
        conflict,
    })
}

fn idempotency() -> impl Strategy<Value = Idempotency> {
    let drawn = (few(&["k", "l"]), few(&["d", "e"]), window());
    drawn.prop_map(|(key, digest, window)| Idempotency {
        key: key.to_owned(),
        digest: digest.to_owned(),
        window,
    })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let plain = (few(&QUEUES), few(&["a", "b"]), 0..3_u8, sometimes(span()));
    let keys = (
        tenant(),
        sometimes(few(&["k", "l"])),
        sometimes(unique()),
        sometimes(idempotency()),
    );
    let again = prop::option::weighted(0.05, any::<Index>());
    let drawn = (plain, keys, any::<u8>(), again);
    drawn.prop_map(|(plain, keys, args, again)| Wanted {
        job: NewJob {
            queue: plain.0.to_owned(),
            priority: plain.2,
            run_at: plain.3.map_or(RunAt::Now, RunAt::In),
            tenant_id: keys.0.map(str::to_owned),
            ordering_key: keys.1.map(str::to_owned),
            unique: keys.2,
            idempotency: keys.3,
            ..NewJob::new(plain.1, json(&args.to_string()))
        },
        again,
    })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let after = |span: Duration| Timestamp::from_micros(START) + span;
    let result = sometimes(few(&["1", "null"]));
    prop_oneof![
        4 => result.prop_map(|result| Verdict::Complete { result: result.map(json) }),
        2 => span().prop_map(move |span| Verdict::Retry { at: after(span) }),
        1 => span().prop_map(move |span| Verdict::Snooze { until: after(span) }),
        1 => Just(Verdict::Release),
        1 => Just(Verdict::Cancel),
        2 => Just(Verdict::Dead),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let picks = || prop::collection::vec(any::<Index>(), 1..5);
    let ends = prop::collection::vec((any::<Index>(), verdict()), 1..5);
    let claim = (few(&QUEUES), 0..5_u32);
    let wishes = few(&[
        Wish::Cancel,
        Wish::Discard,
        Wish::Requeue,
        Wish::Requeue,
        Wish::RequeueLater,
        Wish::Snooze,
    ]);
    prop_oneof![
        6 => prop::collection::vec(wanted(), 1..5).prop_map(Op::Enqueue),
        6 => claim.prop_map(|(queue, limit)| Op::Claim { queue, limit }),
        6 => ends.prop_map(Op::Finish),
        2 => picks().prop_map(Op::Heartbeat),
        1 => any::<Index>().prop_map(Op::Progress),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(lease, n)| Op::Checkpoint(lease, n)),
        2 => Just(Op::Rescue),
        5 => (wishes, any::<Index>(), tenant()).prop_map(|(w, job, t)| Op::Wish(w, job, t)),
        1 => span().prop_map(Op::Prune),
        1 => Just(Op::Maintain),
        1 => few(&QUEUES).prop_map(Op::NextDue),
        4 => span().prop_map(Op::Wait),
    ]
}

/// One operation, as both stores are asked for it.
#[derive(Debug)]
enum Call {
    Enqueue(Vec<NewJob>),
    Claim { queue: &'static str, limit: u32 },
    Finish(Vec<Finish>),
    Heartbeat(Vec<Lease>),
    Progress(Lease),
    Checkpoint(Lease, u8),
    Rescue,
    Wish(Wish, JobId, Option<&'static str>),
    Prune(Duration),
    Maintain,
    NextDue(&'static str),
}

#[derive(Debug, PartialEq)]
enum Answer {
    Enqueued(Vec<Enqueued>),
    Claimed(Vec<ClaimedJob>),
    Recorded(Vec<Recorded>),
    Beats(Vec<Beat>),
    Rescued(Vec<Rescued>),
    Changed(Changed),
    Pruned(u64),
    Maintained,
    NextDue(Option<Duration>),
}

/// What has been enqueued and claimed so far, in this sequence.
struct Past {
    now: Timestamp,
    calls: u32,
    jobs: Vec<JobId>,
    leases: Vec<Lease>,
}

impl Past {
    /// The call that an operation means here; none if it needs a past that there is not.
    fn call(&mut self, op: Op) -> Option<Call> {
        Some(match op {
            Op::Enqueue(wanted) => Call::Enqueue(self.jobs(wanted)),
            Op::Claim { queue, limit } => Call::Claim { queue, limit },
            Op::Finish(_) | Op::Heartbeat(_) | Op::Progress(_) | Op::Checkpoint(..)
                if self.leases.is_empty() =>
            {
                return None;
            }
            Op::Finish(ends) => Call::Finish(
                ends.into_iter()
                    .map(|(lease, verdict)| Finish {
                        error: Some(AttemptError::new("it failed")),
                        ..ended(*lease.get(&self.leases), verdict)
                    })
                    .collect(),
            ),
            Op::Heartbeat(picks) => {
                let mut leases: Vec<_> = picks.iter().map(|pick| *pick.get(&self.leases)).collect();
                leases.sort_by_key(|lease| (lease.job, lease.claim_no));
                leases.dedup();
                Call::Heartbeat(leases)
            }
            Op::Progress(lease) => Call::Progress(*lease.get(&self.leases)),
            Op::Checkpoint(lease, n) => Call::Checkpoint(*lease.get(&self.leases), n),
            Op::Rescue => Call::Rescue,
            Op::Wish(..) if self.jobs.is_empty() => return None,
            Op::Wish(wish, job, tenant) => Call::Wish(wish, *job.get(&self.jobs), tenant),
            Op::Prune(keep) => Call::Prune(keep),
            Op::Maintain => Call::Maintain,
            Op::NextDue(queue) => Call::NextDue(queue),
            Op::Wait(span) => {
                self.now = self.now + span;
                return None;
            }
        })
    }

    /// Jobs of one call. Their ids ascend, as those made in a row do: an ordering key's line goes by
    /// time and then by id. From call to call ids go up and down, so that nothing relies on them.
    fn jobs(&mut self, wanted: Vec<Wanted>) -> Vec<NewJob> {
        let call = u128::from(self.calls * 7919 % 65_536);
        self.calls += 1;
        let mut jobs = Vec::with_capacity(wanted.len());
        for (place, Wanted { job, again }) in (1_u128..).zip(wanted) {
            let new = NewJob {
                id: JobId::from_uuid(Uuid::from_u128(call << 8 | place)),
                ..job
            };
            let job = match again {
                Some(pick) if !self.jobs.is_empty() => NewJob {
                    id: *pick.get(&self.jobs),
                    ordering_key: None,
                    ..new
                },
                _ => new,
            };
            self.jobs.push(job.id);
            jobs.push(job);
        }
        jobs
    }
}

async fn ask(store: &dyn Store, call: &Call, now: Timestamp) -> Answer {
    let now = Some(now);
    match call {
        Call::Enqueue(jobs) => Answer::Enqueued(store.enqueue(jobs, now).await.unwrap()),
        Call::Claim { queue, limit } => {
            let claim = Claim {
                queue,
                worker: "worker",
                limit: *limit,
                lease: LEASE,
                now,
            };
            Answer::Claimed(store.claim(claim).await.unwrap())
        }
        Call::Finish(finishes) => Answer::Recorded(store.finish(finishes, now).await.unwrap()),
        Call::Heartbeat(leases) => {
            let lease = LEASE;
            let heartbeat = Heartbeat { leases, lease, now };
            let mut beats = store.heartbeat(heartbeat).await.unwrap();
            beats.sort_by_key(|beat| match beat {
                Beat::Lost(lease) | Beat::CancelRequested(lease) => (lease.job, lease.claim_no),
            });
            Answer::Beats(beats)
        }
        Call::Progress(lease) => {
            let recorded = store.progress(*lease, &json("0.5")).await.unwrap();
            Answer::Recorded(vec![recorded])
        }
        Call::Checkpoint(lease, n) => {
            let note = json(&n.to_string());
            let recorded = store.checkpoint(*lease, &note).await.unwrap();
            Answer::Recorded(vec![recorded])
        }
        Call::Rescue => {
            let rescue = Rescue {
                limit: 1000,
                max_crashes: MAX_CRASHES,
                now,
            };
            let mut rescued = store.rescue(rescue).await.unwrap();
            rescued.sort_by_key(|job| job.id);
            Answer::Rescued(rescued)
        }
        Call::Wish(wish, id, tenant) => Answer::Changed(
            match wish {
                Wish::Cancel => store.cancel(*id, *tenant, now).await,
                Wish::Discard => store.discard(*id, *tenant, now).await,
                Wish::Requeue => store.requeue(*id, *tenant, now).await,
                Wish::RequeueLater => timed(store, Operation::Requeue, *id, *tenant, now).await,
                Wish::Snooze => timed(store, Operation::Snooze, *id, *tenant, now).await,
            }
            .unwrap(),
        ),
        Call::Prune(keep) => {
            let prune = Prune {
                completed: *keep,
                cancelled: *keep * 2,
                dead: *keep * 3,
                limit: 100_000,
                now,
            };
            Answer::Pruned(store.prune(prune).await.unwrap())
        }
        Call::Maintain => {
            store.maintain(now).await.unwrap();
            Answer::Maintained
        }
        Call::NextDue(queue) => Answer::NextDue(store.next_due(queue, now).await.unwrap()),
    }
}

/// All that a store knows of jobs.
async fn seen(store: &dyn Store, now: Timestamp) -> (Vec<JobRecord>, Vec<QueueStats>) {
    let (filter, now) = (Filter::default(), Some(now));
    let page = Page {
        after: None,
        limit: 1000,
    };
    let jobs = store.list(&filter, page, now).await.unwrap().jobs;
    (jobs, store.queues(now).await.unwrap())
}

async fn compare(subject: &dyn Store, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let model = MemoryStore::default();
    let mut past = Past {
        now: Timestamp::from_micros(START),
        calls: 0,
        jobs: Vec::new(),
        leases: Vec::new(),
    };
    for op in ops {
        let Some(call) = past.call(op) else { continue };
        let expected = ask(&model, &call, past.now).await;
        let answer = ask(subject, &call, past.now).await;
        prop_assert_eq!(&answer, &expected, "{:?}", call);
        let (jobs, queues) = seen(subject, past.now).await;
        let (expected_jobs, expected_queues) = seen(&model, past.now).await;
        prop_assert_eq!(&jobs, &expected_jobs, "after {:?}", call);
        prop_assert_eq!(&queues, &expected_queues, "after {:?}", call);
        if let Answer::Claimed(claimed) = &answer {
            past.leases.extend(claimed.iter().map(ClaimedJob::lease));
        }
    }
    for id in past.jobs {
        let now = Some(past.now);
        let expected = model.get(id, None, now).await.unwrap();
        prop_assert_eq!(subject.get(id, None, now).await.unwrap(), expected);
    }
    Ok(())
}

pub(crate) fn any_sequence_of_operations_agrees_with_memory<B: Backend>() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: sequences(),
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        max_shrink_iters: u32::MAX,
        max_shrink_time: 60_000, // milliseconds
        ..Config::default()
    });
    let outcome = runner.run(&prop::collection::vec(op(), OPERATIONS), |ops| {
        runtime.block_on(async {
            let backend = B::open().await;
            let store: Arc<dyn Store> = backend.handle().await;
            let outcome = compare(&*store, ops).await;
            drop(store);
            backend.close().await;
            outcome
        })
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("{reason}"),
        Err(TestError::Fail(reason, ops)) => {
            let ops: Vec<String> = ops.iter().map(|op| format!("{op:?}")).collect();
            panic!("{reason}\nafter:\n{}", ops.join("\n"));
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "proptest's own variable; it cannot tell its default from a wish"
)]
fn sequences() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(SEQUENCES, |cases| cases.parse().unwrap())
}

/// Gives a job a time that lies ahead.
async fn timed(
    store: &dyn Store,
    operation: Operation,
    id: JobId,
    tenant: Option<&str>,
    now: Option<Timestamp>,
) -> Result<Changed, Error> {
    let ids = [id];
    let operate = Operate {
        operation,
        ids: &ids,
        tenant,
        args: None,
        run_at: now.map(|now| now + MINUTE),
        audit: None,
        checkpoint: None,
        now,
    };
    Ok(store.operate(operate).await?[0])
}
