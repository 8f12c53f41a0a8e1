use std::num::NonZeroUsize;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::prices::Prices;

/// Which models answer and embed, and where they are.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelOptions {
    /// What turns texts into vectors. Changing it needs every document to be embedded again.
    pub embedder: EmbedderKind,
    /// What answers.
    pub model: ChatKind,
    /// The most calls to one host at once; fewer while it does not bear as many.
    pub max_calls_per_host: NonZeroUsize,
    /// Whether tenants may name an address of their own (`llm.baseUrl`).
    pub tenant_addresses: bool,
    /// Whether those may be in a private network.
    pub tenant_private_addresses: bool,
    /// What models cost.
    pub prices: Prices,
    /// Where Ollama is, if anything is answered or embedded by it.
    pub ollama: OllamaOptions,
    /// OpenAI, or whatever speaks like it.
    pub openai: ApiOptions,
    /// DeepSeek.
    pub deepseek: ApiOptions,
    /// Anthropic.
    pub anthropic: ApiOptions,
}

impl Default for ModelOptions {
    fn default() -> Self {
        let api = |base_url: &str, chat_model: &str| ApiOptions {
            base_url: base_url.to_owned(),
            chat_model: chat_model.to_owned(),
            ..ApiOptions::default()
        };
        Self {
            embedder: EmbedderKind::default(),
            model: ChatKind::default(),
            max_calls_per_host: NonZeroUsize::MIN.saturating_add(63),
            tenant_addresses: true,
            tenant_private_addresses: false,
            prices: Prices::default(),
            ollama: OllamaOptions::default(),
            openai: api("https://api.openai.com/v1", "gpt-4o"),
            deepseek: api("https://api.deepseek.com/v1", "deepseek-chat"),
            anthropic: api("https://api.anthropic.com", ""),
        }
    }
}

/// What turns texts into vectors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbedderKind {
    /// Offline: texts are close when they share words.
    #[default]
    Hash,
    /// A model on an Ollama server.
    Ollama,
}

/// What answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatKind {
    /// Offline: quotes the sentences that fit the question best.
    #[default]
    Extractive,
    /// A model on an Ollama server.
    Ollama,
    /// A model of OpenAI, or of whatever speaks like it.
    Openai,
    /// A model of DeepSeek.
    Deepseek,
    /// A model of Anthropic.
    Anthropic,
}

/// A provider of models on the internet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiOptions {
    /// Its address, `http` or `https`.
    pub base_url: String,
    /// The model that answers.
    pub chat_model: String,
    /// The key for tenants without one of their own; never sent to an address of a tenant's.
    pub api_key: SecretString,
    /// How long to wait for a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long one request may take in all, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            chat_model: String::new(),
            api_key: SecretString::default(),
            connect_timeout_ms: 5_000,
            timeout_ms: 60_000,
        }
    }
}

impl PartialEq for ApiOptions {
    fn eq(&self, other: &Self) -> bool {
        self.base_url == other.base_url
            && self.chat_model == other.chat_model
            && self.api_key.expose_secret() == other.api_key.expose_secret()
            && self.connect_timeout_ms == other.connect_timeout_ms
            && self.timeout_ms == other.timeout_ms
    }
}

/// An Ollama server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OllamaOptions {
    /// Its address, `http` or `https`.
    pub base_url: String,
    /// The model that answers. It must have been pulled.
    pub chat_model: String,
    /// The model that embeds, with vectors of 1024 numbers. It must have been pulled.
    pub embed_model: String,
    /// How long to wait for a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long an answer may pause, before its first word and between words, in milliseconds.
    /// Allow for the time the server takes to load the model.
    pub idle_timeout_ms: u64,
    /// How long one request may take in all, in milliseconds.
    pub timeout_ms: u64,
    /// How many texts to embed in one request.
    pub embed_batch: usize,
    /// How long a request that is not full waits for texts of other jobs, in milliseconds.
    pub embed_window_ms: u64,
    /// How many requests that embed may be under way at once.
    pub embed_parallel: usize,
}

impl Default for OllamaOptions {
    fn default() -> Self {
        Self {
            base_url: "http://localhost:11434".into(),
            chat_model: "llama3.2".into(),
            embed_model: "mxbai-embed-large".into(),
            connect_timeout_ms: 5_000,
            idle_timeout_ms: 60_000,
            timeout_ms: 120_000,
            embed_batch: 64,
            embed_window_ms: 10,
            embed_parallel: 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_said_has_a_default() {
        let options: ModelOptions = serde_json::from_value(json!({
            "embedder": "ollama",
            "ollama": { "base_url": "http://gpu:11434" },
        }))
        .unwrap();
        let expected = ModelOptions {
            embedder: EmbedderKind::Ollama,
            model: ChatKind::Extractive,
            ollama: OllamaOptions {
                base_url: "http://gpu:11434".into(),
                ..OllamaOptions::default()
            },
            ..ModelOptions::default()
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn an_unknown_key_or_kind_is_an_error() {
        for wrong in [
            json!({ "embeder": "hash" }),
            json!({ "ollama": { "url": "http://gpu" } }),
            json!({ "model": "gpt" }),
        ] {
            assert!(serde_json::from_value::<ModelOptions>(wrong).is_err());
        }
    }
}
