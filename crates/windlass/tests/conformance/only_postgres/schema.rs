use sqlx::{AssertSqlSafe, Executor};
use windlass::model::Enqueued;
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::{Error, Store};

use crate::backend::Postgres;
use crate::fixture::{Backend, job};

#[tokio::test]
async fn a_role_that_owns_only_the_schema_can_migrate_and_work() {
    let database = Postgres::open().await;
    let mut admin = database.connection().await;
    let role = format!("windlass_{}", uuid::Uuid::new_v4().simple());
    // Safe: the role's name is made of letters and hexadecimal digits.
    let given = format!(
        "drop schema jobs cascade;
         create role {role} login password 'pw';
         create schema jobs authorization {role};
         do $$ begin execute format('revoke create on database %I from public, {role}', current_database()); end $$;
         revoke all on schema public from public"
    );
    admin.execute(AssertSqlSafe(given)).await.unwrap();
    let url = database.url();
    let (_, at) = url.rsplit_once('@').unwrap();
    let store = PgStore::connect(
        &format!("postgres://{role}:pw@{at}"),
        &PgStoreOptions::default(),
    )
    .unwrap();
    let migrated = store.migrate().await.unwrap();
    assert_eq!((migrated.from, migrated.to > 0), (0, true));
    let job = job();
    let answers = store
        .enqueue(std::slice::from_ref(&job), None)
        .await
        .unwrap();
    assert_eq!(answers, [Enqueued::Inserted(job.id)]);
    store.maintain(None).await.unwrap();
    drop(store);
    let gone = format!("drop owned by {role} cascade; drop role {role}");
    admin.execute(AssertSqlSafe(gone)).await.unwrap();
    database.close().await;
}

#[tokio::test]
async fn a_missing_schema_is_named_with_the_remedy() {
    let database = Postgres::open().await;
    let store = database.store();
    database
        .connection()
        .await
        .execute("drop schema jobs cascade")
        .await
        .unwrap();
    assert_eq!(store.schema_version().await.unwrap(), 0);
    let error = store.enqueue(&[job()], None).await.unwrap_err();
    assert!(matches!(error, Error::Schema { found: 0, .. }), "{error:?}");
    assert!(error.to_string().contains("migration"), "{error}");
    database.close().await;
}
