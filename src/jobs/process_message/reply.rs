//! Ends a message: what is said to its writer, what is recorded, who answers from now on, and the job's
//! completion are one transaction.

use serde_json::{Value, json};
use windlass::db::Tx;
use windlass::{Json, Outcome};

use super::ask::{Answer, Kept};
use super::confidence::{self, Confidence};
use super::escalation::{Action, worded};
use super::{Case, escalation};
use crate::jobs::DeliverMessage;
use crate::jobs::announce::{announce, conversation_event};
use crate::jobs::failure::from_platform;
use crate::platform::{
    Conversation, ConversationStatus, MessageMetric, NewEvent, NewMessage, Private, Recorded,
};
use crate::telemetry;

/// What is said, and what is recorded of it.
struct Reply {
    /// Tells it from other replies to the same message.
    key: String,
    text: String,
    metadata: Value,
    metric: MessageMetric,
}

/// Sends the answer, or hands the conversation to a human: as sure as it is of itself.
pub(super) async fn answered(case: &Case<'_>, answer: &Answer) -> anyhow::Result<Outcome> {
    let settings = &case.tenant.settings.escalation;
    let judged = case.judges().then(|| {
        let question = case.job.message.text().unwrap_or_default();
        let domains = &settings.high_stakes_domains;
        let confidence = confidence::analyse(question, &answer.text, domains);
        let action = escalation::decide(&confidence, settings);
        (confidence, action)
    });
    let action = judged
        .as_ref()
        .map_or(Action::Continue, |(_, action)| *action);
    let text = match action {
        Action::Immediate => case.texts().handoff.clone(),
        action => worded(&confidence::strip(&answer.text), action, settings),
    };
    let reply = Reply {
        key: case.inbound.clone(),
        text,
        metadata: metadata(answer, judged.as_ref()),
        metric: MessageMetric {
            rag_used: !answer.grounds.sources.is_empty(),
            rag_similarity: answer.grounds.similarity,
            rag_chunks_retrieved: u32::try_from(answer.grounds.sources.len()).ok(),
            rag_top_document_id: answer.grounds.top_document.clone(),
            confidence_score: judged.as_ref().map(|(confidence, _)| confidence.score),
            escalated: action.escalates(),
            ..case.metric()
        },
    };
    let escalation = judged
        .filter(|(_, action)| action.escalates())
        .map(|(confidence, action)| {
            json!({
                "reason": "low_confidence",
                "confidenceAnalysis": analysis(&confidence, action),
            })
        });
    let result = json!({
        "model": answer.model,
        "sources": answer.grounds.sources,
        "action": action.as_str(),
    });
    end(case, &reply, escalation, result).await
}

/// A word of the message asked for a human.
pub(super) async fn called_human(case: &Case<'_>) -> anyhow::Result<Outcome> {
    let reply = Reply {
        key: case.inbound.clone(),
        text: case.texts().handoff.clone(),
        metadata: json!({"adapter": null}),
        metric: MessageMetric {
            escalated: true,
            ..case.metric()
        },
    };
    let keywords = &case.tenant.settings.human_handoff_keywords;
    let escalation = json!({"reason": "keyword", "keywords": keywords});
    let outcome = end(case, &reply, Some(escalation), json!({"reason": "keyword"})).await?;
    telemetry::messages::handed_off(case.channel.as_str());
    Ok(outcome)
}

/// The tenant's plan allows no more: no model is asked.
pub(super) async fn over_limit(case: &Case<'_>) -> anyhow::Result<Outcome> {
    let (channel, tenant) = (case.channel.as_str(), &case.tenant);
    telemetry::messages::over_limit(channel, &tenant.id, &case.inbound, &tenant.plan);
    let reply = Reply {
        key: case.inbound.clone(),
        text: case.texts().limit.clone(),
        metadata: json!({"adapter": null, "overLimit": true}),
        metric: case.metric(),
    };
    end(case, &reply, None, json!({"reason": "over_limit"})).await
}

/// The job is about to be set aside: its writer is told, once however often that happens. The job
/// itself ends by its error.
pub(super) async fn gave_up(case: &Case<'_>) -> anyhow::Result<()> {
    let reply = failure(case);
    let kept: Kept = super::ask::resume(case)?;
    let mut tx = begin(case).await?;
    let Some((recorded, _)) = record(case, &mut tx, &reply).await? else {
        return Ok(());
    };
    if !recorded.is_new {
        // Said by an earlier run; its delivery is on its way, or done.
        return Ok(());
    }
    let (channel, inbound) = (case.channel.as_str(), case.inbound.clone());
    tx.after_commit(move || telemetry::messages::given_up(channel, &inbound));
    // What holds the lease: without it, another attempt is under way, and nothing of this one counts.
    case.cx.checkpoint_in(&mut tx, &kept).await?;
    tx.commit()
        .await
        .map_err(|error| from_platform(error.into()))
}

/// The same in the place of a job that has ended, and could not say it itself. Completes the job that does so.
pub(super) async fn apologised(case: &Case<'_>) -> anyhow::Result<Outcome> {
    let mut tx = begin(case).await?;
    let told = match record(case, &mut tx, &failure(case)).await? {
        Some((recorded, _)) if recorded.is_new => {
            let (channel, inbound) = (case.channel.as_str(), case.inbound.clone());
            tx.after_commit(move || telemetry::messages::given_up(channel, &inbound));
            true
        }
        // A human answers, or the job has said it before it ended.
        _ => {
            tx.rollback()
                .await
                .map_err(|error| from_platform(error.into()))?;
            tx = begin(case).await?;
            false
        }
    };
    let result = json!({"inboundId": case.inbound, "told": told});
    Ok(case.cx.commit(tx, Some(Json::encode(&result)?)).await?)
}

fn failure(case: &Case<'_>) -> Reply {
    Reply {
        key: format!("failure/{}", case.inbound),
        text: case.texts().failure.clone(),
        metadata: json!({"adapter": null, "failed": true}),
        metric: MessageMetric {
            error_occurred: true,
            ..case.metric()
        },
    }
}

/// Records the reply and its delivery, hands the conversation over if there is an `escalation`, and
/// completes the job.
async fn end(
    case: &Case<'_>,
    reply: &Reply,
    escalation: Option<Value>,
    mut result: Value,
) -> anyhow::Result<Outcome> {
    let mut tx = begin(case).await?;
    let Some((recorded, delivery)) = record(case, &mut tx, reply).await? else {
        tx.rollback()
            .await
            .map_err(|error| from_platform(error.into()))?;
        return case.left("assigned_human");
    };
    if let Some(escalation) = escalation {
        hand_over(case, &mut tx, escalation).await?;
    }
    if let Some(result) = result.as_object_mut() {
        result.insert("inboundId".to_owned(), case.inbound.clone().into());
        result.insert("outboundId".to_owned(), recorded.id.into());
        result.insert(
            "conversationId".to_owned(),
            case.conversation.id.clone().into(),
        );
        result.insert("deliveryJobId".to_owned(), delivery.into());
    }
    Ok(case.cx.commit(tx, Some(Json::encode(&result)?)).await?)
}

async fn begin(case: &Case<'_>) -> anyhow::Result<Tx> {
    let platform = &case.cx.services().platform;
    platform
        .begin(&case.job.tenant_id)
        .await
        .map_err(from_platform)
}

/// Records the reply and the job that delivers it; nothing if a human took over meanwhile.
async fn record(
    case: &Case<'_>,
    tx: &mut Tx,
    reply: &Reply,
) -> anyhow::Result<Option<(Recorded, String)>> {
    let platform = &case.cx.services().platform;
    let tenant = &case.job.tenant_id;
    let status = platform
        .lock_conversation(tx, tenant, &case.conversation.id)
        .await
        .map_err(from_platform)?;
    if status == ConversationStatus::AssignedHuman {
        return Ok(None);
    }
    let message = NewMessage {
        conversation_id: case.conversation.id.clone(),
        external_id: None,
        from: tenant.clone(),
        kind: "text".to_owned(),
        content: Private(json!({"text": reply.text})),
        metadata: Private(reply.metadata.clone()),
        at: case.cx.now(),
    };
    let recorded = platform
        .record_answer(tx, tenant, &reply.key, &message, &reply.metric)
        .await
        .map_err(from_platform)?;
    let delivery = DeliverMessage {
        tenant_id: tenant.clone(),
        channel: case.job.channel.clone(),
        conversation_id: case.conversation.id.clone(),
        message_id: recorded.id.clone(),
    };
    let delivery = case.cx.enqueue_in(tx, &delivery).await?;
    Ok(Some((recorded, delivery.id().to_string())))
}

/// A human answers from now on, and whoever listens is told, once.
async fn hand_over(case: &Case<'_>, tx: &mut Tx, mut data: Value) -> anyhow::Result<()> {
    let platform = &case.cx.services().platform;
    let tenant = &case.job.tenant_id;
    let conversation = &case.conversation.id;
    platform
        .set_conversation_status(tx, tenant, conversation, &ConversationStatus::AssignedHuman)
        .await
        .map_err(from_platform)?;
    let reason = if data["reason"] == "keyword" {
        "keyword"
    } else {
        "low_confidence"
    };
    data["conversationId"] = conversation.clone().into();
    data["messageId"] = case.inbound.clone().into();
    data["channel"] = case.channel.as_str().into();
    let event = NewEvent {
        kind: "human_handoff.requested".to_owned(),
        key: Some(case.inbound.clone()),
        data: Private(data),
        at: case.cx.now(),
    };
    announce(case.cx, tx, tenant, &event).await?;
    let changed = Conversation {
        status: ConversationStatus::AssignedHuman,
        ..case.conversation.clone()
    };
    let event = conversation_event(
        "conversation.updated",
        &changed,
        &case.inbound,
        case.cx.now(),
    );
    announce(case.cx, tx, tenant, &event).await?;
    let (channel, inbound) = (case.channel.as_str(), case.inbound.clone());
    tx.after_commit(move || telemetry::messages::escalated(channel, &inbound, reason));
    Ok(())
}

/// What the platform keeps beside an answer.
fn metadata(answer: &Answer, judged: Option<&(Confidence, Action)>) -> Value {
    let usage = answer.usage;
    let mut metadata = json!({
        "model": answer.model,
        "latency": u64::try_from(answer.latency.as_millis()).unwrap_or(u64::MAX),
        "usage": {
            "promptTokens": usage.prompt_tokens,
            "completionTokens": usage.completion_tokens,
            "totalTokens": u64::from(usage.prompt_tokens) + u64::from(usage.completion_tokens),
        },
        "ragEnabled": !answer.grounds.sources.is_empty(),
        "sources": answer.grounds.sources,
        "toolsUsed": answer.tools_used,
        "adapter": null,
    });
    if let Some(usd) = answer.cost_usd {
        metadata["usage"]["costInUsd"] = usd.into();
    }
    if let Some((confidence, action)) = judged {
        metadata["confidenceEscalation"] = json!({
            "enabled": true,
            "escalated": action.escalates(),
            "action": action.as_str(),
            "confidenceScore": confidence.score,
            "confidenceLevel": confidence.level.as_str(),
        });
    }
    metadata
}

fn analysis(confidence: &Confidence, action: Action) -> Value {
    json!({
        "confidenceScore": confidence.score,
        "confidenceLevel": confidence.level.as_str(),
        "escalationAction": action.as_str(),
        "highStakes": confidence.high_stakes,
        "signals": confidence.signals,
    })
}
