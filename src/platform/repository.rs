use std::fmt;

use async_trait::async_trait;
use serde_json::Value;
use windlass::Timestamp;
use windlass::db::Tx;

use super::access::Access;
use super::analytics::Analytics;
use super::conversations::{Message, NewConversation};
use super::documents::{NewChunkRow, NewDocumentRow};
use super::intake::Intake;
use super::metrics::MessageMetric;
use super::retention::Retention;
use super::rows::{
    ChannelRow, ConversationRow, DocumentRow, HitRow, MessageRow, OpenChannelRow, SecretRow,
    TenantRow,
};
use super::schema::Prepared;
use super::tables::Tables;
use super::terms::Terms;
use super::upkeep::Upkeep;
use super::webhooks::Outbound;
use super::{ChannelType, Error};

/// What one dialect does for [`super::Platform`]: one statement each, no decision. Text is storable,
/// ids are made and values are in range when they arrive here.
///
/// Reads of a tenant's rows see what is committed; writes join `tx`. A write that finds its row
/// missing is [`Error::NotFound`], unless it returns whether it found it.
#[async_trait]
pub(super) trait Repository:
    Access + Analytics + Intake + Outbound + Retention + Tables + Upkeep + fmt::Debug + Send + Sync
{
    async fn prepare(&self, keep: bool) -> Result<Prepared, Error>;
    async fn enter(&self, tx: &mut Tx, tenant: &str) -> Result<(), Error>;

    async fn create_tenant(
        &self,
        tx: &mut Tx,
        tenant: &str,
        name: &str,
        settings: &Value,
    ) -> Result<(), Error>;
    async fn tenant(&self, tenant: &str) -> Result<Option<TenantRow>, Error>;
    async fn create_channel(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        kind: ChannelType,
        config: &Value,
    ) -> Result<(), Error>;
    async fn channel(&self, tenant: &str, kind: ChannelType) -> Result<Option<ChannelRow>, Error>;
    async fn channel_secret(&self, tenant: &str, channel: &str)
    -> Result<Option<SecretRow>, Error>;
    async fn open_channels(&self) -> Result<Vec<OpenChannelRow>, Error>;
    async fn open_channels_of(&self, tenant: &str) -> Result<Vec<OpenChannelRow>, Error>;

    /// Makes it under `id`, or updates the one there is.
    async fn upsert_conversation(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        new: &NewConversation,
    ) -> Result<ConversationRow, Error>;
    async fn conversation(&self, tenant: &str, id: &str) -> Result<Option<ConversationRow>, Error>;
    async fn lock_conversation(&self, tx: &mut Tx, tenant: &str, id: &str) -> Result<(), Error>;
    async fn set_conversation_status(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        status: &str,
    ) -> Result<(), Error>;

    /// The id of the message if it is there, under one of `ids` or its external id.
    async fn find_message(
        &self,
        tx: &mut Tx,
        tenant: &str,
        message: &Message,
        ids: &[String],
    ) -> Result<Option<String>, Error>;
    /// Whether its key was free.
    async fn insert_message(
        &self,
        tx: &mut Tx,
        tenant: &str,
        message: &Message,
    ) -> Result<bool, Error>;
    async fn set_external_id(
        &self,
        tx: &mut Tx,
        tenant: &str,
        message: &str,
        external_id: &str,
    ) -> Result<(), Error>;
    /// Newest first.
    async fn messages(
        &self,
        tenant: &str,
        conversation: &str,
        limit: u32,
    ) -> Result<Vec<MessageRow>, Error>;

    /// Whether it was new.
    async fn insert_metric(
        &self,
        tx: &mut Tx,
        tenant: &str,
        metric: &MessageMetric,
    ) -> Result<bool, Error>;
    /// The webhooks that want to be told of it; `None` if its key was taken.
    async fn insert_event(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        kind: &str,
        data: &Value,
        at: Timestamp,
    ) -> Result<Option<Vec<String>>, Error>;

    async fn insert_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        row: &NewDocumentRow<'_>,
    ) -> Result<(), Error>;
    async fn document(&self, tenant: &str, id: &str) -> Result<Option<DocumentRow>, Error>;
    /// The new version.
    async fn replace_content(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        content: &str,
        size: i32,
        checksum: &str,
    ) -> Result<i32, Error>;
    /// Whether it has that version.
    async fn mark_processing(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
    ) -> Result<bool, Error>;
    /// The version it has, until the transaction ends.
    async fn lock_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
    ) -> Result<Option<i32>, Error>;
    async fn delete_chunks(&self, tx: &mut Tx, tenant: &str, document: &str) -> Result<(), Error>;
    async fn insert_chunks(
        &self,
        tx: &mut Tx,
        tenant: &str,
        document: &str,
        chunks: &[NewChunkRow<'_>],
    ) -> Result<(), Error>;
    async fn finish_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        facts: &Value,
        kept: &Value,
    ) -> Result<(), Error>;
    /// Whether it has that version and is not indexed.
    async fn fail_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
        facts: &Value,
        kept: &Value,
    ) -> Result<bool, Error>;

    async fn nearest(&self, tenant: &str, query: &[f32], top_k: u32) -> Result<Vec<HitRow>, Error>;
    /// Chunks that hold any of the terms; the score is the part of their weight, 0 to 1.
    async fn keyword(&self, tenant: &str, terms: &Terms, top_k: u32) -> Result<Vec<HitRow>, Error>;
}
