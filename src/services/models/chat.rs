//! What is asked of a chat model, and what it says: the same for every provider.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::services::Error;

/// Answers the last message of a conversation.
#[async_trait]
pub trait ChatModel: fmt::Debug + Send + Sync {
    /// Waits for the whole answer.
    async fn answer(&self, request: &ChatRequest) -> Result<ChatAnswer, Error>;

    /// What to record beside the answer.
    fn name(&self) -> &str;

    /// Whose it is, such as `ollama`; for metrics.
    fn provider(&self) -> &'static str;

    /// Whether the same request has the same answer and costs nothing, so that asking again is
    /// cheaper than remembering.
    fn is_free(&self) -> bool {
        false
    }
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
    /// What the model may ask for before it answers.
    pub tools: Vec<Tool>,
    /// What it has asked for so far, and was told.
    pub rounds: Vec<ToolRound>,
    /// Whether it has to answer now, without another call.
    pub must_answer: bool,
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

/// Something a model may ask for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tool {
    /// What it is called by.
    pub name: &'static str,
    /// When to use it, for the model.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
}

/// A model's wish to use a tool.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// What the provider calls it, so that it knows the result.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// With what: an object, or whatever the model wrote instead.
    pub arguments: Value,
}

/// One time that a model asked, and what it was told.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolRound {
    /// What it said besides.
    pub text: String,
    /// What it asked for.
    pub calls: Vec<ToolCall>,
    /// What it was told: one result for each call, in order.
    pub results: Vec<String>,
}

/// What a chat model said.
#[derive(Clone, PartialEq)]
pub struct ChatAnswer {
    /// The answer; empty if the model had nothing to say.
    pub text: String,
    /// What it wants to use first; then the text is no answer yet.
    pub calls: Vec<ToolCall>,
    /// What it cost.
    pub usage: Usage,
    /// Which model answered.
    pub model: String,
    /// How long it took, from the request to the last word.
    pub latency: Duration,
}

/// Tokens read and written; zero for a model that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    pub completion_tokens: u32,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self
            .completion_tokens
            .saturating_add(other.completion_tokens);
    }
}

impl ChatRequest {
    /// What is to be answered: all that the customer wrote since the last answer.
    pub(super) fn question(&self) -> String {
        let unanswered = self
            .history
            .rsplit(|turn| turn.role == Role::Assistant)
            .next()
            .unwrap_or_default();
        let said: Vec<&str> = unanswered.iter().map(|turn| &*turn.content).collect();
        said.join("\n")
    }
}

// What people and documents say belongs in no log, so `Debug` shows only its size.

impl fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatRequest")
            .field("history", &self.history)
            .field("passages", &self.passages)
            .field("rounds", &self.rounds)
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

impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolCall({})", self.name)
    }
}

impl fmt::Debug for ToolRound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolRound({:?})", self.calls)
    }
}

impl fmt::Debug for ChatAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatAnswer")
            .field("bytes", &self.text.len())
            .field("calls", &self.calls)
            .field("usage", &self.usage)
            .field("model", &self.model)
            .field("latency", &self.latency)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_all_that_is_unanswered() {
        let turn = |role, content: &str| Turn {
            role,
            content: content.into(),
        };
        let mut request = ChatRequest::default();
        assert_eq!(request.question(), "");
        request.history = vec![
            turn(Role::User, "Hello"),
            turn(Role::Assistant, "Hi!"),
            turn(Role::User, "When"),
            turn(Role::User, "are you open?"),
        ];
        assert_eq!(request.question(), "When\nare you open?");
        request.history.truncate(1);
        assert_eq!(request.question(), "Hello");
    }
}
