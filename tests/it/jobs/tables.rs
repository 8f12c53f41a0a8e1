//! How tables and indexes stand, and indexes made anew, on the real server.

use std::sync::Arc;
use std::time::Duration;

use metachat_jobs::jobs::{CheckTables, Reindex};
use metachat_jobs::platform::Advice;
use metachat_jobs::services::models::ModelOptions;
use serde_json::{Value, json};
use windlass::db::Db;
use windlass::{JobId, State};

use super::rig::{Rig, on_postgres, on_sqlite};

const INDEX: &str = "public.\"messages_externalId_idx\"";

async fn on_server<F: Future<Output = ()> + Send + 'static>(
    test: impl FnOnce(Arc<Rig>) -> F + Send + 'static,
) {
    on_postgres(ModelOptions::default(), test).await;
}

fn pool(rig: &Rig) -> &sqlx::PgPool {
    match &rig.db {
        Db::Postgres(db) => db.pool(),
        _ => panic!("not PostgreSQL"),
    }
}

async fn reindex(rig: &Rig, index: &str, lock_timeout_seconds: u32) -> JobId {
    let job = json!({"index": index, "lockTimeoutSeconds": lock_timeout_seconds});
    let job: Reindex = serde_json::from_value(job).unwrap();
    rig.client.enqueue(&job).await.unwrap().id()
}

/// What the report says of these.
async fn advice(rig: &Rig) -> Vec<(String, Vec<Advice>)> {
    let report = rig.platform.tables_report().await.unwrap().advised();
    let tables = report.tables.into_iter().map(|t| (t.what.name, t.advice));
    let indexes = report.indexes.into_iter().map(|i| (i.what.name, i.advice));
    tables.chain(indexes).collect()
}

/// The file that an index is in: another one after it was made anew.
async fn file(rig: &Rig, index: &str) -> u32 {
    let file = sqlx::query_scalar::<_, sqlx::postgres::types::Oid>(
        "select pg_relation_filenode(to_regclass($1))",
    );
    file.bind(index).fetch_one(pool(rig)).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_wants_upkeep_is_reported_and_the_rest_is_not() {
    on_server(async |rig| {
        assert_eq!(advice(&rig).await, []);
        // Autovacuum must not get there first. The numbers are those of this connection once it says so.
        let mut connection = pool(&rig).acquire().await.unwrap();
        sqlx::raw_sql(
            "alter table usage_tracking set (autovacuum_enabled = false);
             insert into usage_tracking (tenant_id, period_start, period_end)
                 select 'acme', timestamp '1000-01-01' + n * interval '1 day', now() from generate_series(1, 5000) n;
             analyze usage_tracking;
             update usage_tracking set messages_count = 1;
             create table dull (n integer);
             insert into dull values (1), (1);",
        )
        .execute(&mut *connection)
        .await
        .unwrap();
        let broken = "create unique index concurrently dull_once on dull (n)";
        sqlx::raw_sql(broken).execute(&mut *connection).await.unwrap_err();
        sqlx::raw_sql("select pg_stat_force_next_flush(); select 1;")
            .execute(&mut *connection)
            .await
            .unwrap();
        let expected = [
            ("public.usage_tracking".to_owned(), vec![Advice::Vacuum]),
            ("public.dull_once".to_owned(), vec![Advice::Invalid]),
        ];
        assert_eq!(advice(&rig).await, expected);

        let job = rig.client.enqueue(&CheckTables::default()).await.unwrap().id();
        let result = rig.result(job).await;
        assert_eq!(result["tables"][0]["name"], "public.usage_tracking");
        assert_eq!(result["tables"][0]["dead_rows"], 5_000);
        assert_eq!(result["indexes"][0]["advice"], json!(["invalid"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bloated_index_is_reported_and_made_anew() {
    on_server(async |rig| {
        // In one connection, which counts what it did before it cleans up.
        let mut connection = pool(&rig).acquire().await.unwrap();
        for statements in [
            "create table wide (n integer, words text);
             alter table wide set (autovacuum_enabled = false);
             insert into wide select n, repeat('x', 200) || n from generate_series(1, 60000) n;
             create index wide_words on wide (words);
             delete from wide where n % 10 <> 0;",
            "select pg_stat_force_next_flush()",
            "vacuum analyze wide",
        ] {
            let done = sqlx::raw_sql(statements).execute(&mut *connection);
            done.await.unwrap();
        }
        drop(connection);
        let expected = [("public.wide_words".to_owned(), vec![Advice::Bloated])];
        assert_eq!(advice(&rig).await, expected);
        let before = file(&rig, "public.wide_words").await;
        let job = reindex(&rig, "public.wide_words", 60).await;
        let expected = json!({"index": "public.wide_words", "dropped": []});
        assert_eq!(rig.result(job).await, expected);
        assert_ne!(file(&rig, "public.wide_words").await, before);
        assert_eq!(advice(&rig).await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reindex_that_is_cancelled_ends_and_leaves_nothing_for_good() {
    on_server(async |rig| {
        // Someone who writes and does not commit: the new index is begun, and waits.
        let mut writer = pool(&rig).begin().await.unwrap();
        sqlx::raw_sql("lock table messages in row exclusive mode")
            .execute(&mut *writer)
            .await
            .unwrap();
        let job = reindex(&rig, INDEX, 3600).await;
        let begun = async {
            let mut pulse = tokio::time::interval(Duration::from_millis(10));
            let sql =
                "select count(*) from pg_class where relname = 'messages_externalId_idx_ccnew'";
            while sqlx::query_scalar::<_, i64>(sql)
                .fetch_one(pool(&rig))
                .await
                .unwrap()
                == 0
            {
                pulse.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), begun)
            .await
            .expect("it did not begin");
        rig.client.cancel(job, None).await.unwrap();
        assert_eq!(rig.finished(job).await.state, State::Cancelled);
        let leftover = "public.\"messages_externalId_idx_ccnew\"".to_owned();
        assert_eq!(
            advice(&rig).await,
            [(leftover.clone(), vec![Advice::Leftover])]
        );
        writer.rollback().await.unwrap();

        let before = file(&rig, INDEX).await;
        let result = rig.result(reindex(&rig, INDEX, 60).await).await;
        assert_eq!(result, json!({"index": INDEX, "dropped": [leftover]}));
        assert_ne!(file(&rig, INDEX).await, before);
        assert_eq!(advice(&rig).await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reindex_waits_for_others_no_longer_than_it_may() {
    on_server(async |rig| {
        let mut writer = pool(&rig).begin().await.unwrap();
        sqlx::raw_sql("lock table messages in row exclusive mode")
            .execute(&mut *writer)
            .await
            .unwrap();
        let job = reindex(&rig, INDEX, 1).await;
        let failed = rig.until(job, |job| !job.attempts.is_empty()).await;
        let error = failed.attempts[0].error.clone().unwrap().message;
        assert!(
            error.contains("held on to the table for longer than 1s"),
            "{error}"
        );
        rig.client.cancel(job, None).await.unwrap();
        writer.rollback().await.unwrap();
    })
    .await;
}

/// Names are looked up in the catalogue, and never put into a statement.
async fn refused(rig: Arc<Rig>) {
    for index in [
        "public.nowhere",
        "messages_id_idx",
        "pg_catalog.pg_class_oid_index",
        "public.messages_id_idx; drop table messages",
        "",
    ] {
        let job = rig.finished(reindex(&rig, index, 1).await).await;
        assert_eq!((job.state, job.attempt), (State::Dead, 1), "{index}");
        let error = job.attempts[0].error.clone().unwrap().message;
        assert!(
            error.starts_with("index: there is none of this name"),
            "{error}"
        );
    }
    let nothing: Value = serde_json::from_str(r#"{"tables": [], "indexes": []}"#).unwrap();
    let job = rig
        .client
        .enqueue(&CheckTables::default())
        .await
        .unwrap()
        .id();
    assert_eq!(rig.result(job).await, nothing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_index_of_the_report_is_made_anew() {
    on_server(refused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_there_is_nothing_to_be_done() {
    on_sqlite(ModelOptions::default(), refused).await;
}
