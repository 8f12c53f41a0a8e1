use std::fmt;

use super::Unreadable;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Plain text.
    Text,
    /// `CommonMark`.
    Markdown,
    /// A web page.
    Html,
    /// Pages.
    Pdf,
    /// Word's format since 2007.
    Docx,
}

/// The longest MIME type that is repeated in an error; whoever uploads chooses it.
const LONGEST_SHOWN: usize = 80;

impl Kind {
    /// By its MIME type, or by the end of its name where the type says nothing.
    ///
    /// # Errors
    /// [`Unreadable::UnknownKind`].
    pub fn of(mime_type: &str, filename: &str) -> Result<Self, Unreadable> {
        let bare = mime_type.split(';').next().unwrap_or_default();
        let bare = bare.trim().to_ascii_lowercase();
        Self::of_type(&bare)
            .or_else(|| Self::of_name(filename).filter(|_| says_nothing(&bare)))
            .ok_or_else(|| Unreadable::UnknownKind(shown(&bare)))
    }

    fn of_type(mime_type: &str) -> Option<Self> {
        Some(match mime_type {
            "text/markdown" | "text/x-markdown" | "markdown" | "md" => Self::Markdown,
            "text/html" | "application/xhtml+xml" | "html" => Self::Html,
            "application/pdf" | "application/x-pdf" | "pdf" => Self::Pdf,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" | "docx" => {
                Self::Docx
            }
            "application/json" | "application/xml" | "application/yaml" | "txt" => Self::Text,
            other if other.starts_with("text/") => Self::Text,
            _ => return None,
        })
    }

    fn of_name(filename: &str) -> Option<Self> {
        let (_, end) = filename.rsplit_once('.')?;
        Some(match end.to_ascii_lowercase().as_str() {
            "txt" | "text" | "csv" | "json" | "yaml" | "yml" => Self::Text,
            "md" | "markdown" => Self::Markdown,
            "html" | "htm" | "xhtml" => Self::Html,
            "pdf" => Self::Pdf,
            "docx" => Self::Docx,
            _ => return None,
        })
    }
}

/// What browsers and servers send when they do not know.
fn says_nothing(mime_type: &str) -> bool {
    matches!(
        mime_type,
        "" | "application/octet-stream" | "binary/octet-stream" | "application/unknown"
    )
}

fn shown(mime_type: &str) -> String {
    let fits = |c: &char| c.is_ascii_graphic() && *c != '`';
    let shown: String = mime_type.chars().filter(fits).take(LONGEST_SHOWN).collect();
    if shown.is_empty() {
        "an unnamed type".to_owned()
    } else {
        format!("`{shown}`")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Markdown => "Markdown text",
            Self::Html => "HTML page",
            Self::Pdf => "PDF",
            Self::Docx => "DOCX",
        })
    }
}
