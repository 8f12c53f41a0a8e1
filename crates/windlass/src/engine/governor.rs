//! Which way a queue is claimed: freely, or by limits and turns, as operators have it just now.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::control::ControlState;
use crate::model::Allotter;
use crate::store::{Error, Store};

/// How long another process may take to hear of a change.
const SETTLES: Duration = Duration::from_secs(5);
/// Jobs handed back by one statement.
const AT_ONCE: u32 = 1000;

#[derive(Debug)]
pub(super) struct Governor {
    queue: String,
    control: watch::Receiver<Option<Arc<ControlState>>>,
    allotter: Option<Allotter>,
    /// The queue was governed until lately: its jobs are being handed back, at least until then.
    handing_back: Option<Instant>,
}

impl Governor {
    pub(super) const fn new(
        queue: String,
        control: watch::Receiver<Option<Arc<ControlState>>>,
    ) -> Self {
        Self {
            queue,
            control,
            allotter: None,
            handing_back: None,
        }
    }

    /// Takes over what operators have changed; `true` if that concerns this queue.
    pub(super) fn follow(&mut self) -> bool {
        if !self.control.has_changed().unwrap_or(false) {
            return false;
        }
        let state = self.control.borrow_and_update().clone();
        let rules = state.and_then(|state| state.rules(&self.queue));
        match (rules, &mut self.allotter) {
            (Some(rules), Some(allotter)) => {
                let other = rules != *allotter.rules();
                if other {
                    allotter.change(rules);
                }
                other
            }
            (Some(rules), none) => {
                *none = Some(Allotter::new(rules));
                self.handing_back = None;
                true
            }
            (None, Some(_)) => {
                self.allotter = None;
                self.handing_back = Some(Instant::now() + SETTLES);
                true
            }
            (None, None) => false,
        }
    }

    /// Waits until operators change something.
    pub(super) async fn changed(&mut self) {
        if self.control.changed().await.is_err() {
            return std::future::pending().await;
        }
        self.control.mark_changed();
    }

    /// Decides over the next claim, if it is not free.
    pub(super) const fn allotter(&mut self) -> Option<&mut Allotter> {
        self.allotter.as_mut()
    }

    /// Whether claims are free.
    pub(super) const fn is_free(&self) -> bool {
        self.allotter.is_none()
    }

    /// Hands jobs back to free claims, if the queue was governed until lately.
    pub(super) async fn hand_back(&mut self, store: &dyn Store) -> Result<(), Error> {
        let Some(until) = self.handing_back else {
            return Ok(());
        };
        let handed_back = store.ungovern(&self.queue, AT_ONCE).await?;
        if handed_back == 0 && Instant::now() >= until {
            self.handing_back = None;
        }
        Ok(())
    }
}
