//! However much is asked at once, a process has its connections and no more.

use std::sync::Arc;
use std::time::Duration;

use metachat_jobs::compose;
use metachat_jobs::config::DatabaseOptions;
use metachat_jobs::jobs::retrieve;
use metachat_jobs::platform::{Platform, RagSettings};
use metachat_jobs::services::models::{ModelOptions, Models};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use windlass::db::Db;
use windlass::engine::RetryAfter;

use crate::platform::fixture::{chunk, ready, tenant};
use crate::support::{postgres, with_postgres};

const CONNECTIONS: u32 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_retrievals_at_once_need_no_more_connections() {
    with_postgres(async move |url| {
        let options = DatabaseOptions {
            url: url.clone().into(),
            max_connections: CONNECTIONS,
            statement_timeout_ms: 30_000,
            migrate: true,
        };
        let database = compose::open(&options).unwrap();
        compose::migrate(&database).await.unwrap();
        let platform = database.platform.clone();
        for n in 0..10 {
            let id = format!("tenant-{n}");
            tenant(&platform, &id).await;
            let chunks = [chunk(0, &format!("umbrella of {id}"), &[1.0, 0.5])];
            ready(&platform, &id, "FAQ", &chunks).await;
        }
        let (stop, watcher) = watch(postgres(&url, &[]));
        for round in 0..2 {
            retrieve_thousand_times(&platform).await;
            let idle = database.platform.tenant("tenant-0").await.unwrap();
            assert!(idle.is_some(), "and it goes on after round {round}");
        }
        stop.cancel();
        let seen = watcher.await.unwrap();
        assert!(seen.len() > 10, "it was watched: {seen:?}");
        let most = seen.iter().max().unwrap();
        // The store has connections of its own, which making the tables used.
        let bound = i64::from(CONNECTIONS) + 8;
        assert!(*most <= bound, "{most} connections, bound {bound}");
        let last = seen.last().unwrap();
        assert!(last <= most, "{last} at the end, {most} at most");
    })
    .await;
}

async fn retrieve_thousand_times(platform: &Platform) {
    let models = Arc::new(Models::new(&ModelOptions::default()).unwrap());
    let mut asking = JoinSet::new();
    for n in 0..1000 {
        let (platform, models) = (platform.clone(), Arc::clone(&models));
        asking.spawn(async move {
            let (tenant, settings) = (format!("tenant-{}", n % 10), RagSettings::default());
            let found = loop {
                let question = "Where is my umbrella?";
                match retrieve(&platform, &models, &tenant, &settings, question).await {
                    Ok(found) => break found,
                    // No connection came free in time: a job would wait, and so does this.
                    Err(error) => assert!(error.is::<RetryAfter>(), "{error:#}"),
                }
            };
            assert_eq!(found.len(), 1);
            assert_eq!(
                found[0].hit.content.as_str(),
                format!("umbrella of {tenant}")
            );
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
}

/// Counts the program's connections again and again, through a connection of another name.
fn watch(db: Db) -> (CancellationToken, tokio::task::JoinHandle<Vec<i64>>) {
    let Db::Postgres(db) = db else {
        panic!("not PostgreSQL")
    };
    let stop = CancellationToken::new();
    let told = stop.clone();
    let watcher = tokio::spawn(async move {
        let mut pulse = tokio::time::interval(Duration::from_millis(10));
        let mut seen = Vec::new();
        while !told.is_cancelled() {
            pulse.tick().await;
            let count: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity \
                 where datname = current_database() and application_name = 'metachat-jobs'",
            )
            .fetch_one(db.pool())
            .await
            .unwrap();
            seen.push(count);
        }
        seen
    });
    (stop, watcher)
}

#[tokio::test]
async fn a_connection_is_named_in_utc_and_bounded_in_time() {
    with_postgres(async move |url| {
        let options = DatabaseOptions {
            url: url.into(),
            max_connections: 2,
            statement_timeout_ms: 12_345,
            migrate: true,
        };
        let database = compose::open(&options).unwrap();
        compose::migrate(&database).await.unwrap();
        let mut tx = database.platform.begin("acme").await.unwrap();
        let settings: (String, String, String, String) = sqlx::query_as(
            "select current_setting('application_name'), current_setting('timezone'), \
             current_setting('statement_timeout'), current_setting('app.tenant_id')",
        )
        .fetch_one(tx.postgres().unwrap())
        .await
        .unwrap();
        let own = |text: &str| text.to_owned();
        let expected = (
            own("metachat-jobs"),
            own("UTC"),
            own("12345ms"),
            own("acme"),
        );
        assert_eq!(settings, expected);
    })
    .await;
}
