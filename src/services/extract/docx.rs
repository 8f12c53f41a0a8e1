use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::{Kind, Unreadable};

/// Where the text stands in the archive.
const BODY: &str = "word/document.xml";
/// How files of old Word begin, and new ones with a password: they are wrapped in such a file.
const OLD_WORD: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0];

/// The paragraphs of a document, with headings and lists as Markdown has them, and a line for each row
/// of a table.
pub(super) fn text(bytes: &[u8], limit: usize) -> Result<String, Unreadable> {
    if bytes.starts_with(OLD_WORD) {
        return Err(Unreadable::Encrypted(Kind::Docx));
    }
    let xml = body(bytes, limit)?;
    let mut reader = Reader::from_str(&xml);
    let mut page = Page::default();
    loop {
        match reader.read_event().map_err(|_| damaged())? {
            Event::Start(tag) => page.open(&tag),
            Event::Empty(tag) => {
                page.open(&tag);
                page.close(tag.local_name().as_ref());
            }
            Event::End(tag) => page.close(tag.local_name().as_ref()),
            Event::Text(words) if page.in_words => {
                page.line.push_str(&words);
            }
            Event::GeneralRef(named) if page.in_words => {
                page.line.push_str(&entity(&named).unwrap_or_default());
            }
            Event::Eof => return Ok(page.text),
            _ => {}
        }
    }
}

fn damaged() -> Unreadable {
    Unreadable::Damaged(Kind::Docx)
}

fn body(bytes: &[u8], limit: usize) -> Result<String, Unreadable> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| damaged())?;
    let part = archive.by_name(BODY).map_err(|_| damaged())?;
    // Markup takes several times the room of its words.
    let most = limit.saturating_mul(8) as u64;
    let mut xml = String::new();
    part.take(most + 1)
        .read_to_string(&mut xml)
        .map_err(|_| damaged())?;
    if xml.len() as u64 > most {
        let kind = Kind::Docx;
        return Err(Unreadable::TooLarge { kind, limit });
    }
    Ok(xml)
}

/// `amp` or `#x41`: the five of XML, and numbers.
fn entity(named: &str) -> Option<String> {
    if let Some(number) = named.strip_prefix('#') {
        let code = match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return Some(char::from_u32(code)?.to_string());
    }
    Some(
        match named {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "apos" => "'",
            _ => return None,
        }
        .to_owned(),
    )
}

/// What has been read, and where in it the reader is.
#[derive(Default)]
struct Page {
    text: String,
    line: String,
    in_words: bool,
    /// Cells inside cells.
    cells: usize,
}

impl Page {
    fn open(&mut self, tag: &BytesStart<'_>) {
        match tag.local_name().as_ref() {
            "t" => self.in_words = true,
            "tab" => self.line.push('\t'),
            "br" | "cr" => self.line.push('\n'),
            "noBreakHyphen" => self.line.push('-'),
            "tc" => self.cells += 1,
            "pStyle" => self.style(tag),
            "numPr" if self.line.is_empty() => self.line.push_str("- "),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "t" => self.in_words = false,
            "p" if self.cells == 0 => self.end("\n\n"),
            "p" => self.line.push(' '),
            "tc" => {
                self.cells = self.cells.saturating_sub(1);
                self.line.push_str("| ");
            }
            "tr" if self.cells == 0 => self.end("\n"),
            "tbl" if self.cells == 0 => self.text.push('\n'),
            _ => {}
        }
    }

    /// `Heading1` to `Heading6`, or `Title`, whatever their language: Word keeps the ids in English.
    fn style(&mut self, tag: &BytesStart<'_>) {
        let value = tag
            .attributes()
            .flatten()
            .find(|a| a.key.local_name().as_ref() == "val");
        let Some(style) = value.map(|a| a.value.into_owned()) else {
            return;
        };
        let level = match style.strip_prefix("Heading") {
            Some(level) => level.parse().ok().filter(|level| (1..=6).contains(level)),
            None => (style == "Title").then_some(1),
        };
        if let Some(level) = level.filter(|_| self.line.is_empty() && self.cells == 0) {
            self.line = format!("{} ", "#".repeat(level));
        }
    }

    fn end(&mut self, gap: &str) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_end();
        if line.trim_start_matches(['#', '-', ' ', '|']).is_empty() {
            return;
        }
        self.text.push_str(line);
        self.text.push_str(gap);
    }
}
