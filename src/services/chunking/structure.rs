//! Where a document's sections and blocks begin.

use std::mem;
use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Front matter must be known as such, or its last line makes a heading of the others.
const EXTENSIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_YAML_STYLE_METADATA_BLOCKS)
    .union(Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS);

/// How much of a heading names its chunks, each of which has a copy, in characters.
const LONGEST_HEADING: usize = 200;

/// What can be seen of a document without reading its sentences.
#[derive(Default)]
pub(super) struct Structure {
    /// From the first byte to the last.
    pub(super) sections: Vec<Section>,
    /// Where blocks begin: paragraphs, items of lists, rows of tables. Ascending.
    pub(super) blocks: Vec<usize>,
}

/// A part of a document under one heading, which is part of it.
pub(super) struct Section {
    pub(super) bytes: Range<usize>,
    pub(super) heading: Option<String>,
}

/// Plain text: one section, with a block after each blank line.
pub(super) fn text(document: &str) -> Structure {
    let mut blocks = Vec::new();
    let (mut at, mut after_blank) = (0, false);
    for line in document.split_inclusive('\n') {
        let blank = line.trim().is_empty();
        if after_blank && !blank {
            blocks.push(at);
        }
        after_blank = blank;
        at += line.len();
    }
    let section = Section {
        bytes: 0..document.len(),
        heading: None,
    };
    Structure {
        sections: vec![section],
        blocks,
    }
}

/// Markdown, with sections of at least `short` characters (if the document has as many): a shorter
/// one is joined to the next, the last to the one before.
pub(super) fn markdown(document: &str, short: usize) -> Structure {
    let Outline { headings, blocks } = Outline::of(document);
    let is_short = |bytes: Range<usize>| {
        document[bytes]
            .trim()
            .chars()
            .nth(short.max(1) - 1)
            .is_none()
    };

    let mut sections: Vec<Section> = Vec::new();
    let (mut start, mut body, mut name) = (0, 0, None);
    for next in headings {
        let end = next.bytes.start;
        if !is_short(start..end) {
            sections.push(Section {
                bytes: start..end,
                heading: mem::replace(&mut name, next.words),
            });
            start = end;
        } else if document[body..end].trim().is_empty() {
            name = next.words; // what is joined goes by its first heading that says something
        }
        body = next.bytes.end;
    }
    match sections.last_mut() {
        Some(last) if is_short(start..document.len()) => last.bytes.end = document.len(),
        _ => sections.push(Section {
            bytes: start..document.len(),
            heading: name,
        }),
    }
    Structure { sections, blocks }
}

/// A document's headings and blocks as the parser sees them.
#[derive(Default)]
struct Outline {
    /// Those that are not inside a quotation or a list.
    headings: Vec<Heading>,
    blocks: Vec<usize>,
}

struct Heading {
    bytes: Range<usize>,
    words: Option<String>,
}

impl Outline {
    fn of(document: &str) -> Self {
        let mut outline = Self::default();
        let mut depth = 0_usize;
        let mut heading: Option<String> = None;
        for (event, bytes) in Parser::new_ext(document, EXTENSIONS).into_offset_iter() {
            // The parser's offsets can fall inside a character (0.13, at a no-break space).
            let boundary = |at| document.floor_char_boundary(at);
            let bytes = boundary(bytes.start)..boundary(bytes.end);
            match event {
                Event::Start(tag) => {
                    if begins_block(&tag) {
                        outline.block(document, bytes.start);
                    }
                    if depth == 0 && matches!(tag, Tag::Heading { .. }) {
                        heading = Some(String::new());
                    }
                    depth += 1;
                }
                Event::End(end) => {
                    depth -= 1;
                    if depth == 0
                        && let (TagEnd::Heading(_), Some(words)) = (end, heading.take())
                    {
                        let words: String = words.trim().chars().take(LONGEST_HEADING).collect();
                        outline.headings.push(Heading {
                            bytes,
                            words: (!words.is_empty()).then_some(words),
                        });
                    }
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(words) = &mut heading {
                        words.push_str(&text);
                    }
                }
                Event::SoftBreak | Event::HardBreak => {
                    if let Some(words) = &mut heading {
                        words.push(' ');
                    }
                }
                _ => {}
            }
        }
        outline
    }

    /// A block begins with its line, so that its mark or indent stays with it.
    fn block(&mut self, document: &str, at: usize) {
        let previous = self.blocks.last().copied().unwrap_or(0);
        // No line break since the previous block: it is on the same line.
        if let Some(end) = document[previous.min(at)..at].rfind('\n') {
            self.blocks.push(previous.min(at) + end + 1);
        }
    }
}

fn begins_block(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::BlockQuote(_)
            | Tag::CodeBlock(_)
            | Tag::HtmlBlock
            | Tag::List(_)
            | Tag::Item
            | Tag::Table(_)
            | Tag::TableRow
            | Tag::FootnoteDefinition(_)
    )
}
