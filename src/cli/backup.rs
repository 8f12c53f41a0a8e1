//! Backups: which there are, and what is done with them.

use serde::Serialize;
use windlass::{Client, JobId};

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::printer::table;
use super::{Exit, Failure, Printer, actor};
use crate::backups::retention::{Deleted, Plan};
use crate::backups::{Backup, BackupId, Backups, Error, Evidence, Manifest, Pin};
use crate::operations::backups::Desk;

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// List backups, newest first
    List {
        /// Only of this target
        target: Option<String>,
        /// In this place; the target's first one if left out
        #[arg(long)]
        place: Option<String>,
    },
    /// Show a backup: what it says of itself, and how often it was tried
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Try out a backup here and now, and write down what came of it
    Verify(super::trial::Args),
    /// Bring a backup back, beside what is live
    Restore(super::restore::Args),
    /// Have a target backed up now
    Create {
        /// Which target
        target: String,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Keep a backup from retention
    Pin {
        #[command(flatten)]
        which: Which,
        /// Why: it is kept beside the backup
        #[arg(long)]
        reason: String,
    },
    /// Leave a backup to retention again
    Unpin {
        #[command(flatten)]
        which: Which,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Show what retention would delete, or delete it
    Prune {
        /// Only of this target
        target: Option<String>,
        /// Do it, rather than only show it
        #[arg(long)]
        apply: bool,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// Of which target
    target: String,
    /// Its id, or `newest`
    id: String,
}

#[derive(Serialize)]
struct Line {
    place: String,
    #[serde(flatten)]
    backup: Shown,
}

/// A backup and what is known of it.
#[derive(Serialize)]
struct Shown {
    manifest: Manifest,
    pin: Option<Pin>,
    verifications: Vec<Evidence>,
}

#[derive(Serialize)]
pub(super) struct Enqueued {
    pub(super) job_id: JobId,
}

#[derive(Serialize)]
struct Places {
    places: Vec<String>,
}

#[derive(Serialize)]
struct Pruned {
    plans: Vec<Plan>,
    applied: bool,
    deleted: usize,
    deleted_segments: usize,
}

pub(super) async fn run(
    backups: &Backups,
    client: &Client,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    match command {
        Command::Verify(args) => {
            return Box::pin(super::trial::run(backups, client, args, printer)).await;
        }
        Command::Restore(args) => {
            return Box::pin(super::restore::run(backups, client, args, printer)).await;
        }
        Command::List { target, place } => {
            let lines = list(backups, target, place.as_deref()).await?;
            printer.data(&lines, |lines| text(lines))?;
        }
        Command::Show { which } => {
            let (place, backup) = find(backups, &which).await?;
            let line = Line::new(place, backup);
            printer.data(&line, |line| {
                let shown = serde_json::to_string_pretty(line).unwrap_or_default();
                shown + "\n"
            })?;
        }
        Command::Create { target, reason } => {
            let operator = actor::operator(client, reason.as_deref());
            let desk = Desk {
                backups,
                client,
                operator: &operator,
            };
            let job_id = desk.create(&target).await?;
            printer.data(&Enqueued { job_id }, |told| format!("{}\n", told.job_id))?;
        }
        Command::Pin { which, reason } => {
            let (_, backup) = find(backups, &which).await?;
            let operator = actor::operator(client, Some(&reason));
            let desk = Desk {
                backups,
                client,
                operator: &operator,
            };
            let pin = Pin {
                by: actor::name(),
                at: client.now().await?,
                reason,
            };
            let places = desk.pin(&which.target, &backup.manifest.id, &pin).await?;
            printer.data(&Places { places }, |told| {
                format!("{}\n", told.places.join("\n"))
            })?;
        }
        Command::Unpin { which, reason } => {
            let (_, backup) = find(backups, &which).await?;
            let operator = actor::operator(client, reason.as_deref());
            let desk = Desk {
                backups,
                client,
                operator: &operator,
            };
            let places = desk.unpin(&which.target, &backup.manifest.id).await?;
            printer.data(&Places { places }, |told| {
                format!("{}\n", told.places.join("\n"))
            })?;
        }
        Command::Prune {
            target,
            apply,
            reason,
        } => {
            let operator = actor::operator(client, reason.as_deref());
            let desk = Desk {
                backups,
                client,
                operator: &operator,
            };
            let targets = targets(backups, target);
            let plans = desk.plan(&targets, client.now().await?).await?;
            let deleted = if apply {
                desk.apply(&plans).await?
            } else {
                Deleted::default()
            };
            let pruned = Pruned {
                plans,
                applied: apply,
                deleted: deleted.backups,
                deleted_segments: deleted.segments,
            };
            printer.data(&pruned, pruned_text)?;
            if !apply {
                printer.talk("nothing was deleted; do it with --apply");
            }
        }
    }
    Ok(())
}

fn targets(backups: &Backups, one: Option<String>) -> Vec<String> {
    let all = backups.options().targets.keys().cloned();
    one.map_or_else(|| all.collect(), |one| vec![one])
}

async fn list(
    backups: &Backups,
    target: Option<String>,
    place: Option<&str>,
) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for name in targets(backups, target) {
        let target = backups.target(&name)?;
        let repository = backups.repository(place.unwrap_or(&target.place))?;
        let held = repository.list(&name).await?;
        let line = |backup| Line::new(repository.place().name().to_owned(), backup);
        lines.extend(held.into_iter().rev().map(line));
    }
    Ok(lines)
}

/// The backup, from the first place that has it.
async fn find(backups: &Backups, which: &Which) -> Result<(String, Backup), Failure> {
    let repositories = backups.repositories(backups.target(&which.target)?)?;
    if which.id == "newest" {
        let newest = repositories[0].list(&which.target).await?.pop();
        let place = repositories[0].place().name();
        let none = || {
            Failure::new(
                Exit::NotFound,
                format!("{place} has no backup of {}", which.target),
            )
        };
        return Ok((place.to_owned(), newest.ok_or_else(none)?));
    }
    let id: BackupId = which
        .id
        .parse()
        .map_err(|e: crate::backups::InvalidId| Failure::usage(e.to_string()))?;
    let mut missing = Error::NotFound {
        place: String::new(),
        target: which.target.clone(),
        id: which.id.clone(),
    };
    for repository in repositories {
        match repository.get(&which.target, &id).await {
            Ok(backup) => return Ok((repository.place().name().to_owned(), backup)),
            Err(error @ Error::NotFound { .. }) => missing = error,
            Err(other) => return Err(other.into()),
        }
    }
    Err(missing.into())
}

impl Line {
    fn new(place: String, backup: Backup) -> Self {
        let backup = Shown {
            manifest: backup.manifest,
            pin: backup.pin,
            verifications: backup.evidence,
        };
        Self { place, backup }
    }
}

fn text(lines: &[Line]) -> String {
    let rows: Vec<_> = lines
        .iter()
        .map(|line| {
            let Shown {
                manifest,
                pin,
                verifications,
            } = &line.backup;
            let level = verifications
                .iter()
                .filter(|it| it.passed())
                .map(|it| it.level)
                .max();
            [
                manifest.target.clone(),
                manifest.id.to_string(),
                line.place.clone(),
                manifest.recovery_point.to_string(),
                manifest.stored_size().to_string(),
                level.map_or_else(|| "-".to_owned(), |level| level.to_string()),
                if pin.is_some() { "pinned" } else { "" }.to_owned(),
                manifest.flags.join("; "),
            ]
        })
        .collect();
    let head = [
        "TARGET", "ID", "PLACE", "OF", "BYTES", "VERIFIED", "PIN", "FLAGS",
    ];
    table(head, &rows)
}

fn pruned_text(pruned: &Pruned) -> String {
    let mut rows = Vec::new();
    for plan in &pruned.plans {
        for decision in &plan.decisions {
            let goes = plan.goes().any(|it| it.id == decision.id);
            let what = match (goes, pruned.applied) {
                (true, true) => "deleted",
                (true, false) => "would go",
                (false, _) => "stays",
            };
            let waits = plan
                .waits_for
                .as_ref()
                .map(|it| format!("retention waits for {it}"));
            let why = if decision.kept_for.is_empty() {
                waits
            } else {
                Some(decision.kept_for.join(", "))
            };
            rows.push([
                plan.target.clone(),
                decision.id.to_string(),
                plan.place.clone(),
                what.to_owned(),
                why.unwrap_or_default(),
            ]);
        }
        rows.extend(log_row(plan, pruned.applied));
    }
    table(["TARGET", "ID", "PLACE", "WHAT", "WHY"], &rows)
}

/// What becomes of the archived log, if there is one that is not needed.
fn log_row(plan: &Plan, applied: bool) -> Option<[String; 5]> {
    let log = plan.log.as_ref().filter(|log| !log.goes.is_empty())?;
    let what = match (plan.log_goes().is_empty(), applied) {
        (true, _) => "stays",
        (false, true) => "deleted",
        (false, false) => "would go",
    };
    Some([
        plan.target.clone(),
        format!("log: {} segments", log.goes.len()),
        plan.place.clone(),
        what.to_owned(),
        format!("no kept backup needs what is before {}", log.needed_from),
    ])
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error {
            Error::UnknownTarget { .. } | Error::UnknownPlace { .. } | Error::Setting { .. } => {
                Exit::Usage
            }
            Error::NotFound { .. } => Exit::NotFound,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl Command {
    pub(super) fn ask(self) -> Result<Ask, Failure> {
        match self {
            Self::List {
                target,
                place: None,
            } => {
                let columns = &[
                    "target",
                    "kind",
                    "last_success_at",
                    "last_verified_at",
                    "verify_level",
                    "late",
                ];
                Ok(Ask::get(&[&"backups"], Shows::Rows("targets", columns)).with("target", target))
            }
            Self::Show { which } => Ok(Ask::get(
                &[&"backups", &which.target, &which.id],
                Shows::Sheet,
            )),
            _ => Err(super::ask::not_remote("backup")),
        }
    }

    pub(super) fn would(&self) -> Would {
        match self {
            Self::List { .. } | Self::Show { .. } => Would::Read,
            Self::Verify(args) => Would::Change(args.words()),
            Self::Create { target, .. } => Would::Change(format!("have {target} backed up")),
            Self::Pin { which, .. } => {
                Would::Change(format!("keep {}/{} from retention", which.target, which.id))
            }
            Self::Unpin { which, .. } => {
                Would::Change(format!("leave {}/{} to retention", which.target, which.id))
            }
            Self::Restore(_) | Self::Prune { .. } => Would::Preview,
        }
    }

    /// With its own preview.
    pub(super) fn previewed(self) -> Self {
        match self {
            Self::Restore(args) => Self::Restore(args.planned()),
            Self::Prune { target, reason, .. } => Self::Prune {
                target,
                apply: false,
                reason,
            },
            other => other,
        }
    }
}
