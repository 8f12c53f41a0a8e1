//! `POST /chat/completions`: OpenAI, DeepSeek, and whatever else speaks like them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::chat::{ChatAnswer, ChatModel, ChatRequest, Role, Tool, ToolCall, Usage};
use super::prompt;
use crate::services::host::Account;
use crate::services::{Error, http};
use crate::telemetry::correlation::outgoing;

/// The longest answer that is read.
pub(super) const LONGEST: usize = 4 << 20;

/// A model at one address.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) provider: &'static str,
    pub(super) client: Client,
    pub(super) account: Arc<Account>,
    pub(super) url: Url,
    pub(super) model: String,
    pub(super) key: Option<SecretString>,
    pub(super) organization: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    // An empty list is refused by OpenAI itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Asked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Offer<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: &'a Tool,
}

#[derive(Serialize)]
struct Asked<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: AskedFunction<'a>,
}

#[derive(Serialize)]
struct AskedFunction<'a> {
    name: &'a str,
    /// JSON, as text.
    arguments: String,
}

#[derive(Deserialize)]
struct Reply {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Spent>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Wish>>,
}

#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    id: String,
    function: WishedFunction,
}

#[derive(Deserialize)]
struct WishedFunction {
    name: String,
    #[serde(default)]
    arguments: String,
}

#[derive(Default, Deserialize)]
struct Spent {
    #[serde(default)]
    prompt_tokens: u32,
    #[serde(default)]
    completion_tokens: u32,
}

impl Chat {
    async fn ask(&self, request: &ChatRequest) -> Result<Reply, Error> {
        let system = prompt::system(request);
        let body = body(&self.model, &system, request);
        let name = self.account.name();
        let response = self
            .signed(self.client.post(self.url.clone()))
            .timeout(self.timeout)
            .json(&body)
            .send()
            .await
            .map_err(|error| http::transport(name, error))?;
        http::json(name, http::check(name, response)?, LONGEST).await
    }

    fn signed(&self, mut request: RequestBuilder) -> RequestBuilder {
        request = request.headers(outgoing()).headers(self.headers.clone());
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose_secret());
        }
        match self.organization.as_deref().map(HeaderValue::from_str) {
            Some(Ok(organization)) => request.header("OpenAI-Organization", organization),
            _ => request,
        }
    }
}

#[async_trait]
impl ChatModel for Chat {
    async fn answer(&self, request: &ChatRequest) -> Result<ChatAnswer, Error> {
        let began = Instant::now();
        let Reply { choices, usage } = self.account.call(self.ask(request)).await?;
        let usage = usage.unwrap_or_default();
        let said = choices.into_iter().next().map(|choice| choice.message);
        let (text, calls) = said.map_or_else(Default::default, |said| {
            (
                said.content.unwrap_or_default(),
                said.tool_calls.unwrap_or_default(),
            )
        });
        Ok(ChatAnswer {
            text,
            calls: calls.into_iter().map(ToolCall::from).collect(),
            usage: Usage {
                prompt_tokens: usage.prompt_tokens,
                completion_tokens: usage.completion_tokens,
            },
            model: self.model.clone(),
            latency: began.elapsed(),
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        self.provider
    }
}

impl From<Wish> for ToolCall {
    fn from(wish: Wish) -> Self {
        let WishedFunction { name, arguments } = wish.function;
        Self {
            id: wish.id,
            name,
            // What is not JSON is told to the model by the tool.
            arguments: serde_json::from_str(&arguments).unwrap_or(Value::String(arguments)),
        }
    }
}

fn body<'a>(model: &'a str, system: &'a str, request: &'a ChatRequest) -> Body<'a> {
    // Models that reason count what they do not say, and refuse the older name; how freely they choose
    // their words is not ours to say.
    let reasons = ["o1", "o3", "o4", "gpt-5"];
    let reasons = reasons.iter().any(|family| model.starts_with(family));
    let offers = request.tools.iter().map(|tool| Offer {
        kind: "function",
        function: tool,
    });
    Body {
        model,
        messages: messages(system, request),
        temperature: request.temperature.filter(|_| !reasons),
        top_p: request.top_p.filter(|_| !reasons),
        max_tokens: request.max_tokens.filter(|_| !reasons),
        max_completion_tokens: request.max_tokens.filter(|_| reasons),
        tool_choice: (request.must_answer && !request.tools.is_empty()).then_some("none"),
        tools: offers.collect(),
    }
}

fn messages<'a>(system: &'a str, request: &'a ChatRequest) -> Vec<Message<'a>> {
    let plain = |role, content| Message {
        role,
        content,
        tool_calls: Vec::new(),
        tool_call_id: None,
    };
    let mut messages = Vec::new();
    if !system.is_empty() {
        messages.push(plain("system", system));
    }
    for turn in &request.history {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        messages.push(plain(role, &turn.content));
    }
    for round in &request.rounds {
        messages.push(Message {
            tool_calls: round.calls.iter().map(asked).collect(),
            ..plain("assistant", &round.text)
        });
        for (call, result) in round.calls.iter().zip(&round.results) {
            messages.push(Message {
                tool_call_id: Some(&call.id),
                ..plain("tool", result)
            });
        }
    }
    messages
}

fn asked(call: &ToolCall) -> Asked<'_> {
    Asked {
        id: &call.id,
        kind: "function",
        function: AskedFunction {
            name: &call.name,
            arguments: match &call.arguments {
                Value::String(text) => text.clone(),
                arguments => arguments.to_string(),
            },
        },
    }
}
