//! What has finished.

use async_trait::async_trait;

use super::{Data, MemoryStore};
use crate::model::{JobId, JobRecord, Timestamp};
use crate::store::{Error, Finished, News, Since};

impl Data {
    fn finished_since(&self, since: Since) -> Vec<Finished> {
        let start = (since.at, since.after);
        let is_later = |at: Timestamp, id: JobId| (at, Some(id)) > start;
        let finished = self.jobs.iter().filter_map(finished);
        let mut finished: Vec<_> = finished
            .filter(|job| is_later(job.finished_at, job.id))
            .collect();
        finished.sort_unstable_by_key(|job| (job.finished_at, job.id));
        finished.truncate(since.limit as usize);
        finished
    }
}

fn finished(job: &JobRecord) -> Option<Finished> {
    Some(Finished {
        id: job.id,
        kind: job.kind.clone(),
        queue: job.queue.clone(),
        state: job.state,
        attempt: job.attempt,
        tenant_id: job.tenant_id.clone(),
        correlation_id: job.correlation_id.clone(),
        finished_at: job.finished_at?,
    })
}

#[async_trait]
impl News for MemoryStore {
    async fn finished_since(&self, since: Since) -> Result<Vec<Finished>, Error> {
        Ok(self.at(None, |data, _| data.finished_since(since)))
    }
}
