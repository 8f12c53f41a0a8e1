//! How tables and indexes stand, as whoever is allowed to look sees it.

use std::time::Duration;

use metachat_jobs::platform::{Platform, Reindexed};
use tokio_util::sync::CancellationToken;

use super::fixture::on_existing;
use crate::support::{on_postgres, on_sqlite};

const TABLE: &str = "public.conversations";
const INDEX: &str = "public.conversations_pkey";

async fn reported(platform: &Platform) -> (bool, bool) {
    let report = platform.tables_report().await.unwrap();
    let table = report.tables.iter().any(|table| table.what.name == TABLE);
    let index = report.indexes.iter().find(|index| index.what.name == INDEX);
    if let Some(index) = index {
        assert_eq!(index.what.table, TABLE);
        assert_eq!((index.what.valid, index.advice.len()), (true, 0));
    }
    (table, index.is_some())
}

async fn reindex(platform: &Platform) -> Reindexed {
    let patience = Duration::from_secs(10);
    let done = platform.reindex(INDEX, patience, CancellationToken::new());
    done.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_sees_and_may_do_everything() {
    on_postgres(async |platform| {
        assert_eq!(reported(&platform).await, (true, true));
        assert_eq!(
            reindex(&platform).await,
            Reindexed::Done { dropped: vec![] }
        );
        assert_eq!(reported(&platform).await, (true, true));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_role_sees_everything_and_is_told_what_it_may_not() {
    on_existing(async |platform| {
        assert_eq!(reported(&platform).await, (true, true));
        assert_eq!(reindex(&platform).await, Reindexed::Denied);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_has_nothing_to_report() {
    on_sqlite(async |platform| {
        assert_eq!(reported(&platform).await, (false, false));
        assert_eq!(reindex(&platform).await, Reindexed::Unknown);
    })
    .await;
}
