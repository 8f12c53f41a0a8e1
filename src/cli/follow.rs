//! Stays with a job until it has ended, and shows how far it is.

use std::time::Duration;

use serde_json::Value;
use tokio::time::MissedTickBehavior;
use windlass::{Client, JobId, State};

use super::remote::Server;
use super::{Exit, Failure, Printer};

const PULSE: Duration = Duration::from_millis(500);

/// How a job stands.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) state: String,
    pub(super) progress: Value,
}

/// Where the job is.
pub(super) enum Place<'a> {
    Database(&'a Client),
    Server(&'a Server),
}

impl Place<'_> {
    async fn standing(&self, id: JobId) -> Result<Standing, Failure> {
        match self {
            Self::Database(client) => here(client, id).await,
            Self::Server(server) => super::remote::standing(server, id).await,
        }
    }
}

async fn here(client: &Client, id: JobId) -> Result<Standing, Failure> {
    let job = client.get(id, None).await?;
    let job = job.ok_or_else(|| Failure::job_not_found(id))?;
    let progress = client.shown(&job).progress;
    let progress = progress.and_then(|json| serde_json::from_str(json.as_str()).ok());
    Ok(Standing {
        state: job.state.to_string(),
        progress: progress.unwrap_or_default(),
    })
}

pub(super) async fn until_done(
    place: &Place<'_>,
    id: JobId,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let mut pulse = tokio::time::interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = (String::new(), Value::Null);
    loop {
        pulse.tick().await;
        let Standing { state, progress } = place.standing(id).await?;
        let seen = progress["seen"].as_u64().unwrap_or_default();
        if last != (state.clone(), progress.clone()) {
            printer.progress(seen, None, &words(&state, &progress));
        }
        let ended = match state.parse() {
            Ok(State::Completed) => Ok(()),
            Ok(State::Dead | State::Cancelled) => Err(Failure::told(Exit::Failed)),
            _ => {
                last = (state, progress);
                continue;
            }
        };
        printer.progressed();
        printer.talk(&words(&state, &progress));
        return ended;
    }
}

fn words(state: &str, progress: &Value) -> String {
    let count = |name: &str| progress[name].as_u64().unwrap_or_default();
    format!(
        "{state}: {} jobs seen, {} changed, {} asked to stop, {} left as they were",
        count("seen"),
        count("changed"),
        count("asked"),
        count("skipped")
    )
}
