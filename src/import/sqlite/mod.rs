//! The table of apalis-sqlite 1.0, and of apalis-sql before it, which lacks some columns.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{ColumnIndex, Decode, Row, Sqlite as Dialect, Type};
use windlass::Timestamp;

use super::{Error, OldJob, Source};

mod sql;

/// How long to wait for the file's lock.
const BUSY: Duration = Duration::from_secs(10);

/// `Jobs` of a file.
#[derive(Debug)]
pub struct Sqlite {
    pool: SqlitePool,
    types: Option<String>,
    running: bool,
}

impl Sqlite {
    /// Jobs of some types, or of all if none is named; also those that run, if its workers are stopped.
    pub fn open(url: &str, types: &[String], running: bool) -> Result<Self, Error> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|_| Error::Url("expected sqlite:FILE".into()))?
            .create_if_missing(false)
            .busy_timeout(BUSY);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY)
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            types: (!types.is_empty()).then(|| array(types)),
            running,
        })
    }
}

/// Texts as a JSON array.
fn array(texts: &[String]) -> String {
    serde_json::Value::from(texts).to_string()
}

#[async_trait]
impl Source for Sqlite {
    async fn waiting(&mut self) -> Result<Vec<String>, Error> {
        let waiting = sqlx::query_scalar(sql::WAITING)
            .bind(self.running)
            .bind(&self.types);
        Ok(waiting.fetch_all(&self.pool).await?)
    }

    async fn read(&mut self, ids: &[String]) -> Result<Vec<OldJob>, Error> {
        let read = sqlx::query(sql::READ).bind(array(ids));
        let rows = read.fetch_all(&self.pool).await?;
        rows.iter().map(old_job).collect()
    }

    async fn hold(&mut self, ids: &[String]) -> Result<Vec<String>, Error> {
        let hold = sqlx::query_scalar(sql::HOLD)
            .bind(array(ids))
            .bind(self.running);
        Ok(hold.fetch_all(&self.pool).await?)
    }

    async fn release(&mut self, ids: &[String]) -> Result<(), Error> {
        sqlx::query(sql::RELEASE)
            .bind(array(ids))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn done(&mut self, ids: &[String]) -> Result<(), Error> {
        sqlx::query(sql::DONE)
            .bind(array(ids))
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

fn old_job(row: &SqliteRow) -> Result<OldJob, Error> {
    let count = |name| Ok::<_, Error>(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0));
    let at: i64 = row.try_get("run_at")?;
    let metadata: Option<String> = there(row, "metadata")?;
    let metadata = metadata.and_then(|text| serde_json::from_str(&text).ok());
    Ok(OldJob {
        id: row.try_get("id")?,
        job_type: row.try_get("job_type")?,
        // Text in the older table, a blob in the newer one: either way these bytes.
        payload: row.try_get_unchecked("job")?,
        attempts: count("attempts")?,
        max_attempts: count("max_attempts")?,
        run_at: Some(Timestamp::from_micros(at.saturating_mul(1_000_000))),
        priority: there(row, "priority")?.unwrap_or(0),
        metadata: super::postgres::texts(metadata),
        idempotency_key: there(row, "idempotency_key")?,
    })
}

/// A value that may be null, of a column that this version of the table may not have.
fn there<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<Option<T>, Error>
where
    T: Decode<'r, Dialect> + Type<Dialect>,
    &'static str: ColumnIndex<SqliteRow>,
{
    match row.try_get(name) {
        Ok(value) => Ok(value),
        Err(sqlx::Error::ColumnNotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
