//! The store, those who use it, and the ledger; and what each step does to them.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use super::super::super::{Beat, Changed, Data};
use super::super::at;
use super::{
    Account, Action, Attempts, Broken, End, Grant, JOBS, LEASE, Left, MAX_ATTEMPTS, MAX_CRASHES,
    Promise, Reply, Returned, Seen, Worker, id, index,
};
use crate::model::{JobRecord, Recorded, State};

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) store: Data,
    pub(super) now: u64,
    pub(super) workers: [Worker; 2],
    pub(super) under_way: Vec<(Grant, End)>,
    pub(super) left: Left,
    pub(super) accounts: [Account; JOBS],
    pub(super) grants: u8,
    pub(super) unheard: BTreeSet<u8>,
    pub(super) revived: bool,
    pub(super) broken: BTreeSet<Promise>,
    pub(super) seen: Seen,
}

impl World {
    pub(super) fn new(store: &Data, left: &Left) -> Self {
        Self {
            store: store.clone(),
            now: 10,
            workers: [Worker::Idle, Worker::Idle],
            under_way: Vec::new(),
            left: left.clone(),
            accounts: Default::default(),
            grants: 0,
            unheard: BTreeSet::new(),
            revived: false,
            broken: BTreeSet::new(),
            seen: Seen::default(),
        }
    }

    pub(super) fn keeps(&self, promise: Promise) -> bool {
        !self.broken.contains(&promise)
    }

    fn must(&mut self, promise: Promise, is_kept: bool) {
        if !is_kept {
            self.broken.insert(promise);
        }
    }

    fn job(&self, job: usize) -> &JobRecord {
        self.store
            .jobs
            .get(id(job))
            .expect("jobs are never deleted here")
    }

    /// `None` if it changes nothing.
    pub(super) fn step(&mut self, model: &Attempts, action: Action) -> Option<()> {
        let now = at(self.now);
        match action {
            Action::Claim(worker, reply) => self.claim(model, worker, reply)?,
            Action::Beat(worker) => self.beat(model, worker)?,
            Action::End(worker, returned) => self.end(worker, returned)?,
            Action::Record(worker, reply) => {
                let (grant, end) = self.ended(worker)?;
                let recorded = self.record(model, grant, end);
                if reply == Reply::Lost {
                    self.left.losses -= 1;
                } else {
                    self.seen.zombie_refused |= recorded == Recorded::LeaseLost;
                    self.workers[worker] = Worker::Idle;
                }
            }
            Action::Delay(worker) => {
                let ended = self.ended(worker)?;
                self.left.delays -= 1;
                self.under_way.push(ended);
            }
            Action::Arrive(number) => {
                let (grant, end) = self.under_way.remove(number);
                self.seen.late_refused |= self.record(model, grant, end) == Recorded::LeaseLost;
            }
            Action::Kill(worker) => {
                self.left.kills -= 1;
                self.workers[worker] = Worker::Idle;
            }
            Action::Rescue => self.rescue(model)?,
            Action::Cancel(job) => {
                let changed = self.store.cancel(id(job), None, now);
                self.left.cancels -= 1;
                let account = &mut self.accounts[job];
                match changed {
                    Changed::Done => account.ended = true,
                    Changed::Asked => account.asked_to_stop = true,
                    _ => return None,
                }
            }
            Action::Requeue(job) => self.requeue(model, job)?,
            Action::Tick => {
                self.left.ticks -= 1;
                self.now += 1;
            }
            Action::ClockForward => {
                self.left.clock -= 1;
                self.now += LEASE + 1;
            }
            Action::ClockBack => {
                self.left.clock -= 1;
                self.now -= LEASE + 1;
            }
        }
        Some(())
    }

    fn claim(&mut self, model: &Attempts, worker: usize, reply: Reply) -> Option<()> {
        let name = ["first", "second"][worker];
        let job = model.claim(&mut self.store, name, at(self.now))?;
        self.grants += 1;
        let grant = Grant {
            number: self.grants,
            lease: job.lease(),
            attempt: job.attempt,
        };
        let number = index(job.id);
        let others = (0..JOBS).filter(|other| *other != number);
        let alone = others
            .map(|other| &self.accounts[other])
            .all(|job| job.holder.is_none());
        // Unless it was revived behind the second, the first goes first.
        let first = number == 0 || self.accounts[0].ended || self.revived;
        self.must(Promise::InLine, alone && first);
        let account = &mut self.accounts[number];
        let (held, ended) = (account.holder.is_some(), account.ended);
        account.holder = Some((grant.number, self.now + LEASE));
        account.used += 1;
        account.asked_to_stop = false;
        self.must(Promise::OneHolder, !held);
        self.must(Promise::FinishedRests, !ended);
        match reply {
            Reply::Comes => self.workers[worker] = Worker::Runs(grant),
            Reply::Lost => {
                self.left.losses -= 1;
                self.unheard.insert(grant.number);
            }
        }
        Some(())
    }

    fn beat(&mut self, model: &Attempts, worker: usize) -> Option<()> {
        let (Worker::Runs(grant) | Worker::Ended(grant, _)) = self.workers[worker] else {
            return None;
        };
        let (now, until) = (at(self.now), self.now + LEASE);
        let lease = model.unfenced(Broken::BeatsWithoutFence, &self.store, grant.lease);
        let beats = self.store.heartbeat(&[lease], at(until), now);
        let lost = matches!(beats[..], [Beat::Lost(_)]);
        let account = &mut self.accounts[index(grant.lease.job)];
        let holds = account
            .holder
            .is_some_and(|(number, _)| number == grant.number);
        if holds {
            account.holder = Some((grant.number, until));
        }
        self.must(Promise::BeatTrue, lost != holds);
        match beats[..] {
            [Beat::Lost(_)] => self.workers[worker] = Worker::Idle,
            [Beat::CancelRequested(_)] if matches!(self.workers[worker], Worker::Runs(_)) => {
                self.workers[worker] = Worker::Ended(grant, End::Cancel);
            }
            _ => {}
        }
        Some(())
    }

    fn end(&mut self, worker: usize, returned: Returned) -> Option<()> {
        let Worker::Runs(grant) = self.workers[worker] else {
            return None;
        };
        let own_clock = [self.now, 0][worker];
        let end = match returned {
            Returned::Success => End::Complete,
            Returned::Failure if grant.attempt >= MAX_ATTEMPTS => End::Dead,
            Returned::Failure => End::Retry { at: own_clock + 1 },
            Returned::Unused => {
                self.left.unused -= 1;
                End::Release
            }
        };
        self.workers[worker] = Worker::Ended(grant, end);
        Some(())
    }

    const fn ended(&self, worker: usize) -> Option<(Grant, End)> {
        match self.workers[worker] {
            Worker::Ended(grant, end) => Some((grant, end)),
            _ => None,
        }
    }

    fn record(&mut self, model: &Attempts, grant: Grant, end: End) -> Recorded {
        let recorded = model.finish(&mut self.store, grant.lease, end, at(self.now));
        let account = &mut self.accounts[index(grant.lease.job)];
        let holds = account
            .holder
            .is_some_and(|(number, _)| number == grant.number);
        if holds && recorded == Recorded::Yes {
            let asked = account.asked_to_stop;
            account.holder = None;
            account.asked_to_stop = false;
            account.used = account.used.saturating_sub(u16::from(end == End::Release));
            account.ended = asked || !matches!(end, End::Retry { .. } | End::Release);
            self.seen.revived_completes |= self.revived && end == End::Complete;
        }
        self.must(
            Promise::HolderAlone,
            holds || recorded == Recorded::LeaseLost,
        );
        self.must(Promise::HolderHeard, !holds || recorded == Recorded::Yes);
        recorded
    }

    fn rescue(&mut self, model: &Attempts) -> Option<()> {
        let rescued = model.rescue(&mut self.store, at(self.now));
        if rescued.is_empty() {
            return None;
        }
        for job in rescued {
            let account = &mut self.accounts[index(job.id)];
            let holder = account.holder.take();
            account.used = account.used.saturating_sub(1);
            account.crashes += 1;
            account.ended = account.asked_to_stop || account.crashes >= MAX_CRASHES;
            account.asked_to_stop = false;
            let over = holder.is_some_and(|(_, until)| until < self.now);
            self.seen.lost_claim_rescued |=
                holder.is_some_and(|(number, _)| self.unheard.contains(&number));
            self.must(Promise::LiveOneKept, over);
        }
        Some(())
    }

    fn requeue(&mut self, model: &Attempts, job: usize) -> Option<()> {
        let now = at(self.now);
        if self.store.requeue(id(job), None, now) != Changed::Done {
            return None;
        }
        self.left.requeues -= 1;
        let account = &mut self.accounts[job];
        if account.ended {
            *account = Account::default();
            self.revived = true;
            if model.is(Broken::RevivesWithoutFence) {
                self.store.jobs.change(id(job), now, |job| job.claim_no = 0);
            }
        }
        Some(())
    }

    /// A job runs if and only if somebody holds it, and by no other claim.
    pub(super) fn leases_are_as_granted(&self) -> bool {
        self.accounts.iter().enumerate().all(|(number, account)| {
            let job = self.job(number);
            let runs = job.state == State::Running;
            let ends = account.holder.map(|(_, until)| at(until));
            runs == account.holder.is_some() && job.lease_expires_at == ends
        })
    }

    pub(super) fn is_counted_exactly(&self) -> bool {
        self.accounts.iter().enumerate().all(|(number, account)| {
            let job = self.job(number);
            (job.attempt, job.crashes) == (account.used, account.crashes)
                && job.attempt <= MAX_ATTEMPTS
                && job.crashes <= MAX_CRASHES
                && job.state.is_finished() == account.ended
        })
    }

    /// What tells one state from another: everything but texts and what is only kept to be read.
    fn place(&self) -> impl Hash + PartialEq + '_ {
        let jobs: [_; JOBS] = std::array::from_fn(|number| {
            let job = self.job(number);
            (
                (job.state, job.attempt, job.crashes, job.claim_no),
                (
                    job.run_at,
                    job.lease_expires_at,
                    job.cancel_requested_at.is_some(),
                ),
                job.attempts.len(),
            )
        });
        (
            (jobs, self.now, &self.workers, &self.under_way, &self.left),
            (&self.accounts, self.grants, &self.unheard, self.revived),
            (&self.broken, &self.seen),
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
