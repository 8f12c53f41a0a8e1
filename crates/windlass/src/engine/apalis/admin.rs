//! apalis' optional traits, over the store's own verbs.

use std::collections::BTreeMap;
use std::time::Duration;

use apalis_core::backend::{
    FetchById, Filter, ListAllTasks, ListQueues, ListTasks, ListWorkers, Metrics, QueueInfo,
    Reschedule, ResumeAbandoned, ResumeById, RunningWorker, StatType, Statistic, Vacuum,
};
use apalis_core::task::Task;
use apalis_core::task::task_id::TaskId;

use super::record::Claimed;
use super::{Error, WindlassBackend, ids, tasks};
use crate::model::{Cursor, JobId, JobRecord, Json, Page, QueueStats, WorkerRecord};
use crate::store::{self, Changed, Prune, Rescue};

/// Most jobs that one call of the store deletes, takes back or lists.
const BATCH: u32 = 1000;

impl<Args> WindlassBackend<Args> {
    /// A task of this queue.
    async fn task(&self, id: JobId) -> Result<Option<JobRecord>, Error> {
        let job = self.store().get(id, None, None).await?;
        Ok(job.filter(|job| job.queue == self.options.queue))
    }

    /// A page, newest first. Page 0 is the first too.
    async fn list(&self, queue: Option<&str>, filter: &Filter) -> Result<Vec<Task<Json>>, Error> {
        let Some(which) = tasks::filter(queue, filter.status.as_ref()) else {
            return Ok(Vec::new());
        };
        let size = filter.page_size.unwrap_or(10).clamp(1, BATCH);
        let mut skip = u64::from(filter.page.saturating_sub(1)) * u64::from(size);
        let mut after = None;
        loop {
            // Pages are counted, the store's begin after a job: those in between are passed over.
            let limit = match skip {
                0 => size,
                _ => u32::try_from(skip).unwrap_or(BATCH).min(BATCH),
            };
            let page = Page { after, limit };
            let page = store::search(&**self.store(), &which, page, Duration::MAX)
                .await?
                .jobs;
            if skip == 0 {
                return Ok(page.into_iter().map(tasks::recorded).collect());
            }
            let Some(last) = page.last().filter(|_| page.len() == limit as usize) else {
                return Ok(Vec::new());
            };
            skip -= u64::from(limit);
            after = Some(Cursor(last.id));
        }
    }

    async fn prune(&self, at_least: Duration) -> Result<usize, Error> {
        let keep = self.options.retention;
        let mut gone = 0;
        loop {
            let prune = Prune {
                completed: keep.completed.max(at_least),
                cancelled: keep.cancelled.max(at_least),
                dead: keep.dead.max(at_least),
                limit: BATCH,
                now: None,
            };
            let pruned = self.store().prune(prune).await?;
            gone += usize::try_from(pruned).unwrap_or(usize::MAX);
            if pruned < u64::from(BATCH) {
                return Ok(gone);
            }
        }
    }

    async fn stats(&self, queue: Option<&str>) -> Result<Vec<Statistic>, Error> {
        let queues = self.store().queues(None).await?;
        let workers = self.store().workers(None).await?;
        let matches = |name: &str| queue.is_none_or(|queue| queue == name);
        let queues: Vec<_> = queues.iter().filter(|q| matches(&q.queue)).collect();
        let workers = workers.iter();
        let workers = workers.filter(|worker| worker.queues.iter().any(|name| matches(name)));
        let mut stats = figures(&queues);
        stats.push(number("Workers", 1, workers.count() as u64, false));
        Ok(stats)
    }
}

fn number(title: &str, priority: u64, value: u64, at_least: bool) -> Statistic {
    let value = value.to_string();
    Statistic {
        title: title.to_owned(),
        stat_type: StatType::Number,
        value: if at_least { format!("{value}+") } else { value },
        priority: Some(priority),
    }
}

/// What is unfinished: finished jobs are not counted by scanning them.
fn figures(queues: &[&QueueStats]) -> Vec<Statistic> {
    let capped = queues.iter().any(|queue| queue.capped);
    let sum = |of: fn(&QueueStats) -> u64| queues.iter().map(|queue| of(queue)).sum();
    let mut stats = vec![
        number("Running", 1, sum(|q| q.running), capped),
        number("Available", 1, sum(|q| q.available), capped),
        number("Scheduled", 2, sum(|q| q.scheduled), capped),
        number("Retryable", 2, sum(|q| q.retryable), capped),
        number("Waiting", 3, sum(|q| q.waiting), capped),
    ];
    if let Some(oldest) = queues
        .iter()
        .filter_map(|queue| queue.oldest_available_at)
        .min()
    {
        stats.push(Statistic {
            title: "Oldest available since".to_owned(),
            stat_type: StatType::Timestamp,
            value: (oldest.as_micros() / 1_000_000).to_string(),
            priority: Some(2),
        });
    }
    stats
}

impl<Args: Send + Sync> FetchById for WindlassBackend<Args> {
    async fn fetch_by_id(&mut self, task_id: &TaskId) -> Result<Option<Task<Json>>, Error> {
        let job = self.task(ids::job_id(task_id)).await?;
        Ok(job.map(tasks::recorded))
    }
}

impl<Args: Send + Sync> ListTasks for WindlassBackend<Args> {
    async fn list_tasks(&self, filter: &Filter) -> Result<Vec<Task<Json>>, Error> {
        self.list(Some(&self.options.queue), filter).await
    }
}

impl<Args: Send + Sync> ListAllTasks for WindlassBackend<Args> {
    async fn list_all_tasks(&self, filter: &Filter) -> Result<Vec<Task<Json>>, Error> {
        self.list(None, filter).await
    }
}

impl<Args: Send + Sync> ListQueues for WindlassBackend<Args> {
    /// Queues with unfinished tasks, and this one. Their activity is empty: that would be a scan.
    async fn list_queues(&self) -> Result<Vec<QueueInfo>, Error> {
        let stats = self.store().queues(None).await?;
        let workers = self.store().workers(None).await?;
        let mut queues: BTreeMap<&str, Vec<&QueueStats>> = BTreeMap::new();
        queues.entry(&self.options.queue).or_default();
        for queue in &stats {
            queues.entry(&queue.queue).or_default().push(queue);
        }
        let serves = |worker: &&WorkerRecord, queue: &str| worker.queues.iter().any(|q| q == queue);
        let queues = queues.into_iter().map(|(name, stats)| QueueInfo {
            name: name.to_owned(),
            stats: figures(&stats),
            workers: workers
                .iter()
                .filter(|worker| serves(worker, name))
                .map(|worker| worker.id.clone())
                .collect(),
            activity: Vec::new(),
        });
        Ok(queues.collect())
    }
}

impl<Args: Send + Sync> ListWorkers for WindlassBackend<Args> {
    async fn list_workers(&self) -> Result<Vec<RunningWorker>, Error> {
        let mut workers = self.list_all_workers().await?;
        workers.retain(|worker| worker.queue == self.options.queue);
        Ok(workers)
    }

    /// One line for each queue that a worker serves.
    async fn list_all_workers(&self) -> Result<Vec<RunningWorker>, Error> {
        let store = self.store();
        let seconds = |micros: i64| u64::try_from(micros / 1_000_000).unwrap_or(0);
        let workers = store.workers(None).await?;
        let lines = workers.into_iter().flat_map(|worker| {
            let line = move |queue: &String| RunningWorker {
                id: worker.id.clone(),
                queue: queue.clone(),
                backend: format!("windlass {}", store.name()),
                started_at: seconds(worker.started_at.as_micros()),
                last_heartbeat: seconds(worker.beat_at.as_micros()),
                layers: String::new(),
            };
            let queues = worker.queues.clone();
            queues.iter().map(line).collect::<Vec<_>>()
        });
        Ok(lines.collect())
    }
}

impl<Args: Send + Sync> Metrics for WindlassBackend<Args> {
    async fn global(&self) -> Result<Vec<Statistic>, Error> {
        self.stats(None).await
    }

    async fn fetch_by_queue(&self) -> Result<Vec<Statistic>, Error> {
        self.stats(Some(&self.options.queue)).await
    }
}

impl<Args: Send + Sync> Vacuum for WindlassBackend<Args> {
    /// Deletes what has been finished for longer than it is kept, of every queue. Nothing unfinished.
    async fn vacuum(&mut self) -> Result<usize, Error> {
        self.prune(Duration::ZERO).await
    }

    /// The same, of what has been finished for so long at least: never sooner than it is kept.
    async fn vacuum_before(&mut self, duration: Duration) -> Result<usize, Error> {
        self.prune(duration).await
    }
}

impl<Args: Send + Sync> ResumeById for WindlassBackend<Args> {
    /// Makes a task available now: a waiting one at once, a finished one with all its attempts.
    async fn resume_by_id(&mut self, id: TaskId) -> Result<bool, Error> {
        let id = ids::job_id(&id);
        if self.task(id).await?.is_none() {
            return Ok(false);
        }
        Ok(self.store().requeue(id, None, None).await? == Changed::Done)
    }
}

impl<Args: Send + Sync> ResumeAbandoned for WindlassBackend<Args> {
    /// Takes back tasks whose lease ran out. Whichever process leads does so anyhow.
    async fn resume_abandoned(&mut self) -> Result<usize, Error> {
        let rescue = Rescue {
            limit: BATCH,
            max_crashes: self.options.max_crashes,
            now: None,
        };
        Ok(self.store().rescue(rescue).await?.len())
    }
}

impl<Args: Send + Sync> Reschedule for WindlassBackend<Args> {
    /// Runs a task again after so long: the one that this very handler was given, once it has succeeded, or
    /// one that does not run. A finished one gets all its attempts again.
    async fn reschedule(&mut self, task: Task<Json>, wait: Duration) -> Result<(), Error> {
        if let Some(claimed) = task.data().get::<Claimed>() {
            claimed.run_again(wait);
            return Ok(());
        }
        let id = ids::job_id(task.task_id().ok_or(Error::MissingId)?);
        if self.task(id).await?.is_none() {
            return Err(Error::NotFound(id));
        }
        // To requeue is to make due at a time, which is now unless one is named.
        let at = self.store().now().await? + wait;
        match self.store().requeue(id, None, Some(at)).await? {
            Changed::Done | Changed::Asked => Ok(()),
            Changed::Refused(state) => Err(Error::Refused(id, state)),
            Changed::Held(other) => Err(Error::Held(id, other)),
            Changed::NotFound => Err(Error::NotFound(id)),
        }
    }
}
