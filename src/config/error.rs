use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use config::ConfigError;

use super::layers::whose;

/// Why the program will not start with these settings: which one, whose, and what would be right.
/// No message repeats a value, which may be a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody reads this key.
    #[error("unknown setting {key}{}{}", from(.origin), hint(.near))]
    Unknown {
        /// Such as `server.prot`.
        key: String,
        /// Who set it.
        origin: String,
        /// Keys that may have been meant.
        near: Vec<String>,
    },
    /// The value cannot be used.
    #[error("setting {key}{}: {problem}", from(.origin))]
    Invalid {
        /// Such as `server.port`.
        key: String,
        /// Who set it; empty if that cannot be told.
        origin: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The file is not TOML.
    #[error("{} is not valid TOML: {problem}", .path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where.
        problem: String,
    },
    /// The file cannot be read.
    #[error("failed to read {}: {source}; check --config and METACHAT_JOBS_CONFIG", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    pub(super) fn invalid(key: &str, problem: impl Into<String>) -> Self {
        Self::Invalid {
            key: key.to_owned(),
            origin: String::new(),
            problem: problem.into(),
        }
    }

    pub(super) fn unknown(key: String, origin: &str, near: Vec<String>) -> Self {
        Self::Unknown {
            origin: whose(&key, origin),
            key,
            near,
        }
    }

    /// Says the same without the value.
    pub(super) fn from_config(error: &ConfigError, path: Option<&Path>) -> Self {
        match error {
            ConfigError::FileParse { cause, .. } => Self::Syntax {
                path: path.map(Path::to_path_buf).unwrap_or_default(),
                problem: without_excerpt(&cause.to_string()),
            },
            ConfigError::Type {
                origin,
                expected,
                key,
                ..
            } => Self::at(
                key.as_ref(),
                origin.as_ref(),
                format!("expected {expected}"),
            ),
            ConfigError::At { error, origin, key } => {
                Self::at(key.as_ref(), origin.as_ref(), error.to_string())
            }
            ConfigError::NotFound(key) => Self::invalid(key, "is missing"),
            other => Self::invalid("(unknown)", other.to_string()),
        }
    }

    fn at(key: Option<&String>, origin: Option<&String>, problem: String) -> Self {
        let key = key.cloned().unwrap_or_default();
        Self::Invalid {
            origin: origin.map(|origin| whose(&key, origin)).unwrap_or_default(),
            key,
            problem,
        }
    }
}

/// Keeps the place and the reason, and leaves out the lines between, which quote the file.
fn without_excerpt(problem: &str) -> String {
    let mut lines = problem.lines();
    let place = lines.next().unwrap_or_default();
    match lines.next_back() {
        Some(reason) => format!("{place}: {reason}"),
        None => place.to_owned(),
    }
}

fn from(origin: &str) -> String {
    if origin.is_empty() {
        String::new()
    } else {
        format!(" (from {origin})")
    }
}

fn hint(near: &[String]) -> String {
    let mut hint = String::new();
    if let Some((first, others)) = near.split_first() {
        let _ = write!(hint, "; did you mean {first}");
        for other in others {
            let _ = write!(hint, " or {other}");
        }
        hint.push('?');
    } else {
        hint.push_str("; take it out, config/default.toml names every setting there is");
    }
    hint
}
