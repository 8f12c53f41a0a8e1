use std::time::Duration;

/// Why something of a backup could not be done. Never holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such target.
    #[error("there is no backup target {target:?}; known are: {}", known.join(", "))]
    UnknownTarget {
        /// As it was asked for.
        target: String,
        /// All there are.
        known: Vec<String>,
    },
    /// There is no such place.
    #[error("there is no place {place:?} in the settings backups.places")]
    UnknownPlace {
        /// As it was asked for.
        place: String,
    },
    /// There is no such backup, or it has no manifest.
    #[error("{place} has no backup {target}/{id}")]
    NotFound {
        /// Where it was looked for.
        place: String,
        /// Of which target.
        target: String,
        /// Under which id.
        id: String,
    },
    /// The settings cannot be right: trying again is of no use.
    #[error("{setting}: {problem}")]
    Setting {
        /// The key.
        setting: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// Nobody can be reached there now, or it broke off: worth another try.
    #[error("{what}: {reason}")]
    Unavailable {
        /// Who.
        what: String,
        /// What it said.
        reason: String,
    },
    /// What is there is not what was put there.
    #[error("{part} is damaged: {reason}")]
    Damaged {
        /// Which file, and where in it.
        part: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// No secret key opens it.
    #[error("{part} cannot be decrypted: {reason}")]
    Sealed {
        /// Which file.
        part: String,
        /// Why.
        reason: String,
    },
    /// The tool is not there.
    #[error("the program {tool} was not found ({looked}); install it, or set {setting}")]
    ToolMissing {
        /// Its name.
        tool: String,
        /// Where it was looked for.
        looked: String,
        /// The setting that names its folder.
        setting: &'static str,
    },
    /// The tool is too old for the server.
    #[error(
        "{tool} is of version {client} and the server of version {server}: install the tools of \
             PostgreSQL {server} or later, and set backups.tools.pg_bin"
    )]
    ToolTooOld {
        /// Its name.
        tool: String,
        /// Its version.
        client: String,
        /// The server's.
        server: String,
    },
    /// The tool failed.
    #[error("{tool} failed ({status}): {message}")]
    ToolFailed {
        /// Its name.
        tool: String,
        /// How it ended.
        status: String,
        /// The end of what it told.
        message: String,
    },
    /// It took too long, and was ended.
    #[error("{what} did not end within {} s and was ended", after.as_secs())]
    TimedOut {
        /// What.
        what: String,
        /// Its time.
        after: Duration,
    },
    /// Somebody wanted it to end.
    #[error("{what} was cancelled")]
    Cancelled {
        /// What.
        what: String,
    },
    /// The backup is not what a backup of this target should be.
    #[error("{0}")]
    Suspect(String),
    /// There is no throwaway PostgreSQL to try it in.
    #[error(transparent)]
    Scratch(#[from] super::throwaway::ScratchError),
    /// A file here could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, and to which file.
        what: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err`: what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Something that is wrong with a setting.
    pub fn setting(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Setting {
            setting: setting.into(),
            problem: problem.into(),
        }
    }

    /// Something that is not what it should be.
    pub fn damaged(part: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Damaged {
            part: part.into(),
            reason: reason.into(),
        }
    }

    /// Whether another try may help without anybody changing something.
    pub const fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::UnknownTarget { .. }
                | Self::UnknownPlace { .. }
                | Self::NotFound { .. }
                | Self::Setting { .. }
                | Self::ToolMissing { .. }
                | Self::ToolTooOld { .. }
        )
    }
}
