//! apalis-workflow over our stores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use apalis::layers::WorkerBuilderExt;
use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use apalis_core::task::data::Data;
use apalis_core::task::task_fn::task_fn;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_workflow::{GraphFlow, SteppedFlow, WorkflowSink};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tower::{Layer, Service};
use windlass::Json;
use windlass::model::{Filter, Page};
use windlass::{JobRecord, State};

use crate::stores::{PATIENCE, Place, backend, on_every_store, quick, until};

/// How often each step ran, and what came out at the end.
#[derive(Debug, Clone)]
struct Ran {
    steps: Arc<[AtomicUsize; 4]>,
    end: Arc<Semaphore>,
    result: Arc<AtomicUsize>,
    worker: Arc<Mutex<Option<WorkerContext>>>,
}

impl Default for Ran {
    fn default() -> Self {
        Self {
            steps: Arc::default(),
            end: Arc::new(Semaphore::new(0)),
            result: Arc::default(),
            worker: Arc::default(),
        }
    }
}

impl Ran {
    fn step(&self, number: usize) {
        self.steps[number].fetch_add(1, Ordering::SeqCst);
    }

    fn steps(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|n| self.steps[n].load(Ordering::SeqCst))
    }

    async fn ended(&self) -> usize {
        let end = tokio::time::timeout(PATIENCE, self.end.acquire()).await;
        end.expect("the flow did not end").unwrap().forget();
        self.result.load(Ordering::SeqCst)
    }
}

async fn jobs(place: &Place) -> Vec<JobRecord> {
    let (filter, page) = (Filter::default(), Page::default());
    place.open().list(&filter, page, None).await.unwrap().jobs
}

async fn a_stepped_flow_runs_each_step_once(place: &Place) {
    let mut flows = backend::<u32>(place, quick("stepped"));
    flows.push_start(20).await.unwrap();
    let ran = Ran::default();
    let flow = SteppedFlow::new("stepped")
        .and_then(async |n: u32, ran: Data<Ran>| {
            ran.step(0);
            n + 1
        })
        .delay_for(Duration::from_millis(10))
        .and_then(async |n: u32, ran: Data<Ran>| {
            ran.step(1);
            n.to_string()
        })
        .and_then(
            async |text: String, ran: Data<Ran>, worker: WorkerContext| {
                ran.step(2);
                ran.result.store(text.parse()?, Ordering::SeqCst);
                ran.end.add_permits(1);
                worker.stop()?;
                Ok::<(), BoxDynError>(())
            },
        );
    let worker = WorkerBuilder::new("stepper")
        .backend(flows)
        .data(ran.clone())
        .concurrency(4)
        .build(flow);
    let running = tokio::spawn(worker.run());
    assert_eq!(ran.ended().await, 21);
    running.await.unwrap().unwrap();
    assert_eq!(ran.steps(), [1, 1, 1, 0]);
    let jobs = jobs(place).await;
    assert_eq!(jobs.len(), 4, "one for each step, the delay among them");
    assert!(jobs.iter().all(|job| job.state == State::Completed));
}

async fn a_graph_fans_out_and_in(place: &Place) {
    // A graph takes its tasks as they are stored.
    let mut flows = backend::<Json>(place, quick("graph"));
    flows.push_start(3_u32).await.unwrap();
    let ran = Ran::default();
    let graph = GraphFlow::new("graph");
    let source = graph.add_node(
        "source",
        task_fn(async |n: u32, ran: Data<Ran>| {
            ran.step(0);
            n
        }),
    );
    let double = graph
        .add_node(
            "double",
            task_fn(async |n: u32, ran: Data<Ran>| {
                ran.step(1);
                n * 2
            }),
        )
        .depends_on(&source);
    let text = graph
        .add_node(
            "text",
            task_fn(async |n: u32, ran: Data<Ran>| {
                ran.step(2);
                format!("{n}00")
            }),
        )
        .depends_on(&source);
    let _sum = graph
        .add_node(
            "sum",
            task_fn(
                async |both: (u32, String), ran: Data<Ran>, worker: WorkerContext| {
                    ran.step(3);
                    let sum = both.0 + both.1.parse::<u32>()?;
                    ran.result.store(sum as usize, Ordering::SeqCst);
                    *ran.worker.lock().unwrap() = Some(worker);
                    ran.end.add_permits(1);
                    Ok::<u32, BoxDynError>(sum)
                },
            ),
        )
        .depends_on((&double, &text));
    graph.validate().unwrap();
    let worker = WorkerBuilder::new("grapher")
        .backend(flows)
        .data(ran.clone())
        .concurrency(4)
        .build(graph);
    let running = tokio::spawn(worker.run());
    assert_eq!(ran.ended().await, 306);
    // Each parent pushes the fan-in; the last of them runs it, once it knows the results of all.
    until(place, State::Completed, 5).await;
    let worker = ran.worker.lock().unwrap().take().unwrap();
    worker.stop().unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(ran.steps(), [1, 1, 1, 1]);
    assert_eq!(jobs(place).await.len(), 5);
}

/// Fails the first attempt of everything after it is done: as if the process had died before the step was
/// recorded.
#[derive(Debug, Clone)]
struct DieAfterwards;

#[derive(Debug, Clone)]
struct Dying<S>(S);

impl<S> Layer<S> for DieAfterwards {
    type Service = Dying<S>;

    fn layer(&self, inner: S) -> Dying<S> {
        Dying(inner)
    }
}

impl<S> Service<Task<Json>> for Dying<S>
where
    S: Service<Task<Json>, Error = BoxDynError>,
    S::Future: Send + 'static,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<S::Response, BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, task: Task<Json>) -> Self::Future {
        // The attempt is counted as it starts.
        let first = task.attempt() == 0;
        let done = self.0.call(task);
        async move {
            let done = done.await?;
            if first {
                return Err("died before it was recorded".into());
            }
            Ok(done)
        }
        .boxed()
    }
}

/// apalis-workflow pushes the next step before the present one is recorded, so that a crash repeats the
/// push: ours is known already, and the rest of the flow runs on from it once.
async fn a_step_that_is_repeated_pushes_the_next_one_once(place: &Place) {
    let mut flows = backend::<u32>(place, quick("repeated"));
    flows.push_start(1).await.unwrap();
    let ran = Ran::default();
    let flow = SteppedFlow::new("repeated")
        .and_then(async |n: u32, ran: Data<Ran>| {
            ran.step(0);
            n + 1
        })
        .and_then(async |n: u32, ran: Data<Ran>| {
            ran.step(1);
            n + 1
        })
        .and_then(async |n: u32, ran: Data<Ran>| {
            ran.step(2);
            n + 1
        })
        .and_then(async |_: u32, ran: Data<Ran>, worker: WorkerContext| {
            ran.step(3);
            *ran.worker.lock().unwrap() = Some(worker);
            Ok::<(), BoxDynError>(())
        });
    let worker = WorkerBuilder::new("repeater")
        .backend(flows)
        .data(ran.clone())
        .concurrency(4)
        .layer(DieAfterwards)
        .build(flow);
    let running = tokio::spawn(worker.run());
    until(place, State::Completed, 4).await;
    let worker = ran.worker.lock().unwrap().take().unwrap();
    worker.stop().unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(
        ran.steps(),
        [2; 4],
        "each step twice, and no branch of the flow twice"
    );
    assert_eq!(jobs(place).await.len(), 4);
}

on_every_store!(
    a_stepped_flow_runs_each_step_once,
    a_graph_fans_out_and_in,
    a_step_that_is_repeated_pushes_the_next_one_once,
);
