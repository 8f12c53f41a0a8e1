//! How a target stands: what would be lost now, and when a backup was last shown to restore.

use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use windlass::Timestamp;

use super::{Backup, BackupId, Backups, Error, Evidence, Kind, Level};
use crate::telemetry::{Outage, backups as told};

/// How often it is looked at.
const PACE: Duration = Duration::from_mins(1);

/// How a target stands.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// Which.
    pub target: String,
    /// What it is.
    pub kind: Kind,
    /// Where its backups are, the first place first.
    pub places: Vec<String>,
    /// How many there are in the first place.
    pub backups: usize,
    /// The newest one.
    pub newest: Option<BackupId>,
    /// When that was finished.
    pub last_success_at: Option<Timestamp>,
    /// Its bytes.
    pub bytes: Option<u64>,
    /// Why somebody should look at it.
    pub flags: Vec<String>,
    /// How much would be lost if the target were lost now.
    pub rpo_seconds: Option<f64>,
    /// When one was last shown to restore, at [`Level::Restored`] or above; and of what cannot be restored
    /// anywhere but in place, at [`Level::Structure`].
    pub last_verified_at: Option<Timestamp>,
    /// How deep that looked.
    pub verify_level: Option<Level>,
    /// How long the last restore took.
    pub restore_seconds: Option<f64>,
    /// Whether the newest one is older than it may be, or there is none.
    pub late: bool,
    /// Whether the newest verified one is older than it may be, or there is none.
    pub unverified: bool,
}

impl Backups {
    /// How a target stands now.
    pub async fn standing(&self, name: &str, now: Timestamp) -> Result<Standing, Error> {
        let target = self.target(name)?;
        let repositories = self.repositories(target)?;
        let held = repositories[0].list(name).await?;
        let mut standing = self.of(name, target.kind, &held, now);
        standing.places = repositories
            .iter()
            .map(|it| it.place().name().to_owned())
            .collect();
        Ok(standing)
    }

    fn of(&self, name: &str, kind: Kind, held: &[Backup], now: Timestamp) -> Standing {
        let least = match kind {
            Kind::PostgresLogical | Kind::PostgresPhysical | Kind::Sqlite => Level::Restored,
            Kind::Redis | Kind::Rabbitmq | Kind::Folder | Kind::Configuration => Level::Structure,
        };
        let newest = held.last().map(|backup| &backup.manifest);
        let verified = held.iter().filter_map(|backup| backup.verified(least));
        let verified = verified.max_by_key(|evidence| evidence.finished);
        let tried = held
            .iter()
            .flat_map(|backup| &backup.evidence)
            .filter(|it| it.passed());
        let restores = tried.filter_map(|it| {
            let took = it.figures.get(Evidence::RESTORE_SECONDS)?;
            Some((it.finished, *took))
        });
        let notify = &self.options().notify;
        let late = Duration::from_hours(u64::from(notify.late_hours.get()));
        let unverified = Duration::from_hours(24 * u64::from(notify.unverified_days.get()));
        let older = |at: Option<Timestamp>, than| at.is_none_or(|at| now.since(at) > than);
        let last_success_at = newest.map(|it| it.finished);
        let last_verified_at = verified.map(|it| it.finished);
        Standing {
            target: name.to_owned(),
            kind,
            places: Vec::new(),
            backups: held.len(),
            newest: newest.map(|it| it.id.clone()),
            last_success_at,
            bytes: newest.map(super::Manifest::stored_size),
            flags: newest.map(|it| it.flags.clone()).unwrap_or_default(),
            rpo_seconds: newest.map(|it| now.since(it.recovery_point).as_secs_f64()),
            last_verified_at,
            verify_level: verified.map(|it| it.level),
            restore_seconds: restores.max_by_key(|(at, _)| *at).map(|(_, took)| took),
            late: older(last_success_at, late),
            unverified: older(last_verified_at, unverified),
        }
    }
}

impl Standing {
    /// Sets the metrics.
    pub fn tell(&self) {
        #[expect(clippy::cast_precision_loss, reason = "figures of metrics")]
        let seconds = |at: Timestamp| at.as_micros() as f64 / 1e6;
        #[expect(clippy::cast_precision_loss, reason = "figures of metrics")]
        let number = |n: u64| n as f64;
        let standing = told::Standing {
            last_success: self.last_success_at.map(seconds),
            last_verified: self.last_verified_at.map(seconds),
            rpo: self.rpo_seconds,
            size: self.bytes.map(number),
            level: self.verify_level.map(|level| f64::from(level.number())),
            restore: self.restore_seconds,
            count: number(self.backups as u64),
        };
        told::stands(&self.target, &standing);
    }
}

/// Keeps the metrics of all targets up to date until told to stop. `clock` is the store's time.
pub async fn watch<C>(backups: Backups, clock: impl Fn() -> C, stop: CancellationToken)
where
    C: Future<Output = Option<Timestamp>>,
{
    let mut outages: Vec<(String, Outage)> = backups
        .options()
        .targets
        .keys()
        .map(|name| (name.clone(), Outage::new(format!("the backups of {name}"))))
        .collect();
    if outages.is_empty() {
        return;
    }
    let mut ticks = tokio::time::interval(PACE);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let Some(now) = clock().await else {
            continue;
        };
        for (name, outage) in &mut outages {
            let looked = stop.run_until_cancelled(backups.standing(name, now)).await;
            match looked {
                None => return,
                Some(Ok(standing)) => {
                    outage.worked();
                    standing.tell();
                }
                Some(Err(error)) => outage.failed(&error),
            }
        }
    }
}
