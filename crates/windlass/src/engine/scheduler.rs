//! Fires the ticks of schedules.
//!
//! Everything that must be right is in the store: a tick is a row, and it is made once. So this loop may
//! run in any number of processes, be killed anywhere and be wrong about who leads. Leading only keeps
//! the others from asking the same questions.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::timetable::{self, InvalidTimetable};
use crate::model::{Cron, Schedule, ScheduleRecord, Timestamp, due, lateness};
use crate::store::{Elect, Error, Fire, Fired, Store};
use crate::telemetry::{self, Outage};

/// The longest time between two looks at the timetable: so soon a change by an operator is seen.
const POLL: Duration = Duration::from_secs(1);
/// How often a program says that it still has its schedules.
const KEEP: Duration = Duration::from_mins(5);
/// A schedule that no program has had for so long is retired.
const RETIRE: Duration = Duration::from_mins(15);

/// One process' part in firing the schedules of a program. An [`Engine`](super::Engine) with
/// [schedules](super::EngineOptions::schedules) runs one.
#[derive(Debug)]
pub struct Scheduler {
    store: Arc<dyn Store>,
    client: Client,
    schedules: Vec<Schedule>,
    names: Vec<String>,
    holder: String,
    role: String,
    term: Duration,
    leads: bool,
    asked_at: Option<Timestamp>,
    kept_at: Option<Timestamp>,
    crons: BTreeMap<(String, String), Cron>,
    complained: BTreeSet<String>,
}

/// What one round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// When it began, by the store's clock.
    pub now: Timestamp,
    /// Whether this process led; if not, it did nothing else.
    pub leads: bool,
    /// Ticks that made jobs.
    pub fired: usize,
    /// Ticks that were due, in whatever way they were settled.
    pub settled: usize,
    /// When the next one is due.
    pub next: Option<Timestamp>,
}

impl Scheduler {
    /// A scheduler for these schedules, once each has been checked against the client's kinds. `holder`
    /// names the process; `term` is for how long one leads, after which another may.
    pub fn new(
        client: Client,
        schedules: Vec<Schedule>,
        holder: impl Into<String>,
        term: Duration,
    ) -> Result<Self, InvalidTimetable> {
        timetable::check(&schedules, &client)?;
        let mut names: Vec<String> = schedules.iter().map(|s| s.name.clone()).collect();
        names.sort_unstable();
        Ok(Self {
            store: Arc::clone(client.store()),
            client,
            role: role(&names),
            schedules,
            names,
            holder: holder.into(),
            term,
            leads: false,
            asked_at: None,
            kept_at: None,
            crons: BTreeMap::new(),
            complained: BTreeSet::new(),
        })
    }

    /// Fires what is due, round by round, until `stop`. Survives the loss of the store.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut outage = Outage::new("scheduler");
        while !stop.is_cancelled() {
            let wait = match self.round(None).await {
                Ok(round) => {
                    outage.worked();
                    round.wait()
                }
                Err(error) => {
                    outage.failed(&error);
                    POLL
                }
            };
            drop(tokio::time::timeout(wait, stop.cancelled()).await);
        }
        if self.leads
            && let Err(error) = self.store.resign(&self.role, &self.holder).await
        {
            outage.failed(&error); // The term ends by itself.
        }
    }

    /// Fires everything that is due at `now`, the store's own time if none, and says what is next.
    pub async fn round(&mut self, now: Option<Timestamp>) -> Result<Round, Error> {
        let at = match now {
            Some(now) => now,
            None => self.store.now().await?,
        };
        let mut round = Round {
            now: at,
            leads: false,
            fired: 0,
            settled: 0,
            next: None,
        };
        self.keep(at, now).await?;
        if !self.lead(at, now).await? {
            return Ok(round);
        }
        round.leads = true;
        let records = self.store.schedules().await?;
        telemetry::schedules_late(lateness(&records, at));
        for record in &records {
            if self.names.binary_search(&record.schedule.name).is_err() {
                continue;
            }
            if record.retired_at.is_some() {
                // Another program took us for gone. Say that we are not.
                self.kept_at = None;
            } else if record.is_active() {
                self.settle(record, at, now, &mut round).await?;
            }
        }
        Ok(round)
    }

    /// Tells the store which schedules there are: at the start, and now and then that they still are.
    async fn keep(&mut self, at: Timestamp, now: Option<Timestamp>) -> Result<(), Error> {
        let Some(kept_at) = self.kept_at else {
            self.store.declare_schedules(&self.schedules, now).await?;
            self.kept_at = Some(at);
            return Ok(());
        };
        if at.since(kept_at) >= KEEP {
            let retired = self.store.keep_schedules(&self.names, RETIRE, now).await?;
            telemetry::schedules_retired(&retired);
            self.kept_at = Some(at);
        }
        Ok(())
    }

    /// Whether this process leads; asks the store when a third of the term has passed.
    async fn lead(&mut self, at: Timestamp, now: Option<Timestamp>) -> Result<bool, Error> {
        if self
            .asked_at
            .is_some_and(|asked| at.since(asked) < self.term / 3)
        {
            return Ok(self.leads);
        }
        let elect = Elect {
            role: &self.role,
            holder: &self.holder,
            term: self.term,
            now,
        };
        let leads = self.store.elect(elect).await?;
        if leads != self.leads {
            telemetry::led("schedules", leads);
        }
        self.leads = leads;
        self.asked_at = Some(at);
        Ok(leads)
    }

    /// Fires or leaves out every tick of a schedule up to now.
    async fn settle(
        &mut self,
        record: &ScheduleRecord,
        at: Timestamp,
        now: Option<Timestamp>,
        round: &mut Round,
    ) -> Result<(), Error> {
        let schedule = &record.schedule;
        let Some(cron) = self.cron(schedule) else {
            return Ok(());
        };
        let due = due(&cron, schedule.catch_up, record.decided_until, at);
        let mut decided_until = record.decided_until;
        if let Some(last) = due.missed.last() {
            self.store
                .pass_over(&schedule.name, &due.missed, now)
                .await?;
            telemetry::ticks_missed(schedule, due.missed.len());
            round.settled += due.missed.len();
            decided_until = *last;
        }
        for (fire_at, origin) in due.ticks {
            let job = match timetable::job(schedule, fire_at, origin, &self.client) {
                Ok(job) => job,
                Err(fault) => {
                    self.complain(&schedule.name, &fault);
                    return Ok(());
                }
            };
            let fire = Fire {
                schedule: &schedule.name,
                fire_at,
                origin,
                overlap: schedule.overlap,
                job: &job,
                audit: None,
                now,
            };
            let fired = match self.store.fire(fire).await {
                Err(error) if !error.is_transient() => {
                    self.complain(&schedule.name, &error);
                    return Ok(());
                }
                fired => fired?,
            };
            telemetry::tick_settled(schedule, fire_at, origin, fired, &job);
            match fired {
                Fired::Fired(_) => round.fired += 1,
                Fired::Off => return Ok(()),
                Fired::Skipped(_) | Fired::Already => {}
            }
            round.settled += 1;
            decided_until = fire_at;
        }
        self.complained.remove(&schedule.name);
        let next = cron.next_after(decided_until);
        round.next = match (round.next, next) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Ok(())
    }

    /// The schedule's expression, read once.
    fn cron(&mut self, schedule: &Schedule) -> Option<Cron> {
        let key = (schedule.cron.clone(), schedule.zone.clone());
        if let Some(cron) = self.crons.get(&key) {
            return Some(cron.clone());
        }
        match schedule.cron() {
            Ok(cron) => {
                self.crons.insert(key, cron.clone());
                Some(cron)
            }
            Err(fault) => {
                self.complain(&schedule.name, &fault);
                None
            }
        }
    }

    /// A schedule that another version of the program wrote may not be understood here. Said once.
    fn complain(&mut self, schedule: &str, fault: &dyn std::error::Error) {
        if self.complained.insert(schedule.to_owned()) {
            telemetry::schedule_failed(schedule, fault);
        }
    }
}

impl Round {
    /// How long nothing will be due, bounded.
    fn wait(&self) -> Duration {
        let next = self.next.map_or(POLL, |next| next.since(self.now));
        next.min(POLL)
    }
}

/// Those with the same schedules elect one among them: while an older and a newer program run side by
/// side, each has a leader, and no schedule is without.
fn role(names: &[String]) -> String {
    let mut hasher = DefaultHasher::new();
    names.hash(&mut hasher);
    format!("schedules:{:016x}", hasher.finish())
}
