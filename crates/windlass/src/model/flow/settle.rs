//! What becomes of the steps that waited, when others have ended.

use std::collections::{BTreeMap, HashMap};

use super::{After, End};
use crate::model::JobId;

/// A step that waits, and one of its parents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The parent.
    pub parent: JobId,
    /// The step that waits.
    pub child: JobId,
    /// When it runs.
    pub after: After,
    /// How many of its parents had not ended.
    pub pending: u32,
}

/// Why a step ended without having run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// This parent, which it needed, ended so.
    Parent(JobId, End),
    /// None of its parents failed.
    NothingFailed,
}

/// What becomes of steps that waited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// They go on waiting, for so many parents.
    pub waiting: BTreeMap<JobId, u32>,
    /// They may run.
    pub released: Vec<JobId>,
    /// They end without having run.
    pub ended: Vec<(JobId, End, Cause)>,
}

/// What a step does once so many parents have completed, failed and been skipped, and so many are
/// still to end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) completed: u32,
    pub(super) failed: Option<(JobId, End)>,
    pub(super) skipped: Option<JobId>,
    ended: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Wait,
    Release,
    End(End, Cause),
}

impl Tally {
    pub(super) fn add(&mut self, parent: JobId, end: End) {
        self.ended += 1;
        match end {
            End::Completed => self.completed += 1,
            End::Cancelled | End::Dead => {
                let first = self.failed.get_or_insert((parent, end));
                if parent < first.0 {
                    *first = (parent, end);
                }
            }
            End::Skipped => {
                let first = self.skipped.get_or_insert(parent);
                *first = parent.min(*first);
            }
        }
    }

    pub(super) fn decide(&self, after: After, pending: u32) -> Decision {
        match (after, self.failed, self.skipped) {
            (After::Success, Some((parent, end)), _) => {
                Decision::End(End::Cancelled, Cause::Parent(parent, end))
            }
            (After::Success, None, Some(parent)) => {
                Decision::End(End::Skipped, Cause::Parent(parent, End::Skipped))
            }
            (After::Failure, Some(_), _) => Decision::Release,
            _ if pending > 0 => Decision::Wait,
            (After::Failure, None, _) => Decision::End(End::Skipped, Cause::NothingFailed),
            (After::Success | After::Finished, ..) => Decision::Release,
        }
    }
}

/// What becomes of the steps in `links` now that others have ended. Steps that end by this are taken
/// into account, as far as `links` tell who waits for them.
pub fn settle(links: &[Link], ended: impl IntoIterator<Item = (JobId, End)>) -> Settled {
    let mut children: HashMap<JobId, Vec<JobId>> = HashMap::new();
    let mut blocked: HashMap<JobId, (After, u32)> = HashMap::new();
    for link in links {
        children.entry(link.parent).or_default().push(link.child);
        blocked.insert(link.child, (link.after, link.pending));
    }
    let mut settled = Settled::default();
    let mut wave: Vec<(JobId, End)> = ended.into_iter().collect();
    while !wave.is_empty() {
        let mut tallies: BTreeMap<JobId, Tally> = BTreeMap::new();
        for (parent, end) in std::mem::take(&mut wave) {
            let waiting = children.get(&parent).into_iter().flatten();
            for child in waiting.filter(|child| blocked.contains_key(child)) {
                tallies.entry(*child).or_default().add(parent, end);
            }
        }
        for (child, tally) in tallies {
            let Some((after, pending)) = blocked.get_mut(&child) else {
                continue;
            };
            *pending = pending.saturating_sub(tally.ended);
            match tally.decide(*after, *pending) {
                Decision::Wait => {
                    settled.waiting.insert(child, *pending);
                    continue;
                }
                Decision::Release => settled.released.push(child),
                Decision::End(end, cause) => {
                    settled.ended.push((child, end, cause));
                    wave.push((child, end));
                }
            }
            settled.waiting.remove(&child);
            blocked.remove(&child);
        }
    }
    settled
}
