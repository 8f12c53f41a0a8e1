//! Models that turn text into vectors and questions into answers.
//!
//! Two of each: `ollama`, which asks a server, and an offline one (`hash`, `extractive`), which is
//! deterministic, needs nothing and says what it is. The offline ones let the first run and the
//! tests show the whole flow; they match words, they do not understand.

mod batched;
mod extractive;
mod hash;
mod ollama;
mod options;
mod prompt;
#[cfg(test)]
mod retrieval_tests;
mod words;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Error;
use batched::Batched;
pub use options::{ChatKind, EmbedderKind, ModelOptions, OllamaOptions};

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

/// Answers the last message of a conversation.
#[async_trait]
pub trait ChatModel: fmt::Debug + Send + Sync {
    /// Waits for the whole answer.
    async fn answer(&self, request: &ChatRequest) -> Result<ChatAnswer, Error>;

    /// What to record beside the answer.
    fn name(&self) -> &str;
}

/// What a chat model is given.
#[derive(Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// Who the model is to be and how it is to speak.
    pub system: String,
    /// The conversation, oldest first; it ends with the message to be answered.
    pub history: Vec<Turn>,
    /// What was found in the tenant's documents, best first.
    pub passages: Vec<Passage>,
    /// How much chance there is in the choice of words; 0 is none.
    pub temperature: Option<f32>,
    /// Choose only among the likeliest words that together reach this probability.
    pub top_p: Option<f32>,
    /// The longest answer, in tokens.
    pub max_tokens: Option<u32>,
}

/// One message of a conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: String,
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The customer.
    User,
    /// We.
    Assistant,
}

/// A piece of a document.
#[derive(Clone, PartialEq, Eq)]
pub struct Passage {
    /// The name of its document.
    pub source: String,
    /// What stands there.
    pub text: String,
}

/// What a chat model said.
#[derive(Clone, PartialEq, Eq)]
pub struct ChatAnswer {
    /// The answer; empty if the model had nothing to say.
    pub text: String,
    /// What it cost.
    pub usage: Usage,
    /// Which model answered.
    pub model: String,
    /// How long it took, from the request to the last word.
    pub latency: Duration,
}

/// Tokens read and written; zero for a model that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    pub completion_tokens: u32,
}

impl ChatRequest {
    /// The message to be answered: the customer's last.
    fn question(&self) -> &str {
        self.history
            .iter()
            .rfind(|turn| turn.role == Role::User)
            .map_or("", |turn| &turn.content)
    }
}

// What people and documents say belongs in no log, so `Debug` shows only its size.

impl fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatRequest")
            .field("history", &self.history)
            .field("passages", &self.passages)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({:?}, {} bytes)", self.role, self.content.len())
    }
}

impl fmt::Debug for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passage({} bytes)", self.text.len())
    }
}

impl fmt::Debug for ChatAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatAnswer")
            .field("bytes", &self.text.len())
            .field("usage", &self.usage)
            .field("model", &self.model)
            .field("latency", &self.latency)
            .finish_non_exhaustive()
    }
}

/// The models of a process. Made once and shared by all its jobs, and so are the connections and
/// the circuit breaker inside.
#[derive(Debug, Clone)]
pub struct Models {
    /// Turns texts into vectors.
    pub embedder: Arc<dyn Embedder>,
    /// Answers.
    pub chat: Arc<dyn ChatModel>,
}

impl Models {
    /// Makes what the options ask for. Connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the address of a server makes no sense.
    pub fn new(options: &ModelOptions) -> Result<Self, Error> {
        let server = if options.uses_ollama() {
            Some(Arc::new(ollama::Server::new(&options.ollama)?))
        } else {
            None
        };
        let embedder: Arc<dyn Embedder> = match (options.embedder, &server) {
            (EmbedderKind::Ollama, Some(server)) => {
                let embedder = ollama::Embedder::new(server.clone(), &options.ollama);
                Arc::new(Batched::new(Arc::new(embedder), &options.ollama))
            }
            _ => Arc::new(hash::HashEmbedder),
        };
        let chat: Arc<dyn ChatModel> = match (options.model, &server) {
            (ChatKind::Ollama, Some(server)) => {
                Arc::new(ollama::Chat::new(server.clone(), &options.ollama))
            }
            _ => Arc::new(extractive::Extractive),
        };
        Ok(Self { embedder, chat })
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
            usage: Usage::default(),
            model: "m".into(),
            latency: Duration::ZERO,
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
