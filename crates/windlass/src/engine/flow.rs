//! Flows and signals, for those who start them, look after them, and run in them.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{Client, EnqueueError};
use super::context::{Context, ContextError};
use super::job::Outcome;
use super::sealing::Content;
use crate::db;
use crate::model::{
    End, FlowFilter, FlowId, FlowRecord, InvalidFlow, InvalidJob, JobId, Json, NewFlow, NewJob,
    Parent, StepRecord,
};
use crate::store::{self, Changed, FlowChanged, Started};
use crate::telemetry;

/// Why a flow was not started. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The flow is at fault; it says where, and what would be right.
    #[error(transparent)]
    Invalid(#[from] InvalidFlow),
    /// A step's args cannot be stored as its kind wants them.
    #[error(transparent)]
    Args(#[from] EnqueueError),
    /// The store did not do it. It may have: start the same flow, with its id, again.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Why a signal was not left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// The name or the payload is at fault.
    #[error(transparent)]
    Invalid(#[from] InvalidJob),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Client {
    /// Starts a flow: when this returns, it and all its jobs are durable. To start one with the same
    /// id again is harmless.
    ///
    /// ```
    /// use windlass::model::NewFlow;
    /// # use serde::{Deserialize, Serialize};
    /// # use windlass::{Context, Job, Outcome, Registry, testing};
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Fetch {}
    /// # impl Job for Fetch {
    /// #     const KIND: &'static str = "fetch";
    /// #     type Services = ();
    /// #     async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> { Ok(Outcome::complete()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyhow::Result<()> {
    /// # let registry = Registry::new(()).register::<Fetch>();
    /// # let client = testing::client(&registry);
    /// let flow = NewFlow::new("import")
    ///     .step("customers", client.prepare(&Fetch {})?)
    ///     .step("orders", client.prepare(&Fetch {})?)
    ///     .step("totals", client.prepare(&Fetch {})?).after(["customers", "orders"]);
    /// client.start(&flow).await?;
    /// # testing::drain(&client, registry).await?;
    /// # assert_eq!(client.flow(flow.id, None).await?.unwrap().completed, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StartError::Invalid`] names what is wrong: a cycle, an unknown parent, a name given twice.
    pub async fn start(&self, flow: &NewFlow) -> Result<Started, StartError> {
        let flow = self.ready(flow)?;
        let started = self.store().start(&flow, None).await?;
        telemetry::flow_started(&flow, started);
        Ok(started)
    }

    /// Starts a flow within the caller's transaction: both happen, or neither.
    ///
    /// # Errors
    /// As [`Client::start`].
    pub async fn start_in(&self, tx: &mut db::Tx, flow: &NewFlow) -> Result<Started, StartError> {
        let flow = self.ready(flow)?;
        let started = self.store().start_in(tx, &flow, None).await?;
        telemetry::flow_started(&flow, started);
        Ok(started)
    }

    fn ready(&self, flow: &NewFlow) -> Result<NewFlow, StartError> {
        flow.validate(&self.limits())?;
        let mut flow = flow.clone();
        if flow.correlation_id.is_none() {
            flow.correlation_id = telemetry::Cause::current().correlation_id;
        }
        flow.hand_down();
        for step in &mut flow.steps {
            let empty = NewJob::new(String::new(), Json::empty_object());
            step.job = self.stored(std::mem::replace(&mut step.job, empty))?;
        }
        Ok(flow)
    }

    /// One flow.
    pub async fn flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
    ) -> Result<Option<FlowRecord>, store::Error> {
        self.store().flow(id, tenant).await
    }

    /// Up to `limit` (1 to 1000) flows that match, newest first, older than `before`.
    pub async fn flows(
        &self,
        filter: &FlowFilter,
        before: Option<FlowId>,
        limit: u32,
    ) -> Result<Vec<FlowRecord>, store::Error> {
        self.store().flows(filter, before, limit).await
    }

    /// Up to `limit` (1 to 1000) steps of a flow by their place, from place `from` on.
    pub async fn steps(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        from: u32,
        limit: u32,
    ) -> Result<Vec<StepRecord>, store::Error> {
        self.store().steps(id, tenant, from, limit, None).await
    }

    /// Cancels every step that has not ended, or asks it to stop if it runs.
    pub async fn cancel_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
    ) -> Result<FlowChanged, store::Error> {
        let changed = self.store().cancel_flow(id, tenant, None).await?;
        telemetry::flow_operated("cancel", id, &changed);
        Ok(changed)
    }

    /// Runs steps again, with all their attempts: without `from` those that failed and what was
    /// skipped because of them; with it that step and everything after it.
    pub async fn retry_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        from: Option<&str>,
    ) -> Result<FlowChanged, store::Error> {
        let changed = self.store().retry_flow(id, tenant, from, None).await?;
        telemetry::flow_operated("retry", id, &changed);
        Ok(changed)
    }

    /// Leaves a message for an unfinished job, and wakes it if it waits for one of this name. A message
    /// left before the job waits is kept for it; a later one takes the place of an earlier one.
    pub async fn signal<T: Serialize + Sync + ?Sized>(
        &self,
        job: JobId,
        tenant: Option<&str>,
        name: &str,
        payload: &T,
    ) -> Result<Changed, SignalError> {
        let payload = Json::encode(payload).map_err(InvalidJob::from)?;
        self.signal_raw(job, tenant, name, &payload).await
    }

    /// The same for a payload that comes as text.
    pub async fn signal_raw(
        &self,
        job: JobId,
        tenant: Option<&str>,
        name: &str,
        payload: &Json,
    ) -> Result<Changed, SignalError> {
        crate::model::validate_signal(name, payload, self.limits())?;
        let changed = self
            .store()
            .signal(job, tenant, name, payload, None)
            .await?;
        telemetry::operated("signal", job, changed);
        Ok(changed)
    }
}

/// A signal as a job sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Awaited<T> {
    /// It came, with this.
    Came(T),
    /// It has not come, and the job has not waited for it.
    NotYet,
    /// The job has waited for it in vain.
    TimedOut,
}

/// What came of the steps that a step waited for.
#[derive(Debug, Clone)]
pub struct Parents(Vec<Parent>);

impl Parents {
    /// All of them, in the order of the flow.
    pub fn iter(&self) -> impl Iterator<Item = &Parent> {
        self.0.iter()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none: the job is no step, or a first one.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Parent> {
        self.0.iter().find(|parent| parent.name == name)
    }

    /// What one of them recorded; `None` if there is no such parent or it recorded nothing.
    ///
    /// # Errors
    /// [`ContextError::Decode`] if it recorded something else.
    pub fn result<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ContextError> {
        self.get(name).map_or(Ok(None), result)
    }

    /// What those of them recorded that completed.
    ///
    /// # Errors
    /// [`ContextError::Decode`] if one recorded something else.
    pub fn results<T: DeserializeOwned>(&self) -> Result<Vec<T>, ContextError> {
        self.0
            .iter()
            .filter(|parent| parent.ended_as == Some(End::Completed))
            .filter_map(|parent| result(parent).transpose())
            .collect()
    }
}

fn result<T: DeserializeOwned>(parent: &Parent) -> Result<Option<T>, ContextError> {
    let decoded = parent.result.as_ref().map(Json::decode).transpose();
    decoded.map_err(|error| ContextError::decode("a parent's result", &error))
}

impl<S: Sync> Context<S> {
    /// The steps of its flow that this one waited for: how they ended and what they recorded.
    ///
    /// # Errors
    /// [`ContextError::Store`] if the store cannot be asked.
    pub async fn parents(&self) -> Result<Parents, ContextError> {
        let mut parents = self.store().parents(self.job().id).await?;
        for parent in &mut parents {
            if let Some(stored) = &parent.result {
                let opened = self
                    .attempt
                    .open_of(Content::Result, &parent.kind, stored)?;
                parent.result = opened.or_else(|| parent.result.take());
            }
        }
        Ok(Parents(parents))
    }

    /// What one parent recorded; `None` if there is no such parent or it recorded nothing.
    ///
    /// # Errors
    /// As [`Context::parents`], and if it recorded something else.
    pub async fn parent<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ContextError> {
        self.parents().await?.result(name)
    }

    /// Looks for a message that was left for this job with [`Client::signal`]. To wait for one, return
    /// [`Outcome::await_signal`]: that gives back the slot, and the job runs again once it has come.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde::{Deserialize, Serialize};
    /// # use windlass::{Awaited, Context, Job, Outcome};
    /// #[derive(Serialize, Deserialize)]
    /// struct Refund {}
    ///
    /// impl Job for Refund {
    ///     const KIND: &'static str = "refund";
    ///     type Services = ();
    ///
    ///     async fn run(self, cx: Context<()>) -> anyhow::Result<Outcome> {
    ///         match cx.signal::<bool>("approved").await? {
    ///             Awaited::Came(true) => Ok(Outcome::complete()),
    ///             Awaited::Came(false) => Ok(Outcome::cancel("refused")),
    ///             Awaited::TimedOut => Ok(Outcome::cancel("nobody answered")),
    ///             Awaited::NotYet => Ok(Outcome::await_signal("approved", Duration::from_hours(24))),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ContextError::Decode`] if something else was left.
    pub async fn signal<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Awaited<T>, ContextError> {
        let signal = self.store().signalled(self.job().id, name).await?;
        match (signal.payload, signal.awaited_until) {
            (Some(payload), _) => {
                let payload = payload.decode();
                let came = payload.map_err(|error| ContextError::decode("the signal", &error))?;
                Ok(Awaited::Came(came))
            }
            // Claimed when the wait was over: by the store's clock, as the wait was set.
            (None, Some(until)) if until <= self.now() => Ok(Awaited::TimedOut),
            (None, _) => Ok(Awaited::NotYet),
        }
    }
}

impl Outcome {
    /// Run again once a signal of this name has come, or after this long; uses no attempt and holds no
    /// slot meanwhile. One that came before is found at once.
    pub fn await_signal(name: impl Into<String>, at_most: Duration) -> Self {
        Self::AwaitSignal {
            name: name.into(),
            at_most,
        }
    }
}
