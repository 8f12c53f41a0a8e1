use std::time::Duration;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use windlass::model::{Conflict, Unique};
use windlass::{Context, Job, JobOptions, Outcome};

use super::Services;
use super::failure::from_backups;
use crate::backups::wal::{Archiver, Archiving};

/// How long it goes on before it lets go of its slot, so that a pause is heeded; the server keeps the log
/// meanwhile, and it comes again at once.
const SPELL: Duration = Duration::from_mins(30);

/// Archives the write-ahead log of a target, for as long as anybody wants it.
///
/// It is a job because that is how one thing is done by one process, seen, paused and taken over when the
/// process dies: the engine's lease says whose it is, and PostgreSQL lets only one reader have the slot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArchiveWal {
    /// Its name in the settings.
    pub target: String,
}

impl Job for ArchiveWal {
    const KIND: &'static str = "archive_wal";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "wal",
            timeout: SPELL + Duration::from_mins(10),
            ..JobOptions::default()
        }
    }

    fn unique(&self) -> Option<Unique> {
        Some(Unique {
            key: self.target.clone(),
            window: None,
            conflict: Conflict::ReturnExisting,
        })
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let backups = &cx.services().backups;
        let server = backups.server(&self.target).map_err(from_backups)?;
        let archiver = Archiver::new(backups, &self.target, server, cx.cancelled().clone())
            .map_err(from_backups)?;
        let until = Instant::now() + SPELL;
        let (told, mut heard) = watch::channel(Archiving::default());
        let archiving = archiver.run(until, || cx.now(), &told);
        tokio::pin!(archiving);
        let state = loop {
            tokio::select! {
                ended = &mut archiving => break ended.map_err(from_backups)?,
                Ok(()) = heard.changed() => {
                    let state = heard.borrow_and_update().clone();
                    // Only told: if it is not recorded, the page is older.
                    if let Err(error) = cx.progress(&state).await {
                        tracing::debug!(%error, "progress was not recorded");
                    }
                }
            }
        };
        if cx.cancelled().is_cancelled() {
            bail!("told to stop after {} files", state.archived);
        }
        Ok(Outcome::snooze(Duration::ZERO))
    }
}
