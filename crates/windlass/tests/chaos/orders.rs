//! What operators order from outside reaches every process within a second.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use windlass::db::Db;
use windlass::engine::{Operator, PauseOf};
use windlass::model::{Enqueued, Filter};
use windlass::store::Changed;
use windlass::{Client, Context, Job, JobId, JobRecord, Outcome, State};

use crate::database::Database;
use crate::worker::Worker;

/// Within this an order is heeded.
const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_mins(1);

/// Takes its time, or all the time that it is left.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Linger {
    millis: Option<u64>,
}

impl Job for Linger {
    const KIND: &'static str = "linger";
    type Services = Db;

    async fn run(self, cx: Context<Db>) -> anyhow::Result<Outcome> {
        match self.millis {
            Some(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            None => {
                cx.cancelled().cancelled().await;
                anyhow::bail!("told to end");
            }
        }
        Ok(Outcome::complete())
    }
}

pub(crate) async fn orders_reach_every_process_within_a_second_on_postgres() {
    orders(&Database::postgres().await).await;
}

pub(crate) async fn orders_reach_every_process_within_a_second_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    orders(&Database::sqlite(folder.path()).await).await;
}

async fn orders(database: &Database) {
    let client = database.client();
    let operator = client.operator("a test", Some("to see whether it is heeded"));
    let workers = [Worker::start(database), Worker::start(database)];
    a_running_job_is_cancelled(&client, &operator).await;
    a_paused_queue_starts_nothing(database, &client, &operator).await;
    a_drained_worker_starts_nothing(&client, &operator).await;
    drop(workers);
}

async fn a_running_job_is_cancelled(client: &Client, operator: &Operator) {
    let id = enqueue(client, None, 1).await[0];
    until(client, id, |job| job.state == State::Running).await;
    let asked = Instant::now();
    assert_eq!(operator.cancel(id, None).await.unwrap(), Changed::Asked);
    until(client, id, |job| job.state == State::Cancelled).await;
    assert!(asked.elapsed() < SECOND, "it took {:?}", asked.elapsed());
}

async fn a_paused_queue_starts_nothing(database: &Database, client: &Client, operator: &Operator) {
    enqueue(client, Some(20), 6_000).await;
    let completed = Filter {
        states: vec![State::Completed],
        ..Filter::default()
    };
    let done = async || client.preview(&completed).await.unwrap().jobs;
    let both = async {
        while done().await < 500 || client.workers().await.unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, both).await.unwrap();
    let queue = PauseOf {
        queue: Some("default".to_owned()),
        ..PauseOf::default()
    };
    operator.pause(queue.clone(), None).await.unwrap();
    // What has started within the second takes 20 ms, and is recorded within a moment.
    tokio::time::sleep(SECOND * 2).await;
    let after = done().await;
    assert!(after < 5_900, "the pause came too late to show anything");
    let queues = client.queues().await.unwrap();
    let queue_stats = queues.iter().find(|stats| stats.queue == "default");
    assert_eq!(queue_stats.unwrap().running, 0, "it is all handed back");
    tokio::time::sleep(SECOND).await;
    assert_eq!(done().await, after, "nothing has started since");
    assert!(operator.resume(queue).await.unwrap());
    database.until_idle(PATIENCE).await;
    assert_eq!(done().await, 6_000, "a pause costs no job anything");
}

async fn a_drained_worker_starts_nothing(client: &Client, operator: &Operator) {
    let workers = client.workers().await.unwrap();
    assert_eq!(workers.len(), 2);
    let (drained, other) = (&workers[0].id, &workers[1].id);
    operator.drain(drained).await.unwrap();
    let shown = async {
        let drains = |workers: Vec<windlass::model::WorkerRecord>| {
            workers
                .iter()
                .any(|worker| worker.id == *drained && worker.draining)
        };
        while !drains(client.workers().await.unwrap()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, shown)
        .await
        .expect("it does not show");
    for id in enqueue(client, Some(1), 200).await {
        let job = until(client, id, |job| job.state == State::Completed).await;
        assert_eq!(job.worker.as_ref(), Some(other));
    }
    assert!(operator.undrain(drained).await.unwrap());
}

async fn enqueue(client: &Client, millis: Option<u64>, count: usize) -> Vec<JobId> {
    let job = client.prepare(&Linger { millis }).unwrap();
    let jobs: Vec<_> = (0..count)
        .map(|_| windlass::NewJob {
            id: JobId::new(),
            ..job.clone()
        })
        .collect();
    let enqueued = client.insert_many(&jobs).await.unwrap();
    enqueued.into_iter().map(Enqueued::id).collect()
}

async fn until(client: &Client, id: JobId, what: impl Fn(&JobRecord) -> bool) -> JobRecord {
    let wait = async {
        loop {
            let job = client.get(id, None).await.unwrap().unwrap();
            if what(&job) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("the job did not get there")
}
