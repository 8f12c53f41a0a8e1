use serde::Deserialize;

/// Which models answer and embed, and where they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelOptions {
    /// What turns texts into vectors. Changing it needs every document to be embedded again.
    pub embedder: EmbedderKind,
    /// What answers.
    pub model: ChatKind,
    /// Where Ollama is, if either of them is `ollama`.
    pub ollama: OllamaOptions,
}

impl ModelOptions {
    /// Whether anything here needs the server.
    pub fn uses_ollama(&self) -> bool {
        self.embedder == EmbedderKind::Ollama || self.model == ChatKind::Ollama
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
        };
        assert_eq!(options, expected);
        assert!(options.uses_ollama());
        assert!(!ModelOptions::default().uses_ollama());
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
