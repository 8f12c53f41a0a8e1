//! Messages that may have been sent, or not.

use clap::value_parser;
use serde::Serialize;
use uuid::Uuid;
use windlass::{Client, JobId, Timestamp};

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::printer::table;
use super::{Failure, Printer, actor};
use crate::operations::outbox::Desk;
use crate::records::{OutboxFilter, Outgoing, Records, SendState};

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// List parts of messages, newest first
    List {
        /// In this state: pending, sending, sent, unknown or failed
        #[arg(long)]
        state: Option<SendState>,
        /// Of this tenant
        #[arg(long)]
        tenant: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Only parts before this one
        #[arg(long, value_name = "ID")]
        before: Option<Uuid>,
    },
    /// Send a part again: the channel does not have it
    Resend {
        #[command(flatten)]
        which: Which,
    },
    /// Take a part for sent: the channel has it
    MarkSent {
        #[command(flatten)]
        which: Which,
        /// What the channel calls it, if that is known
        #[arg(long, value_name = "ID")]
        provider_id: Option<String>,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// Which part
    id: Uuid,
    /// Only if it is this tenant's
    #[arg(long)]
    tenant: Option<String>,
    /// Why, for the audit log
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Line {
    id: Uuid,
    job_id: JobId,
    tenant_id: String,
    conversation_id: String,
    message_id: String,
    channel: String,
    part: i32,
    parts: i32,
    state: SendState,
    attempts: i32,
    provider_id: Option<String>,
    error: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

pub(super) async fn run(
    records: &Records,
    client: &Client,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let rows = match command {
        Command::List {
            state,
            tenant,
            limit,
            before,
        } => {
            let filter = OutboxFilter { state, tenant };
            records.outbox(&filter, before, limit).await?
        }
        Command::Resend { which } => {
            let operator = actor::operator(client, which.reason.as_deref());
            let desk = desk(records, client, &operator, &which);
            vec![desk.resend(which.id).await?]
        }
        Command::MarkSent { which, provider_id } => {
            let operator = actor::operator(client, which.reason.as_deref());
            let desk = desk(records, client, &operator, &which);
            let provider_id = provider_id.filter(|id| !id.is_empty());
            vec![desk.mark_sent(which.id, provider_id.as_deref()).await?]
        }
    };
    let lines: Vec<Line> = rows.into_iter().map(Line::from).collect();
    printer.data(&lines, |lines| text(lines))?;
    Ok(())
}

fn desk<'a>(
    records: &'a Records,
    client: &'a Client,
    operator: &'a windlass::engine::Operator,
    which: &'a Which,
) -> Desk<'a> {
    Desk {
        records,
        client,
        operator,
        tenant: which.tenant.as_deref(),
    }
}

fn text(lines: &[Line]) -> String {
    let rows: Vec<_> = lines
        .iter()
        .map(|line| {
            [
                line.id.to_string(),
                line.state.to_string(),
                line.tenant_id.clone(),
                line.channel.clone(),
                line.message_id.clone(),
                format!("{}/{}", line.part, line.parts),
                line.updated_at.to_string(),
                line.error.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let head = [
        "ID", "STATE", "TENANT", "CHANNEL", "MESSAGE", "PART", "SINCE", "ERROR",
    ];
    table(head, &rows)
}

impl From<Outgoing> for Line {
    fn from(part: Outgoing) -> Self {
        Self {
            id: part.id,
            job_id: part.job,
            tenant_id: part.tenant,
            conversation_id: part.conversation,
            message_id: part.message,
            channel: part.channel,
            part: part.part,
            parts: part.parts,
            state: part.state,
            attempts: part.attempts,
            provider_id: part.provider_id,
            error: part.error,
            created_at: part.created_at,
            updated_at: part.updated_at,
        }
    }
}

impl Command {
    pub(super) fn ask(self) -> Ask {
        match self {
            Self::List {
                state,
                tenant,
                limit,
                before,
            } => {
                let columns = &[
                    "id",
                    "state",
                    "channel",
                    "tenant_id",
                    "part",
                    "parts",
                    "attempts",
                    "updated_at",
                    "error",
                ];
                Ask::get(&[&"outbox"], Shows::Rows("parts", columns))
                    .with("state", state.map(SendState::as_str))
                    .with("tenant", tenant)
                    .with("limit", Some(limit))
                    .with("cursor", before)
            }
            Self::Resend { which } => which.ask("resend"),
            Self::MarkSent { which, provider_id } => {
                which.ask("mark-sent").with("provider_id", provider_id)
            }
        }
    }

    pub(super) fn would(&self) -> Would {
        match self {
            Self::List { .. } => Would::Read,
            Self::Resend { which } => Would::Change(format!("send part {} again", which.id)),
            Self::MarkSent { which, .. } => {
                Would::Change(format!("take part {} for sent", which.id))
            }
        }
    }
}

impl Which {
    fn ask(self, verb: &'static str) -> Ask {
        Ask::post(&[&"outbox", &self.id, &verb], Shows::Sheet)
            .with("tenant", self.tenant)
            .with("reason", self.reason)
    }
}
