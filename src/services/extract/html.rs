use std::io::Read;

use html2text::config;
use html2text::render::PlainDecorator;
use html2text::{Handle, RcDom};

use super::{Kind, Time, Unreadable};

/// Wider than any line: where a line ends is the reader's business.
const WIDTH: usize = 100_000;
/// Elements inside elements; deeper ones are no page but an attack on whoever recurses.
const DEEPEST: usize = 2_000;

/// The words of a page, with its headings and lists as Markdown has them. Scripts and styles go.
pub(super) fn text(page: &str, time: Time) -> Result<String, Unreadable> {
    if depth(page) > DEEPEST {
        return Err(Unreadable::Damaged(Kind::Html));
    }
    let damaged = |_| Unreadable::Damaged(Kind::Html);
    let config = config::with_decorator(PlainDecorator::new())
        .raw_mode(true) // tables as lines, not as drawings
        .no_link_wrapping()
        .link_footnotes(false);
    let page = Timed {
        page: page.as_bytes(),
        time,
    };
    let tree = config.parse_html(page);
    time.check(Kind::Html)?;
    let tree = tree.map_err(damaged)?;
    if is_too_deep(&tree) {
        return Err(Unreadable::Damaged(Kind::Html));
    }
    let words = config.dom_to_render_tree(&tree).map_err(damaged)?;
    time.check(Kind::Html)?;
    config.render_to_string(words, WIDTH).map_err(damaged)
}

/// A page that ends when the time does: the parser, to which what is never closed costs more with each
/// tag, asks for it piece by piece.
struct Timed<'a> {
    page: &'a [u8],
    time: Time,
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.time.is_over() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        self.page.read(buffer)
    }
}

/// As the parser sees it: what a tag closes, and whether it closes anything, only the parser knows.
fn is_too_deep(tree: &RcDom) -> bool {
    let mut level: Vec<Handle> = vec![tree.document.clone()];
    for _ in 0..=DEEPEST {
        let children = level.iter().map(|node| node.children.borrow());
        level = children.flat_map(|children| children.clone()).collect();
        if level.is_empty() {
            return false;
        }
    }
    true
}

/// How deep tags seem to be nested, without parsing: what is never closed counts as open. It spares the
/// parser what is plainly no page; it is easily led to think too little.
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
