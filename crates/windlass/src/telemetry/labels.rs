//! Names of queues as labels of metrics. Whoever enqueues may name any queue, and each label is a series that
//! lives as long as the process: beyond a number of them, the rest have one label together.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

/// So many queues have a label of their own: the first that were met.
const MOST: usize = 200;
/// The label of all others.
const OTHER: &str = "other";

static NAMES: Labels = Labels(RwLock::new(BTreeSet::new()));

/// The label of a queue.
pub(super) fn of_queue(name: &str) -> String {
    NAMES.of(name)
}

struct Labels(RwLock<BTreeSet<String>>);

impl Labels {
    fn of(&self, name: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.contains(name) {
            return name.to_owned();
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST {
            known.insert(name.to_owned());
        }
        let label = if known.contains(name) { name } else { OTHER };
        label.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_beyond_a_number_share_a_label() {
        let labels = Labels(RwLock::default());
        for n in 0..MOST {
            let name = format!("queue-{n}");
            assert_eq!(labels.of(&name), name);
        }
        assert_eq!(labels.of("one more"), OTHER);
        assert_eq!(labels.of("queue-0"), "queue-0", "the first keep theirs");
    }
}
