//! What outlives an attempt, with the engine running: on the store in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::{Backoff, Context, Job, JobOptions, Outcome, Registry, State, testing};

type Pages = Arc<Mutex<Vec<u32>>>;

/// Stops half-way at its first attempt, and goes on from there at the second.
#[derive(Serialize, Deserialize)]
struct Reindex {
    pages: u32,
}

impl Job for Reindex {
    const KIND: &'static str = "reindex";
    type Services = Pages;

    fn options() -> JobOptions {
        JobOptions {
            backoff: Backoff::constant(Duration::ZERO),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Pages>) -> anyhow::Result<Outcome> {
        let first = cx.resume::<u32>()?.unwrap_or(0);
        for page in first..self.pages {
            anyhow::ensure!(cx.attempt() > 1 || page < self.pages / 2, "half-way");
            cx.services().lock().unwrap().push(page);
            cx.checkpoint(&(page + 1)).await?;
        }
        Ok(Outcome::complete())
    }
}

/// Writes a number and reads a list.
#[derive(Serialize, Deserialize)]
struct Confused {}

impl Job for Confused {
    const KIND: &'static str = "confused";
    type Services = Pages;

    fn options() -> JobOptions {
        JobOptions {
            max_attempts: 2,
            backoff: Backoff::constant(Duration::ZERO),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Pages>) -> anyhow::Result<Outcome> {
        cx.resume::<Vec<u32>>()?;
        cx.checkpoint("secret").await?;
        anyhow::bail!("again")
    }
}

#[tokio::test]
async fn a_long_job_goes_on_where_it_stopped() {
    let pages = Pages::default();
    let registry = Registry::new(Arc::clone(&pages)).register::<Reindex>();
    let client = testing::client(&registry);
    client.enqueue(&Reindex { pages: 10 }).await.unwrap();
    let mut jobs = testing::drain(&client, registry).await.unwrap();
    let job = jobs.remove(0);
    assert_eq!((job.state, job.attempt), (State::Completed, 2));
    assert_eq!(*pages.lock().unwrap(), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_checkpoint_of_another_type_is_an_error_that_does_not_quote_it() {
    let registry = Registry::new(Pages::default()).register::<Confused>();
    let client = testing::client(&registry);
    client.enqueue(&Confused {}).await.unwrap();
    let mut jobs = testing::drain(&client, registry).await.unwrap();
    let job = jobs.remove(0);
    assert_eq!(job.state, State::Dead);
    let error = job.attempts[1].error.as_ref().unwrap();
    assert!(error.message.starts_with("the checkpoint does not decode"));
    assert!(!format!("{error:?}").contains("secret"));
}
