//! Which command asks the API what.

use super::super::ask::{Ask, not_remote};
use super::super::{Command, Failure, queues, workers};

impl Command {
    /// What it asks the API; a failure if the API has no route for it, or it was said wrongly.
    pub fn ask(self) -> Result<Ask, Failure> {
        match self {
            Self::Enqueue(args) => args.ask(),
            Self::List(args) => Ok(args.ask()),
            Self::Show(args) => Ok(args.ask()),
            Self::Requeue(args) => Ok(args.ask()),
            Self::Snooze(args) => Ok(args.ask()),
            Self::Cancel(args) => Ok(args.ask("cancel")),
            Self::Discard(args) => Ok(args.ask("discard")),
            Self::Rerun(args) => args.ask(),
            Self::Bulk(args) => args.ask(),
            Self::Pause(args) => args.ask(),
            Self::Resume(args) => Ok(args.ask()),
            Self::Mute(args) => args.ask(),
            Self::Unmute(args) => Ok(args.ask()),
            Self::Slots(args) => args.ask(),
            Self::Drain(args) => Ok(args.ask()),
            Self::Audit(args) => Ok(args.ask()),
            Self::Errors(args) => Ok(args.ask()),
            Self::Policy(action) => action.ask(),
            Self::Queues => Ok(queues::ask()),
            Self::Quarantine(command) => Ok(command.ask()),
            Self::Flows(command) => Ok(command.ask()),
            Self::Signal(args) => args.ask(),
            Self::Schedules(command) => command.ask(),
            Self::Workers => Ok(workers::ask()),
            Self::Outbox(command) => Ok(command.ask()),
            Self::Webhooks(command) => Ok(command.ask()),
            Self::Trace(args) => Ok(args.ask()),
            Self::Backup(command) => command.ask(),
            Self::Rabbitmq(_) => Err(not_remote("rabbitmq")),
            Self::Tables(_) => Err(not_remote("tables")),
            Self::Keys(_) => Err(not_remote("keys")),
            Self::Sealing(_) => Err(not_remote("sealing")),
            Self::Import(_) => Err(not_remote("import")),
            Self::Migrate => Err(not_remote("migrate")),
            Self::Doctor => Err(not_remote("doctor")),
            Self::Top => Err(Failure::usage("top asks many things, not one")),
            Self::Profiles => Err(not_remote("profiles")),
            Self::Completions(_) => Err(not_remote("completions")),
        }
    }
}
