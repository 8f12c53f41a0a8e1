//! A fan-out of 10,000 and its fan-in, while workers and the database die.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::db::Db;
use windlass::model::{FlowId, NewFlow};
use windlass::{Client, Context, Job, Outcome};

use crate::database::Database;
use crate::server::Server;
use crate::worker::Worker;

const CHILDREN: u32 = 10_000;
const PATIENCE: Duration = Duration::from_mins(4);

/// One of many: records its number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    number: u32,
}

impl Job for Member {
    const KIND: &'static str = "child";
    type Services = Db;

    async fn run(self, _cx: Context<Db>) -> anyhow::Result<Outcome> {
        Ok(Outcome::complete_with(&self.number)?)
    }
}

/// What all of them lead to: writes down what they recorded, in one transaction with its end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Gather {}

impl Job for Gather {
    const KIND: &'static str = "gather";
    type Services = Db;

    async fn run(self, cx: Context<Db>) -> anyhow::Result<Outcome> {
        let numbers: Vec<u32> = cx.parents().await?.results()?;
        let sum: i64 = numbers.iter().map(|number| i64::from(*number)).sum();
        let count = i64::try_from(numbers.len())?;
        let mut tx = cx.services().begin().await?;
        if let Some(connection) = tx.postgres() {
            let row = sqlx::query(GATHERED).bind(count).bind(sum);
            row.execute(connection).await?;
        } else if let Some(connection) = tx.sqlite() {
            let row = sqlx::query(GATHERED).bind(count).bind(sum);
            row.execute(connection).await?;
        }
        Ok(cx.commit(tx, None).await?)
    }
}

const LEDGER: &str = "create table gathered (count bigint not null, sum bigint not null)";
const GATHERED: &str = "insert into gathered (count, sum) values ($1, $2)";

pub(crate) async fn a_fan_out_comes_together_once_on_postgres() {
    let server = Server::start();
    let database = Database::open(&server.url());
    database.store.migrate().await.unwrap();
    comes_together(&database, || {
        server.down();
        server.up();
    })
    .await;
}

pub(crate) async fn a_fan_out_comes_together_once_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::sqlite(folder.path()).await;
    comes_together(&database, || {}).await;
}

async fn comes_together(database: &Database, restart: impl FnOnce()) {
    database.execute(LEDGER).await;
    let client = database.client();
    let (flow, numbers) = fan(&client);
    let mut workers = [Worker::start(database), Worker::start(database)];
    client.start(&flow).await.unwrap();

    progress(&client, flow.id, CHILDREN / 10).await;
    workers[0].kill_and_restart();
    progress(&client, flow.id, CHILDREN / 4).await;
    workers[1].kill_and_restart();
    let done = progress(&client, flow.id, CHILDREN / 3).await;
    assert!(done < CHILDREN, "all was over before the database died");
    restart();
    progress(&client, flow.id, CHILDREN + 2).await;

    let record = client.flow(flow.id, None).await.unwrap().unwrap();
    assert_eq!((record.failed, record.skipped), (0, 0));
    assert!(record.finished_at.is_some());
    // The connections of before may have died with the database.
    let database = Database::open(&database.url);
    let gathered = "select count(*) from gathered";
    assert_eq!(database.number(gathered).await, 1, "it ran once");
    let count = "select count from gathered";
    assert_eq!(database.number(count).await, i64::from(CHILDREN));
    let sum = "select sum from gathered";
    assert_eq!(database.number(sum).await, numbers);
}

/// One, then many, then one; and the sum of what the many will record.
fn fan(client: &Client) -> (NewFlow, i64) {
    let out = client.prepare(&Member { number: 0 }).unwrap();
    let mut flow = NewFlow::new("fan").step("out", out);
    let names: Vec<String> = (1..=CHILDREN).map(|n| n.to_string()).collect();
    for (number, name) in (1..).zip(&names) {
        let job = client.prepare(&Member { number }).unwrap();
        flow = flow.step(name.as_str(), job).after(["out"]);
    }
    let gather = client.prepare(&Gather {}).unwrap();
    let sum = (1..=i64::from(CHILDREN)).sum();
    (flow.step("gather", gather).after(names), sum)
}

/// Waits until so many steps have completed; the database may be away meanwhile.
async fn progress(client: &Client, flow: FlowId, wanted: u32) -> u32 {
    let mut pulse = tokio::time::interval(Duration::from_millis(10));
    let there = async {
        loop {
            pulse.tick().await;
            if let Ok(Some(flow)) = client.flow(flow, None).await
                && flow.completed >= wanted
            {
                return flow.completed;
            }
        }
    };
    tokio::time::timeout(PATIENCE, there)
        .await
        .unwrap_or_else(|_| panic!("{wanted} steps were not done within {PATIENCE:?}"))
}
