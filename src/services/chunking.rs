//! Cuts a document into the pieces that are embedded and found again.
//!
//! No character is lost: without overlap the chunks put together are the document. Cuts are made
//! where a reader would make them: between sections, else between blocks, lines, sentences, words.
//! The work grows with the document and no faster, whatever is in it.

mod structure;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use unicode_segmentation::UnicodeSegmentation;

use structure::{Structure, markdown, text};

/// How documents are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChunkOptions {
    /// The most characters in a chunk. What is left of a section is taken along if it is shorter
    /// than a tenth of this, since a heading or the end of a code block alone answers no question.
    pub size: usize,
    /// How many characters at most of a chunk's end the next one repeats. Less than half of `size`.
    pub overlap: usize,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        Self {
            size: 1000,
            overlap: 0,
        }
    }
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// With no marks that mean anything.
    Text,
    /// CommonMark, with tables, footnotes and front matter.
    Markdown,
}

impl Format {
    /// By the document's MIME type.
    pub fn of(mime_type: &str) -> Self {
        if mime_type.to_ascii_lowercase().contains("markdown") {
            Self::Markdown
        } else {
            Self::Text
        }
    }
}

/// A piece of a document.
#[derive(Clone, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Which piece it is, from 0.
    pub position: usize,
    /// The piece itself, with the white space around it.
    pub content: &'a str,
    /// Where it stands, in bytes.
    pub bytes: Range<usize>,
    /// Where it stands, in characters (`charStart` and `charEnd` of the platform).
    pub chars: Range<usize>,
    /// The words of the heading it stands under, if the document has headings.
    pub heading: Option<String>,
}

impl Chunk<'_> {
    /// What to embed: the piece under its heading, which says what the piece is about.
    pub fn text_to_embed(&self) -> String {
        match &self.heading {
            Some(heading) => format!("{heading}\n\n{}", self.content),
            None => self.content.to_owned(),
        }
    }
}

/// Shows where, not what: a document's text belongs in no log.
impl fmt::Debug for Chunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} at {:?})", self.position, self.bytes)
    }
}

/// The options do not fit together.
#[derive(Debug, thiserror::Error)]
#[error("chunks of {size} characters cannot overlap by {overlap}: it must be less than half")]
pub struct InvalidOptions {
    size: usize,
    overlap: usize,
}

/// Cuts documents.
#[derive(Debug, Clone, Copy)]
pub struct Chunker {
    size: usize,
    overlap: usize,
    /// What is shorter than this, in characters, is no chunk of its own.
    short: usize,
}

impl Chunker {
    /// With these options.
    ///
    /// # Errors
    /// [`InvalidOptions`] if the overlap is not less than half of the size.
    pub fn new(options: ChunkOptions) -> Result<Self, InvalidOptions> {
        let ChunkOptions { size, overlap } = options;
        // A chunk has at least half of its size, so that the next one always begins further on.
        if overlap >= size.div_ceil(2) {
            return Err(InvalidOptions { size, overlap });
        }
        Ok(Self {
            size,
            overlap,
            short: size / 10,
        })
    }

    /// The document's chunks in order; none if it holds nothing but white space, which the caller
    /// should take for an error.
    pub fn chunks<'a>(&self, document: &'a str, format: Format) -> Vec<Chunk<'a>> {
        let Structure { sections, blocks } = match format {
            Format::Text => text(document),
            Format::Markdown => markdown(document, self.short),
        };
        let mut pieces = Vec::new();
        for section in sections {
            let cut = self.cut(document, section.bytes, &blocks);
            for bytes in join_blank(document, cut) {
                pieces.push((bytes, section.heading.clone()));
            }
        }
        number(document, pieces)
    }

    fn cut(&self, document: &str, section: Range<usize>, blocks: &[usize]) -> Vec<Range<usize>> {
        let text = &document[..section.end];
        let mut pieces = Vec::new();
        let mut start = section.start;
        while is_longer(&text[start..], self.size + self.short) {
            let end = self.cut_point(text, start, blocks);
            pieces.push(start..end);
            start = self.step_back(text, end);
        }
        pieces.push(start..text.len());
        pieces
    }

    /// The best place to end the piece that begins at `start`, in the second half of what fits.
    fn cut_point(&self, text: &str, start: usize, blocks: &[usize]) -> usize {
        let earliest = start + offset(&text[start..], self.size.div_ceil(2));
        let latest = start + offset(&text[start..], self.size);
        let window = &text[start..latest];
        let block = || {
            let passed = blocks.partition_point(|block| *block <= latest);
            blocks[..passed].last().copied()
        };
        let line = || Some(start + window.rfind('\n')? + 1);
        let sentence = || Some(start + window.split_sentence_bound_indices().last()?.0);
        let word = || Some(start + window.split_word_bound_indices().next_back()?.0);

        let good = |at: &usize| *at >= earliest;
        block()
            .filter(good)
            .or_else(|| line().filter(good))
            .or_else(|| sentence().filter(good))
            .or_else(|| word().filter(good))
            .unwrap_or(latest)
    }

    /// Where the next piece begins: up to the overlap before the last one's end, after a space.
    fn step_back(&self, text: &str, end: usize) -> usize {
        let repeated: usize = text[..end]
            .chars()
            .rev()
            .take(self.overlap)
            .map(char::len_utf8)
            .sum();
        let start = end - repeated;
        let space = text[start..end].find(char::is_whitespace);
        space.map_or(start, |space| start + space)
    }
}

/// Whether a text has more than so many characters, without counting them all.
fn is_longer(text: &str, characters: usize) -> bool {
    text.char_indices().nth(characters).is_some()
}

/// Where so many characters end.
fn offset(text: &str, characters: usize) -> usize {
    let end = text.char_indices().nth(characters);
    end.map_or(text.len(), |(at, _)| at)
}

/// Joins a blank piece to the one before it, or at the beginning to the one after: blanks cannot be
/// embedded and must not be lost.
fn join_blank(document: &str, pieces: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(pieces.len());
    let mut waiting = None;
    for piece in pieces {
        let blank = document[piece.clone()].trim().is_empty();
        match joined.last_mut() {
            Some(last) if blank => last.end = piece.end,
            None if blank => {
                waiting.get_or_insert(piece.start);
            }
            _ => joined.push(waiting.take().unwrap_or(piece.start)..piece.end),
        }
    }
    joined
}

/// Adds to the pieces where they stand in characters, counting each character once.
fn number(document: &str, pieces: Vec<(Range<usize>, Option<String>)>) -> Vec<Chunk<'_>> {
    let (mut byte, mut character) = (0, 0);
    pieces
        .into_iter()
        .enumerate()
        .map(|(position, (bytes, heading))| {
            character += document[byte..bytes.start].chars().count();
            byte = bytes.start;
            let content = &document[bytes.clone()];
            Chunk {
                position,
                content,
                chars: character..character + content.chars().count(),
                bytes,
                heading,
            }
        })
        .collect()
}
