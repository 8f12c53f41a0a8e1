//! The jobs and their indexes.
//!
//! A job is only ever changed through [`Jobs::change`], which keeps the indexes, hands an ordering
//! key on when its job has finished, and notes which queues have work now.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{Cell, Event, JobId, JobRecord, State, Timestamp, Transition};

/// One tenant's ordering key.
type Line = (Option<String>, String);

#[derive(Debug, Default, Clone)]
pub(super) struct Jobs {
    all: BTreeMap<JobId, JobRecord>,
    /// What may be claimed once its time has come: for each queue and priority, in order of claims.
    ready: HashMap<String, BTreeMap<u8, BTreeSet<(Timestamp, JobId)>>>,
    /// What runs, by when its lease ends.
    leased: BTreeSet<(Timestamp, JobId)>,
    /// The unfinished jobs of each ordering key: the one that does not wait, then the others by age.
    lines: HashMap<Line, BTreeSet<(bool, Timestamp, JobId)>>,
    /// The same of governed queues, which have nothing in `ready`.
    governed: HashMap<String, Cells>,
    /// What jobs chose to be limited by.
    limit_keys: HashMap<JobId, String>,
    /// Queues that may have work since the last look.
    woken: BTreeSet<String>,
}

/// What may be claimed once its time has come, by what limits tell apart.
pub(super) type Cells = BTreeMap<Cell, BTreeSet<(Timestamp, JobId)>>;

impl Jobs {
    pub(super) fn get(&self, id: JobId) -> Option<&JobRecord> {
        self.all.get(&id)
    }

    /// Every job, oldest id first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &JobRecord> {
        self.all.values()
    }

    /// Adds a job; it waits if another unfinished one holds its ordering key.
    pub(super) fn insert(&mut self, mut job: JobRecord, now: Timestamp) {
        job.state = if self.is_blocked(&job) {
            State::Waiting
        } else {
            unblocked(job.run_at, now)
        };
        self.insert_as(job, now);
    }

    /// Adds a job in the state it has.
    pub(super) fn insert_as(&mut self, job: JobRecord, now: Timestamp) {
        self.note_if_due(&job, now);
        self.index(&job);
        self.all.insert(job.id, job);
    }

    /// Changes a job, and all that follows from it. Nothing happens if there is no such job.
    pub(super) fn change(
        &mut self,
        id: JobId,
        now: Timestamp,
        change: impl FnOnce(&mut JobRecord),
    ) {
        let Some(mut job) = self.all.remove(&id) else {
            return;
        };
        self.unindex(&job);
        change(&mut job);
        self.note_if_due(&job, now);
        self.index(&job);
        let freed = line(&job).filter(|_| job.state.is_finished());
        self.all.insert(id, job);
        if let Some(line) = freed {
            self.hand_on(&line, now);
        }
    }

    /// An unfinished job, which does not run, is due at a time that lies ahead.
    pub(super) fn set_time(&mut self, id: JobId, at: Timestamp, now: Timestamp) {
        self.change(id, now, |job| {
            job.run_at = at;
            if job.state == State::Available {
                job.state = State::Scheduled;
            }
        });
        // Whoever sleeps until the next time may have to wake earlier now.
        if let Some(job) = self.all.get(&id) {
            self.woken.insert(job.queue.clone());
        }
    }

    pub(super) fn remove(&mut self, id: JobId) {
        if let Some(job) = self.all.remove(&id) {
            self.unindex(&job);
        }
        self.limit_keys.remove(&id);
    }

    /// Notes what a job that is about to be added is limited by.
    pub(super) fn limit_by(&mut self, id: JobId, key: &str) {
        self.limit_keys.insert(id, key.to_owned());
    }

    /// What a job is limited by: its own key, else its tenant, else nothing.
    pub(super) fn limit_key(&self, job: &JobRecord) -> String {
        let own = self.limit_keys.get(&job.id).or(job.tenant_id.as_ref());
        own.cloned().unwrap_or_default()
    }

    /// Puts a queue under governed claims, if it is not; its jobs by cell.
    pub(super) fn govern(&mut self, queue: &str) -> &Cells {
        if !self.governed.contains_key(queue) {
            self.governed.insert(queue.to_owned(), Cells::new());
            self.move_ready(queue);
        }
        &self.governed[queue]
    }

    /// Puts a queue back under ordinary claims; says how many jobs that were.
    pub(super) fn ungovern(&mut self, queue: &str) -> usize {
        let Some(cells) = self.governed.remove(queue) else {
            return 0;
        };
        let jobs: Vec<JobId> = cells.into_values().flatten().map(|(_, id)| id).collect();
        self.reindex(&jobs);
        jobs.len()
    }

    /// Governed queues.
    pub(super) fn governed(&self) -> impl Iterator<Item = &String> {
        self.governed.keys()
    }

    /// Whatever runs.
    pub(super) fn running(&self) -> impl Iterator<Item = &JobRecord> {
        self.leased.iter().filter_map(|(_, id)| self.all.get(id))
    }

    fn move_ready(&mut self, queue: &str) {
        let ready = self.ready.remove(queue).unwrap_or_default();
        let jobs: Vec<JobId> = ready.into_values().flatten().map(|(_, id)| id).collect();
        self.reindex(&jobs);
    }

    fn reindex(&mut self, jobs: &[JobId]) {
        for id in jobs {
            if let Some(job) = self.all.get(id).cloned() {
                self.index(&job);
            }
        }
    }

    fn cell(&self, job: &JobRecord) -> Cell {
        Cell {
            tenant: job.tenant_id.clone().unwrap_or_default(),
            kind: job.kind.clone(),
            key: self.limit_key(job),
            priority: job.priority,
        }
    }

    /// Whether another unfinished job comes first in the job's ordering key.
    pub(super) fn is_blocked(&self, job: &JobRecord) -> bool {
        line(job).is_some_and(|line| self.lines.contains_key(&line))
    }

    /// Jobs of a queue that may be claimed, in order.
    pub(super) fn due(&self, queue: &str, now: Timestamp) -> impl Iterator<Item = JobId> {
        let priorities = self.ready.get(queue).into_iter().flatten();
        priorities.flat_map(move |(_, jobs)| {
            let due = jobs.iter().take_while(move |(run_at, _)| *run_at <= now);
            due.map(|(_, id)| *id)
        })
    }

    /// When the next job of a queue falls due, or fell due.
    pub(super) fn next_run_at(&self, queue: &str) -> Option<Timestamp> {
        let priorities = self.ready.get(queue)?.values();
        priorities.filter_map(|jobs| Some(jobs.first()?.0)).min()
    }

    /// Running jobs whose lease ended before now, the longest overdue first.
    pub(super) fn expired(&self, now: Timestamp) -> impl Iterator<Item = JobId> {
        let expired = self.leased.iter().take_while(move |(end, _)| *end < now);
        expired.map(|(_, id)| *id)
    }

    pub(super) fn take_woken(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.woken)
    }

    /// Lets the next job of an ordering key go, unless one goes already.
    fn hand_on(&mut self, line: &Line, now: Timestamp) {
        let first = self.lines.get(line).and_then(BTreeSet::first);
        if let Some((true, _, id)) = first.copied() {
            self.change(id, now, |job| {
                if let Transition::To(_) = job.state.on(Event::Unblock) {
                    job.state = unblocked(job.run_at, now);
                }
            });
        }
    }

    fn note_if_due(&mut self, job: &JobRecord, now: Timestamp) {
        if job.state.at(job.run_at, now) == State::Available {
            self.woken.insert(job.queue.clone());
        }
    }

    fn index(&mut self, job: &JobRecord) {
        if job.state.is_claimable() {
            let cell = self
                .governed
                .contains_key(&job.queue)
                .then(|| self.cell(job));
            let jobs = match (self.governed.get_mut(&job.queue), cell) {
                (Some(cells), Some(cell)) => cells.entry(cell).or_default(),
                _ => {
                    let priorities = self.ready.entry(job.queue.clone()).or_default();
                    priorities.entry(job.priority).or_default()
                }
            };
            jobs.insert((job.run_at, job.id));
        }
        if let Some(end) = job.lease_expires_at {
            self.leased.insert((end, job.id));
        }
        if let Some(line) = line(job).filter(|_| !job.state.is_finished()) {
            self.lines.entry(line).or_default().insert(place(job));
        }
    }

    fn unindex(&mut self, job: &JobRecord) {
        if let Some(priorities) = self.ready.get_mut(&job.queue)
            && let Some(jobs) = priorities.get_mut(&job.priority)
        {
            jobs.remove(&(job.run_at, job.id));
        }
        if self.governed.contains_key(&job.queue) {
            let cell = self.cell(job);
            if let Some(cells) = self.governed.get_mut(&job.queue)
                && let Some(jobs) = cells.get_mut(&cell)
            {
                jobs.remove(&(job.run_at, job.id));
                if jobs.is_empty() {
                    cells.remove(&cell);
                }
            }
        }
        if let Some(end) = job.lease_expires_at {
            self.leased.remove(&(end, job.id));
        }
        if let Some(line) = line(job)
            && let Some(jobs) = self.lines.get_mut(&line)
        {
            jobs.remove(&place(job));
            if jobs.is_empty() {
                self.lines.remove(&line);
            }
        }
    }
}

/// The state of a job that waits for nothing but its time.
pub(super) fn unblocked(run_at: Timestamp, now: Timestamp) -> State {
    State::Scheduled.at(run_at, now)
}

fn line(job: &JobRecord) -> Option<Line> {
    Some((job.tenant_id.clone(), job.ordering_key.clone()?))
}

/// A job's place among those of its ordering key.
fn place(job: &JobRecord) -> (bool, Timestamp, JobId) {
    (job.state == State::Waiting, job.enqueued_at, job.id)
}
