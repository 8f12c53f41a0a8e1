//! What operators have set, as every running engine sees it: one immutable snapshot, replaced whole
//! within half a second of any change, in every process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::{Drain, Pause, Paused, QueuePolicy, Rules, Setting, Slots, Timestamp};
use crate::store::{Error, Store};
use crate::telemetry::{self, Outage};

/// The longest time between two looks at the settings' version.
const POLL: Duration = Duration::from_millis(500);

/// What operators have set. A space of settings, a field, a line in [`ControlState::add`].
#[derive(Debug, Clone, Default)]
pub(super) struct ControlState {
    /// Those that are not over.
    pauses: Vec<Pause>,
    drains: BTreeMap<String, Drain>,
    slots: HashMap<String, Slots>,
    policies: HashMap<String, QueuePolicy>,
    /// When the first of the pauses is over.
    changes_at: Option<Timestamp>,
}

/// A setting that this program cannot read. It is as if it were not there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unreadable {
    setting: String,
    version: i64,
    problem: String,
}

impl ControlState {
    fn read(settings: &[Setting], now: Timestamp) -> (Self, Vec<Unreadable>) {
        let mut state = Self::default();
        let mut unreadable = Vec::new();
        for setting in settings {
            if let Err(problem) = state.add(setting, now) {
                unreadable.push(Unreadable {
                    setting: format!("{}/{}", setting.space, setting.name),
                    version: setting.version,
                    problem,
                });
            }
        }
        state.changes_at = state.pauses.iter().filter_map(|pause| pause.until).min();
        (state, unreadable)
    }

    fn add(&mut self, setting: &Setting, now: Timestamp) -> Result<(), String> {
        let (name, value) = (setting.name.clone(), &setting.value);
        match setting.space.as_str() {
            Pause::SPACE => {
                let pause: Pause = value.decode().map_err(|error| error.to_string())?;
                if !pause.is_over(now) {
                    self.pauses.push(pause);
                }
            }
            Drain::SPACE => {
                let drain = value.decode().map_err(|error| error.to_string())?;
                self.drains.insert(name, drain);
            }
            Slots::SPACE => {
                self.slots.insert(name, Slots::read(value)?);
            }
            QueuePolicy::SPACE => {
                let policy: QueuePolicy = value.decode().map_err(|error| error.to_string())?;
                policy.validate().map_err(|error| error.to_string())?;
                self.policies.insert(name, policy);
            }
            // A newer program's.
            _ => {}
        }
        Ok(())
    }

    /// What the claims of a queue go by; `None` if nothing of it is limited or partly paused.
    pub(super) fn rules(&self, queue: &str) -> Option<Rules> {
        let policy = self.policies.get(queue);
        let paused: Vec<Paused> = self
            .pauses_for(queue)
            .filter(|pause| pause.kind.is_some() || pause.tenant_id.is_some())
            .map(|pause| Paused {
                kind: pause.kind.clone(),
                tenant: pause.tenant_id.clone(),
            })
            .collect();
        (policy.is_some() || !paused.is_empty()).then(|| Rules {
            policy: policy.cloned().unwrap_or_default(),
            paused,
        })
    }

    /// Pauses that concern some jobs of a queue, or all of them.
    pub(super) fn pauses_for(&self, queue: &str) -> impl Iterator<Item = &Pause> {
        let concerns =
            move |pause: &&Pause| pause.queue.as_deref().is_none_or(|named| named == queue);
        self.pauses.iter().filter(concerns)
    }

    /// Whether this worker is to start nothing more.
    pub(super) fn drains(&self, worker: &str) -> bool {
        self.drains.contains_key(worker)
    }

    /// How many jobs of a queue this worker may run at once now: none if it is paused or drains.
    pub(super) fn slots(&self, queue: &str, worker: &str, configured: usize) -> usize {
        let paused = |pause: &Pause| pause.whole_queue() == Some(queue);
        if self.drains(worker) || self.pauses.iter().any(paused) {
            return 0;
        }
        self.slots
            .get(queue)
            .map_or(configured, |set| set.slots as usize)
    }
}

/// What operators have set at this moment, as far as it can be read.
pub(super) async fn read(store: &dyn Store) -> Result<ControlState, Error> {
    let settings = store.settings(None).await?;
    let now = store.now().await?;
    Ok(ControlState::read(&settings, now).0)
}

/// Follows the settings for as long as it is polled. Sends the first state as soon as the store
/// answers; while it does not, the last state stands.
pub(super) async fn follow(
    store: Arc<dyn Store>,
    states: watch::Sender<Option<Arc<ControlState>>>,
) {
    let mut outage = Outage::new("control");
    let mut follower = Follower::default();
    loop {
        match follower.look(&*store).await {
            Ok(Some(state)) => {
                outage.worked();
                states.send_replace(Some(state));
            }
            Ok(None) => outage.worked(),
            Err(error) => outage.failed(&error),
        }
        let pause = POLL.mul_f64(rand::rng().random_range(0.6..1.0));
        let until =
            (Instant::now() + pause).min(follower.stale_at.unwrap_or(Instant::now() + pause));
        tokio::time::sleep_until(until).await;
    }
}

#[derive(Debug, Default)]
struct Follower {
    version: Option<i64>,
    /// When a pause is over, as far as can be told without asking.
    stale_at: Option<Instant>,
    told: BTreeSet<(String, i64)>,
}

impl Follower {
    /// The state, if it is another one than at the last look.
    async fn look(&mut self, store: &dyn Store) -> Result<Option<Arc<ControlState>>, Error> {
        // The version first: a change in between is then seen again, and never missed.
        let version = store.settings_version().await?;
        let over = self.stale_at.is_some_and(|at| at <= Instant::now());
        if self.version == Some(version) && !over {
            return Ok(None);
        }
        let settings = store.settings(None).await?;
        let now = store.now().await?;
        let (state, unreadable) = ControlState::read(&settings, now);
        for problem in unreadable {
            if self.told.insert((problem.setting.clone(), problem.version)) {
                telemetry::setting_unreadable(&problem.setting, &problem.problem);
            }
        }
        self.version = Some(version);
        self.stale_at = state.changes_at.map(|at| Instant::now() + at.since(now));
        telemetry::control_changed(version);
        Ok(Some(Arc::new(state)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Audit, Json};
    use crate::store::memory::MemoryStore;
    use crate::store::{ChangeSetting, Control};

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    fn setting(space: &str, name: &str, value: &str) -> Setting {
        Setting {
            space: space.into(),
            name: name.into(),
            value: Json::parse(value).unwrap(),
            version: 1,
            updated_at: NOW,
        }
    }

    fn pause(pause: &Pause) -> Setting {
        let value = Json::encode(pause).unwrap();
        setting(Pause::SPACE, &pause.name(), value.as_str())
    }

    fn of_queue(queue: &str, until: Option<Timestamp>) -> Pause {
        Pause {
            queue: Some(queue.into()),
            until,
            ..Pause::by("ada", NOW)
        }
    }

    #[test]
    fn a_paused_queue_and_a_drained_worker_have_no_slots() {
        let settings = [
            pause(&of_queue("mail", None)),
            pause(&Pause {
                kind: Some("send".into()),
                ..of_queue("bulk", None)
            }),
            setting(
                "worker",
                "w2",
                r#"{"by":"ada","at":"1970-01-01T00:00:01Z"}"#,
            ),
            setting("slots", "bulk", r#"{"slots":7}"#),
        ];
        let (state, unreadable) = ControlState::read(&settings, NOW);
        assert_eq!(unreadable, []);
        let slots = |queue, worker| state.slots(queue, worker, 50);
        assert_eq!(slots("mail", "w1"), 0);
        assert_eq!(
            slots("bulk", "w1"),
            7,
            "one kind of it is paused, not the queue"
        );
        assert_eq!(slots("other", "w1"), 50);
        assert_eq!(slots("bulk", "w2"), 0);
        assert_eq!(state.pauses_for("bulk").count(), 1);
        assert_eq!(state.pauses_for("other").count(), 0);
    }

    #[test]
    fn a_pause_that_is_over_stops_nothing() {
        let (soon, later) = (
            Timestamp::from_micros(1_000_001),
            Timestamp::from_micros(2_000_000),
        );
        let settings = [
            pause(&of_queue("over", Some(NOW))),
            pause(&of_queue("soon", Some(soon))),
            pause(&of_queue("later", Some(later))),
        ];
        let (state, _) = ControlState::read(&settings, NOW);
        assert_eq!(state.slots("over", "w", 5), 5);
        assert_eq!(state.slots("soon", "w", 5), 0);
        assert_eq!(state.changes_at, Some(soon));
    }

    #[test]
    fn what_cannot_be_read_is_told_and_changes_nothing() {
        let settings = [
            setting("slots", "bulk", r#"{"slots":0}"#),
            setting("pause", "x", "17"),
            setting("of a newer program", "x", "17"),
            setting("slots", "mail", r#"{"slots":2}"#),
        ];
        let (state, unreadable) = ControlState::read(&settings, NOW);
        let told: Vec<&str> = unreadable.iter().map(|u| u.setting.as_str()).collect();
        assert_eq!(told, ["slots/bulk", "pause/x"]);
        assert_eq!(state.slots("bulk", "w", 50), 50);
        assert_eq!(state.slots("mail", "w", 50), 2);
    }

    #[tokio::test]
    async fn a_look_loads_only_what_has_changed() {
        let store = MemoryStore::default();
        let mut follower = Follower::default();
        assert!(
            follower.look(&store).await.unwrap().is_some(),
            "the first is always told"
        );
        assert!(follower.look(&store).await.unwrap().is_none());
        let two = Json::parse(r#"{"slots":2}"#).unwrap();
        let audit = Audit::new("ada", "slots.set", "queue/mail");
        let change = |value| ChangeSetting {
            space: "slots",
            name: "mail",
            value,
            expected: None,
            audit: &audit,
            now: None,
        };
        store.change_setting(change(Some(&two))).await.unwrap();
        let state = follower.look(&store).await.unwrap().unwrap();
        assert_eq!(state.slots("mail", "w", 50), 2);
        store.change_setting(change(None)).await.unwrap();
        let state = follower.look(&store).await.unwrap().unwrap();
        assert_eq!(state.slots("mail", "w", 50), 50);
    }
}
