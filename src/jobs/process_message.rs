mod ask;
mod confidence;
mod escalation;
mod phrases;
mod prompt;
mod reply;
mod tools;

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass::db::Tx;
use windlass::engine::{RetryAfter, is_permanent};
use windlass::model::{Conflict, Filter, Page, Unique};
use windlass::{Backoff, Context, Job, JobId, JobOptions, Outcome, State, Timestamp, permanent};

use super::Services;
use super::announce::{announce, conversation_event};
use super::failure::from_platform;
use super::messages::Texts;
use super::normalized::NormalizedMessage;
use crate::platform::{
    ChannelType, Conversation, ConversationStatus, Inbound, Message, MessageMetric,
    NewConversation, NewEvent, NewMessage, Private, Received, TenantRuntime,
};
use crate::services::events::{Event, EventKind};
use crate::telemetry;

/// How many messages the model gets to see.
const HISTORY: u32 = 20;
/// How long an answer may take, with every call to a model and its tools.
const PATIENCE: Duration = Duration::from_secs(290);
/// The same with the time to say that it took too long.
const TIMEOUT: Duration = Duration::from_mins(5);
/// How many of a tenant's waiting jobs are looked at for a later message of the conversation.
const LOOKED_AT: u32 = 200;
/// For how long a message that comes twice is known to have come.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Answers a message that a customer wrote.
///
/// However often it runs, there is one inbound row, one answer and one metric: rows have ids derived
/// from the message, and the answer, its metric, its delivery and this job's completion are one
/// transaction. What a model was paid for is kept before that, so that another attempt goes on from
/// there. Messages of one conversation run strictly in order. When it is given up, its writer is told.
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
            timeout: TIMEOUT,
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
        let platform = &cx.services().platform;
        let tenant = platform.runtime(&self.tenant_id).await;
        let Some(tenant) = tenant.map_err(from_platform)? else {
            return Err(permanent(anyhow!("tenantId: there is no such tenant")));
        };
        if !tenant.enabled {
            return Ok(Outcome::cancel("the tenant is disabled"));
        }
        if tenant.disabled_channels.contains(&channel) {
            return Ok(Outcome::cancel("the tenant's channel is disabled"));
        }
        let origin = Origin {
            id: cx.job().id,
            enqueued_at: cx.job().enqueued_at,
        };
        let case = self.receive(&cx, origin, channel, tenant).await?;
        let work = Box::pin(case.answer());
        let result = tokio::time::timeout(PATIENCE, work).await;
        let result = result.unwrap_or_else(|_| Err(anyhow!("it took longer than {PATIENCE:?}")));
        if let Err(error) = &result
            && case.is_given_up(error)
        {
            reply::gave_up(&case).await?;
        }
        result
    }
}

/// The job that a message came as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) id: JobId,
    pub(super) enqueued_at: Timestamp,
}

/// One message on its way to its answer.
struct Case<'a> {
    job: &'a ProcessMessage,
    cx: &'a Context<Services>,
    origin: Origin,
    channel: ChannelType,
    tenant: Arc<TenantRuntime>,
    conversation: Conversation,
    /// The inbound message's id.
    inbound: String,
    /// The newest messages, oldest first; the one to be answered last.
    history: Vec<Message>,
    /// Whether it has just turned out to be beyond what the tenant's plan allows.
    over_limit: bool,
}

impl ProcessMessage {
    /// Tells its writer that it could not be answered, unless that was done: for a job that ended without
    /// being able to, in whose place `cx` acts. Completes `cx`'s job.
    pub(super) async fn apologise(
        &self,
        cx: &Context<Services>,
        origin: Origin,
    ) -> anyhow::Result<Outcome> {
        let Ok(channel) = self.channel.parse::<ChannelType>() else {
            return Ok(Outcome::cancel("there is no such channel"));
        };
        let tenant = cx.services().platform.runtime(&self.tenant_id).await;
        let Some(tenant) = tenant.map_err(from_platform)? else {
            return Ok(Outcome::cancel("there is no such tenant any more"));
        };
        if !tenant.enabled || tenant.disabled_channels.contains(&channel) {
            return Ok(Outcome::cancel("the tenant or its channel is disabled"));
        }
        let case = self.receive(cx, origin, channel, tenant).await?;
        reply::apologised(&case).await
    }

    /// Makes the message part of its conversation and of what its tenant used, once. What was used is
    /// told the first time only: a message that was within the limit stays so, and one that was not is
    /// noted in the same transaction.
    async fn receive<'a>(
        &'a self,
        cx: &'a Context<Services>,
        origin: Origin,
        channel: ChannelType,
        tenant: Arc<TenantRuntime>,
    ) -> anyhow::Result<Case<'a>> {
        let platform = &cx.services().platform;
        let at = self.written_at(origin);
        let conversation = NewConversation {
            channel,
            external_id: self.message.conversation().to_owned(),
            user_id: self.message.from.clone(),
            at,
        };
        let message = NewMessage {
            conversation_id: String::new(),
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
        let fallback = origin.id.to_string();
        let id = self.message.external_id().unwrap_or(&fallback);
        let inbound = Inbound {
            conversation,
            id: Some(id),
            message,
            history: HISTORY,
            now: cx.now(),
        };
        let mut tx = platform
            .begin(&self.tenant_id)
            .await
            .map_err(from_platform)?;
        let received = platform
            .receive(&mut tx, &self.tenant_id, inbound)
            .await
            .map_err(from_platform)?;
        if received.message.is_new {
            self.tell(cx, &mut tx, &received, at).await?;
        }
        let plans = &cx.services().messages.plans;
        let plan = plans.get(&tenant.plan);
        let exceeds = |usage| plan.is_some_and(|plan| plan.is_exceeded(usage));
        let over_limit = received.usage.is_some_and(exceeds);
        if over_limit {
            cx.checkpoint_in(&mut tx, &ask::Kept::over_limit()).await?;
        }
        tx.commit()
            .await
            .map_err(|error| from_platform(error.into()))?;
        // Written in quick succession, it may be older than the answer to the one before it; yet it
        // is what the model is to answer now.
        let mut history = received.history;
        let inbound = received.message.id;
        if let Some(this) = history.iter().position(|message| message.id == inbound) {
            let this = history.remove(this);
            history.push(this);
        } else if let Some(this) = platform
            .message(&self.tenant_id, &received.conversation.id, &inbound)
            .await
            .map_err(from_platform)?
        {
            // It came so late that all of the newest are newer.
            history.push(this);
        }
        let case = Case {
            job: self,
            cx,
            origin,
            channel,
            tenant,
            conversation: received.conversation,
            inbound,
            history,
            over_limit,
        };
        if received.message.is_new {
            case.announce(EventKind::Received);
        }
        Ok(case)
    }

    /// Announces that a message came in, and the conversation that it began or opened again.
    async fn tell(
        &self,
        cx: &Context<Services>,
        tx: &mut Tx,
        received: &Received,
        at: Timestamp,
    ) -> anyhow::Result<()> {
        let message = &received.message.id;
        let changed = if received.usage.is_some_and(|usage| usage.began) {
            Some("conversation.created")
        } else if received.reopened {
            Some("conversation.updated")
        } else {
            None
        };
        if let Some(kind) = changed {
            let event = conversation_event(kind, &received.conversation, message, at);
            announce(cx, tx, &self.tenant_id, &event).await?;
        }
        let event = NewEvent {
            kind: "message.received".to_owned(),
            key: Some(message.clone()),
            data: Private(json!({
                "conversationId": received.conversation.id,
                "messageId": message,
                "externalId": self.message.external_id(),
                "channel": self.channel,
            })),
            at,
        };
        announce(cx, tx, &self.tenant_id, &event).await?;
        Ok(())
    }

    /// When it was written: as the channel says, unless it lies ahead of the moment it came.
    fn written_at(&self, origin: Origin) -> Timestamp {
        let came = origin.enqueued_at;
        self.message.timestamp.map_or(came, |at| at.min(came))
    }
}

impl Case<'_> {
    async fn answer(&self) -> anyhow::Result<Outcome> {
        match self.conversation.status {
            ConversationStatus::AssignedHuman => return self.left("assigned_human"),
            // It is older than the end of its conversation.
            ConversationStatus::Closed => return self.left("closed"),
            ConversationStatus::Active | ConversationStatus::Other(_) => {}
        }
        if self.asks_for_human() {
            return reply::called_human(self).await;
        }
        if ask::resume(self)?.is_over_limit() {
            return reply::over_limit(self).await;
        }
        if let Some(window) = self.tenant.settings.debounce
            && let Some(outcome) = self.gather(window).await?
        {
            return Ok(outcome);
        }
        let answer = ask::ask(self).await?;
        let outcome = reply::answered(self, &answer).await?;
        // Unless a human took over meanwhile.
        if matches!(outcome, Outcome::Committed(_)) {
            telemetry::messages::answered(
                self.channel.as_str(),
                &self.inbound,
                &answer.model,
                answer.grounds.sources.len(),
                self.cx.now().since(self.cx.job().enqueued_at),
            );
        }
        Ok(outcome)
    }

    /// Waits a while for more messages. With another behind it, this one is answered together with
    /// that one, by its job.
    async fn gather(&self, window: Duration) -> anyhow::Result<Option<Outcome>> {
        if self.has_successor().await? {
            return self.left("answered_with_a_later_one").map(Some);
        }
        let waited = self.cx.now().since(self.cx.job().enqueued_at);
        let left = window.saturating_sub(waited);
        Ok((!left.is_zero()).then_some(Outcome::Snooze(left)))
    }

    /// Whether a later message of the conversation waits behind this one. Where a tenant has more
    /// waiting than are looked at, it may be missed: then each gets an answer of its own.
    async fn has_successor(&self) -> anyhow::Result<bool> {
        let line = self.job.ordering_key();
        let waiting = Filter {
            states: vec![State::Waiting],
            kind: Some(ProcessMessage::KIND.to_owned()),
            tenant_id: Some(self.job.tenant_id.clone()),
            ..Filter::default()
        };
        let page = Page {
            limit: LOOKED_AT,
            ..Page::default()
        };
        let waiting = self.cx.client().list(&waiting, page).await?;
        Ok(waiting.iter().any(|job| job.ordering_key == line))
    }

    fn asks_for_human(&self) -> bool {
        let settings = &self.tenant.settings;
        let Some(text) = self
            .job
            .message
            .text()
            .filter(|_| settings.enable_human_handoff)
        else {
            return false;
        };
        let text = text.to_lowercase();
        let mut keywords = settings.human_handoff_keywords.iter();
        keywords.any(|word| !word.trim().is_empty() && text.contains(&word.trim().to_lowercase()))
    }

    /// Whether answers are judged by how sure they are.
    fn judges(&self) -> bool {
        self.cx.services().messages.escalation && self.tenant.settings.escalation.enabled
    }

    /// What people are told, in the tenant's words where it has its own.
    fn texts(&self) -> Texts {
        let ours = &self.cx.services().messages.texts;
        let own = &self.tenant.settings.texts;
        let text = |own: &Option<String>, ours: &String| own.as_ref().unwrap_or(ours).clone();
        Texts {
            handoff: text(&own.handoff, &ours.handoff),
            failure: text(&own.failure, &ours.failure),
            limit: text(&own.limit, &ours.limit),
        }
    }

    /// What is recorded of a reply of whatever kind.
    fn metric(&self) -> MessageMetric {
        let now = self.cx.now();
        MessageMetric {
            conversation_id: self.conversation.id.clone(),
            message_id: self.inbound.clone(),
            sent_at: self.job.written_at(self.origin),
            response_at: Some(now),
            response_time: Some(now.since(self.origin.enqueued_at)),
            rag_used: false,
            rag_similarity: None,
            rag_chunks_retrieved: None,
            rag_top_document_id: None,
            confidence_score: None,
            escalated: false,
            error_occurred: false,
            user_message: self.job.message.text().map(Private::from),
        }
    }

    /// The message is kept, and the machine is silent.
    fn left(&self, reason: &'static str) -> anyhow::Result<Outcome> {
        telemetry::messages::left(self.channel.as_str(), &self.inbound, reason);
        let result = json!({
            "inboundId": self.inbound,
            "conversationId": self.conversation.id,
            "answered": false,
            "reason": reason,
        });
        Ok(Outcome::complete_with(&result)?)
    }

    /// Whether the job is set aside after this error.
    fn is_given_up(&self, error: &anyhow::Error) -> bool {
        let uses_attempt = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<RetryAfter>())
            .is_none_or(|hint| hint.uses_attempt);
        is_permanent(error) || (self.cx.is_last_attempt() && uses_attempt)
    }

    fn announce(&self, kind: EventKind) {
        self.cx.services().events.publish(Event {
            tenant_id: self.job.tenant_id.clone(),
            conversation_id: self.conversation.id.clone(),
            message_id: self.inbound.clone(),
            kind,
        });
    }
}
