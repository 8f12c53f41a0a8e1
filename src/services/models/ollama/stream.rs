//! A chat answer as it comes in: one JSON object per line, in pieces cut anywhere.

use serde::Deserialize;
use serde_json::Value;

use crate::services::models::{ToolCall, Usage};
use crate::services::{Error, http};

/// The most an answer may grow to, with what is left of its last line. No model writes as much; a
/// server that never ends a line must not fill the memory.
const LONGEST: usize = 4 << 20;

/// What has been said so far.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    pub(super) text: String,
    pub(super) calls: Vec<ToolCall>,
    pub(super) usage: Usage,
    service: &'a str,
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
    done: bool,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    message: Said,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    prompt_eval_count: u32,
    #[serde(default)]
    eval_count: u32,
    /// Instead of everything else, when the model broke down half-way.
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    content: String,
    #[serde(default)]
    tool_calls: Vec<Wish>,
}

#[derive(Deserialize)]
struct Wish {
    function: WishedFunction,
}

#[derive(Deserialize)]
struct WishedFunction {
    name: String,
    #[serde(default)]
    arguments: Value,
}

impl<'a> Reply<'a> {
    pub(super) fn new(service: &'a str) -> Self {
        Self {
            text: String::new(),
            calls: Vec::new(),
            usage: Usage::default(),
            service,
            rest: Vec::new(),
            done: false,
        }
    }

    /// Whether the model has said that it is finished.
    pub(super) fn done(&self) -> bool {
        self.done
    }

    /// Takes the next piece.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.rest.extend_from_slice(piece);
        while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.line(&line)?;
        }
        if self.text.len() + self.rest.len() > LONGEST {
            let reason = format!("its answer is longer than {LONGEST} bytes");
            return Err(Error::rejected(self.service, reason, "set `max_tokens`"));
        }
        Ok(())
    }

    /// Takes the end of the stream, which must not come before the model has finished.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        let line = std::mem::take(&mut self.rest);
        self.line(&line)?;
        if self.done {
            Ok(())
        } else {
            Err(Error::unavailable(self.service, "its answer broke off"))
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        if self.done || line.trim_ascii().is_empty() {
            return Ok(());
        }
        let line: Line = http::parse(self.service, line)?;
        if line.error.is_some() {
            let reason = "the model broke down in the middle of its answer";
            return Err(Error::unavailable(self.service, reason));
        }
        self.text.push_str(&line.message.content);
        for Wish { function } in line.message.tool_calls {
            // It gives its calls no ids, and knows results by their order.
            self.calls.push(ToolCall {
                id: self.calls.len().to_string(),
                name: function.name,
                arguments: function.arguments,
            });
        }
        if line.done {
            self.done = true;
            self.usage = Usage {
                prompt_tokens: line.prompt_eval_count,
                completion_tokens: line.eval_count,
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = concat!(
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"Grüße\"},\"done\":false}\n",
        "{\"message\":{\"content\":\", \"},\"done\":false}\r\n",
        "\n",
        "{\"message\":{\"thinking\":\"hm\",\"content\":\"\"},\"done\":false}\n",
        "{\"message\":{\"content\":\"Welt 🌍\"},\"done\":false}\n",
        "{\"message\":{\"content\":\"\"},\"done\":true,\"prompt_eval_count\":12,\"eval_count\":7}",
    );

    proptest! {
        #[test]
        fn however_it_is_cut_it_reads_the_same(mut cuts in prop::collection::vec(0..STREAM.len(), 0..12)) {
            cuts.push(0);
            cuts.push(STREAM.len());
            cuts.sort_unstable();
            let mut reply = Reply::new("x");
            for cut in cuts.windows(2) {
                reply.take(&STREAM.as_bytes()[cut[0]..cut[1]])?;
            }
            prop_assert!(!reply.done(), "the last line has no end yet");
            reply.end()?;
            prop_assert_eq!(&reply.text, "Grüße, Welt 🌍");
            prop_assert_eq!(reply.usage, Usage { prompt_tokens: 12, completion_tokens: 7 });
        }
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_answer() {
        for stream in [
            "",
            "{\"message\":{\"content\":\"half\"},\"done\":false}\n",
            "{\"message\":{\"content\":\"half\"}}\n{\"error\":\"out of memory\"}\n",
        ] {
            let mut reply = Reply::new("x");
            let error = reply
                .take(stream.as_bytes())
                .and_then(|()| reply.end())
                .unwrap_err();
            assert!(error.is_transient(), "{error}");
            assert!(!error.to_string().contains("memory"), "{error}");
        }
    }

    #[test]
    fn an_endless_line_is_cut_short() {
        let mut reply = Reply::new("x");
        let piece = vec![b'x'; 1 << 20];
        let taken = (0..5).find_map(|_| reply.take(&piece).err());
        assert!(taken.is_some_and(|error| !error.is_transient()));
    }
}
