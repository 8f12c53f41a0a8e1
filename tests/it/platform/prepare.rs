use metachat_jobs::platform::{Error, Platform, Prepared};
use tokio::task::JoinSet;
use windlass::db::Db;

use super::fixture::{make_existing, run};
use crate::support::{postgres, sqlite, with_postgres};

/// Everything a migration could make or change.
async fn relations(db: &Db) -> Vec<String> {
    let Db::Postgres(db) = db else {
        panic!("not PostgreSQL")
    };
    sqlx::query_scalar(include_str!("queries/relations.sql"))
        .fetch_all(db.pool())
        .await
        .unwrap()
}

fn problems(prepared: Result<Prepared, Error>) -> Vec<String> {
    match prepared {
        Err(Error::Schema { problems }) => problems,
        other => panic!("expected a schema that does not fit, got {other:?}"),
    }
}

#[tokio::test]
async fn an_empty_database_gets_its_tables_once_however_many_start() {
    with_postgres(async |url| {
        let db = postgres(&url, &[]);
        let mut starting = JoinSet::new();
        for _ in 0..4 {
            let platform = Platform::new(postgres(&url, &[]));
            starting.spawn(async move { platform.prepare().await.unwrap() });
        }
        let prepared = starting.join_all().await;
        assert_eq!(prepared, [const { Prepared::Ours }; 4]);
        let made = relations(&db).await;
        assert!(
            made.iter()
                .any(|line| line == "chunks r embedding vector(1024)"),
            "{made:#?}"
        );
        let again = Platform::new(db.clone()).prepare().await.unwrap();
        assert_eq!(again, Prepared::Ours);
        assert_eq!(relations(&db).await, made);
    })
    .await;
}

#[tokio::test]
async fn a_rehearsal_makes_nothing() {
    with_postgres(async |url| {
        let db = postgres(&url, &[]);
        let before = relations(&db).await;
        let rehearsed = Platform::new(db.clone()).rehearse().await.unwrap();
        assert_eq!(rehearsed, Prepared::Ours);
        assert_eq!(relations(&db).await, before);
    })
    .await;
}

#[tokio::test]
async fn an_existing_platform_is_not_touched() {
    with_postgres(async |url| {
        let db = make_existing(&url).await;
        let before = relations(&db).await;
        let prepared = Platform::new(db.clone()).prepare().await.unwrap();
        assert_eq!(prepared, Prepared::Existing { warnings: vec![] });
        assert_eq!(relations(&db).await, before);
    })
    .await;
}

#[tokio::test]
async fn a_database_with_some_of_the_tables_is_refused_and_not_touched() {
    with_postgres(async |url| {
        let db = postgres(&url, &[]);
        run(
            &db,
            "create table tenants (id text, name text, enabled boolean)",
        )
        .await;
        let before = relations(&db).await;
        let problems = problems(Platform::new(db.clone()).prepare().await);
        assert_eq!(
            problems,
            [
                "column tenants.settings is missing",
                "column tenants.createdAt is missing",
                "column tenants.updatedAt is missing",
                "column tenants.current_plan_id is missing",
                "table tenant_secrets is missing",
                "table usage_tracking is missing",
                "table channels is missing",
                "table conversations is missing",
                "table messages is missing",
                "table events is missing",
                "table webhooks is missing",
                "table documents is missing",
                "table chunks is missing",
                "table message_metrics is missing",
            ]
        );
        assert_eq!(relations(&db).await, before);
    })
    .await;
}

#[tokio::test]
async fn what_will_not_work_on_an_existing_platform_is_said() {
    with_postgres(async |url| {
        let db = make_existing(&url).await;
        run(&db, include_str!("migrations/break.sql")).await;
        let role = [("role", "metachat_jobs_test")];
        let prepared = Platform::new(postgres(&url, &role)).prepare().await;
        let Ok(Prepared::Existing { warnings }) = prepared else {
            panic!("expected an existing platform, got {prepared:?}");
        };
        assert_eq!(warnings.len(), 3, "{warnings:#?}");
        assert!(warnings[0].contains("hides every row of events from this role"));
        assert!(warnings[1].contains("chunks.embedding is vector(1536)"));
        assert!(warnings[2].contains("index chunks_embedding_ivfflat_idx is a btree"));
    })
    .await;
}

#[tokio::test]
async fn a_vector_type_out_of_sight_is_explained_and_nothing_remains() {
    with_postgres(async |url| {
        let db = postgres(&url, &[]);
        run(
            &db,
            "create schema elsewhere; create extension vector schema elsewhere",
        )
        .await;
        let before = relations(&db).await;
        let problems = problems(Platform::new(db.clone()).prepare().await);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("lives in schema elsewhere"),
            "{problems:?}"
        );
        assert_eq!(relations(&db).await, before);
    })
    .await;
}

#[tokio::test]
async fn a_role_that_may_make_no_tables_is_told_so() {
    with_postgres(async |url| {
        let db = make_existing(&url).await;
        run(
            &db,
            "create schema fresh; grant usage on schema fresh to metachat_jobs_test",
        )
        .await;
        let settings = [("role", "metachat_jobs_test"), ("search_path", "fresh")];
        let problems = problems(Platform::new(postgres(&url, &settings)).prepare().await);
        assert!(
            problems[0].contains("lives in schema public"),
            "{problems:?}"
        );
        run(&db, "alter extension vector set schema fresh").await;
        let prepared = Platform::new(postgres(&url, &settings)).prepare().await;
        let error = prepared.unwrap_err();
        assert!(
            error.to_string().contains("may not make the tables"),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_sqlite_file_gets_its_tables_once_and_a_strangers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let Db::Sqlite(db) = sqlite(folder.path()) else {
        panic!("not SQLite")
    };
    sqlx::raw_sql("create table tenants (id text)")
        .execute(db.writer())
        .await
        .unwrap();
    let platform = Platform::new(Db::Sqlite(db.clone()));
    let problems = problems(platform.prepare().await);
    assert_eq!(problems[0], "column tenants.name is missing");
    assert_eq!(problems.last().unwrap(), "table message_metrics is missing");

    sqlx::raw_sql("drop table tenants")
        .execute(db.writer())
        .await
        .unwrap();
    assert_eq!(platform.prepare().await.unwrap(), Prepared::Ours);
    assert_eq!(platform.prepare().await.unwrap(), Prepared::Ours);
}
