use chrono::DateTime;
use metachat_jobs::platform::{
    ChannelType, Conversation, Failure, Indexed, NewChunk, NewConversation, NewDocument,
    NewMessage, Platform, Prepared,
};
use serde_json::{Map, json};
use windlass::Timestamp;
use windlass::db::Db;

use crate::support::{postgres, with_postgres};

/// Runs a test on a database as an existing platform may have it, as an ordinary role.
pub(crate) async fn on_existing<F>(test: impl FnOnce(Platform) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    with_postgres(async move |url| {
        make_existing(&url).await;
        let platform = Platform::new(postgres(&url, &[("role", "metachat_jobs_test")]));
        let prepared = platform.prepare().await.unwrap();
        assert_eq!(prepared, Prepared::Existing { warnings: vec![] });
        test(platform).await;
    })
    .await;
}

/// Turns an empty database into an existing platform's, and returns its owner's connections.
pub(crate) async fn make_existing(url: &str) -> Db {
    let db = postgres(url, &[]);
    let _ = Platform::new(db.clone()).prepare().await.unwrap();
    run(&db, include_str!("migrations/existing.sql")).await;
    db
}

/// Runs statements on PostgreSQL.
pub(crate) async fn run(db: &Db, sql: &'static str) {
    let Db::Postgres(db) = db else {
        panic!("not PostgreSQL")
    };
    sqlx::raw_sql(sql).execute(db.pool()).await.unwrap();
}

/// A moment of the tests' time, which all lies in the partitions of `migrations/existing.sql`.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let noon = DateTime::parse_from_rfc3339("2026-01-15T12:00:00Z").unwrap();
    Timestamp::from_micros(noon.timestamp_micros() + seconds * 1_000_000)
}

pub(crate) async fn tenant(platform: &Platform, id: &str) {
    let mut tx = platform.begin(id).await.unwrap();
    let created = platform
        .create_tenant(&mut tx, id, "Acme", &json!({"enableRag": true}))
        .await;
    created.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) fn user(external_id: &str, seconds: i64) -> NewConversation {
    NewConversation {
        channel: ChannelType::Whatsapp,
        external_id: external_id.to_owned(),
        user_id: "385911234567".to_owned(),
        at: at(seconds),
    }
}

/// A new tenant's conversation.
pub(crate) async fn conversation(platform: &Platform, tenant_id: &str) -> Conversation {
    tenant(platform, tenant_id).await;
    upsert(platform, tenant_id, &user("wa:1", 0)).await
}

pub(crate) async fn upsert(
    platform: &Platform,
    tenant: &str,
    new: &NewConversation,
) -> Conversation {
    let mut tx = platform.begin(tenant).await.unwrap();
    let conversation = platform.upsert_conversation(&mut tx, tenant, new).await;
    tx.commit().await.unwrap();
    conversation.unwrap()
}

pub(crate) fn message(conversation: &Conversation, text: &str, seconds: i64) -> NewMessage {
    NewMessage {
        conversation_id: conversation.id.clone(),
        external_id: None,
        from: "385911234567".to_owned(),
        kind: "text".to_owned(),
        content: json!({"text": text}).into(),
        metadata: json!({}).into(),
        at: at(seconds),
    }
}

pub(crate) fn document(name: &str, content: &str) -> NewDocument {
    NewDocument {
        name: name.to_owned(),
        mime_type: "text/plain".to_owned(),
        content: content.into(),
        metadata: Map::new().into(),
    }
}

/// A vector of the platform's length that starts with these numbers.
pub(crate) fn vector(start: &[f32]) -> Vec<f32> {
    let mut vector = vec![0.0; metachat_jobs::platform::EMBEDDING_DIMENSIONS];
    vector[..start.len()].copy_from_slice(start);
    vector
}

pub(crate) fn chunk(position: i32, content: &str, start: &[f32]) -> NewChunk {
    NewChunk {
        content: content.into(),
        embedding: vector(start),
        position,
        metadata: json!({"charStart": 0}).into(),
    }
}

pub(crate) fn failure(error: &str) -> Failure {
    Failure {
        error: error.to_owned(),
        at: at(0),
        kept: json!({}).into(),
    }
}

pub(crate) fn indexed() -> Indexed {
    Indexed {
        embedding_model: "hash".to_owned(),
        language: Some("hr".to_owned()),
        at: at(0),
        kept: json!({}).into(),
    }
}

/// A ready document with these chunks.
pub(crate) async fn ready(
    platform: &Platform,
    tenant: &str,
    name: &str,
    chunks: &[NewChunk],
) -> String {
    let mut tx = platform.begin(tenant).await.unwrap();
    let new = document(name, "the text");
    let id = platform
        .insert_document(&mut tx, tenant, &new)
        .await
        .unwrap();
    let finished = platform
        .finish_document(&mut tx, tenant, &id, 1, chunks, &indexed())
        .await;
    assert_eq!(finished.unwrap(), metachat_jobs::platform::Finished::Stored);
    tx.commit().await.unwrap();
    id
}
