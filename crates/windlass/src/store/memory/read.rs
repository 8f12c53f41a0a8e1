//! What anyone may look at. States are told as of now: see [`crate::model::State::at`].

use std::collections::BTreeMap;

use super::Data;
use crate::model::{Cursor, Filter, Found, JobId, JobRecord, Page, QueueStats, State, Timestamp};

/// The largest page of a list.
const MAX_PAGE: u32 = 1000;

impl Data {
    pub(super) fn get(&self, id: JobId, tenant: Option<&str>, now: Timestamp) -> Option<JobRecord> {
        self.visible(id, tenant).map(|job| seen(job, now))
    }

    pub(super) fn list(&self, filter: &Filter, page: Page, now: Timestamp) -> Found<JobRecord> {
        let limit = page.limit.clamp(1, MAX_PAGE);
        let matching = self.matching(filter, page.after, now).take(limit as usize);
        let jobs = matching.map(|job| seen(job, now)).collect();
        Found::new(jobs, limit, None, |job| job.id)
    }

    /// The jobs that match, newest first.
    pub(super) fn matching(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        now: Timestamp,
    ) -> impl Iterator<Item = &JobRecord> {
        self.jobs
            .iter()
            .rev()
            .filter(move |job| after.is_none_or(|cursor| job.id < cursor.0))
            .filter(move |job| matches(job, filter, now))
    }

    pub(super) fn queues(&self, now: Timestamp) -> Vec<QueueStats> {
        let mut queues: BTreeMap<&str, QueueStats> = BTreeMap::new();
        for job in self.jobs.iter().filter(|job| !job.state.is_finished()) {
            let stats = queues
                .entry(&job.queue)
                .or_insert_with(|| empty(&job.queue));
            count(stats, job, now);
        }
        queues.into_values().collect()
    }
}

fn seen(job: &JobRecord, now: Timestamp) -> JobRecord {
    JobRecord {
        state: job.state.at(job.run_at, now),
        ..job.clone()
    }
}

fn matches(job: &JobRecord, filter: &Filter, now: Timestamp) -> bool {
    let same =
        |wanted: &Option<String>, has: Option<&str>| wanted.is_none() || wanted.as_deref() == has;
    (filter.states.is_empty() || filter.states.contains(&job.state.at(job.run_at, now)))
        && same(&filter.kind, Some(&job.kind))
        && same(&filter.queue, Some(&job.queue))
        && same(&filter.tenant_id, job.tenant_id.as_deref())
        && same(&filter.correlation_id, job.correlation_id.as_deref())
        && filter.tag.as_ref().is_none_or(|tag| job.tags.contains(tag))
}

fn empty(queue: &str) -> QueueStats {
    QueueStats {
        queue: queue.to_owned(),
        available: 0,
        scheduled: 0,
        retryable: 0,
        waiting: 0,
        running: 0,
        capped: false,
        oldest_available_at: None,
    }
}

fn count(stats: &mut QueueStats, job: &JobRecord, now: Timestamp) {
    match job.state.at(job.run_at, now) {
        State::Available => {
            stats.available += 1;
            let oldest = stats.oldest_available_at.get_or_insert(job.run_at);
            *oldest = job.run_at.min(*oldest);
        }
        State::Scheduled => stats.scheduled += 1,
        State::Retryable => stats.retryable += 1,
        State::Waiting => stats.waiting += 1,
        State::Running => stats.running += 1,
        State::Completed | State::Cancelled | State::Dead => {}
    }
}
