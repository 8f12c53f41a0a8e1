//! The store goes away and comes back.

use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_core::worker::builder::WorkerBuilder;
use tokio_util::sync::CancellationToken;

use crate::stores::{Place, backend, ended, quick, run, task};

/// Nobody may connect, and everyone is thrown out: for longer than a lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_worker_waits_out_the_loss_of_its_database_and_so_does_a_push() {
    let place = Place::postgres().await;
    let Place::Postgres { server, database } = &place else {
        unreachable!("it was just made");
    };
    let mut tasks = backend::<u32>(&place, quick("outage"));
    let (first, one) = task(1);
    let (second, two) = task(2);
    tasks.push_task(one).await.unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let worker = WorkerBuilder::new("patient")
        .backend(tasks.clone())
        .build(async |number: u32| number)
        .run_until(async move {
            stopped.cancelled().await;
            Ok::<(), std::io::Error>(())
        });
    let running = tokio::spawn(worker);
    assert_eq!(ended::<_, u32>(&tasks, &first).await.result, Ok(1));

    run(
        server,
        &format!("alter database {database} allow_connections false"),
    )
    .await;
    let thrown_out = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'"
    );
    run(server, &thrown_out).await;
    let mut pusher = backend::<u32>(&place, quick("outage"));
    let push = tokio::spawn(async move { pusher.push_task(two).await });
    // The passing of time is what is tested: two leases without a store.
    tokio::time::sleep(quick("outage").lease * 2).await;
    assert!(!running.is_finished(), "the worker goes on");
    assert!(!push.is_finished(), "the push goes on");

    run(
        server,
        &format!("alter database {database} allow_connections true"),
    )
    .await;
    push.await.unwrap().unwrap();
    assert_eq!(ended::<_, u32>(&tasks, &second).await.result, Ok(2));
    stop.cancel();
    running.await.unwrap().unwrap();
    place.close().await;
}

/// Without patience a push says so, and has named the store.
#[tokio::test]
async fn a_push_without_patience_fails_with_the_reason() {
    let place = Place::Postgres {
        server: "postgres://nobody@127.0.0.1:1/none".to_owned(),
        database: "none".to_owned(),
    };
    let mut options = quick("outage");
    options.patience = Duration::ZERO;
    let mut tasks = backend::<u32>(&place, options);
    let error = tasks.push(1).await.unwrap_err();
    assert!(
        error.to_string().starts_with("Failed to push task: "),
        "{error}"
    );
}
