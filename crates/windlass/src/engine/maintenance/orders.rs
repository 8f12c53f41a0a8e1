use std::time::Duration;

use async_trait::async_trait;

use super::Service;
use crate::model::{Audit, Drain, Mute, Pause, Setting};
use crate::store::{ChangeSetting, Error, Store};

/// Who the engine is in the audit log.
pub(crate) const ENGINE: &str = "windlass";

/// Tidies away orders that have no effect any more: pauses and mutes that are over, and drains of
/// workers that are gone.
pub(super) struct OrdersService;

#[async_trait]
impl Service for OrdersService {
    fn interval(&self) -> Duration {
        Duration::from_mins(1)
    }

    async fn run_once(&self, store: &dyn Store) -> Result<(), Error> {
        let now = store.now().await?;
        for setting in store.settings(Some(Pause::SPACE)).await? {
            let pause = setting.value.decode::<Pause>();
            if pause.is_ok_and(|pause| pause.is_over(now)) {
                remove(store, &setting, "pause.over", "pause").await?;
            }
        }
        for setting in store.settings(Some(Mute::SPACE)).await? {
            let mute = setting.value.decode::<Mute>();
            if mute.is_ok_and(|mute| mute.is_over(now)) {
                remove(store, &setting, "mute.over", "error").await?;
            }
        }
        let drains = store.settings(Some(Drain::SPACE)).await?;
        if drains.is_empty() {
            return Ok(());
        }
        let workers = store.workers(None).await?;
        for setting in drains {
            if workers.iter().all(|worker| worker.id != setting.name) {
                remove(store, &setting, "worker.gone", "worker").await?;
            }
        }
        Ok(())
    }
}

/// Unless somebody has set it anew meanwhile.
async fn remove(
    store: &dyn Store,
    setting: &Setting,
    action: &str,
    what: &str,
) -> Result<(), Error> {
    let audit = Audit::new(ENGINE, action, format!("{what}/{}", setting.name));
    let change = ChangeSetting {
        space: &setting.space,
        name: &setting.name,
        value: None,
        expected: Some(setting.version),
        audit: &audit,
        now: None,
    };
    match store.change_setting(change).await {
        Ok(_) | Err(Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AuditFilter, Json, Timestamp};
    use crate::store::Control;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn only_what_has_no_effect_is_tidied_away() {
        let store = MemoryStore::default();
        let now = store.now().await.unwrap();
        let pause = |queue: &str, until| Pause {
            queue: Some(queue.into()),
            until,
            ..Pause::by("ada", now)
        };
        let kept = [pause("open", None), pause("later", Some(Timestamp::MAX))];
        let over = pause("over", Some(now));
        let audit = Audit::new("ada", "pause.set", "pause/x");
        for pause in kept.iter().chain([&over]) {
            let value = Json::encode(pause).unwrap();
            let change = ChangeSetting {
                space: Pause::SPACE,
                name: &pause.name(),
                value: Some(&value),
                expected: None,
                audit: &audit,
                now: None,
            };
            store.change_setting(change).await.unwrap();
        }
        let mute = Mute {
            reason: None,
            by: "ada".into(),
            at: now,
            until: Some(now),
        };
        let mute = Json::encode(&mute).unwrap();
        let change = ChangeSetting {
            space: Mute::SPACE,
            name: "0a",
            value: Some(&mute),
            expected: None,
            audit: &audit,
            now: None,
        };
        store.change_setting(change).await.unwrap();
        let drain = Json::parse(r#"{"by":"ada","at":"2026-01-01T00:00:00Z"}"#).unwrap();
        let change = ChangeSetting {
            space: Drain::SPACE,
            name: "gone",
            value: Some(&drain),
            expected: None,
            audit: &audit,
            now: None,
        };
        store.change_setting(change).await.unwrap();
        OrdersService.run_once(&store).await.unwrap();
        let left = store.settings(None).await.unwrap();
        let mut names: Vec<String> = left.into_iter().map(|setting| setting.name).collect();
        names.sort_unstable();
        let mut expected = kept.map(|pause| pause.name());
        expected.sort_unstable();
        assert_eq!(names, expected);
        let log = store.audit(&AuditFilter::default(), None, 3).await.unwrap();
        let actions: Vec<&str> = log.iter().map(|e| e.audit.action.as_str()).collect();
        assert_eq!(actions, ["worker.gone", "mute.over", "pause.over"]);
    }
}
