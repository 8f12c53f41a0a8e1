//! Asks the model, with what was said and what the documents say; keeps what was paid for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass::engine::ContextError;

use super::{Case, prompt, tools};
use crate::jobs::failure::from_service;
use crate::jobs::retrieval::{Found, retrieve};
use crate::platform::{Direction, Message, TenantRuntime};
use crate::services::models::{
    ChatAnswer, ChatChoice, ChatModel, ChatRequest, Models, Passage, Price, ToolRound, Usage,
};
use crate::telemetry;

/// How often the model may ask for tools before it has to answer.
const ROUNDS: usize = 5;

/// How far the job got, for the attempt after this one: what a provider has been paid for is in here
/// before anything else happens, and never asked for again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    rounds: Vec<ToolRound>,
    usage: Usage,
    cost_usd: Option<f64>,
    latency: Duration,
    answer: Option<Answer>,
    /// Found when the message came in, and never again.
    #[serde(default)]
    over_limit: bool,
}

impl Kept {
    /// Of a message for which no model is asked.
    pub(super) fn over_limit() -> Self {
        Self {
            over_limit: true,
            ..Self::default()
        }
    }

    pub(super) fn is_over_limit(&self) -> bool {
        self.over_limit
    }
}

/// A finished answer, with what is to be recorded of it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) model: String,
    pub(super) usage: Usage,
    pub(super) cost_usd: Option<f64>,
    pub(super) latency: Duration,
    pub(super) tools_used: Vec<String>,
    pub(super) grounds: Grounds,
}

/// What an answer rests on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Grounds {
    pub(super) sources: Vec<Value>,
    pub(super) similarity: Option<f64>,
    pub(super) top_document: Option<String>,
}

/// How far an earlier attempt got. What an older program left in another form is of no use.
pub(super) fn resume(case: &Case<'_>) -> anyhow::Result<Kept> {
    let mut kept: Kept = match case.cx.resume() {
        Ok(kept) => kept.unwrap_or_default(),
        Err(ContextError::Decode { .. }) => Kept::default(),
        Err(error) => return Err(error.into()),
    };
    kept.over_limit |= case.over_limit;
    Ok(kept)
}

/// The answer to what was written since the last one.
pub(super) async fn ask(case: &Case<'_>) -> anyhow::Result<Answer> {
    let mut kept = resume(case)?;
    if let Some(answer) = kept.answer {
        return Ok(answer);
    }
    let models = &case.cx.services().models;
    let chat = models
        .chat_for(&choice(&case.tenant))
        .map_err(from_service)?;
    let found = look_up(case).await?;
    let mut request = request(case, &found);
    loop {
        // A round whose results are missing was asked for by an attempt that ended there.
        if let Some(round) = kept.rounds.last_mut() {
            while let Some(call) = round.calls.get(round.results.len()) {
                round.results.push(tools::run(case, call).await?);
            }
        }
        request.rounds.clone_from(&kept.rounds);
        request.must_answer = kept.rounds.len() >= ROUNDS;
        let answer = call(&*chat, &request, price(case, models, &*chat), &mut kept).await?;
        if answer.calls.is_empty() || request.must_answer {
            let answer = finish(answer, &kept, &found)?;
            if !chat.is_free() {
                kept.answer = Some(answer.clone());
                case.cx.checkpoint(&kept).await?;
            }
            return Ok(answer);
        }
        kept.rounds.push(ToolRound {
            text: answer.text,
            calls: answer.calls,
            results: Vec::new(),
        });
        case.cx.checkpoint(&kept).await?;
    }
}

/// Makes one call and counts what it cost.
async fn call(
    chat: &dyn ChatModel,
    request: &ChatRequest,
    price: Option<Price>,
    kept: &mut Kept,
) -> anyhow::Result<ChatAnswer> {
    let answer = chat.answer(request).await.map_err(|error| {
        telemetry::models::failed(chat.provider(), chat.name(), error.is_transient());
        from_service(error)
    })?;
    let usage = answer.usage;
    let cost = price.map(|price| price.of(usage));
    telemetry::models::answered(
        chat.provider(),
        &answer.model,
        usage.prompt_tokens,
        usage.completion_tokens,
        cost,
        answer.latency,
    );
    kept.usage += usage;
    kept.latency += answer.latency;
    kept.cost_usd = cost.map(|cost| cost + kept.cost_usd.unwrap_or_default());
    Ok(answer)
}

fn finish(answer: ChatAnswer, kept: &Kept, found: &[Found]) -> anyhow::Result<Answer> {
    if answer.text.trim().is_empty() {
        return Err(anyhow!("{} gave an empty answer", answer.model));
    }
    let calls = kept.rounds.iter().flat_map(|round| &round.calls);
    Ok(Answer {
        text: answer.text,
        model: answer.model,
        usage: kept.usage,
        cost_usd: kept.cost_usd,
        latency: kept.latency,
        tools_used: calls.map(|call| call.name.clone()).collect(),
        grounds: grounds(found),
    })
}

/// What the documents say about all that is unanswered.
async fn look_up(case: &Case<'_>) -> anyhow::Result<Vec<Found>> {
    let settings = &case.tenant.settings;
    let unanswered = case
        .history
        .rsplit(|message| message.direction == Direction::Outbound)
        .next()
        .unwrap_or_default();
    let question: Vec<&str> = unanswered.iter().filter_map(Message::text).collect();
    if !settings.enable_rag || question.is_empty() {
        return Ok(Vec::new());
    }
    let services = case.cx.services();
    retrieve(
        &services.platform,
        &services.models,
        &case.job.tenant_id,
        &settings.rag,
        &question.join("\n"),
    )
    .await
}

fn request(case: &Case<'_>, found: &[Found]) -> ChatRequest {
    let settings = &case.tenant.settings;
    let llm = &settings.llm;
    ChatRequest {
        system: prompt::system(settings),
        history: case.history.iter().map(prompt::turn).collect(),
        passages: found
            .iter()
            .map(|found| Passage {
                source: found.hit.document_name.clone(),
                text: found.hit.content.to_string(),
            })
            .collect(),
        tools: if settings.enable_function_calling {
            tools::offered()
        } else {
            Vec::new()
        },
        rounds: Vec::new(),
        must_answer: false,
        #[expect(clippy::cast_possible_truncation, reason = "a setting between 0 and 2")]
        temperature: llm.temperature.map(|t| t as f32),
        #[expect(clippy::cast_possible_truncation, reason = "a setting between 0 and 1")]
        top_p: llm.top_p.map(|p| p as f32),
        max_tokens: llm.max_tokens,
    }
}

/// The model that the tenant chose.
fn choice(tenant: &Arc<TenantRuntime>) -> ChatChoice {
    let llm = &tenant.settings.llm;
    ChatChoice {
        // Unknown ones were left out when the settings were read.
        provider: llm.provider.as_deref().and_then(|name| name.parse().ok()),
        model: llm.model.clone(),
        key: tenant
            .llm_key
            .as_ref()
            .map(|key| SecretString::from(key.as_str())),
        base_url: llm.base_url.clone(),
        organization: llm.organization_id.clone(),
        headers: llm
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect(),
        timeout: llm.timeout,
    }
}

/// The tenant's own price, or the installation's.
fn price(case: &Case<'_>, models: &Models, chat: &dyn ChatModel) -> Option<Price> {
    let per_million = |(prompt, completion)| Price {
        prompt_usd: prompt * 1000.0,
        completion_usd: completion * 1000.0,
    };
    let own = case.tenant.settings.llm.pricing.map(per_million);
    own.or_else(|| models.prices.get(chat.name()))
}

fn grounds(found: &[Found]) -> Grounds {
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
    Grounds {
        sources: (1..).zip(found).map(source).collect(),
        similarity: found.iter().filter_map(|f| f.similarity).reduce(f64::max),
        top_document: found.first().map(|f| f.hit.document_id.clone()),
    }
}

/// What people and models say belongs in no log.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("model", &self.model)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}
