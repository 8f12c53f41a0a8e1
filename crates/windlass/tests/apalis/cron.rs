//! An apalis-cron schedule piped in by several processes.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apalis_core::backend::ext::BackendExt;
use apalis_core::task::data::Data;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_cron::{CronScheduler, Tick};
use cron::Schedule;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use windlass::Store;

use crate::stores::{PATIENCE, Place, backend, on_every_store, quick};

#[derive(Debug, Clone)]
struct Ran {
    ticks: Arc<Mutex<BTreeMap<u64, u32>>>,
    count: Arc<Semaphore>,
}

async fn tick(tick: Tick, ran: Data<Ran>) {
    *ran.ticks
        .lock()
        .unwrap()
        .entry(tick.get_timestamp())
        .or_default() += 1;
    ran.count.add_permits(1);
}

/// apalis-cron gives each pipe's copy of a tick an id of its own; the key is made of the tick.
async fn each_tick_runs_once_though_two_processes_pipe_it(place: &Place) {
    let ran = Ran {
        ticks: Arc::default(),
        count: Arc::new(Semaphore::new(0)),
    };
    let stop = CancellationToken::new();
    let workers = ["one", "two"].map(|name| {
        let mut options = quick("ticks");
        options.patience = Duration::from_hours(1);
        let into = backend::<Tick>(place, options)
            .unique_by(|tick| Some(format!("every second@{}", tick.get_timestamp())));
        let every_second = Schedule::from_str("* * * * * *").unwrap();
        let stopped = stop.clone();
        let worker = WorkerBuilder::new(name)
            .backend(CronScheduler::new(every_second).pipe_to(into))
            .data(ran.clone())
            .build(tick)
            .run_until(async move {
                stopped.cancelled().await;
                Ok::<(), std::io::Error>(())
            });
        tokio::spawn(worker)
    });
    let five = tokio::time::timeout(PATIENCE, ran.count.acquire_many(5)).await;
    five.expect("the schedule did not tick").unwrap().forget();
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    let ticks = ran.ticks.lock().unwrap().clone();
    assert!(ticks.len() >= 5);
    assert!(ticks.values().all(|runs| *runs == 1), "{ticks:?}");
    let seconds: Vec<u64> = ticks.keys().copied().collect();
    assert!(
        seconds.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "none was left out: {seconds:?}"
    );
    let store: Arc<dyn Store> = place.open();
    let filter = windlass::model::Filter::default();
    let page = windlass::model::Page::default();
    let jobs = store.list(&filter, page, None).await.unwrap().jobs;
    assert!(
        jobs.len() >= ticks.len() && jobs.len() <= ticks.len() + 1,
        "one job a tick"
    );
}

on_every_store!(each_tick_runs_once_though_two_processes_pipe_it);
