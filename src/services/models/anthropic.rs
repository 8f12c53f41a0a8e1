//! `POST /v1/messages` of Anthropic.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::chat::{ChatAnswer, ChatModel, ChatRequest, Role, ToolCall, Usage};
use super::openai::LONGEST;
use super::prompt;
use crate::services::host::Account;
use crate::services::{Error, http};
use crate::telemetry::correlation::outgoing;

/// The API that is spoken here.
const VERSION: &str = "2023-06-01";
/// The longest answer where nobody set one: the API asks for a number.
const MAX_TOKENS: u32 = 1024;

/// A model at one address.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) client: Client,
    pub(super) account: Arc<Account>,
    pub(super) url: Url,
    pub(super) model: String,
    pub(super) key: Option<SecretString>,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    system: &'a str,
    messages: Vec<Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: Vec<Value>,
}

#[derive(Deserialize)]
struct Reply {
    content: Vec<Block>,
    #[serde(default)]
    usage: Spent,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        input: Value,
    },
    /// Thoughts, and what the API learns to say later.
    #[serde(other)]
    Other,
}

#[derive(Default, Deserialize)]
struct Spent {
    #[serde(default, rename = "input_tokens")]
    input: u32,
    #[serde(default, rename = "output_tokens")]
    output: u32,
    /// Counted apart from the input they belong to.
    #[serde(default, rename = "cache_creation_input_tokens")]
    cache_written: Option<u32>,
    #[serde(default, rename = "cache_read_input_tokens")]
    cache_read: Option<u32>,
}

impl Chat {
    async fn ask(&self, request: &ChatRequest) -> Result<Reply, Error> {
        let system = prompt::system(request);
        let body = body(&self.model, &system, request);
        let name = self.account.name();
        let mut call = self
            .client
            .post(self.url.clone())
            .headers(outgoing())
            .headers(self.headers.clone())
            .header("anthropic-version", VERSION);
        if let Some(key) = &self.key {
            call = call.header("x-api-key", key.expose_secret());
        }
        let response = call
            .timeout(self.timeout)
            .json(&body)
            .send()
            .await
            .map_err(|error| http::transport(name, error))?;
        http::json(name, http::check(name, response)?, LONGEST).await
    }
}

#[async_trait]
impl ChatModel for Chat {
    async fn answer(&self, request: &ChatRequest) -> Result<ChatAnswer, Error> {
        let began = Instant::now();
        let Reply { content, usage } = self.account.call(self.ask(request)).await?;
        let (mut text, mut calls) = (String::new(), Vec::new());
        for block in content {
            match block {
                Block::Text { text: said } => text.push_str(&said),
                Block::ToolUse { id, name, input } => calls.push(ToolCall {
                    id,
                    name,
                    arguments: input,
                }),
                Block::Other => {}
            }
        }
        let cached = [usage.cache_written, usage.cache_read];
        Ok(ChatAnswer {
            text,
            calls,
            usage: Usage {
                prompt_tokens: usage.input + cached.into_iter().flatten().sum::<u32>(),
                completion_tokens: usage.output,
            },
            model: self.model.clone(),
            latency: began.elapsed(),
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        "anthropic"
    }
}

fn body<'a>(model: &'a str, system: &'a str, request: &'a ChatRequest) -> Body<'a> {
    let offers = request.tools.iter().map(|tool| {
        json!({
            "name": tool.name,
            "description": tool.description,
            "input_schema": tool.parameters,
        })
    });
    Body {
        model,
        max_tokens: request.max_tokens.unwrap_or(MAX_TOKENS),
        system,
        messages: messages(request),
        // The platform's settings go up to 2, this API to 1.
        temperature: request.temperature.map(|chance| chance.min(1.0)),
        // Newer models refuse both at once.
        top_p: request.top_p.filter(|_| request.temperature.is_none()),
        tool_choice: (request.must_answer && !request.tools.is_empty())
            .then(|| json!({"type": "none"})),
        tools: offers.collect(),
    }
}

/// Begins with the user, and the two take turns: the API asks for it. It refuses empty texts.
fn messages(request: &ChatRequest) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let mut say = |role: &'static str, blocks: Vec<Value>| match messages.last_mut() {
        None if role == "assistant" => {}
        Some(last) if last.role == role => last.content.extend(blocks),
        _ if blocks.is_empty() => {}
        _ => messages.push(Message {
            role,
            content: blocks,
        }),
    };
    for turn in &request.history {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        say(role, text(&turn.content).into_iter().collect());
    }
    for round in &request.rounds {
        let calls = round.calls.iter().map(|call| {
            // Anything but an object is refused.
            let input = Some(&call.arguments).filter(|input| input.is_object());
            let input = input.cloned().unwrap_or_else(|| json!({}));
            json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
        });
        say(
            "assistant",
            text(&round.text).into_iter().chain(calls).collect(),
        );
        let results = round.calls.iter().zip(&round.results);
        let results = results.map(|(call, result)| {
            json!({"type": "tool_result", "tool_use_id": call.id, "content": result})
        });
        say("user", results.collect());
    }
    messages
}

fn text(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({"type": "text", "text": text}))
}
