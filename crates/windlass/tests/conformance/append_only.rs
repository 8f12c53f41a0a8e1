//! The databases themselves refuse to have the audit log changed.

use sqlx::{Connection, Executor};
use windlass::model::{Audit, AuditFilter};
use windlass::store::Control;

use crate::backend::{Postgres, Sqlite};
use crate::fixture::Backend;

const CHANGES: [&str; 2] = ["update jobs.audit set actor = 'eve'", "truncate jobs.audit"];

#[tokio::test]
async fn postgres_refuses_to_change_the_audit_log() {
    let database = Postgres::open().await;
    let store = database.store();
    let audit = Audit::new("ada", "job.cancel", "job/1");
    store.record_audit(&audit, None).await.unwrap();
    let mut connection = database.connection().await;
    for change in CHANGES {
        let error = connection.execute(change).await.unwrap_err();
        assert!(error.to_string().contains("only added to"), "{error}");
    }
    let log = store
        .audit(&AuditFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(log[0].audit, audit);
    connection.close().await.unwrap();
    drop(store);
    database.close().await;
}

#[tokio::test]
async fn sqlite_refuses_to_change_the_audit_log() {
    let database = Sqlite::open().await;
    let store = database.handle().await;
    let audit = Audit::new("ada", "job.cancel", "job/1");
    store.record_audit(&audit, None).await.unwrap();
    let mut tx = database.begin().await;
    let change = tx
        .sqlite()
        .unwrap()
        .execute("update job_audit set actor = 'eve'");
    let error = change.await.unwrap_err();
    assert!(error.to_string().contains("only added to"), "{error}");
    drop(tx);
    let log = store
        .audit(&AuditFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(log[0].audit, audit);
}
