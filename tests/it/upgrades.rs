//! What a process does at its start about tables that are not its own version's.

use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};

use crate::support::with_postgres;

async fn a_process_that_may_not_migrate_says_what_is_missing(url: &str) {
    let options = |migrate: &str| {
        let flags = [("database.url", url), ("database.migrate", migrate)];
        let sources = Sources {
            flags: flags
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .to_vec(),
            ..Sources::default()
        };
        Config::load(&sources).unwrap().database
    };
    let looks = options("false");
    let database = compose::open(&looks).unwrap();
    let refused = compose::prepare(&database, &looks)
        .await
        .unwrap_err()
        .to_string();
    for told in [
        "at version 0",
        "0001_jobs, 0002_control",
        "`jobctl migrate`",
        "database.migrate",
    ] {
        assert!(refused.contains(told), "{refused} does not tell {told}");
    }
    assert_eq!(
        database.store.schema_version().await.unwrap(),
        0,
        "nothing was made"
    );

    let migrates = options("true");
    compose::prepare(&database, &migrates).await.unwrap();
    compose::prepare(&database, &looks).await.unwrap();
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.db");
    a_process_that_may_not_migrate_says_what_is_missing(&format!("sqlite:{}", file.display()))
        .await;
}

#[tokio::test]
async fn on_postgres() {
    with_postgres(async |url| a_process_that_may_not_migrate_says_what_is_missing(&url).await)
        .await;
}
