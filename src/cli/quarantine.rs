//! Messages from the broker that could not become jobs.

use clap::value_parser;
use reqwest::Method;
use serde::Serialize;
use uuid::Uuid;
use windlass::model::Enqueued;
use windlass::{Client, JobId};

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::printer::table;
use super::{Exit, Failure, Printer, actor};
use crate::compose::Database;
use crate::ingress::rabbitmq::{self, NotReplayed, replay};
use crate::records::{self, QuarantineFilter, QuarantinePlace, Quarantined};

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// List messages, newest first
    List {
        /// Of this tenant
        #[arg(long)]
        tenant: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Only messages older than this one: what the page before called next
        #[arg(long, value_name = "PLACE")]
        after: Option<QuarantinePlace>,
    },
    /// Show a message, and what is wrong with it
    Show {
        /// Which
        id: Uuid,
        /// Show its body too, which may hold what people wrote
        #[arg(long)]
        body: bool,
    },
    /// Make a message the job that it could not be, now that the cause is gone
    Replay {
        /// Which
        id: Uuid,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Delete a message for good
    Discard {
        /// Which
        id: Uuid,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Serialize)]
struct Sheet {
    id: Uuid,
    tenant_id: Option<String>,
    source: String,
    reason: String,
    body_bytes: u64,
    taken_at: String,
    headers: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

#[derive(Serialize)]
struct Page {
    messages: Vec<Sheet>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Replayed {
    job_id: JobId,
    duplicate: bool,
}

#[derive(Serialize)]
struct Discarded {
    id: Uuid,
}

pub(super) async fn run(
    database: &Database,
    client: &Client,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let records = &database.records;
    match command {
        Command::List {
            tenant,
            limit,
            after,
        } => {
            let filter = QuarantineFilter {
                tenant,
                before: after,
                // One more than asked for tells whether there is a next page.
                limit: limit + 1,
            };
            let kept = records.list_quarantined(&filter).await?;
            list(kept, limit as usize, printer)
        }
        Command::Show { id, body } => {
            let kept = records.quarantined(id).await?.ok_or_else(|| none(id))?;
            let shown = body.then(|| String::from_utf8_lossy(&kept.body).into_owned());
            let sheet = Sheet {
                body: shown,
                ..Sheet::from(kept)
            };
            printer.data(&sheet, Sheet::text)?;
            Ok(())
        }
        Command::Replay { id, reason } => {
            let operator = actor::operator(client, reason.as_deref());
            let enqueued = replay(client, &database.platform, records, &operator, id).await;
            let enqueued = enqueued.map_err(|error| not_replayed(id, error))?;
            let replayed = Replayed {
                job_id: enqueued.id(),
                duplicate: !matches!(enqueued, Enqueued::Inserted(_)),
            };
            printer.data(&replayed, |replayed| format!("{}\n", replayed.job_id))?;
            if replayed.duplicate {
                printer.talk("it had been taken in before: this job stands for it already");
            }
            Ok(())
        }
        Command::Discard { id, reason } => {
            let operator = actor::operator(client, reason.as_deref());
            let discarded = rabbitmq::discard(records, &operator, id).await;
            discarded.map_err(|error| not_replayed(id, error))?;
            printer.data(&Discarded { id }, |_| format!("{id} discarded\n"))?;
            Ok(())
        }
    }
}

fn list(mut kept: Vec<Quarantined>, limit: usize, printer: &mut Printer) -> Result<(), Failure> {
    let more = kept.len() > limit;
    kept.truncate(limit);
    let page = Page {
        next: kept
            .last()
            .filter(|_| more)
            .map(|kept| kept.place().to_string()),
        messages: kept.into_iter().map(Sheet::from).collect(),
    };
    printer.data(&page, |page| {
        let rows: Vec<[String; 4]> = page.messages.iter().map(Sheet::row).collect();
        table(["ID", "SET ASIDE", "QUEUE", "REASON"], &rows)
    })?;
    if let Some(next) = &page.next {
        printer.talk(&format!("there are more: --after {next}"));
    }
    Ok(())
}

fn none(id: Uuid) -> Failure {
    let message =
        format!("nothing with the id {id} is in quarantine: see `jobctl quarantine list`");
    Failure::new(Exit::NotFound, message)
}

fn not_replayed(id: Uuid, error: NotReplayed) -> Failure {
    match error {
        NotReplayed::NotFound => none(id),
        NotReplayed::Enqueue(error) => error.into(),
        other => Failure::new(Exit::Failed, format!("{other}; it stays in quarantine")),
    }
}

impl From<records::Error> for Failure {
    fn from(error: records::Error) -> Self {
        Self::new(
            Exit::Failed,
            format!("{error}: `jobctl doctor` may tell why"),
        )
    }
}

impl From<Quarantined> for Sheet {
    fn from(kept: Quarantined) -> Self {
        Self {
            id: kept.id,
            tenant_id: kept.tenant,
            source: kept.source,
            reason: kept.reason,
            body_bytes: kept.body_bytes,
            taken_at: kept.taken_at.to_string(),
            headers: kept.headers,
            body: None,
        }
    }
}

impl Sheet {
    fn row(&self) -> [String; 4] {
        [
            self.id.to_string(),
            self.taken_at.clone(),
            self.source.clone(),
            self.reason.clone(),
        ]
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{}\n  tenant     {}\n  queue      {}\n  reason     {}\n  set aside  {}\n  bytes      {}\n  headers    {}\n",
            self.id,
            self.tenant_id.as_deref().unwrap_or("-"),
            self.source,
            self.reason,
            self.taken_at,
            self.body_bytes,
            self.headers,
        );
        if let Some(body) = &self.body {
            text.extend(["\n", body, "\n"]);
        }
        text
    }
}

impl Command {
    pub(super) fn ask(self) -> Ask {
        match self {
            Self::List {
                tenant,
                limit,
                after,
            } => {
                let columns = &["id", "taken_at", "source", "reason"];
                Ask::get(&[&"quarantine"], Shows::Rows("messages", columns))
                    .with("tenant", tenant)
                    .with("limit", Some(limit))
                    .with("cursor", after)
            }
            Self::Show { id, body } => {
                Ask::get(&[&"quarantine", &id], Shows::Sheet).with("body", body.then_some(true))
            }
            Self::Replay { id, reason } => {
                Ask::post(&[&"quarantine", &id, &"replay"], Shows::Member("job_id"))
                    .with("reason", reason)
            }
            Self::Discard { id, reason } => {
                let words = Shows::Words("it is discarded");
                Ask::new(Method::DELETE, &[&"quarantine", &id], words).with("reason", reason)
            }
        }
    }

    pub(super) fn would(&self) -> Would {
        match self {
            Self::List { .. } | Self::Show { .. } => Would::Read,
            Self::Replay { id, .. } => {
                Would::Change(format!("make message {id} the job that it could not be"))
            }
            Self::Discard { id, .. } => Would::Change(format!("delete message {id} for good")),
        }
    }
}
