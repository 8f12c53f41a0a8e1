//! Those who enqueue, and an operator, through the same network as the workers. Whoever got no answer asks
//! again, under the same idempotency key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;
use windlass::engine::{Operator, PauseOf};
use windlass::model::{Enqueued, Idempotency};
use windlass::store::Changed;
use windlass::{Client, Job, JobId, NewJob, Timestamp};

use super::ledger::wall_clock;
use super::work::{InOrder, LIMITED, Once, PAUSED, Poison, Single, Work};

/// What was said yes to.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    pub(crate) jobs: BTreeMap<JobId, NewJob>,
    /// Named as standing for another.
    pub(crate) stand_ins: BTreeSet<JobId>,
    /// How often an enqueue had to be repeated.
    pub(crate) repeats: u64,
}

/// What an operator did.
#[derive(Debug, Default)]
pub(crate) struct Operated {
    /// By reason, each of its own: how many lines of the audit log there must be, where that is known.
    pub(crate) acts: BTreeMap<String, Option<usize>>,
    /// What it enqueued for that, whether or not it was answered.
    pub(crate) jobs: BTreeSet<JobId>,
    /// Jobs that were cancelled before they ran, and since when that is known.
    pub(crate) cancelled: Vec<(JobId, Timestamp)>,
    /// From when until when the queue was paused for sure.
    pub(crate) pauses: Vec<(Timestamp, Timestamp)>,
}

const LINES: u64 = 12;
const KEYS: u64 = 8;
pub(crate) const OPERATOR: &str = "storm";

/// Enqueues until told to stop; the first of them also what must have one source.
pub(crate) async fn enqueue(
    client: Client,
    seed: u64,
    first: bool,
    stop: CancellationToken,
) -> Accepted {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut accepted = Accepted::default();
    let mut pulse = tokio::time::interval(Duration::from_millis(120));
    let mut rounds = 0;
    while !stop.is_cancelled() {
        pulse.tick().await;
        rounds += 1;
        let mut jobs = batch(&client, &mut rng, rounds, first);
        for job in &mut jobs {
            job.idempotency = Some(Idempotency {
                key: job.id.to_string(),
                digest: String::new(),
                window: Duration::from_hours(3),
            });
        }
        let answers = loop {
            match client.insert_many(&jobs).await {
                Ok(answers) => break answers,
                Err(windlass::EnqueueError::Store(error)) if error.is_transient() => {
                    accepted.repeats += 1;
                    pulse.tick().await;
                }
                Err(error) => panic!("an enqueue was refused: {error}"),
            }
        };
        for (job, answer) in jobs.into_iter().zip(answers) {
            match answer {
                Enqueued::Inserted(id) | Enqueued::Duplicate(id) if id == job.id => {
                    accepted.jobs.insert(id, job);
                }
                Enqueued::Duplicate(other) => drop(accepted.stand_ins.insert(other)),
                other => panic!("{} was answered with {other:?}", job.kind),
            }
        }
    }
    accepted
}

fn batch(client: &Client, rng: &mut StdRng, round: u64, first: bool) -> Vec<NewJob> {
    let mut work = |most: u64| Work {
        number: round,
        millis: rng.random_range(0..most),
        fails: if rng.random_ratio(1, 10) {
            rng.random_range(1..3)
        } else {
            0
        },
    };
    let mut jobs = vec![
        client.prepare(&work(60)),
        client.prepare(&work(60)),
        client.prepare(&work(200)),
        client.prepare(&Once { work: work(30) }),
        client.prepare(&Single {
            key: round % KEYS,
            work: work(300),
        }),
        in_queue(client, LIMITED, &work(40)),
        in_queue(client, PAUSED, &work(30)),
    ];
    // Longer than a lease: it is kept by heartbeats.
    if round.is_multiple_of(20) {
        jobs.push(client.prepare(&Work {
            millis: 6_000,
            ..work(1)
        }));
    }
    if first {
        let (key, step) = (round % LINES, round / LINES);
        jobs.push(client.prepare(&InOrder {
            key,
            step,
            work: work(100),
        }));
    }
    // They take down three processes each.
    if first && (round == 60 || round == 260) {
        jobs.push(client.prepare(&Poison {}));
    }
    jobs.into_iter().map(Result::unwrap).collect()
}

fn in_queue(
    client: &Client,
    queue: &str,
    job: &impl Job,
) -> Result<NewJob, windlass::EnqueueError> {
    let queue = queue.to_owned();
    let job = client.prepare(job)?;
    Ok(NewJob { queue, ..job })
}

/// Pauses and resumes a queue, and cancels jobs, until told to stop. Leaves nothing paused.
pub(crate) async fn operate(client: Client, seed: u64, stop: CancellationToken) -> Operated {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut operated = Operated::default();
    let mut pulse = tokio::time::interval(Duration::from_millis(50));
    let queue = PauseOf {
        queue: Some(PAUSED.to_owned()),
        ..PauseOf::default()
    };
    while !stop.is_cancelled() {
        for _ in 0..rng.random_range(2..6) {
            cancel_one(&client, &mut rng, &mut operated).await;
            pulse.tick().await;
        }
        while act(&client, &mut operated, "pause", async |operator| {
            operator.pause(queue.clone(), None).await.map(|_| true).ok()
        })
        .await
        .is_none()
        {
            pulse.tick().await;
        }
        let paused = wall_clock();
        let length = Duration::from_millis(rng.random_range(1_500..4_000));
        tokio::time::sleep(length).await;
        let resumed = wall_clock();
        operated.pauses.push((paused, resumed));
        while act(&client, &mut operated, "resume", async |operator| {
            operator.resume(queue.clone()).await.ok()
        })
        .await
        .is_none()
        {
            pulse.tick().await;
        }
    }
    operated
}

/// Does something for a reason that nothing else is done for; `None` if there was no answer, else
/// whether there was something to do.
async fn act(
    client: &Client,
    operated: &mut Operated,
    what: &str,
    doing: impl AsyncFnOnce(Operator) -> Option<bool>,
) -> Option<bool> {
    let reason = format!("{what} {}", operated.acts.len());
    let answer = doing(client.operator(OPERATOR, Some(&reason))).await;
    let lines = answer.filter(|done| *done).map(|_| 1);
    operated.acts.insert(reason, lines);
    answer
}

/// Cancels a job of its own: one that waits for later, or one that may be running by now.
async fn cancel_one(client: &Client, rng: &mut StdRng, operated: &mut Operated) {
    let work = Work {
        number: 0,
        millis: 500,
        fails: 0,
    };
    let job = client.prepare(&work).unwrap();
    let id = job.id;
    operated.jobs.insert(id);
    // A job that was not heard of cannot be cancelled; it is done like any other.
    if client.insert(job).await.is_err() {
        return;
    }
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..100))).await;
    let mut changed = None;
    act(client, operated, "cancel", async |operator| {
        changed = operator.cancel(id, None).await.ok();
        changed.map(|changed| matches!(changed, Changed::Done | Changed::Asked))
    })
    .await;
    if changed == Some(Changed::Done) {
        operated.cancelled.push((id, wall_clock()));
    }
}
