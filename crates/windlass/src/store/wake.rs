use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

/// A hint that something may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// Jobs may be due in this queue.
    Queue(Arc<str>),
    /// Anything may have changed: after a reconnect, or when hints were dropped.
    All,
}

/// Sends hints to everyone in this process.
#[derive(Debug, Clone)]
pub struct Waker(broadcast::Sender<Wake>);

/// Receives hints.
#[derive(Debug)]
pub struct WakeReceiver(broadcast::Receiver<Wake>);

impl Default for Waker {
    fn default() -> Self {
        Self(broadcast::channel(256).0)
    }
}

impl Waker {
    /// Tells everyone who listens now.
    pub fn send(&self, wake: Wake) {
        // An error means that nobody listens, which is nobody's loss.
        drop(self.0.send(wake));
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> WakeReceiver {
        WakeReceiver(self.0.subscribe())
    }
}

impl WakeReceiver {
    /// The next hint. Hints that were dropped because nobody read them become one [`Wake::All`].
    pub async fn recv(&mut self) -> Wake {
        match self.0.recv().await {
            Ok(wake) => wake,
            Err(broadcast::error::RecvError::Lagged(_)) => Wake::All,
            // The store is gone; there will never be another hint.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }

    /// The next hint for this queue, or the end of the wait. `true` if it was a hint.
    pub async fn wait(&mut self, queue: &str, at_most: Duration) -> bool {
        let hint = async {
            loop {
                match self.recv().await {
                    Wake::Queue(name) if *name != *queue => {}
                    _ => break,
                }
            }
        };
        tokio::time::timeout(at_most, hint).await.is_ok()
    }
}
