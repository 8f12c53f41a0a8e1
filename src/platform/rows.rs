//! Rows as both dialects return them, and instants as both keep them: in whole milliseconds.

use std::time::Duration;

use serde_json::Value;
use sqlx::types::Json;
use windlass::Timestamp;

#[derive(sqlx::FromRow)]
pub(super) struct TenantRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) settings: Json<Value>,
}

#[derive(sqlx::FromRow)]
pub(super) struct ApiKeyRow {
    pub(super) id: String,
    /// `admin` or `tenant`.
    pub(super) holder: String,
    pub(super) owner: String,
    /// Of an admin.
    pub(super) role: Option<String>,
    pub(super) hash: String,
    pub(super) salt: String,
}

#[derive(sqlx::FromRow)]
pub(super) struct AdminKeyRow {
    pub(super) id: String,
    /// Salt and hash, with a colon between.
    pub(super) hashed_secret: String,
    pub(super) metadata: Option<Json<Value>>,
}

#[derive(sqlx::FromRow)]
pub(super) struct RuntimeRow {
    pub(super) id: String,
    pub(super) enabled: bool,
    pub(super) plan: String,
    pub(super) settings: Json<Value>,
    /// Their types, with commas between.
    pub(super) disabled_channels: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct UsageRow {
    pub(super) messages: i64,
    pub(super) conversations: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct ChannelRow {
    pub(super) id: String,
    pub(super) config: Json<Value>,
    pub(super) enabled: bool,
}

/// Encrypted; each part as base64.
#[derive(sqlx::FromRow)]
pub(super) struct SecretRow {
    pub(super) key_id: String,
    pub(super) ciphertext: String,
    pub(super) iv: String,
    pub(super) auth_tag: String,
}

#[derive(sqlx::FromRow)]
pub(super) struct OpenChannelRow {
    pub(super) tenant: String,
    pub(super) channel: String,
}

#[derive(sqlx::FromRow)]
pub(super) struct ConversationRow {
    pub(super) id: String,
    pub(super) channel: String,
    pub(super) external_id: String,
    pub(super) user_id: String,
    pub(super) status: String,
    pub(super) last_message_at: i64,
    /// Its status before a message came in; not read where none does.
    #[sqlx(default)]
    pub(super) was: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct MessageRow {
    pub(super) id: String,
    pub(super) conversation_id: String,
    pub(super) external_id: Option<String>,
    pub(super) direction: String,
    pub(super) sender: String,
    pub(super) kind: String,
    pub(super) content: Json<Value>,
    pub(super) metadata: Json<Value>,
    pub(super) at: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct EventRow {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) data: Json<Value>,
    pub(super) at: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct WebhookRow {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) headers: Json<Value>,
    pub(super) enabled: bool,
}

#[derive(sqlx::FromRow)]
pub(super) struct DocumentRow {
    pub(super) id: String,
    pub(super) filename: String,
    pub(super) mime_type: String,
    pub(super) path: String,
    pub(super) storage_provider: String,
    pub(super) checksum: String,
    pub(super) version: i32,
    pub(super) status: String,
    pub(super) metadata: Json<Value>,
    pub(super) updated_at: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct UnfinishedRow {
    pub(super) tenant: String,
    pub(super) id: String,
    pub(super) version: i32,
    pub(super) updated_at: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct AdoptedRow {
    pub(super) adoption: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct ExaminedRow {
    pub(super) id: String,
    pub(super) version: i32,
    pub(super) status: String,
    pub(super) updated_at: i64,
    pub(super) has_text: bool,
    pub(super) chunk_count: Option<String>,
    pub(super) indexed_version: Option<String>,
    pub(super) failed_version: Option<String>,
    pub(super) model: Option<String>,
    pub(super) chunks: i64,
    pub(super) positions: i64,
    pub(super) embedded: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct HitRow {
    pub(super) chunk_id: String,
    pub(super) document_id: String,
    pub(super) document_name: String,
    pub(super) content: String,
    pub(super) position: i32,
    pub(super) metadata: Json<Value>,
    pub(super) score: f64,
}

/// A stored instant.
pub(super) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_micros(millis.saturating_mul(1000))
}

/// An instant as it is stored. Cut, not rounded, so that both dialects store the same.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_micros() / 1000
}

/// A duration as it is stored; what no column can hold is held to the most it can.
pub(super) fn duration_millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
