//! What tenants' endpoints were told.

use clap::value_parser;
use serde::Serialize;
use uuid::Uuid;
use windlass::{Client, JobId, Timestamp};

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::printer::table;
use super::{Failure, Printer, actor};
use crate::operations::webhooks::replay;
use crate::records::{Delivery, Records};

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// List attempts to tell a webhook, newest first
    Deliveries {
        /// Which webhook
        webhook: String,
        /// Only if it is this tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Only attempts before this one
        #[arg(long, value_name = "ID")]
        before: Option<Uuid>,
    },
    /// Tell a webhook of the same event once more
    Replay {
        /// Which attempt
        delivery: Uuid,
        /// Only if it is this tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Serialize)]
struct Line {
    id: Uuid,
    job_id: JobId,
    tenant_id: String,
    webhook_id: String,
    event_id: String,
    event_type: String,
    attempt: i32,
    status: Option<i32>,
    error: Option<String>,
    duration_ms: i32,
    at: Timestamp,
}

#[derive(Serialize)]
struct Replayed {
    job_id: JobId,
}

pub(super) async fn run(
    records: &Records,
    client: &Client,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    match command {
        Command::Deliveries {
            webhook,
            tenant,
            limit,
            before,
        } => {
            let tenant = tenant.as_deref();
            let rows = records.deliveries(&webhook, tenant, before, limit).await?;
            let lines: Vec<Line> = rows.into_iter().map(Line::from).collect();
            printer.data(&lines, |lines| text(lines))?;
        }
        Command::Replay {
            delivery,
            tenant,
            reason,
        } => {
            let operator = actor::operator(client, reason.as_deref());
            let job_id = replay(records, client, &operator, delivery, tenant.as_deref()).await?;
            printer.data(&Replayed { job_id }, |told| format!("{}\n", told.job_id))?;
        }
    }
    Ok(())
}

fn text(lines: &[Line]) -> String {
    let rows: Vec<_> = lines
        .iter()
        .map(|line| {
            let status = line.status.map(|status| status.to_string());
            [
                line.id.to_string(),
                line.at.to_string(),
                line.event_type.clone(),
                line.event_id.clone(),
                line.attempt.to_string(),
                status.unwrap_or_default(),
                line.error.clone().unwrap_or_else(|| "delivered".to_owned()),
                format!("{} ms", line.duration_ms),
            ]
        })
        .collect();
    let head = [
        "ID", "AT", "TYPE", "EVENT", "ATTEMPT", "STATUS", "OUTCOME", "TOOK",
    ];
    table(head, &rows)
}

impl From<Delivery> for Line {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            job_id: delivery.job,
            tenant_id: delivery.tenant,
            webhook_id: delivery.webhook,
            event_id: delivery.event,
            event_type: delivery.event_type,
            attempt: delivery.attempt,
            status: delivery.status,
            error: delivery.error,
            duration_ms: delivery.duration_ms,
            at: delivery.at,
        }
    }
}

impl Command {
    pub(super) fn ask(self) -> Ask {
        match self {
            Self::Deliveries {
                webhook,
                tenant,
                limit,
                before,
            } => {
                let columns = &[
                    "id",
                    "at",
                    "event_type",
                    "event_id",
                    "attempt",
                    "status",
                    "error",
                    "duration_ms",
                ];
                Ask::get(
                    &[&"webhooks", &webhook, &"deliveries"],
                    Shows::Rows("deliveries", columns),
                )
                .with("tenant", tenant)
                .with("limit", Some(limit))
                .with("cursor", before)
            }
            Self::Replay {
                delivery,
                tenant,
                reason,
            } => {
                let path: [&(dyn std::fmt::Display + Sync); 4] =
                    [&"webhooks", &"deliveries", &delivery, &"replay"];
                Ask::post(&path, Shows::Member("job_id"))
                    .with("tenant", tenant)
                    .with("reason", reason)
            }
        }
    }

    pub(super) fn would(&self) -> Would {
        match self {
            Self::Deliveries { .. } => Would::Read,
            Self::Replay { delivery, .. } => {
                Would::Change(format!("tell the webhook of delivery {delivery} once more"))
            }
        }
    }
}
