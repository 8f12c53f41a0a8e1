//! A restore from beginning to end: what is brought back gets its name only after its queue was looked after,
//! so that nobody starts on it before.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde::Serialize;
use windlass::Timestamp;

use super::{Error, Restore, fence};
use crate::backups::{BackupId, Backups, Manifest, Transfer};

/// What came of a restore.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// From which backup.
    pub backup: BackupId,
    /// Where it is.
    pub to: String,
    /// The moment whose data it holds at least.
    pub recovery_point: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// Unfinished jobs, whose fences are above any that was given out after the backup; none without a queue.
    pub fenced: Option<u64>,
    /// What else was done about its queue.
    #[serde(flatten)]
    pub queue: Held,
}

/// A queue that was looked after.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Held {
    /// Queues whose jobs are held until somebody resumes them.
    pub held: Vec<String>,
    /// Jobs that ran when the backup was made: what they had done outside the database is done again.
    pub may_run_twice: Vec<Again>,
}

/// A job that ran when the backup was made.
#[derive(Debug, Clone, Serialize)]
pub struct Again {
    /// Its id.
    pub id: String,
    /// What it does.
    pub kind: String,
    /// Where it waits.
    pub queue: String,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// How often it was begun.
    pub attempt: u16,
}

/// Holds the queues of the database at a URL, in somebody's name and for a reason.
type Hold =
    dyn Fn(SecretString, String, String) -> BoxFuture<'static, Result<Held, String>> + Send + Sync;

/// What holds the queues of a restored database.
#[derive(Clone)]
pub struct Keeper(Arc<Hold>);

impl Keeper {
    /// One that does this with a database's URL, a name and a reason.
    pub fn new(
        hold: impl Fn(SecretString, String, String) -> BoxFuture<'static, Result<Held, String>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(hold))
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

impl Restore {
    /// Brings it back, in somebody's name.
    pub async fn bring_back(
        &self,
        backups: &Backups,
        manifest: Manifest,
        by: &str,
        transfer: &Transfer,
    ) -> Result<Report, Error> {
        let restored = self.run(backups, manifest, transfer).await?;
        let mut report = Report {
            backup: restored.manifest.id.clone(),
            to: restored.to.clone(),
            recovery_point: restored.manifest.recovery_point,
            seconds: restored.took.as_secs_f64(),
            fenced: None,
            queue: Held::default(),
        };
        // One table alone has no queue to be looked after.
        if let (Some(url), None) = (&restored.database, &self.table)
            && let Err(error) = keep(backups, url, by, &mut report).await
        {
            restored.discard().await?;
            return Err(error);
        }
        restored.finish().await?;
        Ok(report)
    }
}

async fn keep(
    backups: &Backups,
    url: &SecretString,
    by: &str,
    report: &mut Report,
) -> Result<(), Error> {
    report.fenced = fence(url).await?;
    if report.fenced.is_none() {
        return Ok(());
    }
    let Some(Keeper(hold)) = backups.keeper() else {
        return Ok(());
    };
    let reason = format!("restored from backup {}", report.backup);
    let holding = hold(url.clone(), by.to_owned(), reason).await;
    report.queue = holding.map_err(|reason| Error::Unavailable {
        what: "holding the queues of what was restored".to_owned(),
        reason,
    })?;
    Ok(())
}
