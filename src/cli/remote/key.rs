//! Where a profile's key is, and how it is got from there. It is in no message.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use secrecy::{ExposeSecret as _, SecretString};

use super::super::{Exit, Failure};
use super::Environment;

/// Where a key is.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A file with the key, and nothing else, in it.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// A program that prints it, and its arguments.
    Command(Vec<String>),
    /// In the profile itself.
    Inline(SecretString),
}

impl Source {
    /// As `jobctl profiles` tells it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::File(path) => format!("file {}", path.display()),
            Self::Env(name) => format!("variable {name}"),
            // Its arguments are its own business.
            Self::Command(words) => {
                format!("command {}", words.first().map_or("", String::as_str))
            }
            Self::Inline(_) => "in the profile".to_owned(),
        }
    }

    /// The key.
    pub(super) async fn read(&self, environment: &Environment) -> Result<SecretString, Failure> {
        let key = match self {
            Self::File(path) => {
                private(path)?;
                let read = std::fs::read_to_string(path);
                read.map_err(|error| unreadable(path, &error))?
            }
            Self::Env(name) => environment
                .get(name)
                .filter(|key| !key.is_empty())
                .cloned()
                .ok_or_else(|| {
                    Failure::usage(format!(
                        "the profile's key is to be in the variable {name}, which is not set"
                    ))
                })?,
            Self::Command(words) => printed(words).await?,
            Self::Inline(key) => key.expose_secret().to_owned(),
        };
        let first = key.lines().next().unwrap_or_default().trim();
        if first.is_empty() {
            let message = format!("the profile's key ({}) is empty", self.describe());
            return Err(Failure::usage(message));
        }
        Ok(first.into())
    }
}

/// Refuses a file that somebody else can read.
pub(super) fn private(path: &Path) -> Result<(), Failure> {
    let found = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let mode = found.permissions().mode() & 0o777;
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} holds a key and has the mode {mode:04o}, so that others can read it: chmod 600 {0}",
        path.display()
    )))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("failed to read {}: {error}", path.display()))
}

async fn printed(words: &[String]) -> Result<String, Failure> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::usage("the profile's key command is empty"));
    };
    let mut command = tokio::process::Command::new(program);
    // It may ask for a passphrase; what it complains of is for who started us.
    command
        .args(arguments)
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    let output = command.stdout(Stdio::piped()).output().await;
    let failed = |why: String| {
        let message = format!("the profile's key command {program} {why}");
        Failure::new(Exit::Failed, message)
    };
    let output = output.map_err(|error| failed(format!("did not start: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("failed: {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("printed something that is no text".into()))
}
