//! Which ids may have been enqueued before.
//!
//! A repeated enqueue must find the first job even when it has finished. A unique index sees to that
//! among the unfinished ones; looking through the finished ones would cost every enqueue an index
//! probe per day of history. But practically every id is new: it carries the time it was made at, and
//! this process remembers what it has enqueued since then. Only an id that is older than the memory,
//! was made by other means, or has been here before is worth a look.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::model::JobId;

/// Ids in one generation. Two are kept.
const GENERATION: usize = 100_000;

#[derive(Debug)]
pub(super) struct Sent(Mutex<Memory>);

#[derive(Debug)]
struct Memory {
    /// Every id enqueued here since then is remembered.
    since: Time,
    /// When the younger generation began.
    younger_since: Time,
    younger: HashSet<JobId>,
    older: HashSet<JobId>,
}

/// Seconds and nanoseconds, as ids carry them.
type Time = (u64, u32);

impl Default for Sent {
    fn default() -> Self {
        let now = time(JobId::new()).unwrap_or_default();
        Self(Mutex::new(Memory {
            since: now,
            younger_since: now,
            younger: HashSet::new(),
            older: HashSet::new(),
        }))
    }
}

impl Sent {
    /// Remembers ids; says which of them are perhaps not new.
    pub(super) fn note(&self, ids: impl Iterator<Item = JobId>) -> HashSet<JobId> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.younger.len() >= GENERATION {
            memory.age();
        }
        ids.filter(|id| !memory.note(*id)).collect()
    }
}

impl Memory {
    /// Remembers an id; `true` if it is certainly new.
    fn note(&mut self, id: JobId) -> bool {
        let made_since = time(id).is_some_and(|made| made >= self.since);
        let unseen = self.younger.insert(id) && !self.older.contains(&id);
        made_since && unseen
    }

    fn age(&mut self) {
        self.older = std::mem::take(&mut self.younger);
        self.since = self.younger_since;
        self.younger_since = time(JobId::new()).unwrap_or_default();
    }
}

/// When an id was made, if it says so.
fn time(id: JobId) -> Option<Time> {
    let id: Uuid = id.as_uuid();
    id.get_timestamp()
        .filter(|_| id.get_version_num() == 7)
        .map(|made| made.to_unix())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(sent: &Sent, id: JobId) -> bool {
        sent.note(std::iter::once(id)).is_empty()
    }

    #[test]
    fn only_a_new_id_is_new() {
        let old = JobId::new();
        std::iter::repeat_with(JobId::new)
            .find(|id| time(*id) > time(old))
            .unwrap();
        let sent = Sent::default();
        let new = JobId::new();
        assert!(noted(&sent, new));
        assert!(!noted(&sent, new), "it has been here");
        assert!(!noted(&sent, old), "it is older than the memory");
        let random = JobId::from_uuid(Uuid::new_v4());
        assert!(!noted(&sent, random), "it does not say how old it is");
    }

    #[test]
    fn what_is_forgotten_is_too_old_to_be_taken_for_new() {
        let sent = Sent::default();
        let first = JobId::new();
        assert!(noted(&sent, first));
        for _ in 0..3 {
            std::iter::repeat_with(JobId::new)
                .find(|id| time(*id) > time(first))
                .unwrap();
            sent.note(std::iter::repeat_with(JobId::new).take(GENERATION));
        }
        let memory = sent.0.lock().unwrap();
        assert!(!memory.younger.contains(&first) && !memory.older.contains(&first));
        drop(memory);
        assert!(!noted(&sent, first));
    }
}
