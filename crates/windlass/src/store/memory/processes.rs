//! Who works, and who leads.

use std::time::Duration;

use super::{Data, Elect};
use crate::model::{Timestamp, WorkerRecord};

/// A worker that was silent for longer is forgotten.
const SILENCE: Duration = Duration::from_hours(24);

/// Somebody leads until a time.
#[derive(Debug, Clone)]
pub(super) struct Term {
    holder: String,
    until: Timestamp,
}

impl Data {
    pub(super) fn beat_worker(&mut self, worker: &WorkerRecord, now: Timestamp) {
        let known = self.workers.get(&worker.id);
        let record = WorkerRecord {
            started_at: known.map_or(now, |known| known.started_at),
            beat_at: now,
            ..worker.clone()
        };
        self.workers.insert(worker.id.clone(), record);
    }

    pub(super) fn remove_worker(&mut self, id: &str, now: Timestamp) {
        self.workers
            .retain(|known, worker| known != id && worker.beat_at >= now.minus(SILENCE));
    }

    /// By id.
    pub(super) fn workers(&self, now: Timestamp) -> Vec<WorkerRecord> {
        let heard = |worker: &&WorkerRecord| worker.beat_at >= now.minus(SILENCE);
        self.workers.values().filter(heard).cloned().collect()
    }

    pub(super) fn elect(&mut self, elect: &Elect<'_>, now: Timestamp) -> bool {
        let taken = self.roles.get(elect.role);
        if taken.is_some_and(|term| term.holder != elect.holder && now < term.until) {
            return false;
        }
        let term = Term {
            holder: elect.holder.to_owned(),
            until: now + elect.term,
        };
        self.roles.insert(elect.role.to_owned(), term);
        true
    }

    /// Who leads, and until when.
    #[cfg(test)]
    pub(super) fn term_of(&self, role: &str) -> Option<(&str, Timestamp)> {
        let term = self.roles.get(role)?;
        Some((&term.holder, term.until))
    }

    pub(super) fn resign(&mut self, role: &str, holder: &str) {
        self.roles
            .retain(|held, term| held != role || term.holder != holder);
    }
}
