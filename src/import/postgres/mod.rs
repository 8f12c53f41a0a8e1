//! The table of apalis-postgres 1.0, and of apalis-sql before it, whose args are JSON rather than bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::postgres::{PgPool, PgPoolOptions};
use windlass::Timestamp;

use super::{Error, OldJob, Source};

mod sql;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// `apalis.jobs` of a database.
#[derive(Debug)]
pub struct Postgres {
    pool: PgPool,
    types: Option<Vec<String>>,
    running: bool,
}

impl Postgres {
    /// Jobs of some types, or of all if none is named; also those that run, if its workers are stopped.
    pub fn open(url: &str, types: &[String], running: bool) -> Result<Self, Error> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT)
            .connect_lazy(url)
            .map_err(|_| Error::Url("not a PostgreSQL URL".into()))?;
        Ok(Self {
            pool,
            types: (!types.is_empty()).then(|| types.to_vec()),
            running,
        })
    }
}

#[async_trait]
impl Source for Postgres {
    async fn waiting(&mut self) -> Result<Vec<String>, Error> {
        let waiting = sqlx::query_scalar(sql::WAITING)
            .bind(self.running)
            .bind(&self.types);
        Ok(waiting.fetch_all(&self.pool).await?)
    }

    async fn read(&mut self, ids: &[String]) -> Result<Vec<OldJob>, Error> {
        let read = sqlx::query_scalar(sql::READ).bind(ids);
        let rows: Vec<String> = read.fetch_all(&self.pool).await?;
        rows.iter().map(|row| old_job(row)).collect()
    }

    async fn hold(&mut self, ids: &[String]) -> Result<Vec<String>, Error> {
        let hold = sqlx::query_scalar(sql::HOLD).bind(ids).bind(self.running);
        Ok(hold.fetch_all(&self.pool).await?)
    }

    async fn release(&mut self, ids: &[String]) -> Result<(), Error> {
        sqlx::query(sql::RELEASE)
            .bind(ids)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn done(&mut self, ids: &[String]) -> Result<(), Error> {
        sqlx::query(sql::DONE).bind(ids).execute(&self.pool).await?;
        Ok(())
    }
}

/// A row of any version. What a version does not have is missing.
#[derive(Deserialize)]
struct Row<'a> {
    id: String,
    job_type: String,
    #[serde(borrow)]
    job: &'a RawValue,
    attempts: i64,
    max_attempts: i64,
    run_at: Timestamp,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    metadata: Option<serde_json::Value>,
    #[serde(default)]
    idempotency_key: Option<String>,
}

fn old_job(text: &str) -> Result<OldJob, Error> {
    // The message of the error could show what stands in the row.
    let strange = |error: serde_json::Error| {
        Error::Strange(format!(
            "a row of apalis.jobs cannot be read (column {})",
            error.column()
        ))
    };
    let row: Row<'_> = serde_json::from_str(text).map_err(strange)?;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(OldJob {
        payload: payload(row.job.get()),
        id: row.id,
        job_type: row.job_type,
        attempts: count(row.attempts),
        max_attempts: count(row.max_attempts),
        run_at: Some(row.run_at),
        priority: row.priority,
        metadata: texts(row.metadata),
        idempotency_key: row.idempotency_key,
    })
}

/// Bytes come as `"\x7b7d"`, JSON as it is. (No args of apalis are a text that begins like that.)
fn payload(job: &str) -> Vec<u8> {
    let bytes = job
        .strip_prefix(r#""\\x"#)
        .and_then(|rest| rest.strip_suffix('"'))
        .and_then(|digits| hex::decode(digits).ok());
    bytes.unwrap_or_else(|| job.as_bytes().to_vec())
}

/// The members of an object that are texts.
pub(super) fn texts(metadata: Option<serde_json::Value>) -> BTreeMap<String, String> {
    let Some(serde_json::Value::Object(metadata)) = metadata else {
        return BTreeMap::new();
    };
    let texts = metadata.into_iter().filter_map(|(key, value)| match value {
        serde_json::Value::String(text) => Some((key, text)),
        _ => None,
    });
    texts.collect()
}
