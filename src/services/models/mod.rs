//! Models that turn text into vectors and questions into answers.
//!
//! `ollama` does both on a server; OpenAI, DeepSeek, Anthropic and whatever speaks like OpenAI answer.
//! Each has an offline one beside it (`hash`, `extractive`), which is deterministic, needs nothing and
//! says what it is. The offline ones let the first run and the tests show the whole flow; they match
//! words, they do not understand.

mod anthropic;
mod batched;
mod chat;
mod extractive;
mod hash;
mod ollama;
mod openai;
mod options;
mod prices;
mod prompt;
mod providers;
#[cfg(test)]
mod providers_tests;
#[cfg(test)]
mod retrieval_tests;
mod words;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::Error;
use super::host::Hosts;
use batched::Batched;
pub use chat::{
    ChatAnswer, ChatModel, ChatRequest, Passage, Role, Tool, ToolCall, ToolRound, Turn, Usage,
};
pub use options::{ApiOptions, ChatKind, EmbedderKind, ModelOptions, OllamaOptions};
pub use prices::{InvalidPrice, Price, Prices};
use providers::Providers;
pub use providers::{ChatChoice, Provider};

/// The length of every vector: what the platform's `chunks.embedding vector(1024)` holds.
pub const DIMENSIONS: usize = 1024;

/// Turns texts into vectors that lie close together when the texts are about the same.
#[async_trait]
pub trait Embedder: fmt::Debug + Send + Sync {
    /// One vector per text, in order, each of [`DIMENSIONS`] finite numbers and never all zero.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error>;

    /// What to record beside the vectors. Vectors of differently named embedders do not compare.
    fn name(&self) -> &str;

    /// Whether making a vector again costs less than remembering it.
    fn is_cheap(&self) -> bool {
        false
    }

    /// How long the vectors are.
    fn dimensions(&self) -> usize {
        DIMENSIONS
    }
}

/// The models of a process. Made once and shared by all its jobs, and so are the connections and
/// the circuit breaker inside.
#[derive(Debug, Clone)]
pub struct Models {
    /// Turns texts into vectors.
    pub embedder: Arc<dyn Embedder>,
    /// Answers, where a tenant chose nothing else.
    pub chat: Arc<dyn ChatModel>,
    /// What models cost.
    pub prices: Arc<Prices>,
    providers: Arc<Providers>,
}

impl Models {
    /// Makes what the options ask for. Connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the address of a server makes no sense.
    pub fn new(options: &ModelOptions) -> Result<Self, Error> {
        let hosts = Hosts::new(options.max_calls_per_host);
        let providers = Arc::new(Providers::new(options, hosts)?);
        let embedder: Arc<dyn Embedder> = match options.embedder {
            EmbedderKind::Hash => Arc::new(hash::HashEmbedder),
            EmbedderKind::Ollama => {
                let embedder = providers.ollama_embedder()?;
                Arc::new(Batched::new(Arc::new(embedder), &options.ollama))
            }
        };
        Ok(Self {
            embedder,
            chat: providers.default_chat(options.model)?,
            prices: Arc::new(options.prices.clone()),
            providers,
        })
    }

    /// The model that a tenant chose; what it left open is as the options say.
    ///
    /// # Errors
    /// [`Error::Rejected`] if there is no such model, or its address makes no sense.
    pub fn chat_for(&self, choice: &ChatChoice) -> Result<Arc<dyn ChatModel>, Error> {
        if *choice == ChatChoice::default() {
            return Ok(Arc::clone(&self.chat));
        }
        self.providers.chat(choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_text() {
        let request = ChatRequest {
            system: "SECRET".into(),
            history: vec![Turn {
                role: Role::User,
                content: "SECRET".into(),
            }],
            passages: vec![Passage {
                source: "SECRET".into(),
                text: "SECRET".into(),
            }],
            ..ChatRequest::default()
        };
        let answer = ChatAnswer {
            text: "SECRET".into(),
            calls: Vec::new(),
            usage: Usage::default(),
            model: "m".into(),
            latency: std::time::Duration::ZERO,
        };
        assert!(!format!("{request:?} {answer:?}").contains("SECRET"));
    }

    #[test]
    fn defaults_need_no_server() {
        let models = Models::new(&ModelOptions::default()).unwrap();
        assert_eq!(models.embedder.name(), "hash-1");
        assert_eq!(models.embedder.dimensions(), DIMENSIONS);
        assert_eq!(models.chat.name(), "extractive");
    }

    #[test]
    fn a_broken_address_is_found_at_once() {
        for base_url in ["localhost:11434", "not a url", "ftp://host"] {
            let mut options = ModelOptions {
                model: ChatKind::Ollama,
                ..ModelOptions::default()
            };
            options.ollama.base_url = base_url.into();
            let error = Models::new(&options).unwrap_err();
            assert!(!error.is_transient(), "{base_url}");
        }
    }
}
