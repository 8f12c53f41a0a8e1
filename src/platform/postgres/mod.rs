//! The platform's data in PostgreSQL.

mod access;
mod analytics;
mod intake;
mod retention;
mod schema;
mod search;
mod sql;
mod tables;
mod upkeep;
mod webhooks;

use async_trait::async_trait;
use pgvector::Vector;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::types::chrono::NaiveDateTime;
use sqlx::{PgConnection, Postgres, Transaction};
use windlass::Timestamp;
use windlass::db::{self, Tx};

use super::analytics::Analytics as _;
use super::conversations::{Message, NewConversation};
use super::documents::{NewChunkRow, NewDocumentRow};
use super::metrics::MessageMetric;
use super::repository::Repository;
use super::rows::{
    ChannelRow, ConversationRow, DocumentRow, HitRow, MessageRow, OpenChannelRow, SecretRow,
    TenantRow, duration_millis, millis,
};
use super::schema::Prepared;
use super::terms::Terms;
use super::{ChannelType, Error};

/// Chunks sent in one statement: about 4 MB of embeddings.
const CHUNKS_PER_INSERT: usize = 1000;

#[derive(Debug)]
pub(super) struct PostgresRepository {
    db: db::Postgres,
}

impl PostgresRepository {
    pub(super) fn new(db: db::Postgres) -> Self {
        Self { db }
    }

    /// A transaction to read in, which row security knows to be the tenant's.
    async fn reading(&self, tenant: &str) -> Result<Transaction<'static, Postgres>, Error> {
        let mut tx = self.db.pool().begin().await?;
        enter(&mut tx, tenant).await?;
        Ok(tx)
    }
}

fn of(tx: &mut Tx) -> Result<&mut PgConnection, Error> {
    tx.postgres().ok_or(Error::ForeignTransaction)
}

async fn enter(connection: &mut PgConnection, tenant: &str) -> Result<(), Error> {
    sqlx::query(sql::ENTER)
        .bind(tenant)
        .execute(connection)
        .await?;
    Ok(())
}

/// As `TIMESTAMP(3)` without a time zone keeps it.
fn instant(at: Timestamp) -> NaiveDateTime {
    super::rows::timestamp(millis(at)).to_datetime().naive_utc()
}

fn found(rows: u64, what: &'static str) -> Result<(), Error> {
    if rows == 0 {
        Err(Error::NotFound { what })
    } else {
        Ok(())
    }
}

#[async_trait]
impl Repository for PostgresRepository {
    async fn prepare(&self, keep: bool) -> Result<Prepared, Error> {
        schema::prepare(self.db.pool(), keep).await
    }

    async fn enter(&self, tx: &mut Tx, tenant: &str) -> Result<(), Error> {
        enter(of(tx)?, tenant).await
    }

    async fn create_tenant(
        &self,
        tx: &mut Tx,
        tenant: &str,
        name: &str,
        settings: &Value,
    ) -> Result<(), Error> {
        sqlx::query(sql::CREATE_TENANT)
            .bind(tenant)
            .bind(name)
            .bind(settings)
            .execute(of(tx)?)
            .await?;
        Ok(())
    }

    async fn tenant(&self, tenant: &str) -> Result<Option<TenantRow>, Error> {
        let mut tx = self.reading(tenant).await?;
        let row = sqlx::query_as(sql::TENANT)
            .bind(tenant)
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(row)
    }

    async fn create_channel(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        kind: ChannelType,
        config: &Value,
    ) -> Result<(), Error> {
        sqlx::query(sql::CREATE_CHANNEL)
            .bind(id)
            .bind(tenant)
            .bind(kind.as_str())
            .bind(config)
            .execute(of(tx)?)
            .await?;
        Ok(())
    }

    async fn channel(&self, tenant: &str, kind: ChannelType) -> Result<Option<ChannelRow>, Error> {
        let mut tx = self.reading(tenant).await?;
        let row = sqlx::query_as(sql::CHANNEL)
            .bind(tenant)
            .bind(kind.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(row)
    }

    async fn channel_secret(
        &self,
        tenant: &str,
        channel: &str,
    ) -> Result<Option<SecretRow>, Error> {
        let mut tx = self.reading(tenant).await?;
        let row = sqlx::query_as(sql::CHANNEL_SECRET)
            .bind(tenant)
            .bind(channel)
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(row)
    }

    async fn open_channels(&self) -> Result<Vec<OpenChannelRow>, Error> {
        let pool = self.db.pool();
        if !sqlx::query_scalar(sql::ROW_SECURITY)
            .fetch_one(pool)
            .await?
        {
            let query = sqlx::query_as(sql::OPEN_CHANNELS).bind(None::<&str>);
            return Ok(query.fetch_all(pool).await?);
        }
        let mut open = Vec::new();
        for tenant in self.known_tenants().await? {
            open.extend(self.open_channels_of(&tenant.id).await?);
        }
        Ok(open)
    }

    async fn open_channels_of(&self, tenant: &str) -> Result<Vec<OpenChannelRow>, Error> {
        let mut tx = self.reading(tenant).await?;
        let rows = sqlx::query_as(sql::OPEN_CHANNELS)
            .bind(Some(tenant))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(rows)
    }

    async fn upsert_conversation(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        new: &NewConversation,
    ) -> Result<ConversationRow, Error> {
        Ok(sqlx::query_as(sql::UPSERT_CONVERSATION)
            .bind(id)
            .bind(tenant)
            .bind(new.channel.as_str())
            .bind(&new.external_id)
            .bind(&new.user_id)
            .bind(instant(new.at))
            .fetch_one(of(tx)?)
            .await?)
    }

    async fn conversation(&self, tenant: &str, id: &str) -> Result<Option<ConversationRow>, Error> {
        let mut tx = self.reading(tenant).await?;
        let row = sqlx::query_as(sql::CONVERSATION)
            .bind(tenant)
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(row)
    }

    async fn lock_conversation(&self, tx: &mut Tx, tenant: &str, id: &str) -> Result<(), Error> {
        sqlx::query_scalar::<_, String>(sql::LOCK_CONVERSATION)
            .bind(tenant)
            .bind(id)
            .fetch_optional(of(tx)?)
            .await?
            .map(drop)
            .ok_or(Error::NotFound {
                what: "conversation",
            })
    }

    async fn set_conversation_status(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        status: &str,
    ) -> Result<(), Error> {
        let done = sqlx::query(sql::SET_CONVERSATION_STATUS)
            .bind(tenant)
            .bind(id)
            .bind(status)
            .execute(of(tx)?)
            .await?;
        found(done.rows_affected(), "conversation")
    }

    async fn find_message(
        &self,
        tx: &mut Tx,
        tenant: &str,
        message: &Message,
        ids: &[String],
    ) -> Result<Option<String>, Error> {
        Ok(sqlx::query_scalar(sql::FIND_MESSAGE)
            .bind(tenant)
            .bind(&message.conversation_id)
            .bind(ids)
            .bind(&message.external_id)
            .bind(message.direction.as_str())
            .fetch_optional(of(tx)?)
            .await?)
    }

    async fn insert_message(
        &self,
        tx: &mut Tx,
        tenant: &str,
        message: &Message,
    ) -> Result<bool, Error> {
        let done = sqlx::query(sql::INSERT_MESSAGE)
            .bind(&message.id)
            .bind(tenant)
            .bind(&message.conversation_id)
            .bind(&message.external_id)
            .bind(message.direction.as_str())
            .bind(&message.from)
            .bind(&message.kind)
            .bind(&*message.content)
            .bind(&*message.metadata)
            .bind(instant(message.at))
            .execute(of(tx)?)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn set_external_id(
        &self,
        tx: &mut Tx,
        tenant: &str,
        message: &str,
        external_id: &str,
    ) -> Result<(), Error> {
        let done = sqlx::query(sql::SET_EXTERNAL_ID)
            .bind(tenant)
            .bind(message)
            .bind(external_id)
            .execute(of(tx)?)
            .await?;
        found(done.rows_affected(), "message")
    }

    async fn messages(
        &self,
        tenant: &str,
        conversation: &str,
        limit: u32,
    ) -> Result<Vec<MessageRow>, Error> {
        let mut tx = self.reading(tenant).await?;
        let rows = sqlx::query_as(sql::MESSAGES)
            .bind(tenant)
            .bind(conversation)
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(rows)
    }

    async fn insert_metric(
        &self,
        tx: &mut Tx,
        tenant: &str,
        metric: &MessageMetric,
    ) -> Result<bool, Error> {
        let done = sqlx::query(sql::INSERT_METRIC)
            .bind(tenant)
            .bind(&metric.conversation_id)
            .bind(&metric.message_id)
            .bind(instant(metric.sent_at))
            .bind(metric.response_at.map(instant))
            .bind(metric.response_time.map(duration_millis))
            .bind(metric.rag_used)
            .bind(metric.rag_similarity)
            .bind(metric.rag_chunks_retrieved.map(i64::from))
            .bind(&metric.rag_top_document_id)
            .bind(metric.confidence_score)
            .bind(metric.escalated)
            .bind(metric.error_occurred)
            .bind(metric.user_message.as_deref())
            .execute(of(tx)?)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn insert_event(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        kind: &str,
        data: &Value,
        at: Timestamp,
    ) -> Result<Option<Vec<String>>, Error> {
        let rows: Vec<Option<String>> = sqlx::query_scalar(sql::INSERT_EVENT)
            .bind(id)
            .bind(tenant)
            .bind(kind)
            .bind(data)
            .bind(instant(at))
            .fetch_all(of(tx)?)
            .await?;
        let is_new = !rows.is_empty();
        Ok(is_new.then(|| rows.into_iter().flatten().collect()))
    }

    async fn insert_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        row: &NewDocumentRow<'_>,
    ) -> Result<(), Error> {
        sqlx::query(sql::INSERT_DOCUMENT)
            .bind(row.id)
            .bind(tenant)
            .bind(row.filename)
            .bind(row.mime_type)
            .bind(row.size)
            .bind(row.path)
            .bind(row.checksum)
            .bind(row.metadata)
            .execute(of(tx)?)
            .await?;
        Ok(())
    }

    async fn document(&self, tenant: &str, id: &str) -> Result<Option<DocumentRow>, Error> {
        let mut tx = self.reading(tenant).await?;
        let row = sqlx::query_as(sql::DOCUMENT)
            .bind(tenant)
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(row)
    }

    async fn replace_content(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        content: &str,
        size: i32,
        checksum: &str,
    ) -> Result<i32, Error> {
        sqlx::query_scalar(sql::REPLACE_CONTENT)
            .bind(tenant)
            .bind(id)
            .bind(size)
            .bind(checksum)
            .bind(content)
            .fetch_optional(of(tx)?)
            .await?
            .ok_or(Error::NotFound { what: "document" })
    }

    async fn mark_processing(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
    ) -> Result<bool, Error> {
        let done = sqlx::query(sql::MARK_PROCESSING)
            .bind(tenant)
            .bind(id)
            .bind(version)
            .execute(of(tx)?)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn lock_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
    ) -> Result<Option<i32>, Error> {
        Ok(sqlx::query_scalar(sql::LOCK_DOCUMENT)
            .bind(tenant)
            .bind(id)
            .fetch_optional(of(tx)?)
            .await?)
    }

    async fn delete_chunks(&self, tx: &mut Tx, tenant: &str, document: &str) -> Result<(), Error> {
        sqlx::query(sql::DELETE_CHUNKS)
            .bind(tenant)
            .bind(document)
            .execute(of(tx)?)
            .await?;
        Ok(())
    }

    async fn insert_chunks(
        &self,
        tx: &mut Tx,
        tenant: &str,
        document: &str,
        chunks: &[NewChunkRow<'_>],
    ) -> Result<(), Error> {
        let connection = of(tx)?;
        for batch in chunks.chunks(CHUNKS_PER_INSERT) {
            let each = || batch.iter();
            sqlx::query(sql::INSERT_CHUNKS)
                .bind(tenant)
                .bind(document)
                .bind(each().map(|c| c.id.as_str()).collect::<Vec<_>>())
                .bind(each().map(|c| c.content.as_str()).collect::<Vec<_>>())
                .bind(
                    each()
                        .map(|c| Vector::from(c.embedding.to_vec()))
                        .collect::<Vec<_>>(),
                )
                .bind(each().map(|c| c.position).collect::<Vec<_>>())
                .bind(each().map(|c| Json(&c.metadata)).collect::<Vec<_>>())
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    async fn finish_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        facts: &Value,
        kept: &Value,
    ) -> Result<(), Error> {
        let done = sqlx::query(sql::FINISH_DOCUMENT)
            .bind(tenant)
            .bind(id)
            .bind(facts)
            .bind(kept)
            .execute(of(tx)?)
            .await?;
        found(done.rows_affected(), "document")
    }

    async fn fail_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
        facts: &Value,
        kept: &Value,
    ) -> Result<bool, Error> {
        let done = sqlx::query(sql::FAIL_DOCUMENT)
            .bind(tenant)
            .bind(id)
            .bind(version)
            .bind(facts)
            .bind(kept)
            .execute(of(tx)?)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn nearest(&self, tenant: &str, query: &[f32], top_k: u32) -> Result<Vec<HitRow>, Error> {
        search::nearest(self, tenant, query, top_k).await
    }

    async fn keyword(&self, tenant: &str, terms: &Terms, top_k: u32) -> Result<Vec<HitRow>, Error> {
        search::keyword(self, tenant, terms, top_k).await
    }
}
