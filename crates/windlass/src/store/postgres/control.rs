//! Settings and the audit log.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::lane::{run, transaction};
use super::rows::{self, Time};
use super::{Error, PgStore, Session, sql};
use crate::db;
use crate::model::{
    Audit, AuditEntry, AuditFilter, Filter, Found, Json, Lease, Page, Setting, Timestamp,
};
use crate::store::control::{MAX_AUDIT_PAGE, MAX_CANCEL_REQUESTS};
use crate::store::{ChangeSetting, Changed, Control, Matched, Operate, SettingChanged};

#[async_trait]
impl Control for PgStore {
    async fn change_setting(&self, change: ChangeSetting<'_>) -> Result<SettingChanged, Error> {
        transaction!(self.shared.leases, |connection| {
            change_setting(connection, &change).await
        })
    }

    async fn settings(&self, space: Option<&str>) -> Result<Vec<Setting>, Error> {
        run!(self.shared.leases, |connection| {
            sqlx::query(sql::SETTINGS)
                .bind(space)
                .fetch_all(connection)
                .await?
                .iter()
                .map(setting)
                .collect()
        })
    }

    async fn settings_version(&self) -> Result<i64, Error> {
        run!(self.shared.leases, |connection| {
            Ok(sqlx::query_scalar(sql::SETTINGS_VERSION)
                .fetch_one(connection)
                .await?)
        })
    }

    async fn cancel_requests(&self, worker: &str) -> Result<Vec<Lease>, Error> {
        run!(self.shared.leases, |connection| {
            sqlx::query(sql::CANCEL_REQUESTS)
                .bind(worker)
                .bind(i64::from(MAX_CANCEL_REQUESTS))
                .fetch_all(connection)
                .await?
                .iter()
                .map(lease)
                .collect()
        })
    }

    async fn operate(&self, operate: Operate<'_>) -> Result<Vec<Changed>, Error> {
        self.shared.operate(&operate).await
    }

    async fn matching(
        &self,
        filter: &Filter,
        page: Page,
        now: Option<Timestamp>,
    ) -> Result<Found<Matched>, Error> {
        self.shared.matching(filter, page, now).await
    }

    async fn record_audit(&self, audit: &Audit, now: Option<Timestamp>) -> Result<(), Error> {
        run!(self.shared.leases, |connection| {
            record(connection, audit, now.map(rows::time)).await
        })
    }

    async fn record_audit_in(&self, tx: &mut db::Tx, audit: &Audit) -> Result<(), Error> {
        let connection = &mut self
            .shared
            .session(tx, "record an audit in a transaction of another database")?;
        record(connection, audit, None).await
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        run!(self.shared.reads, |connection| {
            sqlx::query(sql::AUDIT)
                .bind(filter.actor.as_deref())
                .bind(filter.action.as_deref())
                .bind(filter.subject.as_deref())
                .bind(filter.tenant_id.as_deref())
                .bind(before.unwrap_or(i64::MAX))
                .bind(i64::from(limit.clamp(1, MAX_AUDIT_PAGE)))
                .fetch_all(connection)
                .await?
                .iter()
                .map(entry)
                .collect()
        })
    }

    async fn prune_audit(
        &self,
        keep: Duration,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<u64, Error> {
        let now = match now {
            Some(now) => now,
            None => self.shared.now().await?,
        };
        let pruned = run!(self.shared.upkeep, |connection| {
            Ok(sqlx::query(sql::PRUNE_AUDIT)
                .bind(rows::time(now.minus(keep)))
                .bind(i64::from(limit))
                .execute(connection)
                .await?)
        })?;
        Ok(pruned.rows_affected())
    }
}

async fn change_setting(
    connection: &mut Session<'_>,
    change: &ChangeSetting<'_>,
) -> Result<SettingChanged, Error> {
    let version: i64 = sqlx::query_scalar(sql::LOCK_SETTINGS)
        .fetch_one(&mut *connection)
        .await?;
    let row = sqlx::query(sql::SETTING)
        .bind(change.space)
        .bind(change.name)
        .fetch_optional(&mut *connection)
        .await?;
    let before = row.as_ref().map(setting).transpose()?;
    change.check(before.as_ref())?;
    if before.is_none() && change.value.is_none() {
        let after = None;
        return Ok(SettingChanged { before, after });
    }
    let now = change.now.map(rows::time);
    sqlx::query(sql::ADVANCE_SETTINGS)
        .bind(version + 1)
        .execute(&mut *connection)
        .await?;
    let after = match change.value {
        Some(value) => {
            let row = sqlx::query(sql::PUT_SETTING)
                .bind(change.space)
                .bind(change.name)
                .bind(value.as_str())
                .bind(version + 1)
                .bind(now)
                .fetch_one(&mut *connection)
                .await?;
            Some(setting(&row)?)
        }
        None => {
            sqlx::query(sql::DELETE_SETTING)
                .bind(change.space)
                .bind(change.name)
                .execute(&mut *connection)
                .await?;
            None
        }
    };
    record(connection, &change.audited(before.as_ref()), now).await?;
    Ok(SettingChanged { before, after })
}

/// Adds to the audit log, in whatever transaction the connection is.
pub(super) async fn record(
    connection: &mut Session<'_>,
    audit: &Audit,
    now: Option<Time>,
) -> Result<(), Error> {
    sqlx::query(sql::RECORD_AUDIT)
        .bind(now)
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

fn lease(row: &PgRow) -> Result<Lease, Error> {
    Ok(Lease {
        job: rows::id(row, 0)?,
        claim_no: row.try_get(1)?,
    })
}

fn setting(row: &PgRow) -> Result<Setting, Error> {
    Ok(Setting {
        space: row.try_get(0)?,
        name: row.try_get(1)?,
        value: Json::trusted(row.try_get::<String, _>(2)?),
        version: row.try_get(3)?,
        updated_at: rows::timestamp(row, 4)?,
    })
}

fn entry(row: &PgRow) -> Result<AuditEntry, Error> {
    let json = |column| -> Result<Option<Json>, Error> {
        Ok(row.try_get::<Option<String>, _>(column)?.map(Json::trusted))
    };
    Ok(AuditEntry {
        id: row.try_get(0)?,
        at: rows::timestamp(row, 1)?,
        audit: Audit {
            actor: row.try_get(2)?,
            action: row.try_get(3)?,
            subject: row.try_get(4)?,
            tenant_id: row.try_get(5)?,
            before: json(6)?,
            after: json(7)?,
            reason: row.try_get(8)?,
        },
    })
}
