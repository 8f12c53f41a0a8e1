use reqwest::Method;
use serde::Serialize;
use serde_json::json;
use windlass::engine::PauseOf;
use windlass::model::Pause;
use windlass::{Client, Timestamp};

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::printer::table;
use super::{Exit, Failure, Printer, actor};

/// Without a queue, kind or tenant it lists what is paused.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Of,
    /// When it ends by itself, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = super::enqueue::time)]
    until: Option<Timestamp>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    of: Of,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
struct Of {
    /// Jobs of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Jobs of this kind
    #[arg(long)]
    kind: Option<String>,
    /// Jobs of this tenant
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    pauses: Vec<Pause>,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let pauses = if args.lists() {
        client.pauses().await?
    } else {
        let operator = actor::operator(client, args.reason.as_deref());
        vec![operator.pause(args.of.into(), args.until).await?]
    };
    printer.data(&Answer { pauses }, |answer| text(&answer.pauses))?;
    Ok(())
}

pub(super) async fn resume(
    client: &Client,
    args: ResumeArgs,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let operator = actor::operator(client, args.reason.as_deref());
    if !operator.resume(args.of.into()).await? {
        let message = "exactly this is not paused: `jobctl pause` tells what is";
        return Err(Failure::new(Exit::NotFound, message));
    }
    let pauses = client.pauses().await?;
    printer.data(&Answer { pauses }, |answer| text(&answer.pauses))?;
    Ok(())
}

fn text(pauses: &[Pause]) -> String {
    let or_any = |word: &Option<String>| word.clone().unwrap_or_else(|| "any".to_owned());
    let rows: Vec<_> = pauses
        .iter()
        .map(|pause| {
            [
                or_any(&pause.queue),
                or_any(&pause.kind),
                or_any(&pause.tenant_id),
                pause.by.clone(),
                pause.at.to_string(),
                pause
                    .until
                    .map(|until| until.to_string())
                    .unwrap_or_default(),
                pause.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let head = ["QUEUE", "KIND", "TENANT", "BY", "SINCE", "UNTIL", "REASON"];
    table(head, &rows)
}

impl From<Of> for PauseOf {
    fn from(of: Of) -> Self {
        Self {
            queue: of.queue,
            kind: of.kind,
            tenant_id: of.tenant,
        }
    }
}

impl Args {
    fn lists(&self) -> bool {
        let Of {
            queue,
            kind,
            tenant,
        } = &self.of;
        let nothing = queue.is_none() && kind.is_none() && tenant.is_none();
        nothing && self.until.is_none() && self.reason.is_none()
    }

    pub(super) fn ask(self) -> Result<Ask, Failure> {
        if self.lists() {
            let columns = &["queue", "kind", "tenant_id", "by", "at", "until", "reason"];
            return Ok(Ask::get(&[&"pauses"], Shows::Rows("pauses", columns)));
        }
        let pause = json!({
            "queue": self.of.queue,
            "kind": self.of.kind,
            "tenant_id": self.of.tenant,
            "until": self.until,
            "reason": self.reason,
        });
        Ask::new(Method::PUT, &[&"pauses"], Shows::Sheet).body(&pause)
    }

    pub(super) fn would(&self) -> Would {
        if self.lists() {
            return Would::Read;
        }
        let end = self
            .until
            .map_or_else(String::new, |at| format!(" until {at}"));
        Would::Change(format!("pause {}{end}", self.of.words()))
    }
}

impl ResumeArgs {
    pub(super) fn ask(self) -> Ask {
        let words = Shows::Words("it goes on");
        Ask::new(Method::DELETE, &[&"pauses"], words)
            .with("queue", self.of.queue)
            .with("kind", self.of.kind)
            .with("tenant_id", self.of.tenant)
            .with("reason", self.reason)
    }

    pub(super) fn would(&self) -> Would {
        Would::Change(format!("end the pause of {}", self.of.words()))
    }
}

impl Of {
    fn words(&self) -> String {
        let one = |what: &str, of: &Option<String>| of.as_ref().map(|of| format!("{what} {of}"));
        let all = [
            one("queue", &self.queue),
            one("kind", &self.kind),
            one("tenant", &self.tenant),
        ];
        let named: Vec<String> = all.into_iter().flatten().collect();
        if named.is_empty() {
            "nothing (name a queue, kind or tenant)".to_owned()
        } else {
            format!("jobs of {}", named.join(" and "))
        }
    }
}
