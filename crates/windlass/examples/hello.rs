//! A job that outlives the process: defined, enqueued and run on one SQLite file.
//!
//! ```sh
//! cargo run -p windlass --example hello -- hello.db
//! ```
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use windlass::db::{Sqlite, SqliteOptions};
use windlass::store::sqlite::SqliteStore;
use windlass::{Context, Engine, EngineOptions, Job, Outcome, Registry, State, Store};

#[derive(Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const KIND: &'static str = "greet";
    type Services = ();

    async fn run(self, cx: Context<()>) -> anyhow::Result<Outcome> {
        println!("attempt {}: Hello, {}!", cx.attempt(), self.name);
        Ok(Outcome::complete_with(&self.name.len())?)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "hello.db".to_owned());
    let store = Arc::new(SqliteStore::new(Sqlite::new(
        &file,
        &SqliteOptions::default(),
    )));
    store.migrate().await?;

    let registry = Registry::new(()).register::<Greet>();
    let engine = Engine::new(store, registry, EngineOptions::default())?;
    let client = engine.client();
    let id = client.enqueue(&Greet { name: "Ada".into() }).await?.id();

    let stop = CancellationToken::new();
    let running = tokio::spawn(engine.run(stop.clone()));
    while client
        .get(id, None)
        .await?
        .is_none_or(|job| job.state != State::Completed)
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.cancel();
    running.await?;

    println!("job {id} is kept in {file} for a week");
    Ok(())
}
