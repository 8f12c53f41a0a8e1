//! What a command would do, without doing it.

use serde::Serialize;
use windlass::JobId;
use windlass::model::Filter;

use super::{Command, Failure, Printer};

/// What a command does to the world.
#[derive(Debug)]
pub(super) enum Would {
    /// It reads.
    Read,
    /// It has a preview of its own.
    Preview,
    /// It changes something, in words that go on from "would".
    Change(String),
    /// It changes one job.
    Job {
        id: JobId,
        tenant: Option<String>,
        words: String,
    },
    /// It changes all jobs that match.
    Jobs { filter: Filter, words: &'static str },
}

/// What there is to be changed, as far as it can be told.
#[derive(Debug, Default, Serialize)]
pub(super) struct Found {
    /// The state of the one job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<String>,
    /// How many jobs match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jobs: Option<u64>,
    /// There may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at_least: Option<bool>,
}

#[derive(Serialize)]
struct Answer {
    dry_run: bool,
    would: String,
    #[serde(flatten)]
    found: Found,
}

impl Would {
    pub(super) fn job(id: JobId, tenant: Option<&str>, words: String) -> Self {
        Self::Job {
            id,
            tenant: tenant.map(str::to_owned),
            words,
        }
    }
}

/// Says what would be done to what was found.
pub(super) fn tell(would: Would, found: Found, printer: &mut Printer) -> Result<(), Failure> {
    let would = match would {
        // Neither gets here; and if one did, nothing was done.
        Would::Read | Would::Preview => "change nothing".to_owned(),
        Would::Change(words) | Would::Job { words, .. } => words,
        Would::Jobs { words, .. } => words.to_owned(),
    };
    let answer = Answer {
        dry_run: true,
        would,
        found,
    };
    printer.data(&answer, |answer| {
        let found = &answer.found;
        let state = found.state.as_ref();
        let state = state.map_or_else(String::new, |state| format!(", which is {state}"));
        let at_least = if found.at_least == Some(true) {
            "at least "
        } else {
            ""
        };
        let jobs = found.jobs;
        let jobs = jobs.map_or_else(String::new, |jobs| format!(": {at_least}{jobs} jobs"));
        format!("would {}{state}{jobs}\n", answer.would)
    })?;
    printer.talk("nothing was done");
    Ok(())
}

impl Command {
    /// What it does. A new command has to say.
    pub(super) fn would(&self) -> Would {
        match self {
            Self::List(_)
            | Self::Show(_)
            | Self::Audit(_)
            | Self::Errors(_)
            | Self::Queues
            | Self::Workers
            | Self::Tables(_)
            | Self::Trace(_)
            | Self::Doctor
            // It asks before it changes anything.
            | Self::Top
            | Self::Profiles
            | Self::Completions(_) => Would::Read,
            Self::Enqueue(args) => args.would(),
            Self::Requeue(args) => args.would(),
            Self::Snooze(args) => args.would(),
            Self::Cancel(args) => args.would("cancel"),
            Self::Discard(args) => args.would("discard"),
            Self::Rerun(args) => args.would(),
            Self::Bulk(args) => args.would(),
            Self::Pause(args) => args.would(),
            Self::Resume(args) => args.would(),
            Self::Mute(args) => args.would(),
            Self::Unmute(args) => args.would(),
            Self::Slots(args) => args.would(),
            Self::Drain(args) => args.would(),
            Self::Policy(action) => action.would(),
            Self::Quarantine(command) => command.would(),
            Self::Rabbitmq(command) => command.would(),
            Self::Flows(command) => command.would(),
            Self::Signal(args) => args.would(),
            Self::Schedules(command) => command.would(),
            Self::Keys(command) => command.would(),
            Self::Sealing(command) => command.would(),
            Self::Outbox(command) => command.would(),
            Self::Webhooks(command) => command.would(),
            Self::Backup(command) => command.would(),
            Self::Import(_) => Would::Preview,
            Self::Migrate => {
                Would::Change("bring the database's schema to this program's version".to_owned())
            }
        }
    }

    /// The same, as a preview of itself.
    pub(super) fn previewed(self) -> Self {
        match self {
            Self::Schedules(command) => Self::Schedules(command.previewed()),
            Self::Backup(command) => Self::Backup(command.previewed()),
            Self::Import(command) => Self::Import(command.previewed()),
            other => other,
        }
    }
}
