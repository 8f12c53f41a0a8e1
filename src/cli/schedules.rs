use serde::Serialize;
use serde_json::{Value, json};
use windlass::engine::{By, Range, ScheduleError};
use windlass::model::{Cron, ScheduleRecord, Skip, TickOutcome};
use windlass::store::Fired;
use windlass::{Client, JobId, Timestamp};

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::printer::table;
use super::{Exit, Failure, Printer};

/// Who did it, as the audit log has it: whoever may reach the database.
const ACTOR: &str = "jobctl";
/// Fire times that are told ahead.
const NEXT: usize = 5;

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// List schedules and when they fire next
    List,
    /// Show a schedule, its next fire times and its latest ticks
    Show { name: String },
    /// Stop a schedule; jobs that it made go on
    Pause {
        name: String,
        /// Why, for whoever finds it stopped
        #[arg(long)]
        note: String,
    },
    /// Let a paused schedule go on from now
    Resume {
        name: String,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Run a schedule's job now, besides its timetable
    Run {
        name: String,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Fire the ticks of a time gone by that were not fired then
    Backfill {
        name: String,
        /// The first fire time, such as 2026-01-31T00:00:00Z
        #[arg(long)]
        from: Timestamp,
        /// The last fire time
        #[arg(long)]
        until: Timestamp,
        /// Only say what would be fired
        #[arg(long)]
        preview: bool,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Say what a cron expression means and when it fires next
    Next {
        /// Such as "30 2 * * MON-FRI"
        cron: String,
        /// An IANA time zone
        #[arg(long, default_value = "UTC")]
        zone: String,
    },
}

pub(super) async fn run(
    client: &Client,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    match command {
        Command::List => list(client, printer).await,
        Command::Show { name } => show(client, &name, printer).await,
        Command::Pause { name, note } => {
            let by = by(Some(&note));
            client
                .pause_schedule(&name, by)
                .await
                .map_err(|e| of(&name, e))?;
            answer(&name, "is paused", printer)
        }
        Command::Resume { name, reason } => {
            let by = by(reason.as_deref());
            client
                .resume_schedule(&name, by)
                .await
                .map_err(|e| of(&name, e))?;
            answer(&name, "goes on", printer)
        }
        Command::Run { name, reason } => {
            let by = by(reason.as_deref());
            let fired = client
                .run_schedule(&name, by)
                .await
                .map_err(|e| of(&name, e))?;
            started(&name, fired, printer)
        }
        Command::Backfill {
            name,
            from,
            until,
            preview,
            reason,
        } => {
            let range = Range { from, until };
            let plan = if preview {
                client.preview_backfill(&name, range).await
            } else {
                client.backfill(&name, range, by(reason.as_deref())).await
            };
            let plan = plan.map_err(|error| of(&name, error))?;
            let wanted = plan.iter().filter(|tick| tick.is_wanted()).count();
            let ticks: Vec<Value> = plan
                .iter()
                .map(|tick| {
                    let job = match tick.fired {
                        Some(Fired::Fired(id)) => Some(id),
                        _ => None,
                    };
                    let before = tick.before.map(TickOutcome::as_str);
                    json!({"fire_at": tick.fire_at, "before": before, "job_id": job})
                })
                .collect();
            let report = json!({"preview": preview, "count": wanted, "ticks": ticks});
            printer.data(&report, |_| {
                let wanted = plan.iter().filter(|tick| tick.is_wanted());
                let times: Vec<_> = wanted.map(|tick| tick.fire_at.to_string()).collect();
                times.join("\n") + "\n"
            })?;
            let fate = if preview { "would be fired" } else { "fired" };
            printer.talk(&format!("{wanted} ticks {fate}"));
            Ok(())
        }
        Command::Next { cron, zone } => {
            let cron = Cron::new(&cron, &zone).map_err(|e| Failure::usage(e.to_string()))?;
            let next = next(&cron, client.now().await?);
            let told = json!({"description": cron.describe(), "next": next.as_slice()});
            printer.data(&told, |_| {
                format!("{}\n{}\n", cron.describe(), next.join("\n"))
            })?;
            Ok(())
        }
    }
}

const fn by(reason: Option<&str>) -> By<'_> {
    By {
        actor: ACTOR,
        reason,
    }
}

fn next(cron: &Cron, now: Timestamp) -> Vec<String> {
    let next = cron.after(now).take(NEXT);
    next.map(|at| cron.zoned(at).to_rfc3339()).collect()
}

fn status(record: &ScheduleRecord) -> &'static str {
    match record {
        _ if record.retired_at.is_some() => "retired",
        _ if record.paused_at.is_some() => "paused",
        _ if !record.schedule.enabled => "disabled",
        _ => "active",
    }
}

fn fires(record: &ScheduleRecord, now: Timestamp) -> Vec<String> {
    let cron = record.schedule.cron().ok().filter(|_| record.is_active());
    cron.map(|cron| next(&cron, now)).unwrap_or_default()
}

/// A schedule as data; its args are nobody's business.
fn data(record: &ScheduleRecord, now: Timestamp) -> Value {
    let schedule = &record.schedule;
    json!({
        "name": schedule.name,
        "status": status(record),
        "cron": schedule.cron,
        "zone": schedule.zone,
        "kind": schedule.kind,
        "catch_up": schedule.catch_up,
        "overlap": schedule.overlap,
        "paused_note": record.paused_note,
        "late_ms": u64::try_from(record.late(now).as_millis()).unwrap_or(u64::MAX),
        "next": fires(record, now),
    })
}

async fn list(client: &Client, printer: &mut Printer) -> Result<(), Failure> {
    let (records, now) = (client.schedules().await?, client.now().await?);
    let all: Vec<Value> = records.iter().map(|record| data(record, now)).collect();
    printer.data(&all, |_| {
        let rows: Vec<_> = records
            .iter()
            .map(|record| {
                let schedule = &record.schedule;
                [
                    schedule.name.clone(),
                    status(record).to_owned(),
                    schedule.cron.clone(),
                    schedule.zone.clone(),
                    schedule.kind.clone(),
                    fires(record, now).into_iter().next().unwrap_or_default(),
                ]
            })
            .collect();
        table(["NAME", "STATUS", "CRON", "ZONE", "KIND", "NEXT"], &rows)
    })?;
    if all.is_empty() {
        printer
            .talk("none yet: a running process of role all or scheduler writes the timetable down");
    }
    Ok(())
}

async fn show(client: &Client, name: &str, printer: &mut Printer) -> Result<(), Failure> {
    let record = client.schedule(name).await.map_err(|e| of(name, e))?;
    let (ticks, now) = (client.ticks(name, None, 60).await?, client.now().await?);
    let mut shown = data(&record, now);
    shown["ticks"] = json!(ticks);
    printer.data(&shown, |_| {
        let words = record.schedule.cron().map(|cron| cron.describe());
        let mut text = format!(
            "{name} is {}\n{} in {}: {}\nnext:\n",
            status(&record),
            record.schedule.cron,
            record.schedule.zone,
            words.unwrap_or_default(),
        );
        for at in fires(&record, now) {
            text.extend(["  ", &at, "\n"]);
        }
        let rows: Vec<_> = ticks
            .iter()
            .map(|tick| {
                [
                    tick.fire_at.to_string(),
                    tick.origin.to_string(),
                    tick.outcome.to_string(),
                    tick.state
                        .map_or_else(String::new, |state| state.to_string()),
                    tick.job_id.map_or_else(String::new, |id| id.to_string()),
                ]
            })
            .collect();
        text + &table(["TICK", "ORIGIN", "OUTCOME", "STATE", "JOB"], &rows)
    })?;
    if let Some(note) = &record.paused_note {
        printer.talk(&format!("paused: {note}"));
    }
    Ok(())
}

#[derive(Serialize)]
struct Answer<'a> {
    name: &'a str,
    status: &'a str,
}

fn answer(name: &str, status: &'static str, printer: &mut Printer) -> Result<(), Failure> {
    printer.data(&Answer { name, status }, |_| format!("{name} {status}\n"))?;
    Ok(())
}

fn started(name: &str, fired: Fired, printer: &mut Printer) -> Result<(), Failure> {
    let refused = |why: &str| Err(Failure::new(Exit::Failed, format!("{name}: {why}")));
    match fired {
        Fired::Fired(id) => {
            let told: JobId = id;
            printer.data(&json!({"job_id": told}), |_| format!("{told}\n"))?;
            Ok(())
        }
        Fired::Skipped(Skip::Duplicate) => refused("another job holds the unique key of its job"),
        Fired::Skipped(_) | Fired::Already => {
            refused("the job of an earlier tick is unfinished; wait for it, or `jobctl cancel` it")
        }
        Fired::Off => Err(of(name, ScheduleError::NotFound)),
    }
}

fn of(name: &str, error: ScheduleError) -> Failure {
    match error {
        ScheduleError::NotFound => Failure::new(
            Exit::NotFound,
            format!("no schedule {name}: `jobctl schedules list` has them all"),
        ),
        ScheduleError::NotPaused => Failure::new(Exit::Failed, format!("{name} is not paused")),
        ScheduleError::Store(error) => error.into(),
        other => Failure::usage(other.to_string()),
    }
}

impl Command {
    pub(super) fn ask(self) -> Result<Ask, Failure> {
        let post =
            |name: &str, verb: &'static str, shows| Ask::post(&[&"schedules", &name, &verb], shows);
        match self {
            Self::List => {
                let columns = &["name", "status", "cron", "zone", "next", "late_ms"];
                Ok(Ask::get(&[&"schedules"], Shows::Rows("schedules", columns)))
            }
            Self::Show { name } => Ok(Ask::get(&[&"schedules", &name], Shows::Sheet)),
            Self::Pause { name, note } => {
                post(&name, "pause", Shows::Sheet).body(&json!({"note": note}))
            }
            Self::Resume { name, reason } => {
                post(&name, "resume", Shows::Sheet).body(&json!({"reason": reason}))
            }
            Self::Run { name, reason } => {
                post(&name, "run", Shows::Member("job_id")).body(&json!({"reason": reason}))
            }
            Self::Backfill {
                name,
                from,
                until,
                preview,
                reason,
            } => {
                let columns = &["fire_at", "before", "job_id"];
                let body = json!({
                    "from": from, "until": until, "preview": preview, "reason": reason,
                });
                post(&name, "backfill", Shows::Rows("ticks", columns)).body(&body)
            }
            Self::Next { cron, zone } => {
                let ask = Ask::post(&[&"schedules", &"preview"], Shows::Sheet);
                ask.body(&json!({"cron": cron, "zone": zone}))
            }
        }
    }

    pub(super) fn would(&self) -> Would {
        match self {
            Self::List | Self::Show { .. } | Self::Next { .. } => Would::Read,
            Self::Pause { name, .. } => Would::Change(format!("pause schedule {name}")),
            Self::Resume { name, .. } => {
                Would::Change(format!("let schedule {name} go on from now"))
            }
            Self::Run { name, .. } => Would::Change(format!("run the job of schedule {name} now")),
            Self::Backfill { .. } => Would::Preview,
        }
    }

    /// With its own preview.
    pub(super) fn previewed(self) -> Self {
        match self {
            Self::Backfill {
                name,
                from,
                until,
                reason,
                ..
            } => Self::Backfill {
                name,
                from,
                until,
                preview: true,
                reason,
            },
            other => other,
        }
    }
}
