//! What `requeue`, `snooze`, `cancel` and `discard` have in common: one job, and how it went.

use serde::Serialize;
use windlass::JobId;
use windlass::store::Changed;

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::{Exit, Failure, Printer};

#[derive(Debug, Clone, clap::Args)]
pub struct OneJob {
    /// Which job
    pub(super) id: JobId,
    /// Only if it is this tenant's
    #[arg(long)]
    pub(super) tenant: Option<String>,
    /// Why, for the audit log
    #[arg(long)]
    pub(super) reason: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    id: JobId,
    status: &'static str,
}

/// Tells what became of the wish. `done` as in "is cancelled", `verb` as in "cannot be cancelled".
pub(super) fn tell(
    id: JobId,
    changed: Changed,
    (verb, done): (&str, &str),
    printer: &mut Printer,
) -> Result<(), Failure> {
    let (status, said) = match changed {
        Changed::Done => ("done", done),
        Changed::Asked => ("asked", "runs and was asked to stop"),
        Changed::NotFound => return Err(Failure::job_not_found(id)),
        Changed::Refused(state) => {
            let message = format!("a {state} job cannot be {verb}: see `jobctl show {id}`");
            return Err(Failure::new(Exit::Failed, message));
        }
        Changed::Held(by) => {
            let message = format!(
                "job {by} holds the unique key: wait until it is done, or `jobctl cancel {by}`"
            );
            return Err(Failure::new(Exit::Failed, message));
        }
    };
    printer.data(&Answer { id, status }, |_| format!("{id} {said}\n"))?;
    Ok(())
}

impl OneJob {
    /// `verb` as in the route.
    pub(super) fn ask(&self, verb: &'static str) -> Ask {
        Ask::post(&[&"jobs", &self.id, &verb], Shows::Member("id"))
            .with("tenant", self.tenant.as_ref())
            .with("reason", self.reason.as_ref())
    }

    pub(super) fn would(&self, verb: &str) -> Would {
        self.would_say(&format!("{verb} job"))
    }

    /// In words that end with the job.
    pub(super) fn would_say(&self, words: &str) -> Would {
        let words = format!("{words} {}", self.id);
        Would::job(self.id, self.tenant.as_deref(), words)
    }
}
