//! The twelve invariants, held against the rows, the ledger and the answers that were given.
//!
//! The history of a job's attempts tells when each lease was given and when it was recorded how it ended,
//! by the database's clock; the ledger what a handler did meanwhile, by the machine's, which is the same
//! here. What neither can tell is said where it is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use windlass::model::{
    AttemptOutcome, AttemptRecord, AuditFilter, Cursor, Filter, JobRecord, Page, TickOutcome,
};
use windlass::{Job, JobId, State};

use super::PATIENCE_OF_A_CALL;
use super::faults::{Fault, What};
use super::ledger::{self, Start};
use super::load::{Accepted, OPERATOR, Operated};
use super::work::{
    InOrder, LIMIT, LIMITED, MAX_ATTEMPTS, MAX_CRASHES, Once, PAUSED, Poison, SCHEDULE, Single,
    Tick,
};
use crate::database::Database;

const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Evidence {
    accepted: Accepted,
    operated: Operated,
    faults: Vec<Fault>,
    starts: Vec<Start>,
    jobs: BTreeMap<JobId, JobRecord>,
    /// More rows of one id than one.
    doubles: usize,
}

/// What was found, under the number of the invariant.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn must(&mut self, invariant: &str, is_kept: bool, what: impl FnOnce() -> String) {
        if !is_kept {
            self.0.push(format!("{invariant}: {}", what()));
        }
    }
}

impl Evidence {
    pub(crate) async fn gather(
        database: &Database,
        folder: &Path,
        accepted: [Accepted; 2],
        operated: Operated,
        faults: Vec<Fault>,
    ) -> Self {
        let [mut all, other] = accepted;
        all.jobs.extend(other.jobs);
        all.stand_ins.extend(other.stand_ins);
        let (mut jobs, mut rows, mut after) = (BTreeMap::new(), 0, None);
        loop {
            let page = Page { after, limit: 1000 };
            let found = database
                .store
                .list(&Filter::default(), page, None)
                .await
                .unwrap()
                .jobs;
            let Some(last) = found.last() else { break };
            after = Some(Cursor(last.id));
            rows += found.len();
            jobs.extend(found.into_iter().map(|job| (job.id, job)));
        }
        Self {
            accepted: all,
            operated,
            faults,
            starts: ledger::read(folder),
            doubles: rows - jobs.len(),
            jobs,
        }
    }

    #[expect(clippy::print_stdout, reason = "the figures are a result of the test")]
    pub(crate) async fn check(&self, database: &Database) -> Vec<String> {
        let mut found = Findings::default();
        self.accepted_is_there(&mut found);
        self.one_lease_and_one_outcome(&mut found);
        self.attempts(&mut found);
        self.lines_and_limits(&mut found);
        self.ticks(database, &mut found).await;
        self.unique(&mut found);
        self.counters(database, &mut found).await;
        self.nothing_left(&mut found);
        self.rescues(&mut found);
        self.pauses(&mut found);
        self.audit(database, &mut found).await;
        self.effects(database, &mut found).await;
        let count = |state| self.jobs.values().filter(|job| job.state == state).count();
        println!(
            "{} jobs: {} completed, {} cancelled, {} dead; {} handlers began, {} leases were taken \
             back, {} zombies came to an end that was not recorded",
            self.jobs.len(),
            count(State::Completed),
            count(State::Cancelled),
            count(State::Dead),
            self.starts.len(),
            self.attempts_of(|_| true)
                .filter(|(_, one)| one.outcome == AttemptOutcome::Crashed)
                .count(),
            self.zombies(),
        );
        found.0
    }

    fn attempts_of(
        &self,
        which: impl Fn(&JobRecord) -> bool,
    ) -> impl Iterator<Item = (&JobRecord, AttemptRecord)> {
        let jobs = self.jobs.values().filter(move |job| which(job));
        jobs.flat_map(|job| job.all_attempts().into_iter().map(move |one| (job, one)))
    }

    /// Handlers that came to their end though their lease had been taken back.
    fn zombies(&self) -> usize {
        let ended = self.starts.iter().filter(|start| start.ended);
        ended
            .filter(|start| self.outcome(start) == Some(AttemptOutcome::Crashed))
            .count()
    }

    fn outcome(&self, start: &Start) -> Option<AttemptOutcome> {
        let attempts = self.jobs.get(&start.job)?.all_attempts();
        let same = attempts.iter().find(|one| one.claim_no == start.claim_no);
        same.map(|one| one.outcome)
    }

    /// I1: accepted is exactly one row, or the one that was named; and nobody else has any.
    fn accepted_is_there(&self, found: &mut Findings) {
        found.must("I1", self.doubles == 0, || {
            format!("{} rows too many", self.doubles)
        });
        let named = self.accepted.jobs.keys().chain(&self.accepted.stand_ins);
        for id in named {
            found.must("I1", self.jobs.contains_key(id), || {
                format!("{id} was accepted and is gone")
            });
        }
        for job in self.jobs.values() {
            let known = self.accepted.jobs.contains_key(&job.id)
                || self.operated.jobs.contains(&job.id)
                || job.kind == Tick::KIND;
            found.must("I1", known, || format!("{} came from nowhere", job.id));
        }
    }

    /// I2 and I3: one lease after another, each with one outcome, the last of which finished the job.
    fn one_lease_and_one_outcome(&self, found: &mut Findings) {
        for job in self.jobs.values() {
            let attempts = job.all_attempts();
            for (one, next) in attempts.iter().zip(attempts.iter().skip(1)) {
                let fine = one.claim_no < next.claim_no && one.ended_at <= next.started_at;
                found.must("I2", fine, || {
                    format!("{}: leases overlap: {attempts:?}", job.id)
                });
            }
            let all = i64::try_from(attempts.len()).unwrap() == job.claim_no;
            found.must("I3", all, || {
                format!(
                    "{}: {} leases, recorded are {attempts:?}",
                    job.id, job.claim_no
                )
            });
        }
        let mut seen = BTreeSet::new();
        for start in &self.starts {
            let new = seen.insert((start.job, start.claim_no));
            found.must("I2", new, || format!("two ran under one lease: {start:?}"));
            found.must("I3", self.outcome(start).is_some(), || {
                format!("an attempt without an outcome: {start:?}")
            });
            let over = self.jobs.get(&start.job).and_then(|job| job.finished_at);
            // The lease was given before; the handler of a frozen process may begin when it wakes up.
            let last = self.jobs.get(&start.job).map_or(0, |job| job.claim_no);
            let fine = start.claim_no < last || over.is_none_or(|over| start.at <= over);
            let excused = self.outcome(start) == Some(AttemptOutcome::Crashed)
                || self.outcome(start) == Some(AttemptOutcome::Released);
            found.must("I3", fine || excused, || {
                format!("it ran when it had finished: {start:?}")
            });
        }
        for (id, since) in &self.operated.cancelled {
            let ran = self
                .starts
                .iter()
                .find(|start| start.job == *id && start.at > *since);
            found.must("I3", ran.is_none(), || {
                format!("it ran when it was cancelled: {ran:?}")
            });
            let state = self.jobs.get(id).map(|job| job.state);
            found.must("I3", state == Some(State::Cancelled), || {
                format!("{id} is {state:?}")
            });
        }
    }

    /// I4: attempts and crashes are counted exactly, and bounded.
    fn attempts(&self, found: &mut Findings) {
        for job in self.jobs.values() {
            let attempts = job.all_attempts();
            let count = |which: fn(AttemptOutcome) -> bool| {
                let some = attempts.iter().filter(|one| which(one.outcome));
                u16::try_from(some.count()).unwrap()
            };
            let used = count(|outcome| {
                use AttemptOutcome::{Crashed, Released, Snoozed};
                !matches!(outcome, Crashed | Released | Snoozed)
            });
            let crashes = count(|outcome| outcome == AttemptOutcome::Crashed);
            let exact = (used, crashes) == (job.attempt, job.crashes);
            found.must("I4", exact, || {
                let told = (job.attempt, job.crashes);
                format!(
                    "{}: {told:?} are told, and ({used}, {crashes}) recorded",
                    job.id
                )
            });
            let within = job.attempt <= MAX_ATTEMPTS && job.crashes <= MAX_CRASHES;
            found.must("I4", within, || format!("{} ran too often", job.id));
            let dead = job.attempt == MAX_ATTEMPTS || job.crashes == MAX_CRASHES;
            found.must("I4", job.state != State::Dead || dead, || {
                format!("{} died of nothing", job.id)
            });
            let poisonous = job.kind == Poison::KIND;
            let set_aside = job.state == State::Dead && job.crashes == MAX_CRASHES;
            found.must("I4", !poisonous || set_aside, || {
                format!("poison ended as {:?}", job.state)
            });
        }
    }

    /// I5: a line goes in order, one at a time; a limit is never passed.
    fn lines_and_limits(&self, found: &mut Findings) {
        let mut lines: BTreeMap<u64, BTreeMap<u64, &JobRecord>> = BTreeMap::new();
        for job in self.jobs.values().filter(|job| job.kind == InOrder::KIND) {
            let args: InOrder = job.args.decode().unwrap();
            lines.entry(args.key).or_default().insert(args.step, job);
        }
        for line in lines.values() {
            for (one, next) in line.values().zip(line.values().skip(1)) {
                let begun = next.all_attempts().first().map(|first| first.started_at);
                let fine =
                    begun.is_none_or(|begun| one.finished_at.is_some_and(|end| end <= begun));
                found.must("I5", fine, || format!("{} overtook {}", next.id, one.id));
            }
        }
        self.limit(found);
    }

    /// The rest of I5: how many of a limited queue ran whenever another began. By when its handler began: a
    /// claim is dated when it begins, and counts a little later, when more may have ended.
    fn limit(&self, found: &mut Findings) {
        let began: BTreeMap<_, _> = self
            .starts
            .iter()
            .map(|start| ((start.job, start.claim_no), start.at))
            .collect();
        let runs: Vec<_> = self
            .attempts_of(|job| job.queue == LIMITED)
            .filter_map(|(job, one)| Some((*began.get(&(job.id, one.claim_no))?, job.id, one)))
            .collect();
        for (at, ..) in &runs {
            let held = runs
                .iter()
                .filter(|(began, _, one)| began <= at && *at < one.ended_at);
            let held: Vec<_> = held
                .map(|(began, id, one)| (id.to_string(), began.to_string(), one))
                .collect();
            found.must("I5", held.len() <= LIMIT, || {
                format!("{} at {at} of at most {LIMIT}: {held:#?}", held.len())
            });
        }
    }

    /// I6: each second that was decided fired once, and has its job.
    async fn ticks(&self, database: &Database, found: &mut Findings) {
        let (mut ticks, mut before) = (Vec::new(), None);
        loop {
            let page = database
                .store
                .ticks(SCHEDULE, before, 1000, None)
                .await
                .unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.fire_at);
            ticks.extend(page);
        }
        found.must("I6", ticks.len() > 5, || {
            format!("only {} ticks", ticks.len())
        });
        let made: BTreeSet<JobId> = ticks.iter().filter_map(|tick| tick.job_id).collect();
        let there: BTreeSet<JobId> = self
            .jobs
            .values()
            .filter(|job| job.kind == Tick::KIND)
            .map(|job| job.id)
            .collect();
        found.must("I6", made == there && made.len() == ticks.len(), || {
            format!(
                "{} ticks, {} jobs named by them, {} jobs",
                ticks.len(),
                made.len(),
                there.len()
            )
        });
        for (later, tick) in ticks.iter().zip(ticks.iter().skip(1)) {
            let next = later.fire_at == tick.fire_at + SECOND;
            let fired = tick.outcome == TickOutcome::Fired;
            found.must("I6", next && fired, || {
                format!("{tick:?}, and then {later:?}")
            });
        }
        let seconds: BTreeSet<String> = self
            .jobs
            .values()
            .filter(|job| job.kind == Tick::KIND)
            .map(|job| job.args.decode::<Tick>().unwrap().fire_at)
            .collect();
        found.must("I6", seconds.len() == there.len(), || {
            "a second has two jobs".to_owned()
        });
    }

    /// I7: of a unique key one job after another. When exactly a key is free again only the database knows:
    /// a job may have been enqueued, by its own clock, while it waited for the key.
    fn unique(&self, found: &mut Findings) {
        let mut keys: BTreeMap<&str, Vec<&JobRecord>> = BTreeMap::new();
        for job in self.jobs.values().filter(|job| job.kind == Single::KIND) {
            keys.entry(job.unique_key.as_deref().unwrap())
                .or_default()
                .push(job);
        }
        for jobs in keys.values_mut() {
            jobs.sort_by_key(|job| job.enqueued_at);
            for pair in jobs.windows(2) {
                let [one, next] = pair else { continue };
                let end = one.finished_at.unwrap();
                let begun = next.all_attempts().first().map(|first| first.started_at);
                let fine = next.enqueued_at + PATIENCE_OF_A_CALL >= end
                    && begun.is_none_or(|begun| begun >= end);
                found.must("I7", fine, || {
                    format!("{} and {} share a key", one.id, next.id)
                });
            }
        }
    }

    /// I8: what is told of the queues is what there is. Counts of finished jobs go with a process that is killed
    /// (`engine::tally` says so) and are not judged here.
    async fn counters(&self, database: &Database, found: &mut Findings) {
        let queues = database.store.queues(None).await.unwrap();
        let unfinished = self
            .jobs
            .values()
            .filter(|job| !job.state.is_finished())
            .count();
        let agree = queues.is_empty() == (unfinished == 0);
        found.must("I8", agree, || {
            format!("{unfinished} are unfinished: {queues:?}")
        });
    }

    /// I9 and I10: nothing was deleted or changed, and everything came to an end.
    fn nothing_left(&self, found: &mut Findings) {
        for (id, asked) in &self.accepted.jobs {
            let same = self.jobs.get(id).is_some_and(|job| job.args == asked.args);
            found.must("I9", same, || format!("{id} has lost its args"));
        }
        for job in self.jobs.values() {
            found.must("I10", job.state.is_finished(), || {
                format!("{} is {:?}", job.id, job.state)
            });
        }
    }

    /// Promise 3: nothing is taken back from a worker that nothing happened to.
    fn rescues(&self, found: &mut Findings) {
        let crashed = self.attempts_of(|_| true);
        for (job, one) in crashed.filter(|(_, one)| one.outcome == AttemptOutcome::Crashed) {
            let happened = self.faults.iter().any(|fault| {
                let concerns = fault.pid.is_none_or(|pid| pid == pid_of(&one));
                concerns
                    && fault.from <= one.ended_at
                    && one.started_at.minus(SECOND) <= fault.until
            });
            found.must("I10", happened, || {
                format!("{}: taken from a live worker: {one:?}", job.id)
            });
        }
    }

    /// I11: nothing of a paused queue starts. A claim that was under way is handed back. Whoever cannot hear of
    /// it (frozen, cut off) has a second from when it can.
    fn pauses(&self, found: &mut Findings) {
        let paused = |start: &&Start| {
            let job = self.jobs.get(&start.job);
            job.is_some_and(|job| job.queue == PAUSED)
        };
        let starts: Vec<&Start> = self.starts.iter().filter(paused).collect();
        for (from, until) in &self.operated.pauses {
            for start in &starts {
                let at = start.at;
                let paused = *from + SECOND < at && at < *until;
                let deaf = self.faults.iter().any(|fault| {
                    let concerns = fault.pid.is_none_or(|pid| pid == start.pid);
                    let hurts =
                        fault.what != What::TakenDownByItsJob && fault.what != What::Terminated;
                    concerns && hurts && fault.from <= at && at <= fault.until + SECOND
                });
                found.must("I11", !paused || deaf, || {
                    format!("started in a pause: {start:?}")
                });
            }
        }
    }

    /// I12: one line of the log for each act.
    async fn audit(&self, database: &Database, found: &mut Findings) {
        let ours = AuditFilter {
            actor: Some(OPERATOR.to_owned()),
            ..AuditFilter::default()
        };
        let (mut lines, mut before) = (BTreeMap::<String, usize>::new(), None);
        loop {
            let page = database.store.audit(&ours, before, 100).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            for entry in page {
                *lines
                    .entry(entry.audit.reason.unwrap_or_default())
                    .or_default() += 1;
            }
        }
        for (reason, must) in &self.operated.acts {
            let there = lines.remove(reason).unwrap_or(0);
            let fine = must.map_or(there <= 1, |must| there == must);
            found.must("I12", fine, || {
                format!("{reason:?} has {there} lines, not {must:?}")
            });
        }
        found.must("I12", lines.is_empty(), || {
            format!("lines of nobody's: {lines:?}")
        });
    }

    /// Promise 2: what a job does in one transaction with its end is done exactly once.
    async fn effects(&self, database: &Database, found: &mut Findings) {
        let jobs = self.jobs.values().filter(|job| job.kind == Once::KIND);
        let completed = jobs.filter(|job| job.state == State::Completed).count();
        let rows = database.number("select count(*) from effects").await;
        let distinct = database
            .number("select count(distinct job) from effects")
            .await;
        let all = i64::try_from(completed).unwrap();
        found.must("I3", (rows, distinct) == (all, all), || {
            format!("{completed} jobs committed {rows} rows of {distinct} jobs")
        });
    }
}

/// Workers are named by their process.
fn pid_of(attempt: &AttemptRecord) -> u32 {
    let (pid, _) = attempt.worker.split_once('-').unwrap();
    pid.parse().unwrap()
}
