//! Jobs that wait for other jobs.

use clap::value_parser;
use serde::Serialize;
use windlass::Client;
use windlass::model::{FlowFilter, FlowId, FlowRecord, FlowState, RetryRefused, StepRecord};
use windlass::store::FlowChanged;

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::printer::table;
use super::{Exit, Failure, Printer, actor};

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// List flows, newest first
    List {
        /// Of this tenant
        #[arg(long)]
        tenant: Option<String>,
        /// Of this name
        #[arg(long)]
        name: Option<String>,
        /// Only those that have finished, or (false) have not
        #[arg(long, value_name = "true|false")]
        finished: Option<bool>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Only flows after this one: what the page before called next
        #[arg(long, value_name = "FLOW")]
        after: Option<FlowId>,
    },
    /// Show how far a flow is, and what each step waits for
    Show {
        /// Which flow
        id: FlowId,
        /// Only if it is this tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// At most so many steps
        #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Only steps after this place: what the page before called next
        #[arg(long, value_name = "PLACE")]
        after: Option<u32>,
    },
    /// Cancel what has not ended, and ask what runs to stop
    Cancel {
        #[command(flatten)]
        which: Which,
    },
    /// Run what failed again, and what was skipped because of that
    Retry {
        #[command(flatten)]
        which: Which,
        /// Run this step again instead, and everything after it
        #[arg(long, value_name = "STEP")]
        from: Option<String>,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// Which flow
    id: FlowId,
    /// Only if it is this tenant's
    #[arg(long)]
    tenant: Option<String>,
    /// Why, for the audit log
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Flow {
    #[serde(flatten)]
    record: FlowRecord,
    state: FlowState,
    unfinished: u32,
}

#[derive(Serialize)]
struct Page {
    flows: Vec<Flow>,
    next: Option<FlowId>,
}

#[derive(Serialize)]
struct Sheet {
    flow: Flow,
    steps: Vec<StepRecord>,
    next: Option<u32>,
}

#[derive(Serialize)]
struct Answer {
    id: FlowId,
    steps: u64,
}

pub(super) async fn run(
    client: &Client,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    match command {
        Command::List {
            tenant,
            name,
            finished,
            limit,
            after,
        } => {
            let filter = FlowFilter {
                tenant_id: tenant,
                name,
                finished,
            };
            list(client, &filter, after, limit, printer).await
        }
        Command::Show {
            id,
            tenant,
            limit,
            after,
        } => show(client, id, tenant.as_deref(), (after, limit), printer).await,
        Command::Cancel { which } => {
            let changed = actor::operator(client, which.reason.as_deref())
                .cancel_flow(which.id, which.tenant.as_deref())
                .await?;
            tell(which.id, changed, "cancelled, or asked to stop", printer)
        }
        Command::Retry { which, from } => {
            let changed = actor::operator(client, which.reason.as_deref())
                .retry_flow(which.id, which.tenant.as_deref(), from.as_deref())
                .await?;
            tell(which.id, changed, "will run again", printer)
        }
    }
}

async fn list(
    client: &Client,
    filter: &FlowFilter,
    after: Option<FlowId>,
    limit: u32,
    printer: &mut Printer,
) -> Result<(), Failure> {
    // One more than asked for tells whether there is a next page.
    let mut flows = client.flows(filter, after, limit + 1).await?;
    let more = flows.len() > limit as usize;
    flows.truncate(limit as usize);
    let page = Page {
        next: flows.last().filter(|_| more).map(|flow| flow.id),
        flows: flows.into_iter().map(Flow::from).collect(),
    };
    printer.data(&page, |page| {
        let rows: Vec<_> = page.flows.iter().map(Flow::row).collect();
        table(
            [
                "ID", "NAME", "STATE", "ENDED", "FAILED", "STARTED", "TENANT",
            ],
            &rows,
        )
    })?;
    if let Some(next) = page.next {
        printer.talk(&format!("there are more: --after {next}"));
    }
    Ok(())
}

async fn show(
    client: &Client,
    id: FlowId,
    tenant: Option<&str>,
    (after, limit): (Option<u32>, u32),
    printer: &mut Printer,
) -> Result<(), Failure> {
    let flow = client.flow(id, tenant).await?.ok_or_else(|| none(id))?;
    // Behind the last place there is nothing.
    let first = after.map_or(0, |place| place.saturating_add(1).min(flow.steps));
    let mut steps = client.steps(id, tenant, first, limit + 1).await?;
    let more = steps.len() > limit as usize;
    steps.truncate(limit as usize);
    let sheet = Sheet {
        flow: flow.into(),
        next: steps.last().filter(|_| more).map(|step| step.position),
        steps,
    };
    printer.data(&sheet, Sheet::text)?;
    if let Some(next) = sheet.next {
        printer.talk(&format!("there are more: --after {next}"));
    }
    Ok(())
}

fn tell(
    id: FlowId,
    changed: FlowChanged,
    done: &str,
    printer: &mut Printer,
) -> Result<(), Failure> {
    match changed {
        FlowChanged::Done(steps) => {
            printer.data(&Answer { id, steps }, |_| {
                format!("{id}: {steps} steps {done}\n")
            })?;
            Ok(())
        }
        FlowChanged::Finished => Err(Failure::new(
            Exit::Failed,
            "the flow has finished: there is nothing to cancel",
        )),
        FlowChanged::Refused(refused @ RetryRefused::UnknownStep(_)) => Err(Failure::new(
            Exit::NotFound,
            format!("{refused}: see `jobctl flows show {id}`"),
        )),
        FlowChanged::Refused(refused) => Err(Failure::new(Exit::Failed, refused.to_string())),
        FlowChanged::NotFound => Err(none(id)),
    }
}

fn none(id: FlowId) -> Failure {
    let message = format!(
        "no flow {id} (for this tenant): check the id, it may have been deleted by retention"
    );
    Failure::new(Exit::NotFound, message)
}

impl From<FlowRecord> for Flow {
    fn from(flow: FlowRecord) -> Self {
        Self {
            state: flow.state(),
            unfinished: flow.unfinished(),
            record: flow,
        }
    }
}

impl Flow {
    fn state(&self) -> &'static str {
        match self.state {
            FlowState::Running => "running",
            FlowState::Completed => "completed",
            FlowState::Failed => "failed",
        }
    }

    fn row(&self) -> [String; 7] {
        let flow = &self.record;
        [
            flow.id.to_string(),
            flow.name.clone(),
            self.state().to_owned(),
            format!("{}/{}", flow.steps - self.unfinished, flow.steps),
            flow.failed.to_string(),
            flow.created_at.to_string(),
            flow.tenant_id.clone().unwrap_or_default(),
        ]
    }
}

impl Sheet {
    fn text(&self) -> String {
        let flow = &self.flow.record;
        let head = format!(
            "{} {} is {}: of {} steps {} completed, {} failed, {} skipped, {} unfinished\n\n",
            flow.name,
            flow.id,
            self.flow.state(),
            flow.steps,
            flow.completed,
            flow.failed,
            flow.skipped,
            self.flow.unfinished,
        );
        let rows: Vec<_> = self.steps.iter().map(step).collect();
        head + &table(["STEP", "STATE", "KIND", "JOB", "PARENTS", "WHY"], &rows)
    }
}

fn step(step: &StepRecord) -> [String; 6] {
    let state = match step.ended_as {
        Some(end) => end.as_str().to_owned(),
        None => step.state.to_string(),
    };
    [
        step.name.clone(),
        state,
        step.kind.clone(),
        step.job.to_string(),
        step.parents.join(", "),
        step.waits_for()
            .or_else(|| step.reason.clone())
            .unwrap_or_default(),
    ]
}

impl Command {
    pub(super) fn ask(self) -> Ask {
        match self {
            Self::List {
                tenant,
                name,
                finished,
                limit,
                after,
            } => {
                let columns = &[
                    "id",
                    "name",
                    "state",
                    "total",
                    "unfinished",
                    "failed",
                    "created_at",
                    "tenant_id",
                ];
                Ask::get(&[&"flows"], Shows::Rows("flows", columns))
                    .with("tenant", tenant)
                    .with("name", name)
                    .with("finished", finished)
                    .with("limit", Some(limit))
                    .with("after", after)
            }
            Self::Show {
                id,
                tenant,
                limit,
                after,
            } => {
                let columns = &["name", "state", "kind", "job_id", "parents", "reason"];
                Ask::get(&[&"flows", &id], Shows::Rows("steps", columns))
                    .with("tenant", tenant)
                    .with("limit", Some(limit))
                    .with("after", after)
            }
            Self::Cancel { which } => which.ask("cancel"),
            Self::Retry { which, from } => which.ask("retry").with("from", from),
        }
    }

    pub(super) fn would(&self) -> Would {
        match self {
            Self::List { .. } | Self::Show { .. } => Would::Read,
            Self::Cancel { which } => Would::Change(format!("cancel flow {}", which.id)),
            Self::Retry { which, from } => {
                let from = from.as_ref();
                let from = from.map_or_else(String::new, |step| format!(" from step {step}"));
                Would::Change(format!("run flow {} again{from}", which.id))
            }
        }
    }
}

impl Which {
    fn ask(self, verb: &'static str) -> Ask {
        Ask::post(&[&"flows", &self.id, &verb], Shows::Sheet)
            .with("tenant", self.tenant)
            .with("reason", self.reason)
    }
}
