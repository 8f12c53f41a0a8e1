//! Leadership: an optimisation, so that maintenance is not done by everyone at once. Nothing that
//! must be right depends on there being only one leader.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Elect, Error, Store};
use crate::telemetry;

/// One process' wish to lead.
#[derive(Debug)]
pub(super) struct Leader {
    role: &'static str,
    holder: String,
    term: Duration,
    leads_until: Option<Instant>,
}

impl Leader {
    pub(super) const fn new(role: &'static str, holder: String, term: Duration) -> Self {
        Self {
            role,
            holder,
            term,
            leads_until: None,
        }
    }

    /// Whether this process leads now; asks the store when a third of the term has passed.
    pub(super) async fn leads(&mut self, store: &dyn Store) -> Result<bool, Error> {
        let asked = Instant::now();
        if self
            .leads_until
            .is_some_and(|until| asked + self.term * 2 / 3 < until)
        {
            return Ok(true);
        }
        let elect = Elect {
            role: self.role,
            holder: &self.holder,
            term: self.term,
            now: None,
        };
        let leads = store.elect(elect).await?;
        if leads != self.leads_until.is_some() {
            telemetry::led(self.role, leads);
        }
        // Counted from before the question: never longer than the store's own count.
        self.leads_until = leads.then_some(asked + self.term);
        Ok(leads)
    }

    /// Lets the next one lead at once.
    pub(super) async fn resign(self, store: &dyn Store) -> Result<(), Error> {
        if self.leads_until.is_some() {
            store.resign(self.role, &self.holder).await?;
        }
        Ok(())
    }
}
