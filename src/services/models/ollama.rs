//! An Ollama server: `/api/embed` in batches, `/api/chat` as a stream.

mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::options::OllamaOptions;
use super::{ChatAnswer, ChatModel, ChatRequest, DIMENSIONS, Role, Tool, ToolCall, prompt};
use crate::services::host::{Account, Hosts};
use crate::services::{Error, http};
use crate::telemetry::correlation::outgoing;
use stream::Reply;

/// The most bytes one embedded text can take in an answer: 1024 numbers of 24 digits at the worst.
const BYTES_PER_VECTOR: usize = 32 * 1024;

/// The connections to one server and what is known of its health.
pub(super) struct Server {
    /// How errors and logs call it; the address may hold a password.
    name: String,
    base: Url,
    client: Client,
    account: Arc<Account>,
    idle: Duration,
    total: Duration,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({}, {:?})", self.name, self.account)
    }
}

impl Server {
    pub(super) fn new(
        options: &OllamaOptions,
        hosts: &Hosts,
        client: Client,
    ) -> Result<Self, Error> {
        let wrong = |reason: String| {
            let remedy = "set `ollama.base_url` to an address such as http://localhost:11434";
            Error::rejected("ollama", reason, remedy)
        };
        let mut base = Url::parse(&options.base_url)
            .map_err(|e| wrong(format!("its address is not a URL: {e}")))?;
        let ("http" | "https", Some(_)) = (base.scheme(), base.host_str()) else {
            return Err(wrong("its address is not an http URL with a host".into()));
        };
        let account = hosts.account("ollama", &base, None);
        let name = account.name().to_owned();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path())); // or `join` would drop its last segment
        }
        Ok(Self {
            account,
            name,
            base,
            client,
            idle: Duration::from_millis(options.idle_timeout_ms),
            total: Duration::from_millis(options.timeout_ms),
        })
    }

    /// Sends a request. The total timeout runs on while the answer is read.
    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Response, Error> {
        let url = self.base.join(path).map_err(|e| {
            let reason = format!("its address cannot be extended: {e}");
            Error::rejected(&self.name, reason, "check `ollama.base_url`")
        })?;
        let request = self.client.post(url).headers(outgoing());
        let request = request.timeout(self.total).json(body);
        request
            .send()
            .await
            .map_err(|e| http::transport(&self.name, e))
    }

    /// What a 404 means: an old server that lacks the route, or one that lacks the model. Only the
    /// latter is said in JSON.
    async fn lacks_model(&self, response: Response, model: &str) -> Option<Error> {
        #[derive(Deserialize)]
        struct Said {
            #[expect(dead_code, reason = "its presence is the message")]
            error: String,
        }
        http::json::<Said>(&self.name, response, BYTES_PER_VECTOR)
            .await
            .ok()?;
        Some(Error::rejected(
            &self.name,
            format!("it has no model `{model}`"),
            format!("run `ollama pull {model}` there, or choose another model"),
        ))
    }

    fn not_ollama(&self) -> Error {
        let remedy = "check `ollama.base_url`: this is not an Ollama server";
        Error::rejected(&self.name, "it does not know the request", remedy)
    }

    fn stalled(&self) -> Error {
        Error::unavailable(&self.name, format!("it was silent for {:?}", self.idle))
    }
}

/// Embeds with a model of the server.
#[derive(Debug)]
pub(super) struct Embedder {
    server: Arc<Server>,
    model: String,
    batch: usize,
}

#[derive(Serialize)]
struct EmbedBatch<'a> {
    model: &'a str,
    input: &'a [String],
}

#[derive(Deserialize)]
struct Embeddings {
    embeddings: Vec<Vec<f32>>,
}

/// The request of servers before 0.3.
#[derive(Serialize)]
struct EmbedOne<'a> {
    model: &'a str,
    prompt: &'a str,
}

#[derive(Deserialize)]
struct Embedding {
    embedding: Vec<f32>,
}

impl Embedder {
    pub(super) fn new(server: Arc<Server>, options: &OllamaOptions) -> Self {
        Self {
            server,
            model: options.embed_model.clone(),
            batch: options.embed_batch.max(1),
        }
    }

    /// A server that is well may fail at one certain text, for ever: it makes no numbers of it. That is a
    /// refusal of the text, and not the server's being away.
    async fn embed_batch(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        let broke = match self.embed_together(texts).await? {
            Ok(vectors) => return Ok(vectors),
            Err(broke) => broke,
        };
        if !self.is_well().await? {
            return Err(broke);
        }
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            match self.embed_together(slice::from_ref(text)).await? {
                Ok(vector) => vectors.extend(vector),
                Err(_) if self.is_well().await? => {
                    return Err(Error::rejected(
                        &self.server.name,
                        format!("`{}` breaks on a text, and embeds others", self.model),
                        "change the text, or use another embedding model; the server's log may say more",
                    ));
                }
                Err(broke) => return Err(broke),
            }
        }
        Ok(vectors)
    }

    /// Whether it embeds a text that every model can.
    async fn is_well(&self) -> Result<bool, Error> {
        let known = self.embed_together(&["hello".to_owned()]).await?;
        Ok(known.is_ok())
    }

    /// The vectors; within, that the server broke, for a reason that may lie in the texts.
    async fn embed_together(
        &self,
        texts: &[String],
    ) -> Result<Result<Vec<Vec<f32>>, Error>, Error> {
        let server = &self.server;
        let body = EmbedBatch {
            model: &self.model,
            input: texts,
        };
        let response = server.post("api/embed", &body).await?;
        if response.status() == StatusCode::NOT_FOUND {
            if let Some(error) = server.lacks_model(response, &self.model).await {
                return Err(error);
            }
            return self.embed_one_by_one(texts).await;
        }
        if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
            return Ok(http::check(&server.name, response).map(|_| Vec::new()));
        }
        let response = http::check(&server.name, response)?;
        let limit = BYTES_PER_VECTOR * (texts.len() + 1);
        let Embeddings { embeddings } = http::json(&server.name, response, limit).await?;
        if embeddings.len() != texts.len() {
            return Err(self.wrong(format!(
                "it answered {} texts with {} vectors",
                texts.len(),
                embeddings.len()
            )));
        }
        embeddings.iter().try_for_each(|v| self.check(v))?;
        Ok(Ok(embeddings))
    }

    async fn embed_one_by_one(
        &self,
        texts: &[String],
    ) -> Result<Result<Vec<Vec<f32>>, Error>, Error> {
        let server = &self.server;
        let mut vectors = Vec::with_capacity(texts.len());
        for prompt in texts {
            let body = EmbedOne {
                model: &self.model,
                prompt,
            };
            let response = server.post("api/embeddings", &body).await?;
            if response.status() == StatusCode::NOT_FOUND {
                let missing = server.lacks_model(response, &self.model).await;
                return Err(missing.unwrap_or_else(|| server.not_ollama()));
            }
            if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
                return Ok(http::check(&server.name, response).map(|_| Vec::new()));
            }
            let response = http::check(&server.name, response)?;
            let Embedding { embedding } =
                http::json(&server.name, response, BYTES_PER_VECTOR * 2).await?;
            self.check(&embedding)?;
            vectors.push(embedding);
        }
        Ok(Ok(vectors))
    }

    /// A vector that cannot be stored or compared is found here, not by the database.
    fn check(&self, vector: &[f32]) -> Result<(), Error> {
        if vector.len() != DIMENSIONS {
            let found = vector.len();
            return Err(self.wrong(format!("its vectors have {found} numbers")));
        }
        if vector.iter().any(|x| !x.is_finite()) || vector.iter().all(|x| *x == 0.0) {
            return Err(self.wrong("it made a vector without direction".into()));
        }
        Ok(())
    }

    fn wrong(&self, reason: String) -> Error {
        let remedy = format!(
            "`{}` must be an embedding model with vectors of {DIMENSIONS} numbers, such as \
             mxbai-embed-large",
            self.model
        );
        Error::rejected(&self.server.name, reason, remedy)
    }
}

#[async_trait]
impl super::Embedder for Embedder {
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.batch) {
            let embedded = self.server.account.call(self.embed_batch(batch)).await?;
            vectors.extend(embedded);
        }
        Ok(vectors)
    }

    fn name(&self) -> &str {
        &self.model
    }
}

/// Answers with a model of the server.
#[derive(Debug)]
pub(super) struct Chat {
    server: Arc<Server>,
    model: String,
}

#[derive(Serialize)]
struct ChatBody<'a> {
    model: &'a str,
    stream: bool,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offer<'a>>,
    options: Sampling,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
}

#[derive(Serialize)]
struct Offer<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: &'a Tool,
}

#[derive(Serialize)]
struct Sampling {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<u32>,
}

impl Chat {
    pub(super) fn new(server: Arc<Server>, options: &OllamaOptions) -> Self {
        Self {
            server,
            model: options.chat_model.clone(),
        }
    }

    async fn stream<'a>(&'a self, request: &ChatRequest) -> Result<Reply<'a>, Error> {
        let server = &self.server;
        let mut response = self.open(request).await?;
        let mut reply = Reply::new(&server.name);
        while !reply.done() {
            let piece = timeout(server.idle, response.chunk())
                .await
                .map_err(|_| server.stalled())?
                .map_err(|e| http::transport(&server.name, e))?;
            match piece {
                Some(bytes) => reply.take(&bytes)?,
                None => reply.end()?,
            }
        }
        Ok(reply)
    }

    async fn open(&self, request: &ChatRequest) -> Result<Response, Error> {
        let server = &self.server;
        let system = prompt::system(request);
        let body = ChatBody {
            model: &self.model,
            stream: true,
            messages: messages(&system, request),
            tools: offers(request),
            options: Sampling {
                temperature: request.temperature,
                top_p: request.top_p,
                num_predict: request.max_tokens,
            },
        };
        let response = timeout(server.idle, server.post("api/chat", &body))
            .await
            .map_err(|_| server.stalled())??;
        if response.status() == StatusCode::NOT_FOUND {
            let missing = server.lacks_model(response, &self.model).await;
            return Err(missing.unwrap_or_else(|| server.not_ollama()));
        }
        http::check(&server.name, response)
    }
}

/// It has no way to say "answer now" but to offer nothing.
fn offers(request: &ChatRequest) -> Vec<Offer<'_>> {
    let offers = request.tools.iter().filter(|_| !request.must_answer);
    let offer = |function| Offer {
        kind: "function",
        function,
    };
    offers.map(offer).collect()
}

fn messages<'a>(system: &'a str, request: &'a ChatRequest) -> Vec<Message<'a>> {
    let plain = |role, content| Message {
        role,
        content,
        tool_calls: Vec::new(),
        tool_name: None,
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
                tool_name: Some(&call.name),
                ..plain("tool", result)
            });
        }
    }
    messages
}

fn asked(call: &ToolCall) -> Value {
    json!({"function": {"name": call.name, "arguments": call.arguments}})
}

#[async_trait]
impl ChatModel for Chat {
    async fn answer(&self, request: &ChatRequest) -> Result<ChatAnswer, Error> {
        let began = Instant::now();
        let reply = self.server.account.call(self.stream(request)).await?;
        Ok(ChatAnswer {
            text: reply.text,
            calls: reply.calls,
            usage: reply.usage,
            model: self.model.clone(),
            latency: began.elapsed(),
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        "ollama"
    }
}
