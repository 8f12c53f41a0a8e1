use clap::value_parser;
use serde::Serialize;
use windlass::model::{AuditEntry, AuditFilter};
use windlass::{Client, Json, Timestamp};

use super::ask::{Ask, Shows};
use super::printer::table;
use super::{Failure, Printer};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// By this actor
    #[arg(long)]
    actor: Option<String>,
    /// This action, such as job.cancel
    #[arg(long)]
    action: Option<String>,
    /// To this, such as queue/mail
    #[arg(long)]
    subject: Option<String>,
    /// Of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Only lines before this one
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
}

#[derive(Serialize)]
struct Line {
    id: i64,
    at: Timestamp,
    actor: String,
    action: String,
    subject: String,
    tenant_id: Option<String>,
    before: Option<Json>,
    after: Option<Json>,
    reason: Option<String>,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let filter = AuditFilter {
        actor: args.actor,
        action: args.action,
        subject: args.subject,
        tenant_id: args.tenant,
    };
    let entries = client.audit(&filter, args.before, args.limit).await?;
    let lines: Vec<Line> = entries.into_iter().map(Line::from).collect();
    printer.data(&lines, |lines| text(lines))?;
    Ok(())
}

fn text(lines: &[Line]) -> String {
    let rows: Vec<_> = lines
        .iter()
        .map(|line| {
            [
                line.id.to_string(),
                line.at.to_string(),
                line.actor.clone(),
                line.action.clone(),
                line.subject.clone(),
                line.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table(["ID", "AT", "ACTOR", "ACTION", "SUBJECT", "REASON"], &rows)
}

impl From<AuditEntry> for Line {
    fn from(entry: AuditEntry) -> Self {
        let audit = entry.audit;
        Self {
            id: entry.id,
            at: entry.at,
            actor: audit.actor,
            action: audit.action,
            subject: audit.subject,
            tenant_id: audit.tenant_id,
            before: audit.before,
            after: audit.after,
            reason: audit.reason,
        }
    }
}

impl Args {
    pub(super) fn ask(self) -> Ask {
        let columns = &["id", "at", "actor", "action", "subject", "reason"];
        Ask::get(&[&"audit"], Shows::Rows("entries", columns))
            .with("actor", self.actor)
            .with("action", self.action)
            .with("subject", self.subject)
            .with("tenant", self.tenant)
            .with("limit", Some(self.limit))
            .with("cursor", self.before)
    }
}
