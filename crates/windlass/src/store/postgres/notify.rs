//! Telling other processes that queues may have work.
//!
//! Every NOTIFY takes a lock that all committing notifiers share, so it is kept out of the statements
//! that enqueue: a task sends the names of all queues that were woken meanwhile, at once when it has
//! rested and then every [`REST`] at most.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::lane::{Lane, run};
use super::{Error, Session, sql};

const REST: Duration = Duration::from_millis(2);

#[derive(Debug, Default)]
pub(super) struct Notifier {
    pending: Mutex<BTreeSet<String>>,
    wanted: Notify,
}

impl Notifier {
    /// Has it said soon.
    pub(super) fn tell(&self, queues: &BTreeSet<&str>) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues {
            if !pending.contains(*queue) {
                pending.insert((*queue).to_owned());
            }
        }
        drop(pending);
        self.wanted.notify_one();
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sends what is told until the store is dropped.
pub(super) async fn run(notifier: Arc<Notifier>, lane: Lane, stopped: CancellationToken) {
    loop {
        tokio::select! {
            () = stopped.cancelled() => return,
            () = notifier.wanted.notified() => {}
        }
        let queues = notifier.take();
        let sent = run!(lane, |connection| send(
            connection,
            queues.iter().map(String::as_str)
        )
        .await);
        if let Err(error) = sent {
            // Hints only: whoever misses them polls.
            tracing::debug!(%error, "cannot tell other processes about new jobs");
        }
        tokio::time::sleep(REST).await;
    }
}

/// Tells it now.
async fn send(
    connection: &mut Session<'_>,
    queues: impl Iterator<Item = &str>,
) -> Result<(), Error> {
    let queues: Vec<&str> = queues.collect::<BTreeSet<_>>().into_iter().collect();
    if !queues.is_empty() {
        sqlx::query(sql::NOTIFY)
            .bind(queues)
            .execute(connection)
            .await?;
    }
    Ok(())
}
