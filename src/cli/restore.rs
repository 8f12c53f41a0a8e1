//! Brings a backup back, and looks after the queue in it before anybody runs it.

use tokio_util::sync::CancellationToken;
use windlass::{Client, Timestamp};

use super::{Failure, Printer, actor};
use crate::backups::restore::{Plan, Report, Restore};
use crate::backups::{BackupId, Backups, Transfer};
use crate::operations::backups::Desk;

/// Restores beside what is live: into a new database, file or folder.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which target, by its name in the settings
    target: String,
    /// Which backup; the newest if none is named
    #[arg(long, value_name = "ID")]
    backup: Option<BackupId>,
    /// From which place; the target's first if none is named
    #[arg(long)]
    place: Option<String>,
    /// The new database's name; of other kinds the absolute path of a new file or folder
    #[arg(long)]
    to: String,
    /// Only the rows of one table, such as public.messages, and all other tables empty
    #[arg(long, value_name = "SCHEMA.TABLE")]
    table: Option<String>,
    /// A postgres_physical backup to this moment, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = super::enqueue::time)]
    to_time: Option<Timestamp>,
    /// Replace what is there; its name, once more
    #[arg(long, value_name = "NAME")]
    overwrite: Option<String>,
    /// Only say what would be done, and by which commands it could be done by hand
    #[arg(long)]
    plan: bool,
    /// Have a worker do it, as a job: on its machine, tried again if it breaks off, with its progress on record
    #[arg(long, conflicts_with = "plan")]
    job: bool,
    /// Why, for the audit log
    #[arg(long, requires = "job")]
    reason: Option<String>,
}

pub(super) async fn run(
    backups: &Backups,
    client: &Client,
    args: Args,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let restore = Restore {
        target: args.target,
        backup: args.backup,
        place: args.place,
        to: args.to,
        table: args.table,
        to_time: args.to_time,
        overwrite: args.overwrite,
    };
    if args.plan {
        let plan = restore.plan(backups).await?;
        printer.data(&plan, text)?;
        return Ok(());
    }
    let manifest = restore.manifest(backups).await?;
    if args.job {
        let operator = actor::operator(client, args.reason.as_deref());
        let desk = Desk {
            backups,
            client,
            operator: &operator,
        };
        let job_id = desk.restore(&restore).await?;
        printer.data(&super::backup::Enqueued { job_id }, |told| {
            format!("{}\n", told.job_id)
        })?;
        return Ok(());
    }
    printer.talk(&format!(
        "restoring {}/{} to {} ({} bytes)",
        restore.target,
        manifest.id,
        restore.to,
        manifest.size()
    ));
    let transfer = Transfer::new(CancellationToken::new(), 0);
    let report = restore
        .bring_back(backups, manifest, &actor::name(), &transfer)
        .await?;
    printer.data(&report, told)?;
    if !report.queue.held.is_empty() {
        let next =
            "its queues are held: look at the jobs above, then `jobctl resume --queue ...` each";
        printer.talk(next);
    }
    Ok(())
}

fn told(answer: &Report) -> String {
    let mut lines = vec![
        format!("restored    {}", answer.backup),
        format!("to          {}", answer.to),
        format!("as of       {}", answer.recovery_point),
        format!("took        {:.1} s", answer.seconds),
    ];
    if let Some(fenced) = answer.fenced {
        lines.push(format!("fenced      {fenced} unfinished jobs"));
        lines.push(format!("held        {}", answer.queue.held.join(", ")));
        lines.push(format!(
            "{} jobs ran when the backup was made and may run twice{}",
            answer.queue.may_run_twice.len(),
            if answer.queue.may_run_twice.is_empty() {
                ""
            } else {
                ":"
            }
        ));
    }
    for job in &answer.queue.may_run_twice {
        let tenant = job.tenant_id.as_deref().unwrap_or("-");
        lines.push(format!(
            "  {} {} in {} of {tenant}",
            job.id, job.kind, job.queue
        ));
    }
    lines.join("\n") + "\n"
}

fn text(plan: &Plan) -> String {
    let mut lines = vec![
        format!(
            "what        {} backup {} of {}",
            plan.kind, plan.backup, plan.target
        ),
        format!("from        {} ({})", plan.path, plan.place),
        format!("to          {}", plan.to),
        format!("as of       {}", plan.recovery_point),
        format!(
            "size        {} bytes, {} as stored",
            plan.bytes, plan.stored_bytes
        ),
    ];
    if let Some(parent) = &plan.builds_on {
        lines.push(format!("builds on   {parent}"));
    }
    let estimate = match plan.estimate_seconds {
        Some(seconds) => format!("{seconds} s, as the last trial took"),
        None => "unknown: no restore of it was tried yet".to_owned(),
    };
    lines.push(format!("estimate    {estimate}"));
    let verified = match plan.verified {
        Some(level) => level.to_string(),
        None => "never".to_owned(),
    };
    lines.push(format!("verified    {verified}"));
    lines.push("by hand:".to_owned());
    lines.extend(plan.commands.iter().map(|command| format!("  {command}")));
    lines.join("\n") + "\n"
}

impl Args {
    /// Only the plan of it.
    pub(super) fn planned(self) -> Self {
        Self {
            plan: true,
            job: false,
            ..self
        }
    }
}
