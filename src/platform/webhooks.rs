use async_trait::async_trait;
use serde_json::Value;
use windlass::Timestamp;
use windlass::db::Tx;

use super::conversations::Message;
use super::rows::{EventRow, MessageRow, WebhookRow, timestamp};
use super::secrets::parsed;
use super::{Error, Platform, Private, ids, text};

/// Where a tenant wants to be told of events.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// The address; it may hold a password.
    pub url: Private<String>,
    /// Headers that the tenant wants to be sent along; they may hold keys.
    pub headers: Private<Vec<(String, String)>>,
    /// Whether it is told at all.
    pub enabled: bool,
}

/// Something that happened, as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// Its id.
    pub id: String,
    /// Such as `message.sent`.
    pub kind: String,
    /// Its content.
    pub data: Private<Value>,
    /// When it happened.
    pub at: Timestamp,
}

/// What one dialect does for messages and events on their way out.
#[async_trait]
pub(super) trait Outbound {
    async fn message(
        &self,
        tenant: &str,
        conversation: &str,
        id: &str,
    ) -> Result<Option<MessageRow>, Error>;
    async fn event(&self, tenant: &str, id: &str) -> Result<Option<EventRow>, Error>;
    async fn create_webhook(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        webhook: &NewWebhook<'_>,
    ) -> Result<(), Error>;
    async fn webhook(&self, tenant: &str, id: &str) -> Result<Option<WebhookRow>, Error>;
}

/// A webhook to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook<'a> {
    /// The address.
    pub url: &'a str,
    /// The kinds of events it is told of.
    pub events: &'a [&'a str],
    /// Headers to be sent along: an object of texts.
    pub headers: Value,
}

impl Platform {
    /// One message of a conversation.
    pub async fn message(
        &self,
        tenant: &str,
        conversation: &str,
        id: &str,
    ) -> Result<Option<Message>, Error> {
        let row = self.repository.message(tenant, conversation, id).await?;
        row.map(Message::try_from).transpose()
    }

    /// One event.
    pub async fn event(&self, tenant: &str, id: &str) -> Result<Option<RecordedEvent>, Error> {
        let row = self.repository.event(tenant, id).await?;
        Ok(row.map(|row| RecordedEvent {
            id: row.id,
            kind: row.kind,
            data: Private(row.data.0),
            at: timestamp(row.at),
        }))
    }

    /// Makes a webhook, and returns its id. For demos and tests: on a platform, its own API does.
    pub async fn create_webhook(
        &self,
        tx: &mut Tx,
        tenant: &str,
        webhook: &NewWebhook<'_>,
    ) -> Result<String, Error> {
        let id = ids::fresh();
        let webhook = NewWebhook {
            headers: text::storable_json(&webhook.headers),
            ..*webhook
        };
        self.repository
            .create_webhook(tx, tenant, &id, &webhook)
            .await?;
        Ok(id)
    }

    /// One of a tenant's webhooks, whether enabled or not. Another tenant's is as if it were not there.
    pub async fn webhook(&self, tenant: &str, id: &str) -> Result<Option<Webhook>, Error> {
        let row = self.repository.webhook(tenant, id).await?;
        Ok(row.map(|row| Webhook {
            id: row.id,
            url: Private(row.url),
            headers: Private(headers(&row.headers.0)),
            enabled: row.enabled,
        }))
    }

    /// What a webhook's requests are signed with, the newest first: the tenant's secret named
    /// `webhook:<id>`, or the one named `webhook` for all. None if there is neither.
    ///
    /// It is a text, or `{"secret": .., "previous": ..}` while receivers change over.
    pub async fn webhook_secrets(
        &self,
        tenant: &str,
        webhook: &str,
    ) -> Result<Vec<Private<String>>, Error> {
        let names = [format!("webhook:{webhook}"), "webhook".to_owned()];
        let Some(row) = self.repository.tenant_secret(tenant, &names).await? else {
            return Ok(Vec::new());
        };
        let opened = parsed(&self.secret_keys.open(&row)?);
        let secret = |name: &str| opened[name].as_str().filter(|text| !text.is_empty());
        let secrets = ["secret", "previous"].into_iter().filter_map(secret);
        Ok(secrets.map(Private::from).collect())
    }
}

/// An object of texts; what is none is left out, as the platform does.
fn headers(value: &Value) -> Vec<(String, String)> {
    let headers = value.as_object().into_iter().flatten();
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    headers.filter_map(text).collect()
}
