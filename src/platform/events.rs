use serde_json::Value;
use windlass::Timestamp;
use windlass::db::Tx;

use super::{Error, Platform, Private, ids, text};

/// Something that happened, for the platform's own record.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Such as `message.sent`.
    pub kind: String,
    /// What makes it this one and no other, such as the id of the message that was sent: recorded
    /// again under the same key, it stays one event. `None` makes each a new one.
    pub key: Option<String>,
    /// Its content.
    pub data: Private<Value>,
    /// When it happened.
    pub at: Timestamp,
}

/// An event on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Its id.
    pub id: String,
    /// Whether it was not there before.
    pub is_new: bool,
    /// The ids of the tenant's webhooks that want to be told of it; none if it was there before.
    pub webhooks: Vec<String>,
}

impl Platform {
    /// Records an event, and says who wants to be told of it.
    pub async fn insert_event(
        &self,
        tx: &mut Tx,
        tenant: &str,
        event: &NewEvent,
    ) -> Result<Announced, Error> {
        let id = match &event.key {
            Some(key) => ids::derived(&["event", tenant, &event.kind, key]),
            None => ids::fresh(),
        };
        let data = text::storable_json(&event.data);
        let wanted = self
            .repository
            .insert_event(tx, tenant, &id, &event.kind, &data, event.at)
            .await?;
        Ok(Announced {
            id,
            is_new: wanted.is_some(),
            webhooks: wanted.unwrap_or_default(),
        })
    }
}
