use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{Jobs, all};
use crate::engine::{Client, EnqueueError, Job, Registry, attempt};
use crate::model::{Finish, InvalidJob, JobRecord, RunAt};
use crate::store::{Claim, Error};

/// What one attempt of a job did.
#[derive(Debug)]
pub struct Ran {
    /// The job after it: its state, its attempts with what went wrong, its result as it is stored.
    pub job: JobRecord,
    /// Jobs that were enqueued meanwhile.
    pub enqueued: Jobs,
    client: Client,
}

impl Ran {
    /// What it recorded.
    pub fn result<T: DeserializeOwned>(&self) -> anyhow::Result<Option<T>> {
        let result = self.client.result_of(&self.job)?;
        Ok(result.map(|result| result.decode()).transpose()?)
    }

    /// Why the attempt failed, outermost first, as an operator gets to see it; none if it did not.
    pub fn error(&self) -> Option<String> {
        let error = self.job.attempts.last()?.error.as_ref()?;
        let all = [&error.message].into_iter().chain(&error.chain);
        Some(all.map(String::as_str).collect::<Vec<_>>().join(": "))
    }
}

/// Enqueues a job and runs one attempt of it in the caller's task, with a real context on the client's
/// store; then records how it ended, as the engine would. Other jobs stay where they are.
///
/// On a client over SQLite or PostgreSQL, a job that ends with [`Context::commit`](crate::Context) runs
/// as it does in production; the store in memory has no transactions.
///
/// A job that another one stands for (a unique key), and one that must wait for others of its ordering
/// key, is refused: there is no attempt to show.
pub async fn run<J: Job>(
    client: &Client,
    registry: &Registry<J::Services>,
    job: &J,
) -> Result<Ran, EnqueueError> {
    let mut new = client.prepare(job)?;
    new.run_at = RunAt::Now;
    let (id, queue) = (new.id, new.queue.clone());
    let enqueued = client.insert(new).await?;
    if !enqueued.is_inserted() {
        let problem = format!(
            "job {} holds this key and stands for the new one",
            enqueued.id()
        );
        return Err(InvalidJob::new("unique", problem).into());
    }
    let store = client.store();
    let mut others = Vec::new();
    let claimed = loop {
        let claim = Claim {
            queue: &queue,
            worker: "testing",
            limit: super::ALL,
            lease: Duration::from_hours(1),
            now: None,
        };
        let mut claimed = store.claim(claim).await?;
        let this = claimed.iter().position(|job| job.id == id);
        let this = this.map(|place| claimed.swap_remove(place));
        let none_left = claimed.is_empty();
        others.extend(claimed.iter().map(|job| Finish::release(job.lease())));
        if this.is_some() || none_left {
            break this;
        }
    };
    store.finish(&others, None).await?;
    let Some(claimed) = claimed else {
        let problem = "other jobs of this key come first; drain them";
        return Err(InvalidJob::new("ordering_key", problem).into());
    };
    attempt(client, registry, claimed).await?;
    let job = client.get(id, None).await?;
    let job = job.ok_or_else(|| Error::Corrupt("the job that ran is gone".to_owned()))?;
    // Ids ascend: what came after this one was enqueued since.
    let mut later = all(&**store).await?;
    later.retain(|other| other.id > id);
    Ok(Ran {
        job,
        enqueued: Jobs::new(client, later),
        client: client.clone(),
    })
}
