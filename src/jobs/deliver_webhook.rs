use std::time::Duration;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass::model::{Conflict, Unique};
use windlass::{Context, Job, JobOptions, Json, Outcome, permanent, retry_after};

use super::Services;
use super::announce::iso;
use super::failure::{from_platform, from_records, from_service};
use crate::platform::{RecordedEvent, Tenant, Webhook};
use crate::records::NewDelivery;
use crate::services::webhooks::{Answer, Class, End, Notice};
use crate::telemetry;

/// Tells a tenant's endpoint of an event.
///
/// Events for one endpoint go strictly in order, one at a time; one that fails holds the others back
/// until it is delivered or out of attempts. The endpoint may get one twice, and knows it by its id.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliverWebhook {
    /// Whose webhook and event.
    pub tenant_id: String,
    /// Which webhook.
    pub webhook_id: String,
    /// Which event.
    pub event_id: String,
}

/// The event as the platform has always told it, in this order.
#[derive(Serialize)]
struct Told<'a> {
    event: &'a str,
    tenant: TenantTold<'a>,
    data: &'a Value,
    timestamp: &'a str,
}

#[derive(Serialize)]
struct TenantTold<'a> {
    id: &'a str,
    name: &'a str,
}

/// Everything that a request is made of.
struct Case {
    tenant: Tenant,
    webhook: Webhook,
    event: RecordedEvent,
}

impl Job for DeliverWebhook {
    const KIND: &'static str = "deliver_webhook";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "webhooks",
            priority: 5,
            max_attempts: 8,
            timeout: Duration::from_mins(3),
            ..JobOptions::default()
        }
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant_id)
    }

    fn ordering_key(&self) -> Option<String> {
        Some(format!("webhook/{}", self.webhook_id))
    }

    fn unique(&self) -> Option<Unique> {
        Some(Unique {
            key: format!("{}/{}", self.webhook_id, self.event_id),
            window: Some(Duration::from_hours(24)),
            conflict: Conflict::ReturnExisting,
        })
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let case = match self.look_up(&cx).await? {
            Ok(case) => case,
            Err(stop) => return Ok(stop),
        };
        let answer = self.tell(&cx, &case).await?;
        telemetry::delivery::webhook_told(
            &self.webhook_id,
            &case.event.kind,
            outcome(answer.end),
            answer.status,
            answer.took,
        );
        self.record(&cx, &case, &answer).await
    }
}

impl DeliverWebhook {
    /// What is to be told and where, or why there is nothing to do.
    async fn look_up(&self, cx: &Context<Services>) -> anyhow::Result<Result<Case, Outcome>> {
        let platform = &cx.services().platform;
        let tenant = &self.tenant_id;
        let webhook = platform
            .webhook(tenant, &self.webhook_id)
            .await
            .map_err(from_platform)?;
        let Some(webhook) = webhook.filter(|webhook| webhook.enabled) else {
            return Ok(Err(Outcome::cancel(
                "the webhook was deleted or is disabled",
            )));
        };
        let event = platform
            .event(tenant, &self.event_id)
            .await
            .map_err(from_platform)?
            .ok_or_else(|| permanent(anyhow!("eventId: this tenant has no such event")))?;
        let tenant = platform
            .tenant(tenant)
            .await
            .map_err(from_platform)?
            .ok_or_else(|| permanent(anyhow!("tenantId: there is no such tenant")))?;
        Ok(Ok(Case {
            tenant,
            webhook,
            event,
        }))
    }

    async fn tell(&self, cx: &Context<Services>, case: &Case) -> anyhow::Result<Answer> {
        let Services {
            platform, webhooks, ..
        } = cx.services();
        let Case {
            tenant,
            webhook,
            event,
        } = case;
        let secrets = platform
            .webhook_secrets(&self.tenant_id, &self.webhook_id)
            .await
            .map_err(from_platform)?;
        let secrets: Vec<&str> = secrets.iter().map(|secret| secret.as_str()).collect();
        let timestamp = iso(event.at);
        let told = Told {
            event: &event.kind,
            tenant: TenantTold {
                id: &tenant.id,
                name: &tenant.name,
            },
            data: &event.data,
            timestamp: &timestamp,
        };
        let notice = Notice {
            endpoint: &webhook.id,
            url: &webhook.url,
            headers: &webhook.headers,
            event: &event.kind,
            id: &event.id,
            timestamp: &timestamp,
            correlation_id: cx.job().correlation_id.as_deref(),
            secrets: &secrets,
            sent_at: cx.now().as_micros() / 1_000_000,
            body: serde_json::to_vec(&told)?,
        };
        webhooks.post(notice).await.map_err(from_service)
    }

    /// Notes the attempt; a success together with the job's completion.
    async fn record(
        &self,
        cx: &Context<Services>,
        case: &Case,
        answer: &Answer,
    ) -> anyhow::Result<Outcome> {
        let Services {
            records, webhooks, ..
        } = cx.services();
        let delivery = NewDelivery {
            job: cx.job().id,
            tenant: &self.tenant_id,
            webhook: &self.webhook_id,
            event: &self.event_id,
            event_type: &case.event.kind,
            attempt: cx.attempt(),
            status: answer.status,
            error: class(answer.end).map(Class::as_str),
            took: answer.took,
        };
        let mut tx = records.begin().await.map_err(from_records)?;
        records
            .record_delivery(&mut tx, &delivery)
            .await
            .map_err(from_records)?;
        if answer.end == End::Delivered {
            let result = json!({"status": answer.status});
            return Ok(cx.commit(tx, Some(Json::encode(&result)?)).await?);
        }
        tx.commit()
            .await
            .map_err(|error| from_records(error.into()))?;
        Err(match answer.end {
            End::Failed(class, after) => {
                let wait = after.unwrap_or_else(|| webhooks.backoff(cx.attempt()));
                retry_after(wait, told(class, answer.status))
            }
            End::Refused(class) => permanent(told(class, answer.status)),
            End::Delivered => unreachable!("it was recorded above"),
        })
    }
}

fn class(end: End) -> Option<Class> {
    match end {
        End::Delivered => None,
        End::Refused(class) | End::Failed(class, _) => Some(class),
    }
}

fn outcome(end: End) -> &'static str {
    class(end).map_or("delivered", Class::as_str)
}

/// Never the address: it may hold a key.
fn told(class: Class, status: Option<u16>) -> anyhow::Error {
    let (what, remedy) = (class.as_str(), class.remedy());
    match status {
        Some(status) => anyhow!("the endpoint answered {status} ({what}); {remedy}"),
        None => anyhow!("the endpoint was not told ({what}); {remedy}"),
    }
}
