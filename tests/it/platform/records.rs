//! Rows as the platform's other programs write them, with times of their own, in either dialect.

use metachat_jobs::platform::Platform;
use serde::Serialize;
use serde_json::json;
use windlass::db::Tx;

/// How rows of one table are inserted from a JSON array, `$1` or `?1`, in each dialect.
pub(crate) struct Insert {
    postgres: &'static str,
    sqlite: &'static str,
}

/// Times are milliseconds since 1970.
macro_rules! insert {
    ($table:literal, $columns:literal, $postgres:literal, $sqlite:literal) => {
        Insert {
            postgres: concat!(
                "insert into ",
                $table,
                " (",
                $columns,
                ") select ",
                $postgres,
                " from jsonb_array_elements($1::jsonb) as row (v)"
            ),
            sqlite: concat!(
                "insert into ",
                $table,
                " (",
                $columns,
                ") select ",
                $sqlite,
                " from (select value as v from json_each(?1))"
            ),
        }
    };
}

pub(crate) const CONVERSATIONS: Insert = insert!(
    "conversations",
    r#"id, "tenantId", "channelType", "externalId", "userId", status, "createdAt", "updatedAt", "lastMessageAt""#,
    "v ->> 0, v ->> 1, 'webchat', v ->> 0, v ->> 2, v ->> 3, timestamp '1970-01-01' + (v ->> 4)::bigint * interval '1 ms', timestamp '1970-01-01' + (v ->> 5)::bigint * interval '1 ms', timestamp '1970-01-01' + (v ->> 6)::bigint * interval '1 ms'",
    "v ->> 0, v ->> 1, 'webchat', v ->> 0, v ->> 2, v ->> 3, v ->> 4, v ->> 5, v ->> 6"
);
pub(crate) const MESSAGES: Insert = insert!(
    "messages",
    r#"id, "tenantId", "conversationId", direction, "from", type, content, "timestamp""#,
    "v ->> 0, v ->> 1, v ->> 2, v ->> 3, 'someone', 'text', '{}', timestamp '1970-01-01' + (v ->> 4)::bigint * interval '1 ms'",
    "v ->> 0, v ->> 1, v ->> 2, v ->> 3, 'someone', 'text', '{}', v ->> 4"
);
pub(crate) const METRICS: Insert = insert!(
    "message_metrics",
    "tenant_id, conversation_id, created_at, response_time_ms, rag_used, rag_similarity, rag_top_document_id, escalated, error_occurred",
    "v ->> 0, v ->> 1, timestamp '1970-01-01' + (v ->> 2)::bigint * interval '1 ms', (v ->> 3)::integer, (v ->> 4)::boolean, (v ->> 5)::numeric, v ->> 6, (v ->> 7)::boolean, (v ->> 8)::boolean",
    "v ->> 0, v ->> 1, v ->> 2, v ->> 3, v ->> 4, v ->> 5, v ->> 6, v ->> 7, v ->> 8"
);
pub(crate) const EVENTS: Insert = insert!(
    "events",
    r#"id, "tenantId", type, data, "timestamp""#,
    "v ->> 0, v ->> 1, v ->> 2, v -> 3, timestamp '1970-01-01' + (v ->> 4)::bigint * interval '1 ms'",
    "v ->> 0, v ->> 1, v ->> 2, v -> 3, v ->> 4"
);
pub(crate) const WIDGET: Insert = insert!(
    "widget_analytics",
    "tenant_id, event_type, session_id, created_at",
    "v ->> 0, v ->> 1, v ->> 2, timestamp '1970-01-01' + (v ->> 3)::bigint * interval '1 ms'",
    "v ->> 0, v ->> 1, v ->> 2, v ->> 3"
);
pub(crate) const API_LOGS: Insert = insert!(
    "api_logs",
    r#"id, "tenantId", method, path, "statusCode", duration, "timestamp""#,
    "v ->> 0, v ->> 1, 'GET', '/', 200, 1, timestamp '1970-01-01' + (v ->> 2)::bigint * interval '1 ms'",
    "v ->> 0, v ->> 1, 'GET', '/', 200, 1, v ->> 2"
);

/// A document that is a file, or whatever `metadata` says.
pub(crate) const DOCUMENTS: Insert = insert!(
    "documents",
    r#"id, "tenantId", filename, "mimeType", size, path, checksum, status, metadata, "updatedAt""#,
    "v ->> 0, v ->> 1, v ->> 2, v ->> 3, 1, v ->> 4, v ->> 5, v ->> 6, v -> 7, timestamp '1970-01-01' + (v ->> 8)::bigint * interval '1 ms'",
    "v ->> 0, v ->> 1, v ->> 2, v ->> 3, 1, v ->> 4, v ->> 5, v ->> 6, v -> 7, v ->> 8"
);

/// Runs a statement as one of the platform's other programs.
pub(crate) async fn execute(platform: &Platform, tenant: &str, statement: &'static str) {
    let mut tx: Tx = platform.begin(tenant).await.unwrap();
    if let Some(connection) = tx.postgres() {
        sqlx::query(statement).execute(connection).await.unwrap();
    } else {
        let connection = tx.sqlite().unwrap();
        sqlx::query(statement).execute(connection).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// Inserts rows of one tenant, each an array of values.
pub(crate) async fn insert(
    platform: &Platform,
    tenant: &str,
    insert: &Insert,
    rows: &[impl Serialize],
) {
    let mut tx: Tx = platform.begin(tenant).await.unwrap();
    let rows = json!(rows).to_string();
    if let Some(connection) = tx.postgres() {
        let query = sqlx::query(insert.postgres).bind(rows);
        query.execute(connection).await.unwrap();
    } else {
        let query = sqlx::query(insert.sqlite).bind(rows);
        query.execute(tx.sqlite().unwrap()).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// The one number that a query answers with.
pub(crate) async fn number(platform: &Platform, tenant: &str, query: &'static str) -> i64 {
    let mut tx: Tx = platform.begin(tenant).await.unwrap();
    if let Some(connection) = tx.postgres() {
        sqlx::query_scalar(query).fetch_one(connection).await
    } else {
        sqlx::query_scalar(query)
            .fetch_one(tx.sqlite().unwrap())
            .await
    }
    .unwrap()
}
