//! Exactly once: a transfer of money as a job. The order and its job are enqueued in one transaction;
//! the booking and the job's completion are committed in another. A crash at any point leaves either
//! all of a step or nothing of it.
//!
//! ```sh
//! cargo run -p windlass --example transactions
//! ```
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use windlass::db::{Db, Sqlite, SqliteOptions, Tx};
use windlass::store::sqlite::SqliteStore;
use windlass::{Client, Context, Job, Outcome, Registry, State, Store, testing};

#[derive(Serialize, Deserialize)]
struct Transfer {
    order: i64,
}

impl Job for Transfer {
    const KIND: &'static str = "transfer";
    type Services = Db;

    async fn run(self, cx: Context<Db>) -> anyhow::Result<Outcome> {
        let mut tx = cx.services().begin().await?;
        sqlx::query(
            "update accounts set balance = balance + (select amount from orders where id = ?1)",
        )
        .bind(self.order)
        .execute(sqlite(&mut tx)?)
        .await?;
        // Books and completes, or neither: also if this worker has lost its lease meanwhile.
        Ok(cx.commit(tx, None).await?)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = Sqlite::new(folder.path().join("bank.db"), &SqliteOptions::default());
    let store = Arc::new(SqliteStore::new(file.clone()));
    store.migrate().await?;
    let db = Db::Sqlite(file.clone());

    let mut tx = db.begin().await?;
    for table in [
        "create table accounts (balance integer not null)",
        "create table orders (id integer primary key, amount integer not null)",
        "insert into accounts values (0)",
    ] {
        sqlx::query(table).execute(sqlite(&mut tx)?).await?;
    }
    tx.commit().await?;

    let registry = Registry::new(db.clone()).register::<Transfer>();
    let client = Client::new(store).with_catalogue(registry.catalogue());

    // The order and its job: both or neither. This one is dropped without a commit, so neither.
    let mut tx = db.begin().await?;
    place(&mut tx, &client, 1, 40).await?;
    drop(tx);
    let mut tx = db.begin().await?;
    place(&mut tx, &client, 2, 2).await?;
    tx.commit().await?;

    let jobs = testing::drain(&client, registry).await?;
    anyhow::ensure!(
        jobs.len() == 1 && jobs[0].state == State::Completed,
        "one job, completed"
    );
    let balance: i64 = sqlx::query_scalar("select balance from accounts")
        .fetch_one(file.readers())
        .await?;
    anyhow::ensure!(balance == 2, "booked once: {balance}");
    println!("one order, one job, booked once: {balance}");
    Ok(())
}

async fn place(tx: &mut Tx, client: &Client, order: i64, amount: i64) -> anyhow::Result<()> {
    sqlx::query("insert into orders values (?1, ?2)")
        .bind(order)
        .bind(amount)
        .execute(sqlite(tx)?)
        .await?;
    client.enqueue_in(tx, &Transfer { order }).await?;
    Ok(())
}

fn sqlite(tx: &mut Tx) -> anyhow::Result<&mut sqlx::SqliteConnection> {
    tx.sqlite().context("the transaction is not SQLite's")
}
