//! With which settings a peer runs.

use anyhow::{Context as _, bail};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settings {
    /// What one gets who changes nothing.
    Stock,
    /// What its authors recommend for throughput, or the best found.
    Tuned,
}

impl Settings {
    /// `NAME-stock` or `NAME-tuned`.
    pub(crate) fn split(subject: &str) -> anyhow::Result<(&str, Self)> {
        let (name, settings) = subject.rsplit_once('-').context("NAME-stock or -tuned")?;
        match settings {
            "stock" => Ok((name, Self::Stock)),
            "tuned" => Ok((name, Self::Tuned)),
            other => bail!("no settings are called {other}"),
        }
    }
}
