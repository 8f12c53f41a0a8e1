//! Meta's webhooks: what they bring is durable before they are answered.
//!
//! The routes of the platform's own API, so that only the host changes. Answers are in Meta's form: it
//! sends a webhook again for as long as it is not told `200`.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::{Client, NewJob};

use super::body::Raw;
use super::observe::RequestContext;
use super::query::{Named, Params};
use super::schema::Limited;
use super::{ApiState, Problem};
use crate::ingress::{Inbound, meta};
use crate::platform::{ChannelType, Credentials, Platform};
use crate::telemetry;

const SIGNATURE: &str = "x-hub-signature-256";
/// What Meta is told.
const RECEIVED: &str = "EVENT_RECEIVED";

/// What the webhooks' routes work with.
#[derive(Debug, Clone)]
pub struct Doors {
    /// Where channels are.
    pub platform: Platform,
    /// What Meta must show for a WhatsApp channel without a verify token.
    pub whatsapp_verify_token: SecretString,
    /// The same for Messenger.
    pub messenger_verify_token: SecretString,
}

#[derive(Debug, Clone)]
struct Webhooks {
    client: Client,
    doors: Doors,
}

pub(super) fn router(client: Client, doors: Doors) -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(verify, receive))
        .with_state(Webhooks { client, doors })
}

/// How Meta verifies a webhook.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Verification {
    #[serde(rename = "hub.mode")]
    mode: Option<String>,
    #[serde(rename = "hub.verify_token")]
    verify_token: Option<String>,
    #[serde(rename = "hub.challenge")]
    challenge: Option<String>,
}

/// Meta verifies that this is the tenant's webhook.
#[utoipa::path(
    get,
    path = "/v1/integrations/{channel}/{tenant}",
    operation_id = "verifyWebhook",
    tag = "integrations",
    params(("channel" = String, Path, description = "`whatsapp` or `messenger`"), ("tenant" = String, Path), Verification),
    responses(
        (status = 200, description = "The challenge, as it came", body = String, content_type = "text/plain"),
        (status = 403, description = "The verify token is another one", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such channel, or it is disabled", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached", body = Problem, content_type = "application/problem+json"),
        Limited
    )
)]
async fn verify(
    State(webhooks): State<Webhooks>,
    Named((channel, tenant)): Named<(String, String)>,
    Params(asked): Params<Verification>,
) -> Result<String, Problem> {
    let (channel, credentials) = webhooks.channel(&channel, &tenant).await?;
    let fallback = match channel {
        ChannelType::Messenger => &webhooks.doors.messenger_verify_token,
        _ => &webhooks.doors.whatsapp_verify_token,
    };
    let expected = credentials
        .get(&["webhookVerifyToken", "verifyToken"])
        .unwrap_or(fallback.expose_secret());
    let shown = asked.verify_token.as_deref().unwrap_or_default();
    if asked.mode.as_deref() != Some("subscribe") || !meta::matches(shown, expected) {
        return Err(Problem::not_verified());
    }
    Ok(asked.challenge.unwrap_or_default())
}

/// Takes in what customers wrote.
///
/// When this answers `200`, every message of the webhook is durable and will be answered. One that
/// comes twice is taken in once.
#[utoipa::path(
    post,
    path = "/v1/integrations/{channel}/{tenant}",
    operation_id = "receiveWebhook",
    tag = "integrations",
    params(
        ("channel" = String, Path, description = "`whatsapp` or `messenger`"),
        ("tenant" = String, Path),
        ("x-hub-signature-256" = String, Header, description = "HMAC-SHA256 of the body under the app's secret")
    ),
    request_body(content = Object, description = "A webhook of Meta's"),
    responses(
        (status = 200, description = "`EVENT_RECEIVED`", body = String, content_type = "text/plain"),
        (status = 400, description = "The body is no webhook", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The signature is missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such channel, or it is disabled", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached; Meta tries again", body = Problem, content_type = "application/problem+json"),
        Limited
    )
)]
async fn receive(
    State(webhooks): State<Webhooks>,
    Named((channel, tenant)): Named<(String, String)>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<(StatusCode, &'static str), Problem> {
    let (channel, credentials) = webhooks.channel(&channel, &tenant).await?;
    // Meta signs with the app's secret and nothing else: a verify token is no substitute.
    let secret = credentials.get(&["appSecret", "apiSecret", "webhookSecret"]);
    let header = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    match (secret, header) {
        (Some(secret), Some(header)) if meta::is_signed(&body, header, secret) => {}
        (secret, _) => {
            telemetry::messages::webhook_refused(channel.as_str(), &tenant, secret.is_some());
            return Err(Problem::not_signed());
        }
    }
    let received = match channel {
        ChannelType::Messenger => meta::messenger(&tenant, &body),
        _ => meta::whatsapp(&tenant, &body),
    };
    let received = received.map_err(|error| Problem::not_a_webhook(&error))?;
    let jobs = received
        .messages
        .iter()
        .map(|message| webhooks.job(&tenant, channel, message, &context))
        .collect::<Result<Vec<_>, _>>()?;
    if !jobs.is_empty() {
        webhooks.client.insert_many(&jobs).await?;
    }
    telemetry::messages::webhook_received(channel.as_str(), &tenant, jobs.len(), &received.ignored);
    Ok((StatusCode::OK, RECEIVED))
}

impl Webhooks {
    /// The tenant's channel, if it takes messages, and what it is recognised with.
    async fn channel(
        &self,
        channel: &str,
        tenant: &str,
    ) -> Result<(ChannelType, Credentials), Problem> {
        let Ok(kind @ (ChannelType::Whatsapp | ChannelType::Messenger)) = channel.parse() else {
            return Err(Problem::no_such_channel());
        };
        let platform = &self.doors.platform;
        let found = platform.channel(tenant, kind).await?;
        let found = found.filter(|channel| channel.enabled);
        let found = found.ok_or_else(Problem::no_such_channel)?;
        Ok((kind, platform.credentials(tenant, &found).await?))
    }

    fn job(
        &self,
        tenant: &str,
        channel: ChannelType,
        message: &Value,
        context: &RequestContext,
    ) -> Result<NewJob, Problem> {
        let inbound = Inbound {
            tenant,
            channel: channel.as_str(),
            message,
            correlation_id: Some(&context.correlation_id),
            trace_parent: context.trace_parent.as_deref(),
        };
        Ok(inbound.job(&self.client)?)
    }
}
