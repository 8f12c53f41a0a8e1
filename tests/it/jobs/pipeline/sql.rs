//! Looks into tables, and changes them as the platform's other programs do, in either dialect.

use metachat_jobs::platform::Platform;

use crate::jobs::rig::TENANT;

/// Runs a statement that both dialects understand.
pub(crate) async fn run(platform: &Platform, statement: &'static str) {
    let mut tx = platform.begin(TENANT).await.unwrap();
    if let Some(connection) = tx.postgres() {
        sqlx::raw_sql(statement).execute(connection).await.unwrap();
    } else {
        let connection = tx.sqlite().unwrap();
        sqlx::raw_sql(statement).execute(connection).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// The one number that a query finds, cast to bigint.
pub(crate) async fn number(platform: &Platform, query: &'static str) -> i64 {
    let mut tx = platform.begin(TENANT).await.unwrap();
    if let Some(connection) = tx.postgres() {
        sqlx::query_scalar(query).fetch_one(connection).await
    } else {
        let connection = tx.sqlite().unwrap();
        sqlx::query_scalar(query).fetch_one(connection).await
    }
    .unwrap()
}

/// The texts that a query finds, cast to text.
pub(crate) async fn texts(platform: &Platform, query: &'static str) -> Vec<String> {
    let mut tx = platform.begin(TENANT).await.unwrap();
    if let Some(connection) = tx.postgres() {
        sqlx::query_scalar(query).fetch_all(connection).await
    } else {
        let connection = tx.sqlite().unwrap();
        sqlx::query_scalar(query).fetch_all(connection).await
    }
    .unwrap()
}
