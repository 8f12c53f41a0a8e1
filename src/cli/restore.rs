//! Brings a backup back, and looks after the queue in it before anybody runs it.

use secrecy::SecretString;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use windlass::engine::PauseOf;
use windlass::model::{Filter, Page};
use windlass::{Client, State, Timestamp};

use super::{Failure, Printer, actor};
use crate::backups::restore::{Plan, Restore, fence};
use crate::backups::{BackupId, Backups};
use crate::compose;
use crate::config::{Config, DatabaseOptions};

/// Restores beside what is live: into a new database, file or folder.
#[derive(Debug, clap::Args)]
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
}

#[derive(Serialize)]
struct Answer {
    backup: BackupId,
    to: String,
    recovery_point: Timestamp,
    seconds: f64,
    /// Queues whose jobs are held until somebody resumes them.
    held: Vec<String>,
    /// Unfinished jobs, whose fences are above any that was given out after the backup.
    fenced: Option<u64>,
    /// Jobs that ran when the backup was made: what they had done outside the database is done again.
    may_run_twice: Vec<Again>,
}

#[derive(Serialize)]
struct Again {
    id: String,
    kind: String,
    queue: String,
    tenant_id: Option<String>,
    attempt: u16,
}

pub(super) async fn run(
    config: &Config,
    backups: &Backups,
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
    printer.talk(&format!(
        "restoring {}/{} to {} ({} bytes)",
        restore.target,
        manifest.id,
        restore.to,
        manifest.size()
    ));
    let restored = restore
        .run(backups, manifest, &CancellationToken::new())
        .await?;
    let mut answer = Answer {
        backup: restored.manifest.id.clone(),
        to: restored.to.clone(),
        recovery_point: restored.manifest.recovery_point,
        seconds: restored.took.as_secs_f64(),
        held: Vec::new(),
        fenced: None,
        may_run_twice: Vec::new(),
    };
    // One table alone has no queue to be looked after.
    if let (Some(url), None) = (&restored.database, &restore.table) {
        answer.fenced = fence(url).await?;
        if answer.fenced.is_some() {
            hold(config, url, &mut answer).await?;
        }
    }
    restored.finish().await?;
    printer.data(&answer, told)?;
    if !answer.held.is_empty() {
        let next =
            "its queues are held: look at the jobs above, then `jobctl resume --queue ...` each";
        printer.talk(next);
    }
    Ok(())
}

/// Keeps every queue's jobs from being started, and says which may run twice.
async fn hold(config: &Config, url: &SecretString, answer: &mut Answer) -> Result<(), Failure> {
    let options = DatabaseOptions {
        url: url.clone(),
        ..config.database.clone()
    };
    let client = Client::new(compose::open(&options)?.store);
    let reason = format!("restored from backup {}", answer.backup);
    let operator = actor::operator(&client, Some(&reason));
    let mut queues: Vec<String> = client
        .queues()
        .await?
        .into_iter()
        .map(|stats| stats.queue)
        .collect();
    queues.extend(config.engine.queues.keys().cloned());
    queues.sort();
    queues.dedup();
    for queue in queues {
        let of = PauseOf {
            queue: Some(queue.clone()),
            ..PauseOf::default()
        };
        operator.pause(of, None).await?;
        answer.held.push(queue);
    }
    let running = Filter {
        states: vec![State::Running],
        ..Filter::default()
    };
    let page = Page {
        after: None,
        limit: 1000,
    };
    for job in client.list(&running, page).await? {
        answer.may_run_twice.push(Again {
            id: job.id.to_string(),
            kind: job.kind,
            queue: job.queue,
            tenant_id: job.tenant_id,
            attempt: job.attempt,
        });
    }
    Ok(())
}

fn told(answer: &Answer) -> String {
    let mut lines = vec![
        format!("restored    {}", answer.backup),
        format!("to          {}", answer.to),
        format!("as of       {}", answer.recovery_point),
        format!("took        {:.1} s", answer.seconds),
    ];
    if let Some(fenced) = answer.fenced {
        lines.push(format!("fenced      {fenced} unfinished jobs"));
        lines.push(format!("held        {}", answer.held.join(", ")));
        lines.push(format!(
            "{} jobs ran when the backup was made and may run twice{}",
            answer.may_run_twice.len(),
            if answer.may_run_twice.is_empty() {
                ""
            } else {
                ":"
            }
        ));
    }
    for job in &answer.may_run_twice {
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
