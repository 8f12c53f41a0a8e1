//! Claims and how they end: [`Data::claim`], [`Data::heartbeat`], [`Data::finish_all`],
//! [`Data::rescue`], [`Data::cancel`] and [`Data::requeue`], called by two workers, whoever leads, and
//! an operator, in every order.
//!
//! - A worker may pause for any time between any two of its steps (nothing ever makes one go on), be
//!   killed, or lose an answer: of a claim, it then never learns what it holds; of an end, it says so again,
//!   as the completer does. An end may also still be on its way when the worker has given it up.
//! - The store's clock may be put forward or back. The second worker's own clock is always far behind: it
//!   reckons when to retry by it.
//! - Two jobs stand in one line (ordering key), so that one waits for the other.

mod world;

use std::time::Duration;

use stateright::{Model, Property};
use uuid::Uuid;

use super::super::Data;
use super::super::{Claim, Rescue, Rescued};
use super::{at, breaks, holds};
use crate::model::{
    AttemptOutcome, ClaimedJob, Finish, JobId, JobRecord, Json, Lease, NewJob, Recorded, State,
    Timestamp, Verdict,
};
use world::World;

const JOBS: usize = 2;
const LEASE: u64 = 1;
const MAX_ATTEMPTS: u16 = 2;
const MAX_CRASHES: u16 = 2;

/// What must be true, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Promise {
    OneHolder,
    HolderAlone,
    HolderHeard,
    LiveOneKept,
    BeatTrue,
    FinishedRests,
    InLine,
}

/// A way in which a store could be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// The end of an attempt names a job, and not under which claim.
    EndsWithoutFence,
    /// So does a heartbeat.
    BeatsWithoutFence,
    /// What was claimed is taken back at once: by its age, say, and not by its lease.
    RescuesEarly,
    /// What was claimed is taken back by nobody.
    RescuesNothing,
    /// A crash is not counted.
    CountsNoCrash,
    /// A crash costs an attempt.
    CrashCostsAttempt,
    /// A claim takes what runs.
    ClaimsWhatRuns,
    /// A revived job begins at claim number 0.
    RevivesWithoutFence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reply {
    Comes,
    /// The store has done it, and nobody hears of it.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Action {
    Claim(usize, Reply),
    Beat(usize),
    /// The handler has returned.
    End(usize, Returned),
    Record(usize, Reply),
    /// What was to be recorded is on its way; its sender takes it for lost.
    Delay(usize),
    /// And arrives after all.
    Arrive(usize),
    Kill(usize),
    Rescue,
    Cancel(usize),
    Requeue(usize),
    /// A second goes by.
    Tick,
    ClockForward,
    ClockBack,
}

/// What a handler returns, before policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Returned {
    Success,
    Failure,
    /// The process stops and hands it back.
    Unused,
}

/// The end of an attempt, after policy; see `engine::executor::judge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum End {
    Complete,
    Retry { at: u64 },
    Dead,
    Release,
    Cancel,
}

/// A claim as its holder knows it. The number is the ledger's own and is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Grant {
    number: u8,
    lease: Lease,
    attempt: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    Runs(Grant),
    /// Says how it ended until it is heard.
    Ended(Grant, End),
}

/// What the ledger knows of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Account {
    /// Who holds it, and until when by the store's clock.
    holder: Option<(u8, u64)>,
    used: u16,
    crashes: u16,
    asked_to_stop: bool,
    ended: bool,
}

/// How often something may still happen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Left {
    ticks: u8,
    kills: u8,
    losses: u8,
    delays: u8,
    unused: u8,
    cancels: u8,
    requeues: u8,
    clock: u8,
}

/// What may happen how often. All of it at once would be too many states; each of these is about what
/// has to do with one another.
const SCENES: [Left; 4] = [
    // Answers get lost, and what was given up arrives.
    Left {
        ticks: 2,
        losses: 1,
        delays: 1,
        ..NOTHING
    },
    // Workers vanish, again and again, and the clock is put forward or back.
    Left {
        ticks: 3,
        kills: 1,
        clock: 1,
        ..NOTHING
    },
    // An operator cancels, and revives what has ended; what was given up arrives.
    Left {
        delays: 1,
        cancels: 1,
        requeues: 1,
        ..NOTHING
    },
    // Jobs are handed back and cancelled.
    Left {
        ticks: 2,
        unused: 1,
        cancels: 1,
        ..NOTHING
    },
];

const NOTHING: Left = Left {
    ticks: 0,
    kills: 0,
    losses: 0,
    delays: 0,
    unused: 0,
    cancels: 0,
    requeues: 0,
    clock: 0,
};

/// What has come about, so that it is known to be possible.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Seen {
    zombie_refused: bool,
    late_refused: bool,
    lost_claim_rescued: bool,
    revived_completes: bool,
}

struct Attempts(Option<Broken>);

fn id(job: usize) -> JobId {
    JobId::from_uuid(Uuid::from_u128(job as u128 + 1))
}

fn index(id: JobId) -> usize {
    usize::from(id != self::id(0))
}

impl Attempts {
    fn is(&self, broken: Broken) -> bool {
        self.0 == Some(broken)
    }

    fn claim(&self, store: &mut Data, worker: &str, now: Timestamp) -> Option<ClaimedJob> {
        if self.is(Broken::ClaimsWhatRuns) {
            let runs: Vec<JobId> = store.jobs.running().map(|job| job.id).collect();
            for id in runs {
                store.jobs.change(id, now, |job| {
                    job.state = State::Available;
                    job.lease_expires_at = None;
                });
            }
        }
        let claim = Claim {
            queue: NewJob::DEFAULT_QUEUE,
            worker,
            limit: 1,
            lease: Duration::from_secs(LEASE),
            now: None,
        };
        store.claim(&claim, now).pop()
    }

    fn rescue(&self, store: &mut Data, now: Timestamp) -> Vec<Rescued> {
        let now = match self.0 {
            Some(Broken::RescuesNothing) => return Vec::new(),
            Some(Broken::RescuesEarly) => now + Duration::from_secs(LEASE + 1),
            _ => now,
        };
        let rescue = Rescue {
            limit: 10,
            max_crashes: MAX_CRASHES,
            now: None,
        };
        let rescued = store.rescue(rescue, now);
        for job in &rescued {
            store.jobs.change(job.id, now, |job| match self.0 {
                Some(Broken::CountsNoCrash) => job.crashes -= 1,
                Some(Broken::CrashCostsAttempt) => job.attempt += 1,
                _ => {}
            });
        }
        rescued
    }

    /// The lease as a store without a fence takes it: any that there is.
    fn unfenced(&self, without: Broken, store: &Data, lease: Lease) -> Lease {
        match store.jobs.get(lease.job) {
            Some(job) if self.is(without) => job_lease(job),
            _ => lease,
        }
    }

    fn finish(&self, store: &mut Data, lease: Lease, end: End, now: Timestamp) -> Recorded {
        let (verdict, outcome) = match end {
            End::Complete => (
                Verdict::Complete { result: None },
                AttemptOutcome::Completed,
            ),
            End::Retry { at: second } => {
                (Verdict::Retry { at: at(second) }, AttemptOutcome::Failed)
            }
            End::Dead => (Verdict::Dead, AttemptOutcome::Failed),
            End::Release => (Verdict::Release, AttemptOutcome::Released),
            End::Cancel => (Verdict::Cancel, AttemptOutcome::Cancelled),
        };
        let finish = Finish {
            lease: self.unfenced(Broken::EndsWithoutFence, store, lease),
            verdict,
            outcome,
            error: None,
        };
        store.finish_all(&[finish], now)[0]
    }

    /// One worker that nothing happens to can finish everything.
    fn goes_on(&self, world: &World) -> bool {
        let mut store = world.store.clone();
        let times = store
            .jobs
            .iter()
            .flat_map(|job| [Some(job.run_at), job.lease_expires_at]);
        let latest = times.flatten().fold(at(world.now), Timestamp::max);
        let now = latest + Duration::from_secs(LEASE + 1);
        for _ in 0..2 * JOBS {
            self.rescue(&mut store, now);
            while let Some(job) = self.claim(&mut store, "last", now) {
                if self.finish(&mut store, job.lease(), End::Complete, now) != Recorded::Yes {
                    return false;
                }
            }
        }
        (0..JOBS).all(|job| {
            store
                .jobs
                .get(id(job))
                .is_some_and(|job| job.state.is_finished())
        })
    }
}

fn job_lease(job: &JobRecord) -> Lease {
    Lease {
        job: job.id,
        claim_no: job.claim_no,
    }
}

impl Model for Attempts {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut store = Data::default();
        for job in 0..JOBS {
            let job = NewJob {
                id: id(job),
                max_attempts: MAX_ATTEMPTS,
                ordering_key: Some("line".into()),
                ..NewJob::new("work", Json::empty_object())
            };
            store.enqueue(&job, at(10));
        }
        let scenes = SCENES.iter().map(|left| World::new(&store, left));
        scenes.collect()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let left = &world.left;
        for (number, worker) in world.workers.iter().enumerate() {
            match worker {
                Worker::Idle => {
                    actions.push(Action::Claim(number, Reply::Comes));
                    actions.extend((left.losses > 0).then_some(Action::Claim(number, Reply::Lost)));
                }
                Worker::Runs(_) => {
                    actions.push(Action::Beat(number));
                    actions.push(Action::End(number, Returned::Success));
                    actions.push(Action::End(number, Returned::Failure));
                    let unused = Action::End(number, Returned::Unused);
                    actions.extend((left.unused > 0).then_some(unused));
                }
                Worker::Ended(..) => {
                    actions.push(Action::Beat(number));
                    actions.push(Action::Record(number, Reply::Comes));
                    actions
                        .extend((left.losses > 0).then_some(Action::Record(number, Reply::Lost)));
                    actions.extend((left.delays > 0).then_some(Action::Delay(number)));
                }
            }
            if *worker != Worker::Idle && left.kills > 0 {
                actions.push(Action::Kill(number));
            }
        }
        actions.extend((0..world.under_way.len()).map(Action::Arrive));
        actions.push(Action::Rescue);
        for job in 0..JOBS {
            actions.extend((left.cancels > 0).then_some(Action::Cancel(job)));
            actions.extend((left.requeues > 0).then_some(Action::Requeue(job)));
        }
        actions.extend((left.ticks > 0).then_some(Action::Tick));
        if left.clock > 0 {
            actions.extend([Action::ClockForward, Action::ClockBack]);
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        world.step(self, action)?;
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_HOLDER, |_, world: &World| {
                world.keeps(Promise::OneHolder) && world.leases_are_as_granted()
            }),
            Property::always(HOLDER_ALONE, |_, world: &World| {
                world.keeps(Promise::HolderAlone)
            }),
            Property::always(HOLDER_HEARD, |_, world: &World| {
                world.keeps(Promise::HolderHeard)
            }),
            Property::always(LIVE_ONE_KEPT, |_, world: &World| {
                world.keeps(Promise::LiveOneKept)
            }),
            Property::always(BEAT_TRUE, |_, world: &World| world.keeps(Promise::BeatTrue)),
            Property::always(FINISHED_RESTS, |_, world: &World| {
                world.keeps(Promise::FinishedRests)
            }),
            Property::always(IN_LINE, |_, world: &World| world.keeps(Promise::InLine)),
            Property::always(COUNTED, |_, world: &World| world.is_counted_exactly()),
            Property::always(NOTHING_LOST, Self::goes_on),
            Property::sometimes(
                "a worker that lost its lease is refused",
                |_, world: &World| world.seen.zombie_refused,
            ),
            Property::sometimes("an end that comes late is refused", |_, world: &World| {
                world.seen.late_refused
            }),
            Property::sometimes(
                "a claim whose answer was lost is taken back",
                |_, world: &World| world.seen.lost_claim_rescued,
            ),
            Property::sometimes("a job is set aside for its crashes", |_, world: &World| {
                world
                    .accounts
                    .iter()
                    .any(|job| job.ended && job.crashes == MAX_CRASHES)
            }),
            Property::sometimes("a revived job completes", |_, world: &World| {
                world.seen.revived_completes
            }),
            Property::sometimes("all is done", |_, world: &World| {
                world.accounts.iter().all(|job| job.ended)
            }),
        ]
    }
}

const ONE_HOLDER: &str = "at most one holder of a lease";
const HOLDER_ALONE: &str = "nobody but the holder ends an attempt";
const HOLDER_HEARD: &str = "the holder is never refused";
const LIVE_ONE_KEPT: &str = "nothing is taken back before its lease has ended";
const BEAT_TRUE: &str = "a heartbeat says truly who holds the lease";
const FINISHED_RESTS: &str = "a finished job never runs again by itself";
const IN_LINE: &str = "one of a line runs at a time, and only the first of them";
const COUNTED: &str = "attempts and crashes are counted exactly";
const NOTHING_LOST: &str = "whoever comes next can finish everything";

#[test]
fn every_order_of_claims_and_ends_keeps_every_promise() {
    holds("attempts", Attempts(None), 207_000);
}

#[test]
fn every_broken_kind_of_attempts_is_found() {
    for (broken, promise) in [
        (Broken::EndsWithoutFence, HOLDER_ALONE),
        (Broken::BeatsWithoutFence, BEAT_TRUE),
        (Broken::RescuesEarly, LIVE_ONE_KEPT),
        (Broken::RescuesNothing, NOTHING_LOST),
        (Broken::CountsNoCrash, COUNTED),
        (Broken::CrashCostsAttempt, COUNTED),
        (Broken::ClaimsWhatRuns, ONE_HOLDER),
        (Broken::RevivesWithoutFence, HOLDER_ALONE),
    ] {
        breaks(&format!("{broken:?}"), Attempts(Some(broken)), promise);
    }
}
