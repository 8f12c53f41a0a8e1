use html2text::config;
use html2text::render::PlainDecorator;

use super::{Kind, Unreadable};

/// Wider than any line: where a line ends is the reader's business.
const WIDTH: usize = 100_000;
/// Elements inside elements; deeper ones are no page but an attack on whoever recurses.
const DEEPEST: usize = 2_000;

/// The words of a page, with its headings and lists as Markdown has them. Scripts and styles go.
pub(super) fn text(page: &str) -> Result<String, Unreadable> {
    if depth(page) > DEEPEST {
        return Err(Unreadable::Damaged(Kind::Html));
    }
    config::with_decorator(PlainDecorator::new())
        .raw_mode(true) // tables as lines, not as drawings
        .no_link_wrapping()
        .link_footnotes(false)
        .string_from_read(page.as_bytes(), WIDTH)
        .map_err(|_| Unreadable::Damaged(Kind::Html))
}

/// How deep tags may be nested at most, without parsing: what is never closed counts as open.
fn depth(page: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0_usize);
    for (at, _) in page.match_indices('<') {
        match page.as_bytes().get(at + 1) {
            Some(b'/') => open = open.saturating_sub(1),
            Some(next) if next.is_ascii_alphabetic() && !is_void(&page[at + 1..]) => {
                open += 1;
                deepest = deepest.max(open);
            }
            _ => {}
        }
    }
    deepest
}

/// Tags that hold nothing, or that HTML closes by itself.
fn is_void(tag: &str) -> bool {
    let end = tag
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(tag.len());
    let name = tag[..end].to_ascii_lowercase();
    matches!(
        name.as_str(),
        "area"
            | "base"
            | "br"
            | "col"
            | "dd"
            | "dt"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "li"
            | "link"
            | "meta"
            | "option"
            | "p"
            | "source"
            | "td"
            | "th"
            | "tr"
            | "track"
            | "wbr"
    )
}
