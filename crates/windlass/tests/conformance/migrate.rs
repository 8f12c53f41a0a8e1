//! The schema is brought up to date once, whoever asks and how often.

use std::sync::Arc;

use crate::fixture::{Fixture, at_once, job};

pub(crate) async fn is_harmless_when_there_is_nothing_to_do(fx: &Fixture) {
    let id = fx.add(job()).await;
    let before = fx.get(id).await;
    for _ in 0..2 {
        let migrated = fx.store.migrate().await.unwrap();
        assert_eq!(migrated.from, migrated.to);
        let version = fx.store.schema_version().await.unwrap();
        assert_eq!(version, migrated.to);
    }
    assert_eq!(fx.get(id).await, before);
}

pub(crate) async fn may_be_asked_for_by_many_at_once(fx: &Fixture) {
    let versions = at_once(8, |number| {
        let store = Arc::clone(if number % 2 == 0 {
            &fx.store
        } else {
            &fx.other
        });
        async move { store.migrate().await.unwrap().to }
    })
    .await;
    assert!(versions.iter().all(|version| *version == versions[0]));
    fx.add(job()).await;
}

pub(crate) async fn upkeep_is_harmless_at_any_time(fx: &Fixture) {
    let jobs = fx.one_in_each_state().await;
    let mut before = Vec::new();
    for (_, id) in &jobs {
        before.push(fx.get(*id).await);
    }
    for _ in 0..2 {
        fx.store.maintain(Some(fx.now())).await.unwrap();
        fx.store.maintain(None).await.unwrap();
    }
    for job in before {
        assert_eq!(fx.get(job.id).await, job);
    }
}
