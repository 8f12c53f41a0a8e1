//! Settings and the audit log.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::super::control::{MAX_AUDIT_PAGE, MAX_CANCEL_REQUESTS};
use super::super::{ChangeSetting, Changed, Control, Error, Matched, Operate, SettingChanged};
use super::rows::{self, micros};
use super::{SqliteStore, at, connection, operate, read, timed};
use crate::db;
use crate::model::{
    Audit, AuditEntry, AuditFilter, Filter, Found, Json, Lease, Page, Setting, Timestamp,
};

const SETTING: &str = include_str!("sql/setting.sql");
const SETTINGS: &str = include_str!("sql/settings.sql");
const SETTINGS_VERSION: &str = include_str!("sql/settings_version.sql");
const ADVANCE_SETTINGS: &str = include_str!("sql/advance_settings.sql");
const PUT_SETTING: &str = include_str!("sql/put_setting.sql");
const DELETE_SETTING: &str = include_str!("sql/delete_setting.sql");
const CANCEL_REQUESTS: &str = include_str!("sql/cancel_requests.sql");
const AUDIT: &str = include_str!("sql/audit.sql");
const RECORD_AUDIT: &str = include_str!("sql/record_audit.sql");
const PRUNE_AUDIT: &str = include_str!("sql/prune_audit.sql");

#[async_trait]
impl Control for SqliteStore {
    async fn change_setting(&self, change: ChangeSetting<'_>) -> Result<SettingChanged, Error> {
        timed(change_setting(&self.db, &change)).await
    }

    async fn settings(&self, space: Option<&str>) -> Result<Vec<Setting>, Error> {
        timed(async {
            let rows = sqlx::query(SETTINGS)
                .bind(space)
                .fetch_all(self.db.readers())
                .await?;
            rows.iter().map(setting).collect()
        })
        .await
    }

    async fn settings_version(&self) -> Result<i64, Error> {
        timed(async {
            let version = sqlx::query_scalar(SETTINGS_VERSION);
            Ok(version.fetch_one(self.db.readers()).await?)
        })
        .await
    }

    async fn cancel_requests(&self, worker: &str) -> Result<Vec<Lease>, Error> {
        timed(async {
            let rows = sqlx::query(CANCEL_REQUESTS)
                .bind(worker)
                .bind(MAX_CANCEL_REQUESTS)
                .fetch_all(self.db.readers())
                .await?;
            rows.iter().map(lease).collect()
        })
        .await
    }

    async fn operate(&self, operate: Operate<'_>) -> Result<Vec<Changed>, Error> {
        let (changed, woken) = timed(operate::operate_on(&self.db, &operate)).await?;
        self.wake(woken);
        Ok(changed)
    }

    async fn matching(
        &self,
        filter: &Filter,
        page: Page,
        now: Option<Timestamp>,
    ) -> Result<Found<Matched>, Error> {
        timed(read::matching(&self.db, filter, page, now)).await
    }

    async fn record_audit(&self, audit: &Audit, now: Option<Timestamp>) -> Result<(), Error> {
        timed(async {
            let mut connection = self.db.writer().acquire().await?;
            record(&mut connection, audit, at(now)).await
        })
        .await
    }

    async fn record_audit_in(&self, tx: &mut db::Tx, audit: &Audit) -> Result<(), Error> {
        let connection = connection(tx, "record an audit in a transaction of another database")?;
        timed(record(connection, audit, at(None))).await
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        timed(async {
            let rows = sqlx::query(AUDIT)
                .bind(filter.actor.as_deref())
                .bind(filter.action.as_deref())
                .bind(filter.subject.as_deref())
                .bind(filter.tenant_id.as_deref())
                .bind(before.unwrap_or(i64::MAX))
                .bind(limit.clamp(1, MAX_AUDIT_PAGE))
                .fetch_all(self.db.readers())
                .await?;
            rows.iter().map(entry).collect()
        })
        .await
    }

    async fn prune_audit(
        &self,
        keep: Duration,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<u64, Error> {
        timed(async {
            let pruned = sqlx::query(PRUNE_AUDIT)
                .bind(micros(at(now).minus(keep)))
                .bind(limit)
                .execute(self.db.writer())
                .await?;
            Ok(pruned.rows_affected())
        })
        .await
    }
}

async fn change_setting(
    db: &db::Sqlite,
    change: &ChangeSetting<'_>,
) -> Result<SettingChanged, Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let now = at(change.now);
    let row = sqlx::query(SETTING)
        .bind(change.space)
        .bind(change.name)
        .fetch_optional(&mut *tx)
        .await?;
    let before = row.as_ref().map(setting).transpose()?;
    change.check(before.as_ref())?;
    if before.is_none() && change.value.is_none() {
        let after = None;
        return Ok(SettingChanged { before, after });
    }
    let version = sqlx::query_scalar::<_, i64>(SETTINGS_VERSION)
        .fetch_one(&mut *tx)
        .await?
        + 1;
    sqlx::query(ADVANCE_SETTINGS)
        .bind(version)
        .execute(&mut *tx)
        .await?;
    let after = match change.value {
        Some(value) => {
            let row = sqlx::query(PUT_SETTING)
                .bind(change.space)
                .bind(change.name)
                .bind(value.as_str())
                .bind(version)
                .bind(micros(now))
                .fetch_one(&mut *tx)
                .await?;
            Some(setting(&row)?)
        }
        None => {
            sqlx::query(DELETE_SETTING)
                .bind(change.space)
                .bind(change.name)
                .execute(&mut *tx)
                .await?;
            None
        }
    };
    record(&mut tx, &change.audited(before.as_ref()), now).await?;
    tx.commit().await?;
    Ok(SettingChanged { before, after })
}

/// Adds to the audit log, in whatever transaction the connection is.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    audit: &Audit,
    now: Timestamp,
) -> Result<(), Error> {
    sqlx::query(RECORD_AUDIT)
        .bind(micros(now))
        .bind(audit.actor.as_str())
        .bind(audit.action.as_str())
        .bind(audit.subject.as_str())
        .bind(audit.tenant_id.as_deref())
        .bind(audit.before.as_ref().map(Json::as_str))
        .bind(audit.after.as_ref().map(Json::as_str))
        .bind(audit.reason.as_deref())
        .execute(connection)
        .await?;
    Ok(())
}

fn lease(row: &SqliteRow) -> Result<Lease, Error> {
    Ok(Lease {
        job: rows::id(row, "id")?,
        claim_no: row.try_get("claim_no")?,
    })
}

fn setting(row: &SqliteRow) -> Result<Setting, Error> {
    Ok(Setting {
        space: row.try_get("space")?,
        name: row.try_get("name")?,
        value: Json::trusted(row.try_get::<String, _>("value")?),
        version: row.try_get("version")?,
        updated_at: rows::timestamp(row, "updated_at")?,
    })
}

fn entry(row: &SqliteRow) -> Result<AuditEntry, Error> {
    let json = |column| -> Result<Option<Json>, Error> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.map(Json::trusted))
    };
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at: rows::timestamp(row, "at")?,
        audit: Audit {
            actor: row.try_get("actor")?,
            action: row.try_get("action")?,
            subject: row.try_get("subject")?,
            tenant_id: row.try_get("tenant_id")?,
            before: json("before")?,
            after: json("after")?,
            reason: row.try_get("reason")?,
        },
    })
}
