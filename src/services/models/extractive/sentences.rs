//! The sentences of a Markdown text, without its marks. Plain text is Markdown too.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use unicode_segmentation::UnicodeSegmentation;

/// The longest piece of code worth quoting.
const SHORT_CODE: usize = 200;

/// A sentence, or a whole item of a list or row of a table, and the heading it stands under.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) heading: String,
    pub(super) text: String,
}

/// All sentences in order.
pub(super) fn sentences(markdown: &str) -> Vec<Sentence> {
    let mut reader = Reader::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        reader.read(event);
    }
    reader.end_block();
    reader.found
}

#[derive(Default)]
struct Reader {
    found: Vec<Sentence>,
    heading: String,
    /// The text of the block that is being read.
    block: String,
}

impl Reader {
    fn read(&mut self, event: Event<'_>) {
        match event {
            Event::Text(text) => self.block.push_str(&text),
            Event::Code(code) => {
                self.block.push('`');
                self.block.push_str(&code);
                self.block.push('`');
            }
            // The rows of a table whose head is in another chunk are no table to the parser.
            Event::SoftBreak if self.block.starts_with('|') => self.end_block(),
            Event::SoftBreak | Event::HardBreak => self.block.push(' '),
            Event::End(TagEnd::TableCell) => self.block.push_str("; "),
            Event::End(TagEnd::Heading(_)) => self.heading = std::mem::take(&mut self.block),
            Event::End(TagEnd::CodeBlock) => self.end_code(),
            Event::Start(
                Tag::Paragraph | Tag::Heading { .. } | Tag::Item | Tag::List(_) | Tag::CodeBlock(_),
            )
            | Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::TableHead | TagEnd::TableRow) =>
            {
                self.end_block();
            }
            _ => {}
        }
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        for text in block.unicode_sentences() {
            let text = text.trim_matches(|c: char| c.is_whitespace() || c == '|' || c == ';');
            if !text.is_empty() {
                self.found.push(Sentence {
                    heading: self.heading.clone(),
                    text: text.to_owned(),
                });
            }
        }
    }

    /// "Start it with:" is nothing without the code that follows.
    fn end_code(&mut self) {
        let code = std::mem::take(&mut self.block);
        let code = code.trim();
        if let Some(last) = self.found.last_mut()
            && last.text.ends_with(':')
            && code.len() <= SHORT_CODE
        {
            last.text.push_str(" `");
            last.text.push_str(code);
            last.text.push('`');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_rest_of_a_table() {
        let texts: Vec<_> = sentences("| a | b |\n| c | d |\n")
            .into_iter()
            .map(|s| s.text)
            .collect();
        assert_eq!(texts, ["a | b", "c | d"]);
    }

    #[test]
    fn reads_paragraphs_lists_tables_and_code() {
        let found = sentences(
            "Before. A *first* sentence\ncontinues [here](x.md)!\n\n## The `run` command\n\n\
             Start it with:\n\n```sh\ncargo run\n```\n\n- one thing. And more\n- another\n  - inner\n\n\
             | key | means |\n|---|---|\n| a | b |\n",
        );
        let texts: Vec<_> = found.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "Before.",
                "A first sentence continues here!",
                "Start it with: `cargo run`",
                "one thing.",
                "And more",
                "another",
                "inner",
                "key; means",
                "a; b",
            ]
        );
        assert_eq!(found[1].heading, "");
        assert!(found[2..].iter().all(|s| s.heading == "The `run` command"));
    }
}
