//! The ticks of a schedule: [`Data::declare_schedules`], [`Data::elect`], [`due`], [`Data::pass_over`] and
//! [`Data::fire`], called by two schedulers as `engine::scheduler::Scheduler::round` calls them, in every
//! order: each may pause between any two of its calls and believe for ever that it leads, be killed and
//! start again, or lose an answer, after which it begins a new round.
//!
//! A worker completes the jobs, an operator pauses and resumes the schedule and fires ticks of a time
//! gone by, and the store's clock may be put forward or back.

mod world;

use std::collections::{BTreeSet, VecDeque};
use std::sync::LazyLock;
use std::time::Duration;

use stateright::{Model, Property};
use uuid::Uuid;

use super::super::{Data, Elect};
use super::{START, at, breaks, holds};
use crate::model::{
    CatchUp, Cron, JobId, Json, NewJob, Origin, Overlap, Schedule, ScheduleRecord, Timestamp, due,
};
use crate::store::{Fire, Fired};
use world::World;

/// Ticks are so far apart; time goes by in steps of half of that.
const EVERY: u64 = 120;
const CRON: &str = "*/2 * * * *";
const STEP: u64 = 60;
const TERM: Duration = Duration::from_secs(50);
/// How far the clock is put forward, and back.
const FORWARD: u64 = 210;
const BACK: u64 = 120;
const NAME: &str = "report";
const ROLE: &str = "schedules";
/// How late a tick is still made up for, where all are.
const WITHIN: Duration = Duration::from_mins(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// A tick is no row of its own: firing it again makes another job.
    FiresWithoutUniqueness,
    /// A tick is decided in one transaction, and its job made in another.
    DecidesBeforeItFires,
    /// An answer that does not come is taken for a yes.
    TakesSilenceForYes,
    /// Whether an earlier job is unfinished is asked when the round is planned, not when the tick fires.
    LooksForOverlapTooEarly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reply {
    Comes,
    /// Done, and nobody hears of it.
    Lost,
    /// Not even done.
    NeverAsked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Action {
    /// Asks for the time, and to lead.
    Begin(usize),
    /// Reads the schedule, and plans what is due.
    Plan(usize),
    /// Does the next thing it planned.
    Do(usize, Reply),
    Restart(usize),
    /// A worker completes the oldest job.
    Work,
    Pause,
    Resume,
    /// An operator wants the tick of this second.
    Backfill(u64),
    Wait,
    ClockForward,
    ClockBack,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Planned {
    PassOver(Vec<Timestamp>),
    Fire(Timestamp, Origin),
    /// The second half of a broken one.
    Make(Timestamp),
}

/// Where a scheduler stands in its round.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Scheduler {
    /// Began at this time, and was told that it leads.
    leads_at: Option<u64>,
    planned: VecDeque<Planned>,
    /// What it saw when it planned; only a broken one goes by it.
    saw_unfinished: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Left {
    steps: u8,
    restarts: u8,
    losses: u8,
    pauses: u8,
    backfills: u8,
    clock: u8,
}

impl Scheduler {
    fn to_fire(&self) -> BTreeSet<Timestamp> {
        let planned = self.planned.iter();
        let ticks = planned.filter_map(|one| match one {
            Planned::Fire(fire_at, _) => Some(*fire_at),
            _ => None,
        });
        ticks.collect()
    }
}

/// What may happen how often. All of it at once would be too many states.
const SCENES: [Left; 3] = [
    // Answers get lost, while time goes by.
    Left {
        steps: 4,
        losses: 1,
        ..NOTHING
    },
    // Schedulers start again, and the clock is put forward or back.
    Left {
        steps: 2,
        restarts: 1,
        clock: 1,
        ..NOTHING
    },
    // An operator pauses the schedule, and fires what was left out.
    Left {
        steps: 3,
        pauses: 1,
        backfills: 1,
        ..NOTHING
    },
];

const NOTHING: Left = Left {
    steps: 0,
    restarts: 0,
    losses: 0,
    pauses: 0,
    backfills: 0,
    clock: 0,
};

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Seen {
    both_planned: bool,
    told_already: bool,
    made_up_for: bool,
    missed: bool,
    overlapped: bool,
    backfilled: bool,
}

struct Ticks {
    broken: Option<Broken>,
    catch_up: CatchUp,
    overlap: Overlap,
}

fn ticks(catch_up: CatchUp, overlap: Overlap) -> Ticks {
    Ticks {
        broken: None,
        catch_up,
        overlap,
    }
}

/// Read once: it is asked in every state.
static TIMETABLE: LazyLock<Cron> =
    LazyLock::new(|| Cron::new(CRON, "UTC").expect("it is an expression"));

impl Ticks {
    fn schedule(&self) -> Schedule {
        Schedule {
            catch_up: self.catch_up,
            overlap: self.overlap,
            ..Schedule::new(NAME, CRON, "work", Json::empty_object())
        }
    }

    fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    /// As `engine::timetable::job` makes it; each try makes another id.
    fn job(&self, fire_at: Timestamp, number: u8) -> NewJob {
        NewJob {
            id: JobId::from_uuid(Uuid::from_u128(u128::from(number) + 1)),
            correlation_id: Some(fire_at.to_string()),
            ordering_key: (self.overlap != Overlap::Allow).then(|| self.schedule().ordering_key()),
            ..NewJob::new("work", Json::empty_object())
        }
    }

    fn fire(
        &self,
        store: &mut Data,
        (fire_at, origin): (Timestamp, Origin),
        number: u8,
        overlap: Overlap,
        now: Timestamp,
    ) -> Fired {
        if self.is(Broken::FiresWithoutUniqueness) {
            let tick = (NAME.to_owned(), fire_at);
            store.timetable.ticks.remove(&tick);
            if let Some(record) = store.timetable.schedules.get_mut(NAME) {
                record.decided_until = fire_at.minus(Duration::from_secs(1));
            }
        }
        let fire = Fire {
            schedule: NAME,
            fire_at,
            origin,
            overlap,
            job: &self.job(fire_at, number),
            audit: None,
            now: None,
        };
        store.fire(&fire, now)
    }

    /// A scheduler that nothing happens to fires the next tick, however all stand now.
    fn goes_on(&self, world: &World) -> bool {
        let mut store = world.store.clone();
        if !record(&store).is_active() {
            return true;
        }
        let until = record(&store).decided_until;
        // The moment of a tick: none is left out then, whatever the policy.
        // Later than the last term, too: the clock may have been put back since that began.
        let term = store.term_of(ROLE).map_or(until, |(_, until)| until);
        let later = until.max(term).max(at(world.now));
        let Some(later) = TIMETABLE.after(later).next() else {
            return false;
        };
        let elect = Elect {
            role: ROLE,
            holder: "last",
            term: TERM,
            now: None,
        };
        let leads = store.elect(&elect, later);
        let due = due(&TIMETABLE, self.catch_up, until, later);
        store.pass_over(NAME, &due.missed, later);
        let mut number = 200;
        // Those before it an operator may have fired already.
        let answers = due.ticks.iter().map(|tick| {
            number += 1;
            self.fire(&mut store, *tick, number, self.overlap, later)
        });
        leads && matches!(answers.last(), Some(Fired::Fired(_) | Fired::Skipped(_)))
    }
}

fn record(store: &Data) -> &ScheduleRecord {
    &store.timetable.schedules[NAME]
}

impl Model for Ticks {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut store = Data::default();
        store.declare_schedules(&[self.schedule()], at(0));
        let scenes = SCENES.iter().map(|left| World::new(&store, left));
        scenes.collect()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let left = &world.left;
        for (number, scheduler) in world.schedulers.iter().enumerate() {
            if !scheduler.planned.is_empty() {
                actions.push(Action::Do(number, Reply::Comes));
                if left.losses > 0 {
                    actions.push(Action::Do(number, Reply::Lost));
                    actions.push(Action::Do(number, Reply::NeverAsked));
                }
            } else if scheduler.leads_at.is_some() {
                actions.push(Action::Plan(number));
            } else {
                actions.push(Action::Begin(number));
            }
            if left.restarts > 0 && *scheduler != Scheduler::default() {
                actions.push(Action::Restart(number));
            }
        }
        actions.push(Action::Work);
        actions.extend((left.pauses > 0).then_some(Action::Pause));
        actions.push(Action::Resume);
        if left.backfills > 0 {
            let gone = (1..=world.now / EVERY).map(|number| number * EVERY);
            actions.extend(gone.map(Action::Backfill));
        }
        actions.extend((left.steps > 0).then_some(Action::Wait));
        if left.clock > 0 {
            actions.push(Action::ClockForward);
            actions.extend((world.now >= BACK).then_some(Action::ClockBack));
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        world.step(self, action)?;
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always(ONCE, |_, world: &World| world.jobs_of_a_tick_at_most() <= 1),
            Property::always(TOGETHER, |_, world: &World| world.ticks_and_jobs_agree()),
            Property::always(NO_GAP, |_, world: &World| world.leaves_no_gap()),
            Property::always(POLICY, |_, world: &World| !world.wrongly_missed),
            Property::always(OVERLAP, |model: &Self, world: &World| {
                world.overlap_is(model.overlap)
            }),
            Property::always(GOES_ON, Self::goes_on),
            Property::sometimes("both plan to fire one tick", |_, world: &World| {
                world.seen.both_planned
            }),
            Property::sometimes("the later is told so", |_, world: &World| {
                world.seen.told_already
            }),
            Property::sometimes("a missed tick is left out", |_, world: &World| {
                world.seen.missed
            }),
            Property::sometimes("what was left out is fired later", |_, world: &World| {
                world.seen.backfilled
            }),
        ];
        if self.catch_up != CatchUp::None {
            all.push(Property::sometimes(
                "a missed tick is made up for",
                |_, world: &World| world.seen.made_up_for,
            ));
        }
        if self.overlap == Overlap::Skip {
            all.push(Property::sometimes(
                "a tick is left out for an earlier job",
                |_, world: &World| world.seen.overlapped,
            ));
        }
        all
    }
}

const ONCE: &str = "a tick makes at most one job";
const TOGETHER: &str = "a tick and its job are there together or not at all";
const NO_GAP: &str = "every tick that is decided is recorded";
const POLICY: &str = "nothing is left out that the policy makes up for";
const OVERLAP: &str = "no job overlaps an earlier one that it must not";
const GOES_ON: &str = "whoever schedules next fires the next tick";

const ALL: CatchUp = CatchUp::All { within: WITHIN };

#[test]
fn every_order_of_two_schedulers_fires_each_tick_once() {
    assert_eq!(START % EVERY, 0, "time begins with a tick");
    for (name, model, states) in [
        ("ticks, all made up for", ticks(ALL, Overlap::Allow), 8_000),
        (
            "ticks, the latest made up for, none overlaps",
            ticks(CatchUp::Latest, Overlap::Skip),
            8_300,
        ),
        (
            "ticks, none made up for, one after another",
            ticks(CatchUp::None, Overlap::Queue),
            6_300,
        ),
    ] {
        holds(name, model, states);
    }
}

#[test]
fn every_broken_kind_of_ticks_is_found() {
    for (broken, catch_up, overlap, promise) in [
        (Broken::FiresWithoutUniqueness, ALL, Overlap::Allow, ONCE),
        (Broken::DecidesBeforeItFires, ALL, Overlap::Allow, NO_GAP),
        (Broken::TakesSilenceForYes, ALL, Overlap::Allow, NO_GAP),
        (Broken::LooksForOverlapTooEarly, ALL, Overlap::Skip, OVERLAP),
    ] {
        let model = Ticks {
            broken: Some(broken),
            ..ticks(catch_up, overlap)
        };
        breaks(&format!("{broken:?}"), model, promise);
    }
}
