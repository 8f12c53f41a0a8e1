use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;
use windlass::model::{JobId, JobRecord, Recorded, State};
use windlass::store::Store;

use super::claim;
use crate::backend::Postgres;
use crate::fixture::{Backend, ended};

async fn call(connection: &mut PgConnection, arguments: &str) -> Result<JobId, sqlx::Error> {
    let call = format!("select jobs.enqueue({arguments})");
    // Safe: the arguments are written in this file.
    let row = sqlx::query(sqlx::AssertSqlSafe(call))
        .fetch_one(connection)
        .await?;
    Ok(JobId::from_uuid(row.try_get::<Uuid, _>(0)?))
}

async fn get(store: &impl Store, id: JobId) -> JobRecord {
    store.get(id, None, None).await.unwrap().unwrap()
}

#[tokio::test]
async fn defaults_are_those_of_a_new_job() {
    let database = Postgres::open().await;
    let (store, mut connection) = (database.store(), database.connection().await);
    let id = call(&mut connection, "'work'").await.unwrap();
    let job = get(&store, id).await;
    let new = windlass::NewJob::new("work", windlass::Json::empty_object());
    assert_eq!(
        (&job.kind, &job.queue, &job.args),
        (&new.kind, &new.queue, &new.args)
    );
    assert_eq!(
        (job.priority, job.max_attempts),
        (new.priority, new.max_attempts)
    );
    assert_eq!((job.state, job.run_at), (State::Available, job.enqueued_at));
    assert_eq!(id.as_uuid().get_version_num(), 7);
    assert_eq!(claim(&store, 2).await[0].id, id);
    database.close().await;
}

#[tokio::test]
async fn takes_all_that_a_job_can_be() {
    let database = Postgres::open().await;
    let (store, mut connection) = (database.store(), database.connection().await);
    let id = call(
        &mut connection,
        r#"kind => 'work', args => '{"n": 1.0, "t": "\u0000"}', queue => 'mail', priority => 0,
           delay => interval '1 hour', max_attempts => 3, tenant_id => 't1', correlation_id => 'c1',
           ordering_key => 'o1', unique_key => 'u1', unique_window => interval '1 day',
           tags => '{a,"b c"}', trace_parent => '00-1-2-3'"#,
    )
    .await
    .unwrap();
    let job = get(&store, id).await;
    assert_eq!(job.args.as_str(), r#"{"n": 1.0, "t": "\u0000"}"#);
    assert_eq!(
        (job.queue.as_str(), job.priority, job.max_attempts),
        ("mail", 0, 3)
    );
    assert_eq!(job.state, State::Scheduled);
    assert_eq!(job.run_at.since(job.enqueued_at).as_secs(), 3600);
    assert_eq!(job.tenant_id.as_deref(), Some("t1"));
    assert_eq!(job.correlation_id.as_deref(), Some("c1"));
    assert_eq!(job.ordering_key.as_deref(), Some("o1"));
    assert_eq!(job.unique_key.as_deref(), Some("u1"));
    assert_eq!(job.trace_parent.as_deref(), Some("00-1-2-3"));
    assert_eq!(job.tags, ["a", "b c"]);
    database.close().await;
}

#[tokio::test]
async fn commits_with_the_callers_rows_or_not_at_all() {
    let database = Postgres::open().await;
    let (store, mut connection) = (database.store(), database.connection().await);
    let mut tx = connection.begin().await.unwrap();
    let id = call(&mut tx, "'work'").await.unwrap();
    assert_eq!(store.get(id, None, None).await.unwrap(), None);
    tx.rollback().await.unwrap();
    assert_eq!(store.get(id, None, None).await.unwrap(), None);
    database.close().await;
}

#[tokio::test]
async fn shares_unique_keys_with_the_client() {
    let database = Postgres::open().await;
    let (store, mut connection) = (database.store(), database.connection().await);
    let arguments = "'work', unique_key => 'u', tenant_id => 't'";
    let id = call(&mut connection, arguments).await.unwrap();
    assert_eq!(call(&mut connection, arguments).await.unwrap(), id);
    let same = crate::fixture::job_with(|job| {
        job.tenant_id = Some("t".to_owned());
        job.unique = Some(windlass::model::Unique {
            key: "u".to_owned(),
            window: None,
            conflict: windlass::model::Conflict::ReturnExisting,
        });
    });
    let answer = store.enqueue(&[same], None).await.unwrap();
    assert_eq!(answer, [windlass::model::Enqueued::Duplicate(id)]);

    let lease = claim(&store, 1).await[0].lease();
    let end = ended(lease, windlass::model::Verdict::Complete { result: None });
    assert_eq!(store.finish(&[end], None).await.unwrap(), [Recorded::Yes]);
    assert_ne!(call(&mut connection, arguments).await.unwrap(), id);
    database.close().await;
}

#[tokio::test]
async fn keeps_the_order_of_a_key() {
    let database = Postgres::open().await;
    let (store, mut connection) = (database.store(), database.connection().await);
    let arguments = "'work', ordering_key => 'o'";
    let first = call(&mut connection, arguments).await.unwrap();
    let second = call(&mut connection, arguments).await.unwrap();
    assert_eq!(get(&store, first).await.state, State::Available);
    assert_eq!(get(&store, second).await.state, State::Waiting);
    database.close().await;
}

#[tokio::test]
async fn a_fault_names_its_field_and_the_remedy() {
    let database = Postgres::open().await;
    let mut connection = database.connection().await;
    for (arguments, field) in [
        ("null", "kind"),
        ("'a b'", "kind"),
        ("'work', queue => ''", "queue"),
        ("'work', args => null", "args"),
        ("'work', args => to_json(repeat('x', 1048576))", "args"),
        ("'work', priority => 10", "priority"),
        ("'work', max_attempts => 0", "max_attempts"),
        ("'work', run_at => now(), delay => interval '1 s'", "delay"),
        ("'work', run_at => 'infinity'", "run_at"),
        ("'work', run_at => '10000-01-01'", "run_at"),
        ("'work', unique_window => interval '1 s'", "unique_window"),
        (
            "'work', unique_key => 'k', unique_window => interval '0'",
            "unique_window",
        ),
        (
            "'work', unique_key => 'k', unique_window => interval '-1 s'",
            "unique_window",
        ),
        ("'work', tenant_id => ''", "tenant_id"),
        ("'work', ordering_key => E'a\\nb'", "ordering_key"),
        ("'work', unique_key => repeat('x', 513)", "unique_key"),
        ("'work', tags => array[null]", "tags"),
        ("'work', tags => array_fill('t'::text, array[33])", "tags"),
    ] {
        let error = call(&mut connection, arguments).await.unwrap_err();
        let error = error.into_database_error().unwrap();
        assert_eq!(error.code().as_deref(), Some("22023"), "{arguments}");
        assert!(
            error.message().starts_with(&format!("{field}: ")),
            "{arguments}: {error}"
        );
        let error = error.downcast::<sqlx::postgres::PgDatabaseError>();
        assert!(
            error.hint().is_some_and(|hint| !hint.is_empty()),
            "{arguments}"
        );
    }
    database.close().await;
}
