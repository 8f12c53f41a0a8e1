//! What operators do while everything runs, on the store in memory. Two engines over one store are two
//! processes to each other: they share nothing else.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass::engine::{OperatorError, PauseOf};
use windlass::model::{AuditFilter, Enqueued, Filter};
use windlass::store::memory::MemoryStore;
use windlass::store::{Changed, Control, Operation};
use windlass::{
    Client, Context, Engine, EngineOptions, Job, JobId, JobOptions, JobRecord, Json, Outcome,
    Registry, State,
};

/// Longest wait for an event before a test is wrong.
const PATIENCE: Duration = Duration::from_secs(20);
/// Within this an order reaches every process.
const SECOND: Duration = Duration::from_secs(1);

/// Tells how many run, and lets them end.
#[derive(Debug, Clone)]
struct Yard {
    running: Arc<watch::Sender<usize>>,
    started: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Default for Yard {
    fn default() -> Self {
        Self {
            running: Arc::new(watch::Sender::new(0)),
            started: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }
}

impl Yard {
    async fn until_running(&self, wanted: usize) {
        let mut running = self.running.subscribe();
        let wait = running.wait_for(|running| *running == wanted);
        let seen = tokio::time::timeout(PATIENCE, wait).await;
        assert!(seen.is_ok(), "{} run, not {wanted}", *self.running.borrow());
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }
}

/// Runs until it is let go or told to end.
#[derive(Debug, Serialize, Deserialize)]
struct Haul {
    load: u32,
}

impl Job for Haul {
    const KIND: &'static str = "haul";
    type Services = Yard;

    fn options() -> JobOptions {
        JobOptions {
            max_attempts: 3,
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Yard>) -> anyhow::Result<Outcome> {
        let yard = cx.services();
        anyhow::ensure!(self.load != 13, "unlucky");
        yard.started.fetch_add(1, Ordering::SeqCst);
        yard.running.send_modify(|running| *running += 1);
        let ended = tokio::select! {
            permit = yard.gate.acquire() => permit.map(tokio::sync::SemaphorePermit::forget).is_ok(),
            () = cx.cancelled().cancelled() => false,
        };
        yard.running.send_modify(|running| *running -= 1);
        anyhow::ensure!(ended, "told to end");
        Ok(Outcome::complete_with(&self.load)?)
    }
}

/// Engines over one store.
#[derive(Default)]
struct Port {
    store: Arc<MemoryStore>,
    engines: Vec<(CancellationToken, JoinHandle<()>)>,
}

impl Port {
    fn start(&mut self, slots: usize) -> (Client, Yard) {
        let yard = Yard::default();
        let registry = Registry::new(yard.clone()).register::<Haul>();
        let options = EngineOptions {
            queues: vec![("default".into(), slots)],
            cancel_grace: Duration::from_millis(100),
            ..EngineOptions::default()
        };
        let engine = Engine::new(self.store.clone(), registry, options).unwrap();
        let (client, stop) = (engine.client(), CancellationToken::new());
        self.engines
            .push((stop.clone(), tokio::spawn(engine.run(stop))));
        (client, yard)
    }

    async fn stop(self) {
        for (stop, _) in &self.engines {
            stop.cancel();
        }
        for (_, engine) in self.engines {
            tokio::time::timeout(PATIENCE, engine)
                .await
                .unwrap()
                .unwrap();
        }
    }
}

async fn enqueue(client: &Client, jobs: u32) -> Vec<JobId> {
    let jobs: Vec<_> = (0..jobs)
        .map(|load| client.prepare(&Haul { load: 100 + load }).unwrap())
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
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let met = tokio::time::timeout(PATIENCE, wait).await;
    met.expect("the job did not get there")
}

/// Nothing of the default queue is leased any more but what runs.
async fn until_leased(client: &Client, wanted: u64) {
    let wait = async {
        loop {
            let queues = client.queues().await.unwrap();
            let queue = queues.iter().find(|queue| queue.queue == "default");
            if queue.is_some_and(|queue| queue.running == wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let met = tokio::time::timeout(PATIENCE, wait).await;
    met.expect("jobs were not handed back");
}

fn queue(name: &str) -> PauseOf {
    PauseOf {
        queue: Some(name.to_owned()),
        ..PauseOf::default()
    }
}

async fn actions(client: &Client) -> Vec<String> {
    let log = client
        .audit(&AuditFilter::default(), None, 100)
        .await
        .unwrap();
    log.into_iter()
        .rev()
        .map(|entry| entry.audit.action)
        .collect()
}

#[tokio::test]
async fn a_paused_queue_starts_nothing_and_resumes_by_itself() {
    let mut port = Port::default();
    let outside = Client::new(port.store.clone());
    let ada = outside.operator("ada", Some("upkeep"));
    ada.pause(queue("default"), None).await.unwrap();
    let (client, yard) = port.start(2);
    let jobs = enqueue(&client, 3).await;
    // The order is read before the first claim: a pause that has stood for long is never overrun.
    tokio::time::sleep(SECOND).await;
    assert_eq!(yard.started(), 0);
    assert!(ada.resume(queue("default")).await.unwrap());
    yard.until_running(2).await;
    let until = outside.now().await.unwrap() + SECOND * 2;
    ada.pause(queue("default"), Some(until)).await.unwrap();
    tokio::time::sleep(SECOND).await;
    yard.gate.add_permits(2);
    yard.until_running(0).await;
    until_leased(&client, 0).await;
    assert_eq!(
        yard.started(),
        2,
        "what ran has finished and nothing has started"
    );
    yard.until_running(1).await;
    assert!(outside.now().await.unwrap() >= until);
    yard.gate.add_permits(1);
    for id in jobs {
        let job = self::until(&client, id, |job| job.state.is_finished()).await;
        assert_eq!((job.state, job.attempt), (State::Completed, 1));
    }
    assert_eq!(
        actions(&client).await,
        ["pause.set", "pause.end", "pause.set"]
    );
    port.stop().await;
}

#[tokio::test]
async fn slots_change_while_jobs_run() {
    let mut port = Port::default();
    let (client, yard) = port.start(1);
    let (elsewhere, other) = port.start(1);
    enqueue(&client, 30).await;
    yard.until_running(1).await;
    other.until_running(1).await;
    let ada = elsewhere.operator("ada", None);
    ada.set_slots("default", 5).await.unwrap();
    yard.until_running(5).await;
    other.until_running(5).await;
    ada.set_slots("default", 2).await.unwrap();
    // What runs is left to finish, so nothing shows that the order has come: it has a second.
    tokio::time::sleep(SECOND).await;
    yard.until_running(5).await;
    yard.gate.add_permits(4);
    yard.until_running(2).await;
    assert!(ada.reset_slots("default").await.unwrap());
    assert!(!ada.reset_slots("default").await.unwrap());
    for wrong in [0, 100_001] {
        let error = ada.set_slots("default", wrong).await.unwrap_err();
        assert!(error.to_string().starts_with("slots: "), "{error}");
    }
    yard.gate.add_permits(100);
    other.gate.add_permits(100);
    yard.until_running(0).await;
    other.until_running(0).await;
    port.stop().await;
}

#[tokio::test]
async fn a_drained_worker_finishes_what_runs_and_starts_nothing_more() {
    let mut port = Port::default();
    let (client, yard) = port.start(2);
    let jobs = enqueue(&client, 4).await;
    yard.until_running(2).await;
    let worker = client
        .get(jobs[0], None)
        .await
        .unwrap()
        .unwrap()
        .worker
        .unwrap();
    let ada = client.operator("ada", None);
    let error = ada.drain("nobody").await.unwrap_err();
    assert!(matches!(
        error,
        OperatorError::NotFound { what: "worker", .. }
    ));
    ada.drain(&worker).await.unwrap();
    let wait = async {
        while !client
            .workers()
            .await
            .unwrap()
            .iter()
            .any(|worker| worker.draining)
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("it does not show");
    until_leased(&client, 2).await;
    yard.gate.add_permits(4);
    yard.until_running(0).await;
    // Another one takes over what it left.
    let (_, other) = port.start(2);
    other.until_running(2).await;
    assert_eq!(yard.started(), 2);
    assert!(ada.undrain(&worker).await.unwrap());
    assert!(!ada.undrain(&worker).await.unwrap());
    let more = enqueue(&client, 2).await;
    yard.until_running(0).await;
    for id in more {
        until(&client, id, |job| job.state == State::Completed).await;
    }
    other.gate.add_permits(2);
    port.stop().await;
}

#[tokio::test]
async fn a_job_is_cancelled_wherever_it_runs_within_a_second() {
    let mut port = Port::default();
    let (client, yard) = port.start(1);
    let id = enqueue(&client, 1).await[0];
    yard.until_running(1).await;
    let outside = Client::new(port.store.clone());
    let asked = Instant::now();
    let changed = outside
        .operator("ada", None)
        .cancel(id, None)
        .await
        .unwrap();
    assert_eq!(changed, Changed::Asked);
    yard.until_running(0).await;
    assert!(asked.elapsed() < SECOND, "it took {:?}", asked.elapsed());
    until(&client, id, |job| job.state == State::Cancelled).await;
    port.stop().await;
}

#[tokio::test]
async fn many_jobs_are_changed_in_the_background() {
    let mut port = Port::default();
    let (client, yard) = port.start(1);
    let ada = client.operator("ada", Some("clean up"));
    ada.pause(queue("default"), None).await.unwrap();
    tokio::time::sleep(SECOND).await;
    let jobs = enqueue(&client, 777).await;
    let filter = Filter {
        kind: Some("haul".into()),
        ..Filter::default()
    };
    let preview = client.preview(&filter).await.unwrap();
    assert_eq!((preview.jobs, preview.at_least), (777, false));
    let error = ada.bulk(Operation::Discard, Filter::default(), false).await;
    assert!(error.unwrap_err().to_string().starts_with("filter: "));
    let bulk = ada
        .bulk(Operation::Discard, filter.clone(), false)
        .await
        .unwrap();
    let done = until(&client, bulk, |job| job.state.is_finished()).await;
    assert_eq!(done.state, State::Completed, "{:?}", done.attempts);
    let told: serde_json::Value = done.result.unwrap().decode().unwrap();
    assert_eq!(
        (&told["seen"], &told["changed"]),
        (&777.into(), &777.into())
    );
    for id in [jobs[0], jobs[776]] {
        assert_eq!(
            client.get(id, None).await.unwrap().unwrap().state,
            State::Dead
        );
    }
    // Everything: but not the engine's own jobs.
    let all = ada
        .bulk(Operation::Requeue, Filter::default(), true)
        .await
        .unwrap();
    let done = until(&client, all, |job| job.state.is_finished()).await;
    let told: serde_json::Value = done.result.unwrap().decode().unwrap();
    assert_eq!(
        (&told["seen"], &told["changed"]),
        (&777.into(), &777.into())
    );
    assert_eq!(
        client.get(bulk, None).await.unwrap().unwrap().state,
        State::Completed
    );
    assert_eq!(
        actions(&client).await[1..],
        ["jobs.discard", "jobs.requeue"]
    );
    assert_eq!(yard.started(), 0);
    port.stop().await;
}

#[tokio::test]
async fn a_job_runs_again_with_other_args() {
    let mut port = Port::default();
    let (client, yard) = port.start(1);
    yard.gate.add_permits(10);
    let mut job = client.prepare(&Haul { load: 13 }).unwrap();
    job.max_attempts = 1;
    job.correlation_id = Some("order 7".into());
    job.tenant_id = Some("acme".into());
    let id = client.insert(job).await.unwrap().id();
    let dead = until(&client, id, |job| job.state.is_finished()).await;
    assert_eq!(dead.state, State::Dead);
    let ada = client.operator("ada\n", Some("wrong load"));
    let args = |text: &str| Json::parse(text).unwrap();
    let error = ada.rerun(id, None, Some(args("{}"))).await.unwrap_err();
    assert!(error.to_string().starts_with("args: "), "{error}");
    let error = ada.rerun(id, Some("other"), None).await.unwrap_err();
    assert!(matches!(error, OperatorError::NotFound { .. }), "{error}");
    let again = ada
        .rerun(id, None, Some(args(r#"{"load":7}"#)))
        .await
        .unwrap();
    let done = until(&client, again, |job| job.state.is_finished()).await;
    assert_eq!(
        (done.state, done.correlation_id.as_deref()),
        (State::Completed, Some("order 7"))
    );
    assert_eq!(done.tenant_id.as_deref(), Some("acme"));
    assert_eq!(done.result, Some(args("7")));
    let changed = ada
        .requeue_with(id, None, args(r#"{"load":8}"#))
        .await
        .unwrap();
    assert_eq!(changed, Changed::Done);
    let done = until(&client, id, |job| job.state == State::Completed).await;
    assert_eq!(done.result, Some(args("8")));
    let log = client
        .audit(&AuditFilter::default(), None, 10)
        .await
        .unwrap();
    let told = serde_json::to_string(&log.iter().map(|e| &e.audit.after).collect::<Vec<_>>());
    let told = told.unwrap();
    assert!(
        told.contains(&again.to_string()) && told.contains("edited"),
        "{told}"
    );
    assert!(!told.contains("load"), "args are in no audit log: {told}");
    assert!(log.iter().all(|entry| entry.audit.actor == "ada"));
    port.stop().await;
}

#[tokio::test]
async fn an_order_that_cannot_work_is_refused_and_changes_nothing() {
    let store = Arc::new(MemoryStore::default());
    let client = Client::new(store.clone());
    let ada = client.operator("ada", None);
    let past = client.now().await.unwrap();
    for (of, until, field) in [
        (PauseOf::default(), None, "queue: "),
        (queue("no such\nname"), None, "queue: "),
        (queue("mail"), Some(past), "until: "),
    ] {
        let error = ada.pause(of, until).await.unwrap_err().to_string();
        assert!(error.starts_with(field), "{error}");
    }
    assert!(!ada.resume(queue("mail")).await.unwrap());
    assert_eq!(store.settings(None).await.unwrap(), []);
    assert_eq!(actions(&client).await, [""; 0]);
}
