//! What one correlation id set off.

use windlass::Client;

use super::ask::{Ask, Shows};
use super::printer::table;
use super::{Exit, Failure, Printer};
use crate::compose::Database;
use crate::operations::correlations::{Correlation, MOST_JOBS, follow};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The id: a request's `x-correlation-id`, a message's property, the log's `correlationId`
    correlation_id: String,
    /// Only what is this tenant's
    #[arg(long)]
    tenant: Option<String>,
}

pub(super) async fn run(
    database: &Database,
    client: &Client,
    args: Args,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let Args {
        correlation_id: id,
        tenant,
    } = &args;
    let (records, platform) = (&database.records, &database.platform);
    let followed = follow(client, records, platform, id, tenant.as_deref()).await?;
    if followed.entries.is_empty() {
        let told = format!("nothing is known of {id}; retention may have deleted it");
        return Err(Failure::new(Exit::NotFound, told));
    }
    printer.data(&followed, shown)?;
    if followed.truncated {
        printer.talk(&format!("only the newest {MOST_JOBS} jobs are shown"));
    }
    Ok(())
}

fn shown(followed: &Correlation) -> String {
    let rows: Vec<[String; 6]> = followed
        .entries
        .iter()
        .map(|entry| {
            [
                entry.at.to_string(),
                entry.what.as_str().to_owned(),
                entry.id.clone(),
                entry.name.clone(),
                entry.state.clone(),
                entry.detail.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table(["AT", "WHAT", "ID", "NAME", "STATE", "DETAIL"], &rows)
}

impl Args {
    pub(super) fn ask(self) -> Ask {
        let columns = &["at", "what", "id", "name", "state", "detail"];
        Ask::get(
            &[&"correlations", &self.correlation_id],
            Shows::Rows("entries", columns),
        )
        .with("tenant", self.tenant)
    }
}
