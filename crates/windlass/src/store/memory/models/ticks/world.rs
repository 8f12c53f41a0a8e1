//! The store, its schedulers, and what each step does to them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use super::super::super::{Claim, Data, Elect};
use super::super::at;
use super::{
    Action, BACK, Broken, FORWARD, Left, NAME, Planned, ROLE, Reply, STEP, Scheduler, Seen, TERM,
    TIMETABLE, Ticks, record,
};
use crate::model::{
    Audit, CatchUp, Finish, JobId, JobRecord, NewJob, Origin, Overlap, Skip, State, TickOutcome,
    TickRecord, Timestamp, due,
};
use crate::store::Fired;

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) store: Data,
    pub(super) now: u64,
    pub(super) schedulers: [Scheduler; 2],
    pub(super) left: Left,
    /// Minutes that a pause has swallowed.
    pub(super) swallowed: BTreeSet<Timestamp>,
    pub(super) jobs_made: u8,
    /// A tick was called missed though it could have been made up for.
    pub(super) wrongly_missed: bool,
    pub(super) seen: Seen,
}

impl World {
    pub(super) fn new(store: &Data, left: &Left) -> Self {
        Self {
            store: store.clone(),
            now: 0,
            schedulers: Default::default(),
            left: left.clone(),
            swallowed: BTreeSet::new(),
            jobs_made: 0,
            wrongly_missed: false,
            seen: Seen::default(),
        }
    }

    /// `None` if it changes nothing.
    pub(super) fn step(&mut self, model: &Ticks, action: Action) -> Option<()> {
        let now = at(self.now);
        match action {
            Action::Begin(number) => {
                let elect = Elect {
                    role: ROLE,
                    holder: ["first", "second"][number],
                    term: TERM,
                    now: None,
                };
                let leads = self.store.elect(&elect, now);
                self.schedulers[number].leads_at = leads.then_some(self.now);
            }
            Action::Plan(number) => self.plan(model, number)?,
            Action::Do(number, reply) => self.carry_out(model, number, reply),
            Action::Restart(number) => {
                self.left.restarts -= 1;
                self.schedulers[number] = Scheduler::default();
                self.store.declare_schedules(&[model.schedule()], now);
            }
            Action::Work => self.work()?,
            Action::Pause => {
                self.left.pauses -= 1;
                let audit = Audit::new("operator", "schedule.pause", NAME);
                self.store.pause_schedule(NAME, "", &audit, now);
            }
            Action::Resume => {
                let before = record(&self.store).decided_until;
                let audit = Audit::new("operator", "schedule.resume", NAME);
                if !self.store.resume_schedule(NAME, &audit, now) {
                    return None;
                }
                let until = record(&self.store).decided_until;
                let gone = TIMETABLE
                    .after(before)
                    .take_while(|minute| *minute <= until);
                self.swallowed.extend(gone);
            }
            Action::Backfill(second) => {
                self.left.backfills -= 1;
                self.jobs_made += 1;
                let tick = (at(second), Origin::Backfill);
                // As `engine::Operator::backfill` has it: what an operator wants is not left out.
                let overlap = match model.overlap {
                    Overlap::Skip => Overlap::Queue,
                    other => other,
                };
                let fired = model.fire(&mut self.store, tick, self.jobs_made, overlap, now);
                self.seen.backfilled |= matches!(fired, Fired::Fired(_));
            }
            Action::Wait => {
                self.left.steps -= 1;
                self.now += STEP;
            }
            Action::ClockForward => {
                self.left.clock -= 1;
                self.now += FORWARD;
            }
            Action::ClockBack => {
                self.left.clock -= 1;
                self.now -= BACK;
            }
        }
        Some(())
    }

    fn plan(&mut self, model: &Ticks, number: usize) -> Option<()> {
        let began = self.schedulers[number].leads_at.take()?;
        let record = record(&self.store);
        if !record.is_active() {
            return Some(());
        }
        let due = due(&TIMETABLE, model.catch_up, record.decided_until, at(began));
        let may_be_missed = match model.catch_up {
            CatchUp::All { within } => at(began).minus(within),
            _ => at(began),
        };
        self.wrongly_missed |= due.missed.iter().any(|missed| *missed >= may_be_missed);
        let unfinished = self.unfinished() > 0;
        let scheduler = &mut self.schedulers[number];
        scheduler.saw_unfinished = model.is(Broken::LooksForOverlapTooEarly) && unfinished;
        if !due.missed.is_empty() {
            scheduler.planned.push_back(Planned::PassOver(due.missed));
        }
        let fires = due
            .ticks
            .into_iter()
            .map(|(at, origin)| Planned::Fire(at, origin));
        scheduler.planned.extend(fires);
        let [first, second] = self.schedulers.each_ref().map(Scheduler::to_fire);
        self.seen.both_planned |= first.intersection(&second).next().is_some();
        Some(())
    }

    /// The next of what was planned. An answer that does not come ends the round.
    fn carry_out(&mut self, model: &Ticks, number: usize, reply: Reply) {
        let now = at(self.now);
        let Some(next) = self.schedulers[number].planned.pop_front() else {
            return;
        };
        if reply != Reply::Comes {
            self.left.losses -= 1;
        }
        let silence_is_yes = model.is(Broken::TakesSilenceForYes);
        if reply == Reply::NeverAsked {
            if !silence_is_yes {
                self.schedulers[number] = Scheduler::default();
            }
            return;
        }
        match next {
            Planned::PassOver(missed) => {
                self.store.pass_over(NAME, &missed, now);
                self.seen.missed = true;
            }
            Planned::Fire(fire_at, _) if model.is(Broken::DecidesBeforeItFires) => {
                if let Some(record) = self.store.timetable.schedules.get_mut(NAME) {
                    record.decided_until = record.decided_until.max(fire_at);
                }
                self.schedulers[number]
                    .planned
                    .push_front(Planned::Make(fire_at));
            }
            Planned::Make(fire_at) => {
                self.jobs_made += 1;
                let tick = (fire_at, Origin::Backfill);
                model.fire(&mut self.store, tick, self.jobs_made, model.overlap, now);
            }
            Planned::Fire(fire_at, origin) => {
                self.jobs_made += 1;
                let early = model.is(Broken::LooksForOverlapTooEarly);
                let overlap = match model.overlap {
                    Overlap::Skip if early && !self.schedulers[number].saw_unfinished => {
                        Overlap::Queue
                    }
                    overlap => overlap,
                };
                let tick = (fire_at, origin);
                match model.fire(&mut self.store, tick, self.jobs_made, overlap, now) {
                    Fired::Fired(_) => self.seen.made_up_for |= origin == Origin::CatchUp,
                    Fired::Already => self.seen.told_already = true,
                    Fired::Skipped(skip) => self.seen.overlapped |= skip == Skip::Overlap,
                    Fired::Off => self.schedulers[number].planned.clear(),
                }
            }
        }
        if reply == Reply::Lost && !silence_is_yes {
            self.schedulers[number] = Scheduler::default();
        }
    }

    fn work(&mut self) -> Option<()> {
        let claim = Claim {
            queue: NewJob::DEFAULT_QUEUE,
            worker: "worker",
            limit: 1,
            lease: TERM,
            now: None,
        };
        let now = at(self.now);
        let job = self.store.claim(&claim, now).pop()?;
        self.store
            .finish_all(&[Finish::complete(job.lease(), None)], now);
        Some(())
    }

    fn unfinished(&self) -> usize {
        let jobs = self.store.jobs.iter();
        jobs.filter(|job| !job.state.is_finished()).count()
    }

    /// All but `Allow` run one at a time; by the timetable, `Skip` makes no second job besides a first.
    pub(super) fn overlap_is(&self, overlap: Overlap) -> bool {
        let may_run = |job: &&JobRecord| !job.state.is_finished() && job.state != State::Waiting;
        let unfinished = |id: JobId| {
            self.store
                .jobs
                .get(id)
                .is_some_and(|job| !job.state.is_finished())
        };
        let at_once = self.store.jobs.iter().filter(may_run).count();
        let by_timetable = self.ticks().filter(|tick| tick.origin.is_by_timetable());
        let side_by_side = by_timetable
            .filter_map(|tick| tick.job_id)
            .filter(|id| unfinished(*id))
            .count();
        match overlap {
            Overlap::Allow => true,
            Overlap::Skip => at_once <= 1 && side_by_side <= 1,
            Overlap::Queue | Overlap::CancelPrevious => at_once <= 1,
        }
    }

    pub(super) fn jobs_of_a_tick_at_most(&self) -> usize {
        let mut made: BTreeMap<&str, usize> = BTreeMap::new();
        for job in self.store.jobs.iter() {
            *made
                .entry(job.correlation_id.as_deref().unwrap_or(""))
                .or_default() += 1;
        }
        made.into_values().max().unwrap_or(0)
    }

    fn ticks(&self) -> impl Iterator<Item = &TickRecord> {
        self.store.ticks_of(NAME)
    }

    pub(super) fn ticks_and_jobs_agree(&self) -> bool {
        let told: BTreeSet<JobId> = self
            .ticks()
            .filter(|tick| tick.outcome == TickOutcome::Fired)
            .filter_map(|tick| tick.job_id)
            .collect();
        let made: BTreeSet<JobId> = self.store.jobs.iter().map(|job| job.id).collect();
        told == made
    }

    pub(super) fn leaves_no_gap(&self) -> bool {
        let until = record(&self.store).decided_until;
        let told: BTreeSet<Timestamp> = self.ticks().map(|tick| tick.fire_at).collect();
        let mut decided = TIMETABLE.after(at(0)).take_while(|minute| *minute <= until);
        decided.all(|minute| told.contains(&minute) || self.swallowed.contains(&minute))
    }

    /// What tells one state from another.
    fn place(&self) -> impl Hash + PartialEq + '_ {
        let jobs: Vec<_> = self
            .store
            .jobs
            .iter()
            .map(|job| (job.id, job.state))
            .collect();
        let ticks: Vec<_> = self
            .ticks()
            .map(|tick| {
                (
                    tick.fire_at,
                    tick.outcome.as_str(),
                    tick.origin,
                    tick.job_id,
                )
            })
            .collect();
        let record = record(&self.store);
        (
            (
                jobs,
                ticks,
                record.decided_until,
                record.paused_at.is_some(),
            ),
            (self.store.term_of(ROLE), self.now, &self.schedulers),
            (&self.left, &self.swallowed, self.jobs_made),
            (self.wrongly_missed, &self.seen),
        )
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}
