//! A backup is tried out here and now.

use std::time::Instant;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use windlass::Client;

use super::{Exit, Failure, Printer};
use crate::backups::verify::Verification;
use crate::backups::{BackupId, Backups, Evidence, Level};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which target, by its name in the settings
    target: String,
    /// Which backup; the newest if none is named
    #[arg(long, value_name = "ID")]
    backup: Option<BackupId>,
    /// In which place; the target's first if none is named
    #[arg(long)]
    place: Option<String>,
    /// How deep: 0 bytes, 1 structure, 2 restored, 3 contents, 5 started
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=5))]
    level: u8,
}

pub(super) async fn run(
    backups: &Backups,
    client: &Client,
    args: Args,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let verification = Verification {
        target: args.target,
        backup: args.backup,
        place: args.place,
        level: Level::try_from(args.level).map_err(Failure::usage)?,
        job: Uuid::now_v7(),
        moment: None,
    };
    // The store's clock, as in jobs.
    let (now, asked) = (client.now().await?, Instant::now());
    let evidence = verification
        .run(backups, || now + asked.elapsed(), &CancellationToken::new())
        .await?;
    printer.data(&evidence, text)?;
    if evidence.passed() {
        Ok(())
    } else {
        Err(Failure::told(Exit::Failed))
    }
}

fn text(evidence: &Evidence) -> String {
    let outcome = if evidence.passed() {
        "holds"
    } else {
        "does not hold"
    };
    let mut lines = vec![format!(
        "{}/{} {outcome} at {}",
        evidence.target, evidence.backup, evidence.level
    )];
    lines.extend(
        evidence
            .reason
            .iter()
            .map(|reason| format!("because     {reason}")),
    );
    lines.extend(evidence.checks.iter().map(|check| format!("  {check}")));
    let figures = evidence.figures.iter();
    lines.extend(figures.map(|(name, figure)| format!("  {name} = {figure}")));
    lines.join("\n") + "\n"
}

impl Args {
    pub(super) fn words(&self) -> String {
        let newest = || "the newest backup".to_owned();
        let which = self
            .backup
            .as_ref()
            .map_or_else(newest, |id| format!("backup {id}"));
        format!("try out {which} of {} to level {}", self.target, self.level)
    }
}
