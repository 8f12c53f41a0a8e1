//! An import that is killed between any two of its steps, and started again.

use std::collections::BTreeSet;
use std::sync::Arc;

use apalis_core::backend::TaskSink;
use async_trait::async_trait;
use metachat_jobs::import::postgres::Postgres;
use metachat_jobs::import::{self, Error, Kinds, OldJob, Report, Source};
use tokio::sync::Notify;
use windlass::store::Claim;
use windlass::{Store as _, model::Finish};

use super::{Here, Mail, kinds, mail, postgres, redis, sqlite};
use crate::support::with_postgres;

/// Where the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dies {
    BeforeHold,
    AfterHold,
    BeforeDone,
    AfterDone,
}

/// A source whose process dies in its second batch.
struct Dying<S> {
    source: S,
    at: Dies,
    batches: usize,
    died: Arc<Notify>,
}

impl<S> Dying<S> {
    async fn step(&self, step: Dies) {
        if self.batches == 2 && self.at == step {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl<S: Source + Sync> Source for Dying<S> {
    async fn waiting(&mut self) -> Result<Vec<String>, Error> {
        self.source.waiting().await
    }

    async fn read(&mut self, ids: &[String]) -> Result<Vec<OldJob>, Error> {
        self.source.read(ids).await
    }

    async fn hold(&mut self, ids: &[String]) -> Result<Vec<String>, Error> {
        self.batches += 1;
        self.step(Dies::BeforeHold).await;
        let held = self.source.hold(ids).await?;
        self.step(Dies::AfterHold).await;
        Ok(held)
    }

    async fn release(&mut self, ids: &[String]) -> Result<(), Error> {
        self.source.release(ids).await
    }

    async fn done(&mut self, ids: &[String]) -> Result<(), Error> {
        self.step(Dies::BeforeDone).await;
        self.source.done(ids).await?;
        self.step(Dies::AfterDone).await;
        Ok(())
    }
}

/// Runs everything that is here, as a worker would: a job that was enqueued again afterwards would run twice.
async fn run_all(here: &Here) {
    loop {
        let claim = Claim {
            queue: "default",
            worker: "w",
            limit: 500,
            lease: std::time::Duration::from_secs(30),
            now: None,
        };
        let jobs = here.store.claim(claim).await.unwrap();
        if jobs.is_empty() {
            return;
        }
        let ends: Vec<Finish> = jobs
            .iter()
            .map(|job| Finish::complete(job.lease(), None))
            .collect();
        here.store.finish(&ends, None).await.unwrap();
    }
}

/// Kills one import of 900 jobs at a step and repeats it, while those that came over run already.
async fn survives<S: Source + Sync>(here: &Here, at: Dies, open: impl Fn() -> S, kinds: &Kinds) {
    let died = Arc::new(Notify::new());
    let mut dying = Dying {
        source: open(),
        at,
        batches: 0,
        died: Arc::clone(&died),
    };
    let mut told = |_: &Report| {};
    tokio::select! {
        report = import::run(&mut dying, &here.client, kinds, false, &mut told) => {
            panic!("it did not die: {report:?}")
        }
        () = died.notified() => {}
    }
    drop(dying);
    run_all(here).await;
    let report = import::run(&mut open(), &here.client, kinds, false, &mut told)
        .await
        .unwrap();
    assert_eq!((report.left, report.gone), (0, 0), "{at:?}");
    let mails = here.mails().await;
    let numbers: BTreeSet<u32> = mails.keys().copied().collect();
    assert_eq!(
        numbers,
        (1..=900).collect(),
        "{at:?}: every one, and none twice"
    );
    let again = import::run(&mut open(), &here.client, kinds, false, &mut told)
        .await
        .unwrap();
    assert_eq!(again.found, 0, "{at:?}: nothing is left behind");
}

const STEPS: [Dies; 4] = [
    Dies::BeforeHold,
    Dies::AfterHold,
    Dies::BeforeDone,
    Dies::AfterDone,
];

#[tokio::test]
async fn an_import_from_sqlite_goes_on_where_it_was_killed() {
    for at in STEPS {
        let (here, stock) = (Here::new().await, sqlite::Stock::new().await);
        let mut storage = stock.storage::<Mail>();
        storage
            .push_bulk((1..=900).map(mail).collect())
            .await
            .unwrap();
        survives(&here, at, || stock.source(), &kinds()).await;
    }
}

#[tokio::test]
async fn an_import_from_redis_goes_on_where_it_was_killed() {
    for at in STEPS {
        let (here, stock) = (Here::new().await, redis::Stock::new().await);
        let mut storage = stock.storage::<Mail>();
        storage
            .push_bulk((1..=900).map(mail).collect())
            .await
            .unwrap();
        survives(&here, at, || stock.source(false), &stock.kinds()).await;
        assert_eq!(stock.left().await, 0);
    }
}

#[tokio::test]
async fn an_import_from_postgres_goes_on_where_it_was_killed() {
    for at in STEPS {
        with_postgres(async move |url| {
            postgres::fill(&url, 900).await;
            let here = Here::new().await;
            let open = || Postgres::open(&url, &[], false).unwrap();
            survives(&here, at, open, &kinds()).await;
        })
        .await;
    }
}
