use windlass::db::SettingsDelivery;
use windlass::store::postgres::PgStoreOptions;
use windlass::store::{Error, Store};

use super::claim;
use crate::backend::PgBouncer;
use crate::fixture::{Backend, job};

fn with(settings: SettingsDelivery) -> PgStoreOptions {
    PgStoreOptions {
        settings,
        ..PgStoreOptions::default()
    }
}

#[tokio::test]
async fn a_pooler_that_nobody_mentioned_is_named_before_any_work() {
    let database = PgBouncer::open().await;
    let unaware = database.store(&PgStoreOptions::default());
    let error = unaware.schema().await.unwrap_err();
    assert!(matches!(error, Error::Pooler { .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("refuses start-up settings"), "{said}");
    assert!(said.contains("SettingsDelivery::Transaction"), "{said}");
    let error = unaware.enqueue(&[job()], None).await.unwrap_err();
    assert!(matches!(error, Error::Pooler { .. }), "{error:?}");
    // Two more that it lets in: sessions that are told, and the role that knows.
    for settings in [SettingsDelivery::Session, SettingsDelivery::Role] {
        let database = PgBouncer::open().await;
        let error = database.store(&with(settings)).schema().await.unwrap_err();
        assert!(
            matches!(error, Error::Pooler { .. }),
            "{settings:?}: {error:?}"
        );
        database.close().await;
    }
    database.close().await;
}

#[tokio::test]
async fn without_a_way_past_it_the_store_polls() {
    let database = PgBouncer::open().await;
    let store = database.store(&with(SettingsDelivery::Transaction));
    // Nothing is left behind by the first that the second would meet.
    for _ in 0..2 {
        store.migrate().await.unwrap();
        let again = database.store(&with(SettingsDelivery::Transaction));
        again.migrate().await.unwrap();
    }
    store.schema().await.unwrap().check().unwrap();
    store.enqueue(&[job()], None).await.unwrap();
    assert_eq!(claim(&store, 9).await.len(), 1);
    assert!(!store.capabilities().remote_wakes);
    database.close().await;
}

#[tokio::test]
async fn callers_transactions_hold_what_the_engine_does_in_them() {
    let database = PgBouncer::open().await;
    let store = database.store(&database.options());
    for commits in [false, true] {
        let mut tx = store.begin().await.unwrap();
        store.enqueue_in(&mut tx, &[job()], None).await.unwrap();
        if commits {
            tx.commit().await.unwrap();
        }
    }
    assert_eq!(claim(&store, 9).await.len(), 1);
    database.close().await;
}
