//! How it stands with looking back: one look at a time, and after each claim one that began later.

use std::time::Duration;

/// How long to rest after a look back that failed. It is made again though nobody claims meanwhile.
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What is known of the next look back.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looking {
    /// None is wanted.
    #[default]
    Not,
    /// One waits for its time.
    Soon,
    /// One is under way. What has happened since it began it does not see.
    Now {
        /// So another one is wanted.
        again: bool,
    },
}

impl Looking {
    /// One is wanted that begins later than now: whether it is the caller's turn to make it. If one is
    /// under way, whoever made it has to make another.
    pub(super) fn plan(&mut self) -> bool {
        match self {
            Self::Not => {
                *self = Self::Soon;
                return true;
            }
            Self::Soon => {}
            Self::Now { again } => *again = true,
        }
        false
    }

    /// It begins.
    pub(super) fn begin(&mut self) {
        *self = Self::Now { again: false };
    }

    /// It has ended: whether to plan another.
    pub(super) fn end(&mut self) -> bool {
        std::mem::take(self) == Self::Now { again: true }
    }
}

#[cfg(test)]
mod tests {
    use super::Looking;

    #[test]
    fn whoever_comes_while_one_is_under_way_gets_another() {
        let mut looking = Looking::default();
        assert!(looking.plan());
        assert!(!looking.plan(), "one that waits begins later than now");
        looking.begin();
        assert!(!looking.end(), "nobody came");
        assert!(looking.plan());
        looking.begin();
        assert!(!looking.plan(), "one at a time");
        assert!(looking.end(), "what it saw is older than the last claim");
        assert_eq!(looking, Looking::Not);
    }
}
