//! What operators hold back and limit while an engine runs: within a second, and exactly that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass::engine::PauseOf;
use windlass::model::{Audit, QueuePolicy};
use windlass::{Client, Context, Engine, EngineOptions, Job, Outcome, Registry};

use crate::fixture::Fixture;

/// Longest wait for an event before a case is wrong.
const PATIENCE: Duration = Duration::from_secs(20);
/// Within this an order reaches every process.
const SECOND: Duration = Duration::from_secs(1);
/// The same where jobs start after it, on a machine that has other cases to run.
const BUSY: Duration = Duration::from_secs(2);

/// Which jobs have started, and what lets them end.
#[derive(Debug, Clone)]
struct Yard {
    started: Arc<watch::Sender<Vec<String>>>,
    running: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Yard {
    fn started(&self) -> Vec<String> {
        let mut started = self.started.borrow().clone();
        started.sort();
        started
    }

    /// Waits until these have started since the last time, and no other.
    async fn until_started(&self, mut names: Vec<&str>) {
        let mut seen = self.started.subscribe();
        let wait = seen.wait_for(|seen| seen.len() >= names.len());
        let met = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        names.sort_unstable();
        assert_eq!(self.started(), names, "in time: {met}");
        self.started.send_replace(Vec::new());
    }

    async fn work(&self, name: String) -> anyhow::Result<Outcome> {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.started.send_modify(|seen| seen.push(name));
        self.gate.acquire().await?.forget();
        self.running.fetch_sub(1, Ordering::SeqCst);
        Ok(Outcome::complete())
    }
}

macro_rules! work {
    ($job:ident, $kind:literal) => {
        #[derive(Serialize, Deserialize)]
        struct $job {
            name: String,
            tenant: String,
        }

        impl Job for $job {
            const KIND: &'static str = $kind;
            type Services = Yard;

            fn tenant(&self) -> Option<&str> {
                Some(&self.tenant)
            }

            async fn run(self, cx: Context<Yard>) -> anyhow::Result<Outcome> {
                cx.services().work(self.name).await
            }
        }
    };
}

work!(Mail, "mail");
work!(Call, "call");

/// An engine of ten slots over the case's store, and an operator at another handle.
struct Port {
    yard: Yard,
    client: Client,
    outside: Client,
    stop: CancellationToken,
    engine: tokio::task::JoinHandle<()>,
}

impl Port {
    fn open(fx: &Fixture) -> Self {
        let yard = Yard {
            started: Arc::new(watch::Sender::new(Vec::new())),
            running: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        };
        let registry = Registry::new(yard.clone())
            .register::<Mail>()
            .register::<Call>();
        let options = EngineOptions {
            queues: vec![("default".into(), 10)],
            ..EngineOptions::default()
        };
        let engine = Engine::new(Arc::clone(&fx.store), registry, options).unwrap();
        let (client, stop) = (engine.client(), CancellationToken::new());
        Self {
            yard,
            client,
            outside: Client::new(Arc::clone(&fx.other)),
            engine: tokio::spawn(engine.run(stop.clone())),
            stop,
        }
    }

    /// A mail and a call of each of two tenants, each named after both and the round.
    async fn enqueue(&self, round: u32) {
        let mut jobs = Vec::new();
        for tenant in ["acme", "zeta"] {
            let tenant = tenant.to_owned();
            let mail = Mail {
                name: format!("mail {tenant} {round}"),
                tenant: tenant.clone(),
            };
            jobs.push(self.client.prepare(&mail).unwrap());
            let call = Call {
                name: format!("call {tenant} {round}"),
                tenant,
            };
            jobs.push(self.client.prepare(&call).unwrap());
        }
        self.client.insert_many(&jobs).await.unwrap();
    }

    async fn close(self) {
        self.yard.gate.add_permits(1000);
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.engine).await;
        ended.expect("the engine did not stop").unwrap();
    }
}

/// Pauses something and resumes it, with a round of jobs before, meanwhile and after.
async fn pause_stops(fx: &Fixture, of: PauseOf, stopped: &[&str]) {
    let port = Port::open(fx);
    let all = ["mail acme", "call acme", "mail zeta", "call zeta"];
    let round = |names: &[&str], round: u32| -> Vec<String> {
        names.iter().map(|name| format!("{name} {round}")).collect()
    };
    let started = async |names: Vec<String>| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        port.yard.until_started(names).await;
    };
    port.yard.gate.add_permits(1000);
    port.enqueue(1).await;
    started(round(&all, 1)).await;

    let ada = port.outside.operator("ada", Some("the provider is down"));
    ada.pause(of.clone(), None).await.unwrap();
    // By now every process goes by it.
    tokio::time::sleep(SECOND).await;
    port.enqueue(2).await;
    let others: Vec<&str> = all
        .iter()
        .filter(|name| !stopped.contains(name))
        .copied()
        .collect();
    started(round(&others, 2)).await;
    // Long enough for several polls: nothing comes late.
    tokio::time::sleep(SECOND + SECOND / 2).await;
    assert_eq!(port.yard.started(), [""; 0]);

    assert!(ada.resume(of).await.unwrap());
    let resumed = Instant::now();
    started(round(stopped, 2)).await;
    let took = resumed.elapsed();
    assert!(took < BUSY, "it took {took:?}");
    port.enqueue(3).await;
    started(round(&all, 3)).await;
    port.close().await;
}

pub(crate) async fn a_pause_of_a_kind_stops_that_kind_and_its_end_runs_it(fx: &Fixture) {
    let of = PauseOf {
        queue: Some("default".into()),
        kind: Some("mail".into()),
        ..PauseOf::default()
    };
    pause_stops(fx, of, &["mail acme", "mail zeta"]).await;
}

pub(crate) async fn a_pause_of_a_tenant_stops_that_tenant_and_its_end_runs_it(fx: &Fixture) {
    let of = PauseOf {
        tenant_id: Some("acme".into()),
        ..PauseOf::default()
    };
    pause_stops(fx, of, &["mail acme", "call acme"]).await;
}

pub(crate) async fn a_pause_of_a_kind_of_a_tenant_stops_just_that(fx: &Fixture) {
    let of = PauseOf {
        queue: Some("default".into()),
        kind: Some("call".into()),
        tenant_id: Some("zeta".into()),
    };
    pause_stops(fx, of, &["call zeta"]).await;
}

pub(crate) async fn a_policy_is_followed_and_let_go_of_while_jobs_run(fx: &Fixture) {
    let port = Port::open(fx);
    port.enqueue(1).await;
    let four = ["mail acme 1", "call acme 1", "mail zeta 1", "call zeta 1"];
    port.yard.until_started(four.to_vec()).await;
    port.yard.gate.add_permits(4);

    let policy = QueuePolicy {
        concurrency: Some(1),
        ..QueuePolicy::default()
    };
    let audit = Audit::new("ada", "policy.set", "queue/default");
    let set = port.outside.set_policy("default", &policy, None, &audit);
    set.await.unwrap();
    tokio::time::sleep(SECOND).await;
    port.enqueue(2).await;
    let mut seen = port.yard.started.subscribe();
    let one = tokio::time::timeout(PATIENCE, seen.wait_for(|seen| !seen.is_empty()));
    one.await.expect("nothing started").unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(port.yard.running.load(Ordering::SeqCst), 1, "the limit");
    port.yard.gate.add_permits(1);
    let next = tokio::time::timeout(PATIENCE, seen.wait_for(|seen| seen.len() == 2));
    next.await.expect("one ended and no other started").unwrap();
    assert_eq!(port.yard.running.load(Ordering::SeqCst), 1, "the limit");

    let audit = Audit::new("ada", "policy.clear", "queue/default");
    let cleared = port.outside.clear_policy("default", None, &audit);
    assert!(cleared.await.unwrap());
    let removed = Instant::now();
    let four = ["mail acme 2", "call acme 2", "mail zeta 2", "call zeta 2"];
    port.yard.until_started(four.to_vec()).await;
    let took = removed.elapsed();
    assert!(took < BUSY, "it took {took:?}");
    assert_eq!(port.yard.running.load(Ordering::SeqCst), 3);
    port.close().await;
}
