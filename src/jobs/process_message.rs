use std::time::Duration;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass::model::{Conflict, Unique};
use windlass::{Backoff, Context, Job, JobOptions, Json, Outcome, Timestamp, permanent};

use super::failure::{from_platform, from_service};
use super::normalized::NormalizedMessage;
use super::retrieval::{Found, retrieve};
use super::{DeliverMessage, Services};
use crate::platform::{
    ChannelType, Conversation, ConversationStatus, Direction, Message, MessageMetric,
    NewConversation, NewMessage, Private, Tenant,
};
use crate::services::events::{Event, EventKind};
use crate::services::models::{ChatAnswer, ChatRequest, Passage, Role, Turn};
use crate::telemetry;

/// How many messages the model gets to see.
const HISTORY: u32 = 20;
/// For how long a message that comes twice is known to have come.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Answers a message that a customer wrote.
///
/// However often it runs, there is one inbound row, one answer and one metric: rows have ids derived
/// from the message, and the answer, its metric, its delivery and this job's completion are one
/// transaction. Messages of one conversation run strictly in order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessMessage {
    /// Whose customer wrote.
    pub tenant_id: String,
    /// By which channel: `whatsapp`, `messenger` or `webchat`.
    pub channel: String,
    /// What.
    pub message: NormalizedMessage,
}

impl Job for ProcessMessage {
    const KIND: &'static str = "process_message";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "messages",
            priority: 1,
            max_attempts: 8,
            timeout: Duration::from_mins(3),
            backoff: Backoff {
                base: Duration::from_secs(1),
                ..Backoff::default()
            },
            ..JobOptions::default()
        }
    }

    fn redact() -> &'static [&'static str] {
        // Who wrote, and what: bare, or in the envelope of the platform's queues.
        &[
            "/message/from",
            "/message/content",
            "/message/metadata",
            "/message/message/from",
            "/message/message/content",
            "/message/message/metadata",
        ]
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant_id)
    }

    fn ordering_key(&self) -> Option<String> {
        Some(format!(
            "conversation/{}/{}",
            self.channel,
            self.message.conversation()
        ))
    }

    fn unique(&self) -> Option<Unique> {
        let id = self.message.external_id()?;
        Some(Unique {
            key: format!("{}/{id}", self.channel),
            window: Some(REMEMBERED),
            conflict: Conflict::ReturnExisting,
        })
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let channel: ChannelType = self
            .channel
            .parse()
            .map_err(|error| permanent(anyhow!("channel: {error}")))?;
        let tenant = match self.tenant(&cx).await? {
            Ok(tenant) => tenant,
            Err(stop) => return Ok(stop),
        };
        let (conversation, inbound) = self.receive(&cx, channel).await?;
        if conversation.status == ConversationStatus::AssignedHuman {
            telemetry::messages::left_to_human(channel.as_str(), &inbound);
            let result =
                json!({"inboundId": inbound, "answered": false, "reason": "assigned_human"});
            return Ok(Outcome::complete_with(&result)?);
        }
        let found = self.look_up(&cx, &tenant).await?;
        let answer = self
            .ask(&cx, &tenant, &conversation, &inbound, &found)
            .await?;
        let done = self
            .reply(&cx, &conversation, &inbound, &found, &answer)
            .await?;
        let took = cx.now().since(cx.job().enqueued_at);
        telemetry::messages::answered(channel.as_str(), &inbound, &answer.model, found.len(), took);
        Ok(done)
    }
}

impl ProcessMessage {
    /// The tenant, or why there is nothing to do for it.
    async fn tenant(&self, cx: &Context<Services>) -> anyhow::Result<Result<Tenant, Outcome>> {
        let tenant = cx
            .services()
            .platform
            .tenant(&self.tenant_id)
            .await
            .map_err(from_platform)?;
        let Some(tenant) = tenant else {
            return Err(permanent(anyhow!("tenantId: there is no such tenant")));
        };
        for problem in &tenant.settings_problems {
            tracing::warn!(tenantId = tenant.id, problem, "tenant setting ignored");
        }
        if !tenant.enabled {
            return Ok(Err(Outcome::cancel("the tenant is disabled")));
        }
        Ok(Ok(tenant))
    }

    /// Makes the message part of its conversation, once.
    async fn receive(
        &self,
        cx: &Context<Services>,
        channel: ChannelType,
    ) -> anyhow::Result<(Conversation, String)> {
        let platform = &cx.services().platform;
        let at = self.written_at(cx);
        let mut tx = platform
            .begin(&self.tenant_id)
            .await
            .map_err(from_platform)?;
        let new = NewConversation {
            channel,
            external_id: self.message.conversation().to_owned(),
            user_id: self.message.from.clone(),
            at,
        };
        let conversation = platform
            .upsert_conversation(&mut tx, &self.tenant_id, &new)
            .await
            .map_err(from_platform)?;
        let new = NewMessage {
            conversation_id: conversation.id.clone(),
            external_id: self.message.external_id().map(ToOwned::to_owned),
            from: self.message.from.clone(),
            kind: self.message.kind.as_str().to_owned(),
            content: Private(self.message.content.clone()),
            metadata: Private(match &self.message.metadata {
                Value::Null => json!({}),
                metadata => metadata.clone(),
            }),
            at,
        };
        // A message without an id of its own goes by this job's: it is the same on every attempt.
        let fallback = cx.job().id.to_string();
        let id = self.message.external_id().unwrap_or(&fallback);
        let recorded = platform
            .insert_inbound(&mut tx, &self.tenant_id, channel, Some(id), &new)
            .await
            .map_err(from_platform)?;
        tx.commit()
            .await
            .map_err(|error| from_platform(error.into()))?;
        if recorded.is_new {
            self.announce(cx, &conversation.id, &recorded.id, EventKind::Received);
        }
        Ok((conversation, recorded.id))
    }

    /// When it was written: as the channel says, unless it lies ahead of the moment it came.
    fn written_at(&self, cx: &Context<Services>) -> Timestamp {
        let came = cx.job().enqueued_at;
        self.message.timestamp.map_or(came, |at| at.min(came))
    }

    async fn look_up(&self, cx: &Context<Services>, tenant: &Tenant) -> anyhow::Result<Vec<Found>> {
        match self.message.text() {
            Some(question) if tenant.settings.enable_rag => {
                let Services {
                    platform, models, ..
                } = cx.services();
                retrieve(
                    platform,
                    models,
                    &self.tenant_id,
                    &tenant.settings.rag,
                    question,
                )
                .await
            }
            _ => Ok(Vec::new()),
        }
    }

    async fn ask(
        &self,
        cx: &Context<Services>,
        tenant: &Tenant,
        conversation: &Conversation,
        inbound: &str,
        found: &[Found],
    ) -> anyhow::Result<ChatAnswer> {
        let Services {
            platform, models, ..
        } = cx.services();
        let mut history = platform
            .history(&self.tenant_id, &conversation.id, HISTORY)
            .await
            .map_err(from_platform)?;
        // Written in quick succession, it may be older than the answer to the one before it; yet it
        // is what the model is to answer now.
        if let Some(this) = history.iter().position(|message| message.id == inbound) {
            let this = history.remove(this);
            history.push(this);
        }
        let llm = &tenant.settings.llm;
        let request = ChatRequest {
            system: system_prompt(tenant),
            history: history.iter().map(turn).collect(),
            passages: found
                .iter()
                .map(|found| Passage {
                    source: found.hit.document_name.clone(),
                    text: found.hit.content.to_string(),
                })
                .collect(),
            #[expect(clippy::cast_possible_truncation, reason = "a setting between 0 and 2")]
            temperature: llm.temperature.map(|t| t as f32),
            #[expect(clippy::cast_possible_truncation, reason = "a setting between 0 and 1")]
            top_p: llm.top_p.map(|p| p as f32),
            max_tokens: llm.max_tokens,
        };
        let answer = models.chat.answer(&request).await.map_err(from_service)?;
        if answer.text.trim().is_empty() {
            return Err(anyhow!("{} gave an empty answer", answer.model));
        }
        Ok(answer)
    }

    /// Stores the answer, its metric and its delivery, and is done: all of it, or nothing.
    async fn reply(
        &self,
        cx: &Context<Services>,
        conversation: &Conversation,
        inbound: &str,
        found: &[Found],
        answer: &ChatAnswer,
    ) -> anyhow::Result<Outcome> {
        let platform = &cx.services().platform;
        let tenant = &self.tenant_id;
        let (written, now) = (self.written_at(cx), cx.now());
        let mut tx = platform.begin(tenant).await.map_err(from_platform)?;
        let new = NewMessage {
            conversation_id: conversation.id.clone(),
            external_id: None,
            from: tenant.clone(),
            kind: "text".to_owned(),
            content: Private(json!({"text": answer.text})),
            metadata: Private(metadata(found, answer)),
            at: now,
        };
        let outbound = platform
            .insert_outbound(&mut tx, tenant, inbound, &new)
            .await
            .map_err(from_platform)?;
        let metric = MessageMetric {
            conversation_id: conversation.id.clone(),
            message_id: inbound.to_owned(),
            sent_at: written,
            response_at: Some(now),
            response_time: Some(now.since(cx.job().enqueued_at)),
            rag_used: !found.is_empty(),
            rag_similarity: found.iter().filter_map(|f| f.similarity).reduce(f64::max),
            rag_chunks_retrieved: u32::try_from(found.len()).ok(),
            rag_top_document_id: found.first().map(|f| f.hit.document_id.clone()),
            confidence_score: None,
            escalated: false,
            error_occurred: false,
            user_message: self.message.text().map(Private::from),
        };
        platform
            .insert_metric(&mut tx, tenant, &metric)
            .await
            .map_err(from_platform)?;
        let delivery = DeliverMessage {
            tenant_id: tenant.clone(),
            channel: self.channel.clone(),
            conversation_id: conversation.id.clone(),
            message_id: outbound.id.clone(),
        };
        let delivery = cx.enqueue_in(&mut tx, &delivery).await?;
        let result = json!({
            "inboundId": inbound,
            "outboundId": outbound.id,
            "conversationId": conversation.id,
            "deliveryJobId": delivery.id(),
            "model": answer.model,
            "sources": sources(found),
        });
        Ok(cx.commit(tx, Some(Json::encode(&result)?)).await?)
    }

    fn announce(&self, cx: &Context<Services>, conversation: &str, message: &str, kind: EventKind) {
        cx.services().events.publish(Event {
            tenant_id: self.tenant_id.clone(),
            conversation_id: conversation.to_owned(),
            message_id: message.to_owned(),
            kind,
        });
    }
}

/// Who the model is to be and how it is to speak.
fn system_prompt(tenant: &Tenant) -> String {
    let settings = &tenant.settings;
    let mut parts = vec![
        format!("You are the customer assistant of {}.", settings.brand_name),
        format!("Speak in a {} tone.", settings.tone),
    ];
    if !settings.locale.is_empty() {
        parts.push(format!(
            "Preferred languages: {}.",
            settings.locale.join(", ")
        ));
    }
    parts.extend(settings.llm.system_prompt.clone());
    parts.join("\n\n")
}

fn turn(message: &Message) -> Turn {
    Turn {
        role: match message.direction {
            Direction::Inbound => Role::User,
            Direction::Outbound => Role::Assistant,
        },
        // A medium without words is named, not shown as the channel's JSON.
        content: message
            .text()
            .map_or_else(|| format!("[{}]", message.kind), ToOwned::to_owned),
    }
}

/// What the platform keeps beside an answer.
fn metadata(found: &[Found], answer: &ChatAnswer) -> Value {
    let usage = answer.usage;
    json!({
        "model": answer.model,
        "latency": u64::try_from(answer.latency.as_millis()).unwrap_or(u64::MAX),
        "usage": {
            "promptTokens": usage.prompt_tokens,
            "completionTokens": usage.completion_tokens,
            "totalTokens": usage.prompt_tokens + usage.completion_tokens,
        },
        "ragEnabled": !found.is_empty(),
        "sources": sources(found),
        "adapter": null,
    })
}

fn sources(found: &[Found]) -> Vec<Value> {
    let source = |(number, found): (usize, &Found)| {
        json!({
            "number": number,
            "documentId": found.hit.document_id,
            "name": found.hit.document_name,
            "chunkId": found.hit.chunk_id,
            "position": found.hit.position,
            "similarity": found.similarity,
        })
    };
    (1..).zip(found).map(source).collect()
}
