//! Claims that go by limits and turns. Every cell is looked at each time.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Data, MemoryStore};
use crate::model::{Allotter, Cell, ClaimedJob, Head, JobId, Running, Timestamp};
use crate::store::{Claim, Error, Governed, Granted};

/// After every job of the same time.
const LAST: JobId = JobId::from_uuid(Uuid::max());

impl Data {
    fn claim_governed(
        &mut self,
        claim: &Claim<'_>,
        allotter: &mut Allotter,
        now: Timestamp,
    ) -> Granted {
        let heads = self.heads(claim, now);
        let running = self.running(claim.queue);
        let buckets = self.buckets.entry(claim.queue.to_owned()).or_default();
        let mut round = allotter.begin(now, &heads, &running, buckets);
        loop {
            let grants = round.grants(claim.limit);
            if grants.is_empty() {
                break;
            }
            let taken = grants
                .into_iter()
                .flat_map(|(head, jobs)| self.take(&head.cell, jobs, claim, now))
                .collect();
            round.took(taken);
        }
        let ended = round.end();
        let buckets = self.buckets.entry(claim.queue.to_owned()).or_default();
        buckets.extend(ended.buckets.clone());
        Granted {
            more: ended.jobs.len() == claim.limit as usize,
            jobs: ended.jobs,
            again_in: ended.again_in,
            held_by: ended.held_by,
            buckets: ended.buckets,
        }
    }

    fn heads(&mut self, claim: &Claim<'_>, now: Timestamp) -> Vec<Head> {
        let depth = Allotter::depth(claim.limit);
        let cells = self.jobs.govern(claim.queue).iter();
        cells
            .filter_map(|(cell, jobs)| {
                let due = jobs.range(..=(now, LAST)).take(depth as usize).count();
                let due = u32::try_from(due).unwrap_or(depth);
                Some(Head {
                    cell: cell.clone(),
                    run_at: jobs.first()?.0,
                    due,
                    deep: due == depth,
                    later: jobs.range((now, LAST)..).next().map(|(at, _)| *at),
                })
            })
            .collect()
    }

    fn running(&self, queue: &str) -> Vec<Running> {
        let mut counts: BTreeMap<(&str, String), u64> = BTreeMap::new();
        for job in self.jobs.running().filter(|job| job.queue == queue) {
            let run = (job.kind.as_str(), self.jobs.limit_key(job));
            *counts.entry(run).or_default() += 1;
        }
        let count = |((kind, key), jobs): ((&str, String), u64)| Running {
            kind: kind.to_owned(),
            key,
            jobs,
        };
        counts.into_iter().map(count).collect()
    }

    fn take(
        &mut self,
        cell: &Cell,
        most: u32,
        claim: &Claim<'_>,
        now: Timestamp,
    ) -> Vec<(ClaimedJob, String)> {
        let Some(jobs) = self.jobs.govern(claim.queue).get(cell) else {
            return Vec::new();
        };
        let due = jobs.range(..=(now, LAST)).take(most as usize);
        let due: Vec<JobId> = due.map(|(_, id)| *id).collect();
        let lease = |id| Some((self.lease(id, claim, now)?, cell.key.clone()));
        due.into_iter().filter_map(lease).collect()
    }
}

#[async_trait]
impl Governed for MemoryStore {
    async fn claim_governed(
        &self,
        claim: Claim<'_>,
        allotter: &mut Allotter,
    ) -> Result<Granted, Error> {
        Ok(self.at(claim.now, |data, now| {
            data.claim_governed(&claim, allotter, now)
        }))
    }

    async fn ungovern(&self, queue: &str, _limit: u32) -> Result<u64, Error> {
        Ok(self.at(None, |data, _| {
            data.buckets.remove(queue);
            data.jobs.ungovern(queue) as u64
        }))
    }

    async fn governed_queues(&self) -> Result<Vec<String>, Error> {
        Ok(self.at(None, |data, _| {
            let mut queues: Vec<String> = data.jobs.governed().cloned().collect();
            queues.sort();
            queues
        }))
    }
}
