use std::time::Duration;

use sqlx::Executor;
use windlass::db::{Postgres as Db, PostgresOptions, SettingsDelivery};
use windlass::store::Store;
use windlass::store::postgres::{PgStore, PgStoreOptions};

use super::claim;
use crate::backend::Postgres;
use crate::fixture::{Backend, job};

#[tokio::test]
async fn settings_arrive_however_they_are_delivered() {
    let database = Postgres::open().await;
    for (delivery, expected) in [
        (SettingsDelivery::Startup, "off"),
        (SettingsDelivery::Session, "off"),
        (SettingsDelivery::Role, "on"),
    ] {
        let options = PostgresOptions {
            settings: vec![("enable_seqscan".to_owned(), "off".to_owned())],
            delivery,
            ..PostgresOptions::default()
        };
        let db = Db::new(&database.url(), &options).unwrap();
        let seen: String = sqlx::query_scalar("show enable_seqscan")
            .fetch_one(db.pool())
            .await
            .unwrap();
        assert_eq!(seen, expected, "{delivery:?}");
        db.pool().close().await;
    }
    database.close().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up_and_the_next_one_is_not_harmed() {
    let database = Postgres::open().await;
    let options = PgStoreOptions {
        call_timeout: Duration::from_secs(2),
        ..PgStoreOptions::default()
    };
    let store = PgStore::connect(&database.url(), &options).unwrap();
    store.enqueue(&[job()], None).await.unwrap();
    let mut blocker = database.connection().await;
    blocker
        .execute("begin; lock table jobs.jobs in access exclusive mode")
        .await
        .unwrap();
    let error = store.enqueue(&[job()], None).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    blocker.execute("rollback").await.unwrap();
    assert_eq!(
        claim(&store, 9).await.len(),
        1,
        "the given-up job is not there"
    );
    database.close().await;
}

#[tokio::test]
async fn a_killed_session_costs_one_call() {
    let database = Postgres::open().await;
    let store = database.store();
    store.enqueue(&[job()], None).await.unwrap();
    database
        .connection()
        .await
        .execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'windlass' and datname = current_database()")
        .await
        .unwrap();
    let error = store.enqueue(&[job()], None).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    store.enqueue(&[job()], None).await.unwrap();
    assert_eq!(claim(&store, 9).await.len(), 2);
    database.close().await;
}
