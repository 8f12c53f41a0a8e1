//! What answering messages is told by the installation: the texts, and what plans allow.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::platform::MonthlyUsage;

/// How messages are answered, as far as it is the same for every tenant.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageOptions {
    /// Whether answers are judged by how sure they are, where the tenant asks for it.
    pub escalation: bool,
    /// How long a tenant's settings are taken for true before they are read again, in milliseconds.
    pub settings_age_ms: u64,
    /// What people are told where the tenant has no words of its own.
    pub texts: Texts,
    /// What each plan allows in a calendar month; a plan that is not here has no limit.
    pub plans: BTreeMap<String, PlanLimits>,
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Texts {
    /// A human will answer.
    pub handoff: String,
    /// It could not be answered.
    pub failure: String,
    /// The tenant's plan allows no more.
    pub limit: String,
}

/// What a plan allows in a calendar month; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanLimits {
    /// Conversations that begin.
    pub conversations: u64,
    /// Messages that come in.
    pub messages: u64,
}

impl PlanLimits {
    /// Whether the last message was one too many.
    pub fn is_exceeded(self, used: MonthlyUsage) -> bool {
        let exceeded = |used: u64, limit: u64| limit > 0 && used > limit;
        exceeded(used.messages, self.messages)
            || (used.began && exceeded(used.conversations, self.conversations))
    }
}

impl MessageOptions {
    /// How long a tenant's settings are taken for true.
    pub fn settings_age(&self) -> Duration {
        Duration::from_millis(self.settings_age_ms)
    }
}

impl Default for MessageOptions {
    fn default() -> Self {
        let plan = |name: &str, conversations, messages| {
            let limits = PlanLimits {
                conversations,
                messages,
            };
            (name.to_owned(), limits)
        };
        Self {
            escalation: true,
            settings_age_ms: 2000,
            texts: Texts::default(),
            plans: BTreeMap::from([
                plan("free", 100, 1000),
                plan("starter", 1000, 10_000),
                plan("pro", 10_000, 100_000),
            ]),
        }
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            handoff: "Thank you. A member of our team will answer you here.".to_owned(),
            failure: "Sorry, I could not answer your message. Please try again later.".to_owned(),
            limit: "Sorry, we cannot answer any more messages this month. Please contact us in \
                    another way."
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_exceeded_by_the_first_beyond_it() {
        let limits = PlanLimits {
            conversations: 2,
            messages: 10,
        };
        let used = |messages, conversations, began| MonthlyUsage {
            messages,
            conversations,
            began,
        };
        for (used, exceeded) in [
            (used(10, 2, true), false),
            (used(11, 1, false), true),
            (used(5, 3, true), true),
            // Its conversation was there before: it goes on.
            (used(5, 3, false), false),
        ] {
            assert_eq!(limits.is_exceeded(used), exceeded, "{used:?}");
        }
        let unlimited = PlanLimits {
            conversations: 0,
            messages: 0,
        };
        assert!(!unlimited.is_exceeded(used(u64::MAX, u64::MAX, true)));
    }
}
