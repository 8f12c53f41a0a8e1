//! Ordering keys across processes: strictly in order, one at a time, whatever fails or dies.

use std::time::Duration;

use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use windlass::db::Db;
use windlass::{Backoff, Context, Job, JobOptions, NewJob, Outcome};

use crate::database::Database;
use crate::size;
use crate::worker::Worker;

const PROCESSES: usize = 4;
const JOBS_PER_KEY: i64 = 10;
/// One attempt in so many fails.
const FAILS: u32 = 50;

/// The `step`-th job of a key: moves the key's row in the ledger on by one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ordered {
    key: i64,
    step: i64,
}

impl Job for Ordered {
    const KIND: &'static str = "ordered";
    type Services = Db;

    fn options() -> JobOptions {
        JobOptions {
            max_attempts: 1000,
            backoff: Backoff::constant(Duration::from_millis(20)),
            ..JobOptions::default()
        }
    }

    fn ordering_key(&self) -> Option<String> {
        Some(self.key.to_string())
    }

    async fn run(self, cx: Context<Db>) -> anyhow::Result<Outcome> {
        if rand::rng().random_ratio(1, FAILS) {
            write(cx.services(), FAILED, self.key, self.step).await?;
            anyhow::bail!("one attempt in {FAILS} fails");
        }
        // An attempt that was killed may have moved it already; nobody else may.
        if write(cx.services(), MOVE_ON, self.key, self.step).await? != 1 {
            write(cx.services(), OUT_OF_ORDER, self.key, self.step).await?;
        }
        Ok(Outcome::complete())
    }
}

const LEDGER: &str = "create table ledger (
    key bigint primary key, step bigint not null, failed bigint not null, out_of_order bigint not null)";
const FAILED: &str = "update ledger set failed = failed + 1 where key = $1 and $2 > 0";
const MOVE_ON: &str = "update ledger set step = $2 where key = $1 and step in ($2 - 1, $2)";
const OUT_OF_ORDER: &str =
    "update ledger set out_of_order = out_of_order + 1 where key = $1 and $2 > 0";

async fn write(db: &Db, statement: &'static str, key: i64, step: i64) -> Result<u64, sqlx::Error> {
    match db {
        Db::Postgres(db) => {
            let query = sqlx::query(statement).bind(key).bind(step);
            Ok(query.execute(db.pool()).await?.rows_affected())
        }
        Db::Sqlite(db) => {
            let query = sqlx::query(statement).bind(key).bind(step);
            Ok(query.execute(db.writer()).await?.rows_affected())
        }
        _ => unreachable!("two dialects"),
    }
}

pub(crate) async fn every_key_runs_strictly_in_order_on_postgres() {
    let database = Database::postgres().await;
    strictly_in_order(&database, size(2_000, 100_000)).await;
}

pub(crate) async fn every_key_runs_strictly_in_order_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::sqlite(folder.path()).await;
    strictly_in_order(&database, size(500, 10_000)).await;
}

async fn strictly_in_order(database: &Database, keys: i64) {
    database.execute(LEDGER).await;
    let mut workers: Vec<Worker> = (0..PROCESSES).map(|_| Worker::start(database)).collect();
    enqueue(database, keys).await;
    // Two of the four die in the midst of it.
    for worker in workers.iter_mut().take(2) {
        worker.kill_and_restart();
    }
    database
        .until_idle(Duration::from_secs(size(150, 3_600)))
        .await;

    let jobs = keys * JOBS_PER_KEY;
    let done = database
        .number("select count(*) from ledger where step = 10")
        .await;
    assert_eq!(done, keys, "keys whose last job was their tenth");
    assert_eq!(
        database
            .number("select count(*) from ledger where out_of_order > 0")
            .await,
        0
    );
    let failed = database
        .number("select cast(sum(failed) as bigint) from ledger")
        .await;
    let about = jobs / i64::from(FAILS);
    assert!(
        (about / 2..about * 2).contains(&failed),
        "{failed} of {jobs} attempts failed"
    );
}

/// All first jobs, then all second ones ..., the keys in another order each time, while workers work.
async fn enqueue(database: &Database, keys: i64) {
    let client = database.client();
    let mut order: Vec<i64> = (0..keys).collect();
    for key in &order {
        write(
            &database.db,
            "insert into ledger values ($1, $2, 0, 0)",
            *key,
            0,
        )
        .await
        .unwrap();
    }
    for step in 1..=JOBS_PER_KEY {
        order.shuffle(&mut rand::rng());
        for keys in order.chunks(5_000) {
            let jobs: Vec<NewJob> = keys
                .iter()
                .map(|key| client.prepare(&Ordered { key: *key, step }).unwrap())
                .collect();
            client.insert_many(&jobs).await.unwrap();
        }
    }
}
