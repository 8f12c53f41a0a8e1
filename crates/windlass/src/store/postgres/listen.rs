//! Hearing that queues may have work: one connection that listens, for ever.
//!
//! Whatever was said while it was away is lost, so each reconnect wakes everyone. A probe after each
//! connect tells whether notifications arrive at all: behind a pooler of transactions they do not,
//! and then polling alone does the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::Rng as _;
use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;

use super::{Error, sql};
use crate::db::PgConnector;
use crate::store::{Wake, Waker};

const CHANNEL: &str = "windlass";

/// A payload that is no queue: no queue's name is empty.
const PROBE: &str = "";

/// How long a probe may take, and connecting.
const PATIENCE: Duration = Duration::from_secs(5);

/// A silent connection is probed so often.
const SILENCE: Duration = Duration::from_secs(30);

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Ears {
    pub(super) connector: PgConnector,
    pub(super) waker: Waker,
    /// Whether notifications are known to arrive.
    pub(super) hears: Arc<AtomicBool>,
}

impl Ears {
    /// Listens until the store is dropped.
    pub(super) async fn run(self, stopped: CancellationToken) {
        let listen = async {
            let mut pause = SHORTEST_PAUSE;
            let mut told = false;
            loop {
                let heard = self.listen(&mut told, &mut pause).await;
                self.hears.store(false, Ordering::Relaxed);
                if let Err(error) = heard
                    && !std::mem::replace(&mut told, true)
                {
                    tracing::warn!(%error, "wake-ups do not arrive; polling until they do");
                }
                let jitter = rand::rng().random_range(0.5..1.0);
                tokio::time::sleep(pause.mul_f64(jitter)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        tokio::select! {
            () = stopped.cancelled() => {}
            () = listen => {}
        }
    }

    /// Connects and passes on what it hears, until the connection fails.
    async fn listen(&self, told: &mut bool, pause: &mut Duration) -> Result<(), Error> {
        let mut listener = within(PATIENCE, async {
            // A pool for each attempt: the last one may wait for a dead connection for long.
            let pool = self.connector.clone().pool(1, PATIENCE);
            let mut listener = PgListener::connect_with(pool.pool()).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok(listener)
        })
        .await?;
        probe(&mut listener).await?;
        self.hears.store(true, Ordering::Relaxed);
        if std::mem::take(told) {
            tracing::info!("wake-ups arrive again");
        }
        *pause = SHORTEST_PAUSE;
        self.waker.send(Wake::All);
        loop {
            match tokio::time::timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(said))) if said.payload() == PROBE => {}
                Ok(Ok(Some(said))) => self.waker.send(Wake::Queue(said.payload().into())),
                Ok(Ok(None)) => return Err(sqlx::Error::PoolClosed.into()),
                Ok(Err(error)) => return Err(error.into()),
                Err(_silence) => probe(&mut listener).await?,
            }
            while let Some(said) = listener.next_buffered() {
                self.waker.send(Wake::Queue(said.payload().into()));
            }
        }
    }
}

/// Says something to itself and waits to hear it.
async fn probe(listener: &mut PgListener) -> Result<(), Error> {
    within(PATIENCE, async {
        sqlx::query(sql::NOTIFY)
            .bind(vec![PROBE])
            .execute(&mut *listener)
            .await?;
        while let Some(said) = listener.try_recv().await? {
            if said.payload() == PROBE {
                return Ok(());
            }
        }
        Err(sqlx::Error::PoolClosed)
    })
    .await
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(patience, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Error::timeout(patience)),
    }
}
