//! How far a job got, kept for the attempt after this one.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::{Context, ContextError, kept};
use super::sealing::Content;
use crate::db;
use crate::model::Json;

impl<S: Sync> Context<S> {
    /// What the last [`Context::checkpoint`] of an earlier attempt said; `None` on a fresh start.
    ///
    /// A job that runs long goes on from here after a crash, a deploy, a snooze or a failed attempt,
    /// rather than from the beginning:
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use windlass::{Context, Job, Outcome};
    /// #[derive(Serialize, Deserialize)]
    /// struct Reindex { pages: u32 }
    ///
    /// impl Job for Reindex {
    ///     const KIND: &'static str = "reindex";
    ///     type Services = ();
    ///
    ///     async fn run(self, cx: Context<()>) -> anyhow::Result<Outcome> {
    ///         let first = cx.resume::<u32>()?.unwrap_or(0);
    ///         for page in first..self.pages {
    ///             // .. index the page ..
    ///             cx.checkpoint(&(page + 1)).await?;
    ///         }
    ///         Ok(Outcome::complete())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ContextError::Decode`] if it was written as another type, by an older program perhaps.
    pub fn resume<T: DeserializeOwned>(&self) -> Result<Option<T>, ContextError> {
        let checkpoint = self.job().checkpoint.as_ref();
        let Some(stored) = checkpoint else {
            return Ok(None);
        };
        let opened = self.attempt.open(Content::Checkpoint, stored)?;
        let decoded = opened.as_ref().unwrap_or(stored).decode();
        decoded.map_err(|error| ContextError::decode("the checkpoint", &error))
    }

    /// Notes how far the job got; durable when this returns. Each note takes the place of the one
    /// before. It is kept however this attempt ends, until the job has finished.
    ///
    /// # Errors
    /// [`ContextError::LeaseLost`] if the job is run elsewhere by now: stop.
    pub async fn checkpoint<T: Serialize + Sync + ?Sized>(
        &self,
        checkpoint: &T,
    ) -> Result<(), ContextError> {
        let checkpoint = Json::encode(checkpoint)?;
        let checkpoint = self.attempt.seal(Content::Checkpoint, checkpoint)?;
        let lease = self.job().lease();
        kept(self.store().checkpoint(lease, &checkpoint).await?)
    }

    /// The same within a transaction of the job's own: the work that the transaction holds and the
    /// note of it become durable together, so that each part of the work happens exactly once. A lost
    /// lease is told here, before anything is committed.
    ///
    /// # Errors
    /// As [`Context::checkpoint`]; a store without transactions refuses it.
    pub async fn checkpoint_in<T: Serialize + Sync + ?Sized>(
        &self,
        tx: &mut db::Tx,
        checkpoint: &T,
    ) -> Result<(), ContextError> {
        let checkpoint = Json::encode(checkpoint)?;
        let checkpoint = self.attempt.seal(Content::Checkpoint, checkpoint)?;
        let lease = self.job().lease();
        kept(self.store().checkpoint_in(tx, lease, &checkpoint).await?)
    }
}
