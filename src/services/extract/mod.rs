//! Takes the text out of uploaded files: text, Markdown, HTML, PDF and DOCX.
//!
//! Whoever made a file is not to be trusted: sizes, unpacked sizes and time are bounded, parsers run
//! beside the runtime on threads of their own, and one that panics ends its file and nothing else.

mod docx;
mod html;
mod kind;
mod pdf;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Semaphore;

use super::chunking::Format;
pub use kind::Kind;

/// What uploaded files may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExtractOptions {
    /// The largest text a file may hold, in bytes; also what a part of it may unpack to.
    pub max_text_bytes: usize,
    /// How long one file may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many files are taken apart at once.
    pub parsers: usize,
}

impl Default for ExtractOptions {
    fn default() -> Self {
        Self {
            max_text_bytes: 32 << 20,
            timeout_ms: 60_000,
            parsers: 2,
        }
    }
}

/// The text of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Extracted {
    /// What it says.
    pub text: String,
    /// How that is written.
    pub format: Format,
}

/// Why a file's text cannot be had. None of it changes by waiting; each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Nothing here reads such files.
    #[error(
        "mimeType: {0} is not a kind of document that can be read; upload text, Markdown, HTML, PDF \
         or DOCX"
    )]
    UnknownKind(String),
    /// Bytes that are no text.
    #[error("the file is not text in UTF-8 or UTF-16; save it as UTF-8 and upload it again")]
    NotText,
    /// It does not keep to its format.
    #[error(
        "the file is not a {0} that can be read: it is damaged, or something else; open and save it \
         again in the program that made it, and upload that"
    )]
    Damaged(Kind),
    /// It needs a password.
    #[error("the {0} is encrypted; remove its password and upload it again")]
    Encrypted(Kind),
    /// It is well-formed and says nothing.
    #[error(
        "the {0} holds no text; if it holds pictures of text, run text recognition (OCR) on it and \
         upload the result"
    )]
    Empty(Kind),
    /// It holds, or unpacks to, more than is allowed.
    #[error(
        "the {kind} holds more than {limit} bytes of text; upload it in parts, or raise \
         documents.extract.max_text_bytes"
    )]
    TooLarge {
        /// What it is.
        kind: Kind,
        /// What is allowed.
        limit: usize,
    },
    /// It took too long.
    #[error(
        "reading the {kind} took longer than {limit:?}; upload it in parts, or raise \
         documents.extract.timeout_ms"
    )]
    TooSlow {
        /// What it is.
        kind: Kind,
        /// What is allowed.
        limit: Duration,
    },
}

/// Why a file's text was not taken out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// It cannot be.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// No parser had time for it: it may have later.
    #[error("every parser is busy with other files")]
    Busy,
}

/// Takes files apart, a few at a time. Clones share the bound.
#[derive(Debug, Clone)]
pub struct Extractor {
    options: ExtractOptions,
    parsers: Arc<Semaphore>,
}

impl Extractor {
    /// Made once for a process.
    pub fn new(options: ExtractOptions) -> Self {
        Self {
            parsers: Arc::new(Semaphore::new(options.parsers.max(1))),
            options,
        }
    }

    /// The text of a file of this kind.
    ///
    /// # Errors
    /// [`ExtractError::Unreadable`], which no repetition will cure, or [`ExtractError::Busy`].
    pub async fn extract(&self, kind: Kind, bytes: Vec<u8>) -> Result<Extracted, ExtractError> {
        let size = self.options.max_text_bytes;
        let parsed = self.beside(kind, move |time| parse(kind, &bytes, size, time));
        parsed.await
    }

    /// The text that stands in a database, which may be HTML; of any other kind it is the text itself.
    ///
    /// # Errors
    /// As of [`Extractor::extract`].
    pub async fn extract_text(&self, kind: Kind, text: &str) -> Result<Extracted, ExtractError> {
        if kind == Kind::Html {
            return self.extract(kind, text.as_bytes().to_vec()).await;
        }
        let format = match kind {
            Kind::Markdown => Format::Markdown,
            _ => Format::Text,
        };
        let text = text.to_owned();
        Ok(Extracted { text, format })
    }

    /// Runs a parser on a thread of its own. A thread cannot be ended: one that takes too long keeps
    /// its place among the parsers until it sees by itself that its time is over, so there are never
    /// more than the bound.
    async fn beside(
        &self,
        kind: Kind,
        parse: impl FnOnce(Time) -> Result<Extracted, Unreadable> + Send + 'static,
    ) -> Result<Extracted, ExtractError> {
        let limit = Duration::from_millis(self.options.timeout_ms);
        let place = Arc::clone(&self.parsers).acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(limit, place).await else {
            return Err(ExtractError::Busy);
        };
        let time = Time {
            limit,
            end: Instant::now() + limit,
        };
        let parser = tokio::task::spawn_blocking(move || {
            let parsed = parse(time);
            drop(place);
            parsed
        });
        match tokio::time::timeout(limit, parser).await {
            Ok(Ok(parsed)) => Ok(parsed?),
            // The parser panicked, which is what it makes of a file it cannot bear.
            Ok(Err(_)) => Err(Unreadable::Damaged(kind).into()),
            Err(_) => Err(Unreadable::TooSlow { kind, limit }.into()),
        }
    }
}

/// The time that a parser has.
#[derive(Debug, Clone, Copy)]
struct Time {
    limit: Duration,
    end: Instant,
}

impl Time {
    /// To be asked again and again, as nobody can stop a parser but itself.
    fn is_over(self) -> bool {
        Instant::now() >= self.end
    }

    fn check(self, kind: Kind) -> Result<(), Unreadable> {
        if self.is_over() {
            let limit = self.limit;
            return Err(Unreadable::TooSlow { kind, limit });
        }
        Ok(())
    }
}

fn parse(kind: Kind, bytes: &[u8], limit: usize, time: Time) -> Result<Extracted, Unreadable> {
    let (text, format) = match kind {
        Kind::Text => (decode(bytes)?, Format::Text),
        Kind::Markdown => (decode(bytes)?, Format::Markdown),
        Kind::Html => (html::text(&decode(bytes)?, time)?, Format::Markdown),
        Kind::Pdf => (pdf::text(bytes, limit, time)?, Format::Text),
        Kind::Docx => (docx::text(bytes, limit)?, Format::Markdown),
    };
    if text.len() > limit {
        return Err(Unreadable::TooLarge { kind, limit });
    }
    if text.trim().is_empty() {
        return Err(Unreadable::Empty(kind));
    }
    Ok(Extracted { text, format })
}

/// UTF-8, or UTF-16 that says so at its beginning, as Windows saves it.
fn decode(bytes: &[u8]) -> Result<String, Unreadable> {
    let wide = |bytes: &[u8], of: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks();
        let units: Vec<u16> = pairs.iter().copied().map(of).collect();
        String::from_utf16(&units)
            .ok()
            .filter(|_| rest.is_empty())
            .ok_or(Unreadable::NotText)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, Unreadable> {
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| Unreadable::NotText)?;
    if text.contains('\0') {
        return Err(Unreadable::NotText); // valid UTF-8, and a binary all the same
    }
    Ok(text)
}

impl std::fmt::Debug for Extracted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Extracted({:?}, {} bytes)", self.format, self.text.len())
    }
}
