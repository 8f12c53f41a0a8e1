//! Enqueues that come at the same time share a transaction.
//!
//! Each would cost the server a commit, and both sides a few round trips; together they cost little more
//! than one. A few go by themselves, and so wait for nobody. Who comes while these are under way goes
//! with all others who wait, as soon as one of a few connections is free. On these connections no lock
//! is waited for for long: who holds up a group by a key that another transaction has locked, say,
//! makes each of the group go by itself.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::lane::{Lane, run, transaction};
use super::{Error, Shared, enqueue, keys};
use crate::model::{Enqueued, JobId, NewJob};

/// Calls that go by themselves at the same time before others are gathered.
const ALONE: usize = 2;

/// Groups that are written at the same time.
pub(super) const GROUPS: usize = 2;

/// How long a group waits for a lock.
pub(super) const LONGEST_LOCK: (&str, &str) = ("lock_timeout", "100ms");

/// Jobs of a group, but that the last call may go beyond it.
const MOST_JOBS: usize = 250;

/// What a call may bring into a group: larger ones are no worse off by themselves.
const MOST_JOBS_OF_A_CALL: usize = 16;
const MOST_BYTES_OF_A_CALL: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Gathering {
    /// Connections that give up on locks.
    lane: Lane,
    alone: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    calls: Vec<Call>,
    groups: usize,
}

/// A call whose jobs go with others'. Its answer is dropped if the group came to nothing.
#[derive(Debug)]
struct Call {
    jobs: Vec<NewJob>,
    doubtful: HashSet<JobId>,
    answer: oneshot::Sender<Vec<Enqueued>>,
}

/// One of the few that go by themselves.
#[derive(Debug)]
struct Alone<'a>(&'a AtomicUsize);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gathering {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            lane,
            alone: AtomicUsize::new(0),
            waiting: Mutex::default(),
        }
    }

    fn alone(&self) -> Option<Alone<'_>> {
        self.alone
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |alone| {
                (alone < ALONE).then_some(alone + 1)
            })
            .ok()
            .map(|_| Alone(&self.alone))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who go next; a task that finds none ends.
    fn next(&self) -> Option<Vec<Call>> {
        let mut waiting = self.waiting();
        if waiting.calls.is_empty() {
            waiting.groups -= 1;
            return None;
        }
        let mut jobs = 0;
        let fits = |call: &&Call| {
            let fits = jobs < MOST_JOBS;
            jobs += call.jobs.len();
            fits
        };
        let length = waiting.calls.iter().take_while(fits).count();
        Some(waiting.calls.drain(..length).collect())
    }

    /// Whether a task has to be started for the group that the call will be of.
    fn join(&self, call: Call) -> bool {
        let mut waiting = self.waiting();
        waiting.calls.push(call);
        let is_free = waiting.groups < GROUPS;
        waiting.groups += usize::from(is_free);
        is_free
    }
}

impl Shared {
    /// Enqueues jobs at the present time, with others' if there are enough of them.
    pub(super) async fn enqueue_now(
        self: &Arc<Self>,
        jobs: &[NewJob],
        mut doubtful: HashSet<JobId>,
    ) -> Result<Vec<Enqueued>, Error> {
        let Some(gathering) = self.gathering.as_ref().filter(|_| is_small(jobs)) else {
            return self.enqueue_alone(jobs, &doubtful, None).await;
        };
        let alone = gathering.alone();
        if alone.is_none() {
            let (answer, answered) = oneshot::channel();
            let call = Call {
                jobs: jobs.to_vec(),
                doubtful: doubtful.clone(),
                answer,
            };
            if gathering.join(call) {
                tokio::spawn(self.clone().write_groups());
            }
            if let Ok(answers) = answered.await {
                return Ok(answers);
            }
            // The group's commit may have been answered by nobody.
            doubtful.extend(jobs.iter().map(|job| job.id));
        }
        self.enqueue_alone(jobs, &doubtful, None).await
    }

    async fn write_groups(self: Arc<Self>) {
        let Some(gathering) = &self.gathering else {
            return;
        };
        while let Some(calls) = gathering.next() {
            self.write_group(&gathering.lane, calls).await;
        }
    }

    /// Each call gets its answers, or none if the group failed: whose fault that is shows when each
    /// goes by itself.
    async fn write_group(self: &Arc<Self>, lane: &Lane, calls: Vec<Call>) {
        let (mut jobs, mut doubtful) = (Vec::new(), HashSet::new());
        let mut callers = Vec::with_capacity(calls.len());
        for call in calls {
            callers.push((call.answer, call.jobs.len()));
            jobs.extend(call.jobs);
            doubtful.extend(call.doubtful);
        }
        let governed = &*self.governed_names();
        let written = if enqueue::has_keys(&jobs) {
            transaction!(lane, |connection| {
                keys::enqueue(connection, &jobs, &doubtful, governed, None).await
            })
        } else {
            let jobs: Vec<&NewJob> = jobs.iter().collect();
            run!(lane, |connection| {
                enqueue::insert_new(connection, &jobs, &doubtful, governed, None).await
            })
        };
        match written {
            Ok(answers) => {
                self.enqueued(&enqueue::queues(&jobs), None);
                let mut answers = answers.into_iter();
                for (answer, jobs) in callers {
                    // Who went away does not want to know.
                    let _ = answer.send(answers.by_ref().take(jobs).collect());
                }
            }
            Err(error) => tracing::debug!(%error, jobs = jobs.len(), "enqueues part company"),
        }
    }
}

fn is_small(jobs: &[NewJob]) -> bool {
    let bytes = |job: &NewJob| job.args.as_str().len();
    jobs.len() <= MOST_JOBS_OF_A_CALL
        && jobs.iter().map(bytes).sum::<usize>() <= MOST_BYTES_OF_A_CALL
}
