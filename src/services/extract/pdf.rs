use std::collections::BTreeMap;

use lopdf::content::{Content, Operation};
use lopdf::{Document, Encoding, Error, LoadOptions, Object, ObjectId};

use super::{Kind, Time, Unreadable};

/// From this many thousandths of the letters' size on, a gap within a line is a blank.
const BLANK: f32 = -180.0;

/// The text of all pages, one after the other. A page that cannot be read is left out as long as
/// another can.
pub(super) fn text(bytes: &[u8], limit: usize, time: Time) -> Result<String, Unreadable> {
    let options = LoadOptions {
        max_decompressed_size: Some(limit),
        ..LoadOptions::default()
    };
    // Without a password it opens what is encrypted with none, as viewers do.
    let document = Document::load_mem_with_options(bytes, options).map_err(|e| refused(&e))?;
    if document.is_encrypted() {
        return Err(Unreadable::Encrypted(Kind::Pdf));
    }
    let mut text = String::new();
    let mut failed = false;
    for page in document.page_iter() {
        // A thousand pages may show one great stream, which is read for each.
        time.check(Kind::Pdf)?;
        match words(&document, page, limit) {
            Ok(words) => {
                let page = tidy(&words);
                if !page.is_empty() {
                    text.push_str(&page);
                    text.push('\n');
                }
            }
            Err(_) => failed = true,
        }
        if text.len() > limit {
            let kind = Kind::Pdf;
            return Err(Unreadable::TooLarge { kind, limit });
        }
    }
    if text.is_empty() && (failed || document.page_iter().next().is_none()) {
        return Err(Unreadable::Damaged(Kind::Pdf));
    }
    Ok(text)
}

/// What a page shows, in the order in which it draws it: where the pen moves down a line begins, where it
/// moves on a word. (The crate's own `extract_text` glues the lines of most producers together.)
fn words(document: &Document, page: ObjectId, limit: usize) -> Result<String, Error> {
    let mut encodings = BTreeMap::new();
    for (name, font) in document.get_page_fonts(page)? {
        // Text in a font that cannot be decoded is left out, the rest is read.
        if let Ok(encoding) = font.get_font_encoding_with_limit(document, limit) {
            encodings.insert(name, encoding);
        }
    }
    let content = Content::decode(&document.get_page_content_with_limit(page, limit)?)?;
    let mut pen = Pen::default();
    let mut encoding = None;
    for Operation { operator, operands } in &content.operations {
        match operator.as_str() {
            "Tf" => {
                let font = operands.first().and_then(|font| font.as_name().ok());
                encoding = font.and_then(|font| encodings.get(font));
            }
            "Td" | "TD" => pen.step(number(operands, 0), number(operands, 1)),
            "Tm" => pen.jump(number(operands, 5)),
            "T*" | "ET" => pen.line(),
            "'" | "\"" => {
                pen.line();
                pen.show(operands.last(), encoding)?;
            }
            "Tj" | "TJ" => pen.show(operands.first(), encoding)?,
            _ => {}
        }
    }
    Ok(pen.text)
}

fn number(operands: &[Object], at: usize) -> f32 {
    let number = operands.get(at).and_then(|n| n.as_float().ok());
    number.unwrap_or_default()
}

/// What was written so far, and at which height.
#[derive(Default)]
struct Pen {
    text: String,
    height: f32,
}

impl Pen {
    fn step(&mut self, right: f32, up: f32) {
        if up != 0.0 {
            self.height += up;
            self.line();
        } else if right != 0.0 {
            self.blank();
        }
    }

    fn jump(&mut self, height: f32) {
        if (height - self.height).abs() > 1.0 {
            self.height = height;
            self.line();
        } else {
            self.blank();
        }
    }

    fn line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
    }

    /// A string, or pieces of one and the gaps between them.
    fn show(&mut self, shown: Option<&Object>, encoding: Option<&Encoding>) -> Result<(), Error> {
        let Some(encoding) = encoding else {
            return Ok(());
        };
        match shown {
            Some(Object::String(bytes, _)) => encoding.write_to_string(bytes, &mut self.text),
            Some(Object::Array(pieces)) => {
                for piece in pieces {
                    match piece {
                        Object::String(bytes, _) => {
                            encoding.write_to_string(bytes, &mut self.text)?;
                        }
                        gap if gap.as_float().is_ok_and(|gap| gap < BLANK) => self.blank(),
                        _ => {}
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn refused(error: &Error) -> Unreadable {
    match error {
        Error::InvalidPassword | Error::Decryption(_) | Error::UnsupportedSecurityHandler(_) => {
            Unreadable::Encrypted(Kind::Pdf)
        }
        _ => Unreadable::Damaged(Kind::Pdf),
    }
}

/// Lines without blanks around them, and letters for the ligatures that typesetters make of them:
/// nobody who searches types an `ﬁ`.
fn tidy(page: &str) -> String {
    let mut tidy = String::with_capacity(page.len());
    for line in page.lines().map(str::trim).filter(|line| !line.is_empty()) {
        for letter in line.chars() {
            match letter {
                'ﬀ' => tidy.push_str("ff"),
                'ﬁ' => tidy.push_str("fi"),
                'ﬂ' => tidy.push_str("fl"),
                'ﬃ' => tidy.push_str("ffi"),
                'ﬄ' => tidy.push_str("ffl"),
                'ﬅ' | 'ﬆ' => tidy.push_str("st"),
                '\0' => {}
                other => tidy.push(other),
            }
        }
        tidy.push('\n');
    }
    tidy
}
