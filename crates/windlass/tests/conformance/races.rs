//! Two connections at one job: whatever each does, one after the other, at once, or while the other has
//! not committed yet, it comes out as if they had taken turns.
//!
//! Each case starts from a job in one state, with its unique key, and another that waits behind it in its
//! line. Each pair of verbs is first done in both orders; what it comes to then (answers and
//! rows) is all that it may come to otherwise.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use windlass::model::{Conflict, Finish, JobRecord, Lease, Unique, Verdict};
use windlass::store::{Changed, Claim, Rescue, Store};
use windlass::{JobId, NewJob, State, Timestamp};

use crate::fixture::{Fixture, LEASE, MAX_CRASHES, job_with};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Claim,
    Complete,
    Rescue,
    Cancel,
    Requeue,
    Enqueue,
}

const VERBS: [Verb; 6] = [
    Verb::Claim,
    Verb::Complete,
    Verb::Rescue,
    Verb::Cancel,
    Verb::Requeue,
    Verb::Enqueue,
];

/// How often a pair is let go at once.
const TIMES: usize = 6;
/// How long the second gets to run into a transaction that the first leaves open.
const RUN_UP: Duration = Duration::from_millis(30);

/// What becomes of the transaction of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Committed,
    RolledBack,
}

/// What two connections meet at.
#[derive(Debug)]
struct Scene {
    queue: String,
    /// The job, who waits behind it, and what each side enqueues under its unique key.
    ids: [JobId; 4],
    new: [NewJob; 2],
    lease: Lease,
    now: Timestamp,
}

const NAMES: [&str; 4] = ["the job", "the next", "the first's", "the second's"];

pub(crate) async fn of_an_available_job(f: &Fixture) {
    every_pair(f, State::Available, Duration::ZERO).await;
}

pub(crate) async fn of_a_running_job(f: &Fixture) {
    every_pair(f, State::Running, Duration::ZERO).await;
}

pub(crate) async fn of_a_job_whose_worker_vanished(f: &Fixture) {
    every_pair(f, State::Running, LEASE + Duration::from_micros(1)).await;
}

pub(crate) async fn of_a_job_that_waits_to_be_retried(f: &Fixture) {
    every_pair(f, State::Retryable, Duration::ZERO).await;
}

pub(crate) async fn of_a_finished_job(f: &Fixture) {
    every_pair(f, State::Completed, Duration::ZERO).await;
}

async fn every_pair(f: &Fixture, state: State, later: Duration) {
    for (number, first) in VERBS.into_iter().enumerate() {
        for second in &VERBS[number..] {
            let pair = [first, *second];
            let turns = [
                in_turn(f, pair, scene(f, state, later).await, [0, 1]).await,
                in_turn(f, pair, scene(f, state, later).await, [1, 0]).await,
            ];
            for _ in 0..TIMES {
                let came = at_once(f, pair, scene(f, state, later).await).await;
                assert!(
                    turns.contains(&came),
                    "{pair:?} at once: {came:#?} is neither of {turns:#?}"
                );
            }
        }
    }
    if f.store.capabilities().transactions {
        while_the_first_is_not_through(f, state, later).await;
    }
}

/// The same with a first that has done its part and not committed it when the second comes.
async fn while_the_first_is_not_through(f: &Fixture, state: State, later: Duration) {
    for first in [Verb::Complete, Verb::Enqueue] {
        for second in VERBS {
            let pair = [first, second];
            let turns = [
                in_turn(f, pair, scene(f, state, later).await, [0, 1]).await,
                in_turn(f, pair, scene(f, state, later).await, [1, 0]).await,
            ];
            let came = within(f, pair, scene(f, state, later).await, Ends::Committed).await;
            assert!(
                turns.contains(&came),
                "{pair:?}, the first within a transaction: {came:#?} is neither of {turns:#?}"
            );
            let alone = in_turn(f, pair, scene(f, state, later).await, [1]).await;
            let came = within(f, pair, scene(f, state, later).await, Ends::RolledBack).await;
            assert_eq!(
                (&came[1..]),
                (&alone[1..]),
                "{pair:?}, the first rolled back"
            );
        }
    }
}

/// A job in a state, under a unique key, and one behind it. Nothing of it is shared with other scenes.
async fn scene(f: &Fixture, state: State, later: Duration) -> Arc<Scene> {
    let id = JobId::new();
    let queue = format!("scene {id}");
    let unique = Unique {
        key: queue.clone(),
        window: None,
        conflict: Conflict::ReturnExisting,
    };
    let of = |unique: Option<Unique>| {
        job_with(|job| {
            job.queue.clone_from(&queue);
            job.ordering_key = Some(queue.clone());
            job.unique = unique;
        })
    };
    let job = of(Some(unique.clone()));
    let (id, next) = (job.id, of(None));
    let new = [of(Some(unique.clone())), of(Some(unique))];
    let ids = [id, next.id, new[0].id, new[1].id];
    f.add(job).await;
    f.add(next).await;
    let lease = f.claim_from(&queue, 1).await[0].lease();
    assert_eq!(lease.job, id);
    match state {
        State::Available => f.end(lease, Verdict::Release).await,
        State::Retryable => {
            let at = f.now() + Duration::from_hours(1);
            f.end(lease, Verdict::Retry { at }).await;
        }
        State::Completed => f.complete(lease).await,
        _ => {}
    }
    f.advance(later);
    Arc::new(Scene {
        queue,
        ids,
        new,
        lease,
        now: f.now(),
    })
}

/// What it came to: what the first was told, what the second was, and each row.
type Came = Vec<String>;

async fn in_turn<const N: usize>(
    f: &Fixture,
    pair: [Verb; 2],
    scene: Arc<Scene>,
    order: [usize; N],
) -> Came {
    let mut told = [String::new(), String::new()];
    for side in order {
        told[side] = act(handle(f, side), pair[side], &scene, side).await;
    }
    settle(f, pair, &scene, told).await
}

async fn at_once(f: &Fixture, pair: [Verb; 2], scene: Arc<Scene>) -> Came {
    let barrier = Arc::new(Barrier::new(2));
    let go = |side: usize| {
        let (store, scene, barrier) = (handle(f, side), scene.clone(), barrier.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            act(store, pair[side], &scene, side).await
        })
    };
    let (first, second) = (go(0), go(1));
    let told = [first.await.unwrap(), second.await.unwrap()];
    settle(f, pair, &scene, told).await
}

async fn within(f: &Fixture, pair: [Verb; 2], scene: Arc<Scene>, ends: Ends) -> Came {
    let mut tx = f.begin().await;
    let now = Some(scene.now);
    let first = match pair[0] {
        Verb::Complete => {
            let finish = Finish::complete(scene.lease, None);
            let told = f.store.finish_in(&mut tx, &finish, now).await.unwrap();
            scene.named(&[told])
        }
        _ => {
            let new = std::slice::from_ref(&scene.new[0]);
            let told = f.store.enqueue_in(&mut tx, new, now).await.unwrap();
            scene.named(&told)
        }
    };
    let mut second = tokio::spawn({
        let (store, scene) = (handle(f, 1), scene.clone());
        async move { act(store, pair[1], &scene, 1).await }
    });
    let early = tokio::time::timeout(RUN_UP, &mut second).await;
    match ends {
        Ends::Committed => tx.commit().await.unwrap(),
        Ends::RolledBack => tx.rollback().await.unwrap(),
    }
    let second = match early {
        Ok(told) => told,
        Err(_) => second.await,
    };
    settle(f, pair, &scene, [first, second.unwrap()]).await
}

/// The first uses one connection, the second another.
fn handle(f: &Fixture, side: usize) -> Arc<dyn Store> {
    Arc::clone([&f.store, &f.other][side])
}

async fn act(store: Arc<dyn Store>, verb: Verb, scene: &Scene, side: usize) -> String {
    let (now, id) = (Some(scene.now), scene.ids[0]);
    match verb {
        Verb::Claim => {
            let claim = Claim {
                queue: &scene.queue,
                worker: NAMES[2 + side],
                limit: 1,
                lease: LEASE,
                now,
            };
            let claimed = store.claim(claim).await.unwrap();
            let claimed = claimed
                .iter()
                .map(|job| (job.id, job.claim_no, job.attempt));
            scene.named(&claimed.collect::<Vec<_>>())
        }
        Verb::Complete => {
            let finish = Finish::complete(scene.lease, None);
            scene.named(&store.finish(&[finish], now).await.unwrap())
        }
        Verb::Rescue => {
            let rescue = Rescue {
                limit: 1000,
                max_crashes: MAX_CRASHES,
                now,
            };
            let rescued = store.rescue(rescue).await.unwrap();
            let rescued = rescued.iter().map(|job| (job.id, job.crashes, job.dead));
            let ours = rescued.filter(|(id, ..)| scene.ids.contains(id));
            scene.named(&ours.collect::<Vec<_>>())
        }
        Verb::Cancel => scene.named(&store.cancel(id, None, now).await.unwrap()),
        Verb::Requeue => scene.named(&store.requeue(id, None, now).await.unwrap()),
        Verb::Enqueue => {
            let new = std::slice::from_ref(&scene.new[side]);
            scene.named(&store.enqueue(new, now).await.unwrap())
        }
    }
}

impl Scene {
    /// Words that are the same in every scene.
    fn named(&self, told: &impl Debug) -> String {
        let ids = self.ids.iter().zip(NAMES);
        ids.fold(format!("{told:?}"), |told, (id, name)| {
            told.replace(&format!("{id:?}"), name)
        })
    }
}

/// Claims and rescues pass over what somebody has in hands just then, and those who found nothing look
/// again, here as in the engine. Then: what each was told, and every row.
async fn settle(f: &Fixture, pair: [Verb; 2], scene: &Scene, mut told: [String; 2]) -> Came {
    for side in [0, 1] {
        if told[side] == "[]" {
            told[side] = act(handle(f, side), pair[side], scene, side).await;
        }
    }
    let mut rows = Vec::new();
    for id in scene.ids {
        rows.push(f.store.get(id, None, Some(scene.now)).await.unwrap());
    }
    let there = || rows.iter().flatten();
    let holders = there().filter(|job| job.unique_key.is_some() && !job.state.is_finished());
    assert!(holders.count() <= 1, "{pair:?}: two hold a key: {rows:#?}");
    let out = there().filter(|job| !job.state.is_finished() && job.state != State::Waiting);
    assert!(out.count() <= 1, "{pair:?}: two of a line: {rows:#?}");
    let open = there().any(|job| !job.state.is_finished());
    let goes = there().any(|job| !job.state.is_finished() && job.state != State::Waiting);
    assert!(!open || goes, "{pair:?}: a line is stuck: {rows:#?}");
    let mut came: Came = told.into();
    came.extend(rows.iter().zip(NAMES).map(|(row, name)| match row {
        Some(job) => format!("{name}: {}", scene.named(&seen(job))),
        None => format!("{name}: none"),
    }));
    tidy(f, scene, &rows).await;
    came
}

/// What must be the same. Times are left out: they are the scene's.
fn seen(job: &JobRecord) -> impl Debug + use<> {
    let history: Vec<_> = job
        .attempts
        .iter()
        .map(|a| (a.claim_no, a.outcome))
        .collect();
    (
        (job.state, job.attempt, job.claim_no, job.crashes),
        (
            job.lease_expires_at.is_some(),
            job.cancel_requested_at.is_some(),
        ),
        history,
    )
}

/// Leaves nothing that the rescues of other scenes would find.
async fn tidy(f: &Fixture, scene: &Scene, rows: &[Option<JobRecord>]) {
    for job in rows.iter().flatten() {
        if job.state == State::Running {
            let lease = Lease {
                job: job.id,
                claim_no: job.claim_no,
            };
            f.complete(lease).await;
        }
    }
    for job in rows.iter().flatten() {
        let _: Changed = f.store.cancel(job.id, None, Some(scene.now)).await.unwrap();
    }
}
