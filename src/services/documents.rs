//! Where the texts of documents come from, besides the database.

use std::path::PathBuf;

use serde::Deserialize;

use super::extract::{ExtractOptions, Extractor};
use super::files::DocumentFiles;

/// Where uploaded files are, and what they may cost.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentOptions {
    /// The folder that the platform's API writes uploaded files to.
    pub storage: PathBuf,
    /// The largest file that is read, in bytes.
    pub max_file_bytes: u64,
    /// How their text is taken out.
    pub extract: ExtractOptions,
}

impl Default for DocumentOptions {
    fn default() -> Self {
        Self {
            storage: "./storage".into(),
            max_file_bytes: 64 << 20,
            extract: ExtractOptions::default(),
        }
    }
}

/// What reads documents. Clones share its bounds.
#[derive(Debug, Clone)]
pub struct Documents {
    /// Uploaded files.
    pub files: DocumentFiles,
    /// Takes their text out.
    pub extractor: Extractor,
}

impl Documents {
    /// Made once for a process; touches nothing yet.
    pub fn new(options: &DocumentOptions) -> Self {
        Self {
            files: DocumentFiles::new(options.storage.clone(), options.max_file_bytes),
            extractor: Extractor::new(options.extract),
        }
    }
}
