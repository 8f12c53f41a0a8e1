use serde::{Deserialize, Serialize};

use super::{Json, Timestamp};

/// The most slots that a queue may be given in one process.
pub const MAX_SLOTS: u32 = 100_000;

/// Nothing that matches is started until someone resumes it, or its end has come. Every field that
/// is set must match, and at least one must be set. What runs already is left to finish.
///
/// ```
/// use windlass::model::{Pause, Timestamp};
///
/// let pause = Pause {
///     queue: Some("mail".into()),
///     tenant_id: Some("acme".into()),
///     ..Pause::by("ada", Timestamp::EPOCH)
/// };
/// assert!(pause.stops("mail", "send_mail", Some("acme")));
/// assert!(!pause.stops("mail", "send_mail", None));
/// assert_eq!(pause.whole_queue(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Jobs of this queue.
    #[serde(default)]
    pub queue: Option<String>,
    /// Jobs of this kind.
    #[serde(default)]
    pub kind: Option<String>,
    /// Jobs of this tenant.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// Why, in the operator's words.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who paused it.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// Until when; until someone resumes it if none.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Pause {
    /// The space of settings that holds pauses, each under its [name](Self::name).
    pub const SPACE: &'static str = "pause";

    /// A pause of nothing yet, by somebody.
    pub fn by(actor: impl Into<String>, at: Timestamp) -> Self {
        Self {
            queue: None,
            kind: None,
            tenant_id: None,
            reason: None,
            by: actor.into(),
            at,
            until: None,
        }
    }

    /// Names what it stops: of one combination of queue, kind and tenant there is one pause.
    pub fn name(&self) -> String {
        let parts = [&self.queue, &self.kind, &self.tenant_id];
        serde_json::Value::from_iter(parts.map(Clone::clone)).to_string()
    }

    /// Whether it stops nothing because nothing is named.
    pub const fn is_empty(&self) -> bool {
        self.queue.is_none() && self.kind.is_none() && self.tenant_id.is_none()
    }

    /// Whether it keeps such a job from being started.
    pub fn stops(&self, queue: &str, kind: &str, tenant_id: Option<&str>) -> bool {
        let fits =
            |named: &Option<String>, has: Option<&str>| named.is_none() || named.as_deref() == has;
        !self.is_empty()
            && fits(&self.queue, Some(queue))
            && fits(&self.kind, Some(kind))
            && fits(&self.tenant_id, tenant_id)
    }

    /// The queue that it stops as a whole, if it does.
    pub fn whole_queue(&self) -> Option<&str> {
        match (&self.kind, &self.tenant_id) {
            (None, None) => self.queue.as_deref(),
            _ => None,
        }
    }

    /// Whether its end has come.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// An error that operators know of: jobs that fail with it need nobody's attention until the mute ends. It
/// changes nothing for the jobs. Kept under the error's fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// Why, in the operator's words.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who muted it.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// Until when; until someone ends it if none.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Mute {
    /// The space of settings that holds mutes.
    pub const SPACE: &'static str = "mute";

    /// Whether its end has come.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// A worker is to start nothing more. Kept under the worker's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Who asked for it.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// Why, in the operator's words.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Drain {
    /// The space of settings that holds drain orders.
    pub const SPACE: &'static str = "worker";
}

/// How many jobs of a queue each process runs at once, instead of what it was started with. Kept
/// under the queue's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// 1 to [`MAX_SLOTS`].
    pub slots: u32,
}

impl Slots {
    /// The space of settings that holds slots.
    pub const SPACE: &'static str = "slots";

    /// Reads a setting's value.
    ///
    /// # Errors
    ///
    /// The value is of another form, or out of bounds.
    pub fn read(value: &Json) -> Result<Self, String> {
        let slots: Self = value.decode().map_err(|error| error.to_string())?;
        if (1..=MAX_SLOTS).contains(&slots.slots) {
            Ok(slots)
        } else {
            Err(format!(
                "{} slots; 1 to {MAX_SLOTS} are possible",
                slots.slots
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(queue: Option<&str>, kind: Option<&str>, tenant: Option<&str>) -> Pause {
        Pause {
            queue: queue.map(Into::into),
            kind: kind.map(Into::into),
            tenant_id: tenant.map(Into::into),
            ..Pause::by("ada", Timestamp::EPOCH)
        }
    }

    #[test]
    fn a_pause_stops_what_matches_all_that_is_named() {
        let job = ("mail", "send", Some("acme"));
        for (queue, kind, tenant, stops) in [
            (Some("mail"), None, None, true),
            (None, Some("send"), None, true),
            (None, None, Some("acme"), true),
            (Some("mail"), Some("send"), Some("acme"), true),
            (Some("mail"), Some("other"), None, false),
            (Some("other"), None, Some("acme"), false),
            (None, None, None, false),
        ] {
            let pause = pause(queue, kind, tenant);
            assert_eq!(pause.stops(job.0, job.1, job.2), stops, "{pause:?}");
        }
        assert!(!pause(None, None, Some("acme")).stops("mail", "send", None));
    }

    #[test]
    fn combinations_have_names_of_their_own() {
        let names = [
            pause(Some("a"), None, None).name(),
            pause(None, Some("a"), None).name(),
            pause(None, None, Some("a")).name(),
            pause(Some("a\",\"b"), None, None).name(),
            pause(Some("a"), Some("b"), None).name(),
        ];
        let different: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn a_pause_ends_at_its_very_end() {
        let until = Some(Timestamp::from_micros(10));
        let pause = Pause {
            until,
            ..pause(Some("a"), None, None)
        };
        assert!(!pause.is_over(Timestamp::from_micros(9)));
        assert!(pause.is_over(Timestamp::from_micros(10)));
    }

    #[test]
    fn slots_are_bounded() {
        let read = |text: &str| Slots::read(&Json::parse(text).unwrap());
        assert_eq!(read("{\"slots\":1}"), Ok(Slots { slots: 1 }));
        for bad in ["{\"slots\":0}", "{\"slots\":100001}", "{\"slots\":-1}", "5"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
