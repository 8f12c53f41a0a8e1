use std::time::Duration;

use windlass::Timestamp;
use windlass::db::Tx;

use super::{Error, Platform, Private, text};

/// What answering one message took.
#[derive(Debug, Clone)]
pub struct MessageMetric {
    /// The conversation.
    pub conversation_id: String,
    /// The message that was answered; there is one metric for each.
    pub message_id: String,
    /// When the message was written.
    pub sent_at: Timestamp,
    /// When the answer was ready; `None` if there was none.
    pub response_at: Option<Timestamp>,
    /// How long the answer took.
    pub response_time: Option<Duration>,
    /// Whether documents were used.
    pub rag_used: bool,
    /// How near the best chunk was, 0 to 1.
    pub rag_similarity: Option<f64>,
    /// How many chunks were used.
    pub rag_chunks_retrieved: Option<u32>,
    /// Where the best chunk is from.
    pub rag_top_document_id: Option<String>,
    /// How sure the model was, 0 to 1.
    pub confidence_score: Option<f64>,
    /// Whether a human was called.
    pub escalated: bool,
    /// Whether it failed.
    pub error_occurred: bool,
    /// What the person wrote, if it is to be kept.
    pub user_message: Option<Private<String>>,
}

impl Platform {
    /// Records what answering a message took, once for each message. Returns whether it was new.
    pub async fn insert_metric(
        &self,
        tx: &mut Tx,
        tenant: &str,
        metric: &MessageMetric,
    ) -> Result<bool, Error> {
        let metric = metric.storable();
        self.repository
            .lock_conversation(tx, tenant, &metric.conversation_id)
            .await?;
        self.repository.insert_metric(tx, tenant, &metric).await
    }
}

impl MessageMetric {
    /// The same as its columns can hold it.
    pub(super) fn storable(&self) -> Self {
        Self {
            rag_similarity: self.rag_similarity.and_then(ratio),
            confidence_score: self.confidence_score.and_then(ratio),
            user_message: self
                .user_message
                .as_ref()
                .map(|words| Private(text::storable(words).into_owned())),
            ..self.clone()
        }
    }
}

/// What `DECIMAL(5, 4)` can hold.
fn ratio(value: f64) -> Option<f64> {
    value.is_finite().then(|| value.clamp(-9.9999, 9.9999))
}
