//! What the database must hold, and whose it is.

use std::collections::HashSet;

/// What [`super::Platform::prepare`] found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Prepared {
    /// The database was empty, or we made its tables some time ago: they are up to date.
    Ours,
    /// An existing platform's database: everything needed is there, and nothing was changed.
    Existing {
        /// What will not work as it stands, and what to do; for the log.
        warnings: Vec<String>,
    },
}

/// The migrations made are listed here; the engine has a list of its own in the same database.
pub(super) const HISTORY: &str = "_platform_migrations";

/// Tables of the platform. Where one of them stands that we did not make, the database is not ours.
pub(super) const TABLES: [&str; 25] = [
    "admin_api_keys",
    "admin_audit_logs",
    "admin_keys",
    "admin_users",
    "analytics_daily",
    "api_logs",
    "channel_secrets",
    "channels",
    "chunks",
    "conversations",
    "documents",
    "events",
    "invoices",
    "mcp_servers",
    "message_metrics",
    "messages",
    "password_reset_tokens",
    "tenant_api_keys",
    "tenant_secrets",
    "tenant_users",
    "tenants",
    "usage_tracking",
    "verification_tokens",
    "webhooks",
    "widget_analytics",
];

/// What the statements of this room name.
const NEEDED: [(&str, &[&str]); 11] = [
    (
        "tenants",
        &[
            "id",
            "name",
            "settings",
            "createdAt",
            "updatedAt",
            "enabled",
            "current_plan_id",
        ],
    ),
    (
        "tenant_secrets",
        &["tenantId", "name", "keyId", "ciphertext", "iv", "authTag"],
    ),
    (
        "usage_tracking",
        &[
            "tenant_id",
            "period_start",
            "period_end",
            "conversations_count",
            "messages_count",
            "created_at",
            "updated_at",
        ],
    ),
    (
        "channels",
        &[
            "id",
            "tenantId",
            "type",
            "config",
            "enabled",
            "createdAt",
            "updatedAt",
        ],
    ),
    (
        "conversations",
        &[
            "id",
            "tenantId",
            "channelType",
            "externalId",
            "userId",
            "status",
            "createdAt",
            "updatedAt",
            "lastMessageAt",
        ],
    ),
    (
        "messages",
        &[
            "id",
            "tenantId",
            "conversationId",
            "externalId",
            "direction",
            "from",
            "type",
            "content",
            "metadata",
            "timestamp",
            "createdAt",
        ],
    ),
    ("events", &["id", "tenantId", "type", "data", "timestamp"]),
    (
        "webhooks",
        &["id", "tenantId", "url", "events", "headers", "enabled"],
    ),
    (
        "documents",
        &[
            "id",
            "tenantId",
            "filename",
            "mimeType",
            "size",
            "path",
            "storageProvider",
            "checksum",
            "version",
            "status",
            "metadata",
            "createdAt",
            "updatedAt",
        ],
    ),
    (
        "chunks",
        &[
            "id",
            "tenantId",
            "documentId",
            "content",
            "embedding",
            "metadata",
            "position",
            "createdAt",
        ],
    ),
    (
        "message_metrics",
        &[
            "conversation_id",
            "message_id",
            "tenant_id",
            "sent_at",
            "response_at",
            "response_time_ms",
            "rag_used",
            "rag_similarity",
            "rag_chunks_retrieved",
            "rag_top_document_id",
            "confidence_score",
            "escalated",
            "error_occurred",
            "user_message",
            "created_at",
        ],
    ),
];

/// Needed tables and columns that are not among those found, which are written `table.column`.
pub(super) fn missing(columns: &HashSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    for (table, needed) in NEEDED {
        let has = |column: &str| columns.contains(&format!("{table}.{column}"));
        let absent: Vec<&str> = needed.iter().copied().filter(|c| !has(c)).collect();
        if absent.len() == needed.len() {
            problems.push(format!("table {table} is missing"));
        } else {
            problems.extend(
                absent
                    .iter()
                    .map(|c| format!("column {table}.{c} is missing")),
            );
        }
    }
    problems
}
