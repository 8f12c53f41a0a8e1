use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use windlass::Timestamp;
use windlass::db::Tx;

use super::{Error, Platform};

/// How long a conversation must be idle to have ended.
const IDLE: Duration = Duration::from_hours(24);

/// Whole UTC days: from one up to, not including, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub from: NaiveDate,
    /// The day after the last.
    pub to: NaiveDate,
}

/// A tenant's figures of one UTC day.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct DailyFigures {
    /// The day.
    pub date: NaiveDate,
    /// Conversations that began.
    pub total_conversations: i32,
    /// Messages, both ways.
    pub total_messages: i32,
    /// People who wrote.
    pub active_users: i32,
    /// How long answers took, on average.
    pub avg_response_time_ms: Option<i32>,
    /// Documents that answers rested on most.
    pub documents_queried: i32,
    /// Calls of the platform's API.
    pub api_calls: i32,
    /// Questions that documents helped to answer.
    pub rag_queries: i32,
    /// How near their best chunk was, on average, 0 to 1.
    pub rag_avg_similarity: Option<f64>,
    /// Conversations that ended without ever being handed to a human.
    pub conversations_resolved: i32,
    /// Conversations that were handed to a human.
    pub conversations_escalated: i32,
    /// Messages that could not be answered.
    pub error_count: i32,
    /// Times the widget was shown.
    pub widget_impressions: i32,
    /// Widget sessions in which someone wrote.
    pub widget_conversations: i32,
}

/// A tenant there is.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct KnownTenant {
    /// Its id.
    pub id: String,
    /// Whether it is served.
    pub enabled: bool,
}

/// How far a clean-up of metrics has come: the time and the id of the last one it looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricCursor {
    /// When it was recorded.
    pub at: Timestamp,
    /// Its id.
    pub id: i64,
}

impl Default for MetricCursor {
    /// Before the first.
    fn default() -> Self {
        Self {
            at: Timestamp::EPOCH,
            id: 0,
        }
    }
}

/// What one step of a clean-up did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// How many metrics it looked at.
    pub seen: u64,
    /// How many of them are gone. The others are of days without figures, and stay.
    pub deleted: u64,
    /// Where the next step goes on.
    pub next: MetricCursor,
}

/// What one dialect does for the figures and the upkeep, as [`super::repository::Repository`] does for the rest.
#[async_trait]
pub(super) trait Analytics {
    async fn known_tenants(&self) -> Result<Vec<KnownTenant>, Error>;
    async fn last_aggregated(&self, tenant: &str) -> Result<Option<NaiveDate>, Error>;
    async fn aggregate_days(
        &self,
        tx: &mut Tx,
        tenant: &str,
        days: Days,
        idle: Duration,
        now: Timestamp,
    ) -> Result<u64, Error>;
    async fn analytics(&self, tenant: &str, days: Days) -> Result<Vec<DailyFigures>, Error>;
    async fn prune_metrics(
        &self,
        before: Timestamp,
        after: MetricCursor,
        limit: u32,
    ) -> Result<Pruned, Error>;
    async fn is_partitioned(&self, table: &'static str) -> Result<bool, Error>;
    /// Whether the month that begins on `first` was missing.
    async fn add_month(&self, table: &'static str, first: NaiveDate) -> Result<bool, Error>;
}

impl Platform {
    /// Every tenant, enabled or not.
    pub async fn known_tenants(&self) -> Result<Vec<KnownTenant>, Error> {
        self.repository.known_tenants().await
    }

    /// The last day of a tenant that has figures.
    pub async fn last_aggregated(&self, tenant: &str) -> Result<Option<NaiveDate>, Error> {
        self.repository.last_aggregated(tenant).await
    }

    /// Makes the figures of a tenant's days from its rows as they are at `now`. Repeated, it writes the
    /// same; says how many days it wrote.
    pub async fn aggregate_days(
        &self,
        tx: &mut Tx,
        tenant: &str,
        days: Days,
        now: Timestamp,
    ) -> Result<u64, Error> {
        self.repository
            .aggregate_days(tx, tenant, days, IDLE, now)
            .await
    }

    /// The figures of a tenant's days, those that there are, by day.
    pub async fn analytics(&self, tenant: &str, days: Days) -> Result<Vec<DailyFigures>, Error> {
        self.repository.analytics(tenant, days).await
    }

    /// Deletes, of the next `limit` metrics recorded before a time, those whose day has its figures.
    /// Each call is a short transaction of its own.
    pub async fn prune_metrics(
        &self,
        before: Timestamp,
        after: MetricCursor,
        limit: u32,
    ) -> Result<Pruned, Error> {
        self.repository.prune_metrics(before, after, limit).await
    }
}
