use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use windlass::db::Tx;
use windlass::{Backoff, Context, Job, JobOptions, Outcome};

use super::Services;
use super::failure::from_service;
use crate::platform::NewEvent;
use crate::services::broker::Publication;

/// Publishes what happened to the platform's exchange of events, where whoever is interested is bound.
///
/// At least once: a subscriber knows an event that comes twice by its id.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishEvent {
    /// The event, in the platform's own form.
    pub event: PlatformEvent,
}

/// Something that happened, in the form in which the platform's services tell each other.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformEvent {
    /// What makes it this one and no other; the id of its row in the platform's record, if it has one.
    pub id: String,
    /// Such as `message.sent`.
    #[serde(rename = "type")]
    pub kind: String,
    /// To whom it happened.
    pub tenant_id: String,
    /// When, in the platform's form.
    pub timestamp: String,
    /// What.
    pub data: Value,
    /// What it belongs to, across services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

impl PlatformEvent {
    /// An event under the id of its row in the platform's record.
    pub fn new(id: String, tenant_id: &str, event: &NewEvent) -> Self {
        let at = event.at.to_datetime();
        Self {
            id,
            kind: event.kind.clone(),
            tenant_id: tenant_id.to_owned(),
            timestamp: at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            data: event.data.0.clone(),
            correlation_id: None,
        }
    }
}

/// Publishes what happened once the transaction has committed. Without a broker there is nobody to tell.
pub(super) async fn publish(
    cx: &Context<Services>,
    tx: &mut Tx,
    tenant_id: &str,
    id: String,
    event: &NewEvent,
) -> anyhow::Result<()> {
    if cx.services().broker.is_none() {
        return Ok(());
    }
    let mut event = PlatformEvent::new(id, tenant_id, event);
    event.correlation_id.clone_from(&cx.job().correlation_id);
    cx.enqueue_in(tx, &PublishEvent { event }).await?;
    Ok(())
}

impl Job for PublishEvent {
    const KIND: &'static str = "publish_event";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "events",
            priority: 4,
            max_attempts: 10,
            timeout: Duration::from_secs(30),
            backoff: Backoff {
                base: Duration::from_secs(1),
                ..Backoff::default()
            },
            ..JobOptions::default()
        }
    }

    fn redact() -> &'static [&'static str] {
        // An event may quote what people wrote.
        &["/event/data"]
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.event.tenant_id)
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let Some(broker) = &cx.services().broker else {
            return Ok(Outcome::cancel("no broker is configured (rabbitmq.url)"));
        };
        let event = &self.event;
        let key = format!("{}.{}", event.tenant_id, event.kind);
        let body = serde_json::to_vec(event)?;
        let publication = Publication {
            correlation_id: event.correlation_id.as_deref(),
            message_id: Some(&event.id),
            // An event that interests nobody is none that was lost: not mandatory.
            ..Publication::json(broker.events(), &key, &body)
        };
        broker.publish(&publication).await.map_err(from_service)?;
        Ok(Outcome::complete())
    }
}

/// What people wrote belongs in no log.
impl std::fmt::Debug for PlatformEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlatformEvent")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("tenant_id", &self.tenant_id)
            .finish_non_exhaustive()
    }
}
