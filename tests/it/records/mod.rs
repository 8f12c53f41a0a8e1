//! The product's own tables.

use metachat_jobs::compose;
use metachat_jobs::config::DatabaseOptions;
use tokio::task::JoinSet;

use crate::support::with_postgres;

fn options(url: &str) -> DatabaseOptions {
    DatabaseOptions {
        url: url.to_owned().into(),
        max_connections: 2,
        statement_timeout_ms: 30_000,
        migrate: true,
    }
}

/// Four programs start at once, and then one more.
async fn all_start(url: &str) {
    let mut starting = JoinSet::new();
    for _ in 0..4 {
        let database = compose::open(&options(url)).unwrap();
        starting.spawn(async move { compose::migrate(&database).await.unwrap() });
    }
    starting.join_all().await;
    let again = compose::open(&options(url)).unwrap();
    let made = compose::migrate(&again).await.unwrap();
    assert_eq!(made.engine.from, made.engine.to);
    again.records.prepare().await.unwrap();
}

#[tokio::test]
async fn many_programs_start_on_an_empty_postgres() {
    with_postgres(async |url| all_start(&url).await).await;
}

#[tokio::test]
async fn many_programs_start_on_an_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.db");
    all_start(&format!("sqlite:{}", file.display())).await;
}
