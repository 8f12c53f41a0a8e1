//! At home in apalis: a [`Store`] under stock apalis workers.
//!
//! Whoever writes `WorkerBuilder::new(..).backend(..)` gives it a [`WindlassBackend`] and keeps
//! handlers, layers, extractors, monitor, workflows and board as they are. What changes is what a store
//! is asked to promise:
//!
//! - **claims are leases**, kept by a task of its own from the claim to the recorded outcome: a handler
//!   that runs for hours, blocks its thread or waits in a buffer stays its worker's, also while the
//!   worker stops; a crashed worker's tasks run elsewhere within one and a half lease;
//! - **every end is recorded once, under its fence**, in batches by another task; while the store is away
//!   outcomes wait;
//! - **failures back off** by [`BackendOptions::backoff`], written with the task: no slot is held and no
//!   restart forgets it. An `AbortError` is final, a `RetryAfterError` names its own time, a
//!   `DeferredError` uses no attempt, a panic is a failed attempt and ends no worker;
//! - **args that do not decode** end their own task, not the worker;
//! - **the store may go away for any time**: nothing is polled to an error, claiming goes on by itself;
//! - **a stopping or paused worker hands back** what it had claimed and not started, at once;
//! - what a step of a flow pushes is pushed **once**, however often the step is repeated (see [`Id`]);
//! - rescue, retention and upkeep run in whichever process leads, as in an [`Engine`](super::Engine).
//!
//! ```
//! use std::sync::Arc;
//! use apalis_core::backend::TaskSink;
//! use apalis_core::worker::{builder::WorkerBuilder, context::WorkerContext};
//! use windlass::apalis::WindlassBackend;
//! use windlass::store::memory::MemoryStore;
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Greet { name: String }
//!
//! async fn greet(task: Greet, worker: WorkerContext) -> Result<String, std::io::Error> {
//!     worker.stop().map_err(std::io::Error::other)?;
//!     Ok(format!("Hello, {}!", task.name))
//! }
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let mut backend = WindlassBackend::new(Arc::new(MemoryStore::default()), "greetings")?;
//! backend.push(Greet { name: "Ada".into() }).await?;
//! WorkerBuilder::new("greeter").backend(backend).build(greet).run().await?;
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! # }).unwrap();
//! ```
//!
//! A task's metadata is stored with its args (see [`Stored`]); its idempotency key becomes a unique key,
//! which is held for [`BackendOptions::unique_for`]; its id, if it is no UUID, becomes the UUID that
//! `TaskId::to_uuid` makes of it, by which it is also found. A queue belongs to one kind of task: give
//! each its own, as apalis does.

mod admin;
mod consumer;
mod driver;
mod finalize;
mod ids;
mod options;
mod record;
mod sink;
mod tasks;
mod wait;

use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use apalis_core::backend::codec::Codec;
use apalis_core::backend::{Backend, BackendConfig, WireFormatBackend};
use apalis_core::task::Task;
use apalis_core::worker::context::WorkerContext;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::consumer::Consumer;
use self::sink::Buffer;
use super::client::{Client, EnqueueError};
use super::runtime::InvalidOptions;
use crate::model::{InvalidJson, JobId, Json, State};
use crate::store::{self, Store};

pub use self::finalize::{Checked, Decoded};
pub use self::ids::Id;
pub use self::options::BackendOptions;
pub use self::record::{Claimed, RecordLayer, RecordService};
pub use self::tasks::Stored;

/// What names a task by its args, so that pushing it again is harmless.
type Identify<Args> = Arc<dyn Fn(&Args) -> Option<String> + Send + Sync>;

/// A queue of a [`Store`] as apalis sees it. Cheap to clone; a clone pushes and reads, and claims nothing
/// until a worker polls it.
pub struct WindlassBackend<Args> {
    client: Client,
    options: Arc<BackendOptions>,
    identify: Option<Identify<Args>>,
    consumer: Option<Consumer>,
    buffer: Buffer,
    codec: JsonCodec,
    args: PhantomData<fn() -> Args>,
}

impl<Args> WindlassBackend<Args> {
    /// A queue with default options, over a store whose schema is in place (see [`Store::migrate`]).
    pub fn new(store: Arc<dyn Store>, queue: &str) -> Result<Self, InvalidOptions> {
        Self::with_options(store, BackendOptions::new(queue))
    }

    /// A queue with options of its own.
    pub fn with_options(
        store: Arc<dyn Store>,
        options: BackendOptions,
    ) -> Result<Self, InvalidOptions> {
        options.validate()?;
        Ok(Self {
            client: Client::new(store),
            options: Arc::new(options),
            identify: None,
            consumer: None,
            buffer: Buffer::default(),
            codec: JsonCodec,
            args: PhantomData,
        })
    }

    /// Gives tasks that are pushed as args, without an idempotency key of their own, the one that this
    /// makes of them. With the time of a tick in it, any number of processes may pipe the same
    /// apalis-cron schedule into one queue: each tick becomes one task.
    #[must_use]
    pub fn unique_by(
        mut self,
        identify: impl Fn(&Args) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.identify = Some(Arc::new(identify));
        self
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.client.store()
    }

    fn consumer(&mut self, worker: &WorkerContext) -> &mut Consumer {
        let (client, options) = (&self.client, &self.options);
        self.consumer
            .get_or_insert_with(|| Consumer::new(client, options, worker))
    }
}

impl<Args> Clone for WindlassBackend<Args> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            options: Arc::clone(&self.options),
            identify: self.identify.clone(),
            consumer: None,
            buffer: Buffer::default(),
            codec: JsonCodec,
            args: PhantomData,
        }
    }
}

impl<Args> std::fmt::Debug for WindlassBackend<Args> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindlassBackend")
            .field("store", &self.store().name())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What a backend could not do. Polling for tasks never fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A task was not pushed; says which field is at fault, or that the store did not do it.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A task to be changed has no id.
    #[error("task_id: is missing; only a task that was fetched can be changed")]
    MissingId,
    /// There is no such task in this queue.
    #[error("there is no task {0} in this queue")]
    NotFound(JobId),
    /// The task's state does not allow it.
    #[error("task {0} is {1}; that cannot be changed")]
    Refused(JobId, State),
    /// Another task holds its idempotency key.
    #[error("task {0} cannot return: task {1} holds its idempotency key")]
    Held(JobId, JobId),
    /// The process that wrote tasks was stopped.
    #[error("the runtime is stopping")]
    Stopping,
}

impl<Args> Backend for WindlassBackend<Args> {
    type Task = Task<Json>;
    type Error = Error;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Result<(), Error>> {
        self.consumer(worker).start();
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Error>>> {
        let claimed = self.consumer(worker).poll_next(cx);
        claimed.map(|claimed| Some(Ok(tasks::claimed(&claimed))))
    }

    /// Hands back what was not started and writes down what has ended; then what was pushed and not yet
    /// flushed.
    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Error>> {
        let closed = self
            .consumer
            .as_mut()
            .map_or(Poll::Ready(()), |c| c.poll_close(cx));
        let flushed = self.poll_flush_pushed(cx);
        match (closed, flushed) {
            (Poll::Ready(()), Poll::Ready(result)) => Poll::Ready(result),
            _ => Poll::Pending,
        }
    }
}

impl<Args> BackendConfig for WindlassBackend<Args> {
    type Args = Args;
    type Id = Id;
    type Kind = Checked;
    type Config = BackendOptions;
    type Layer = RecordLayer;

    fn config(&self) -> &BackendOptions {
        &self.options
    }

    fn middleware(&mut self, worker: &mut WorkerContext) -> RecordLayer {
        self.consumer(worker).record_layer()
    }
}

impl<Args> WireFormatBackend for WindlassBackend<Args> {
    type Codec = JsonCodec;
    type Compact = Json;

    fn codec(&self) -> &JsonCodec {
        &self.codec
    }
}

/// Args as [`Json`], kept to the letter.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonCodec;

/// Why args could not be written or read. Says where, never what stands there.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The value cannot be written as JSON.
    #[error(transparent)]
    Encode(#[from] InvalidJson),
    /// The text is not of the type that was asked for.
    #[error(
        "args do not decode: a value at line {line}, column {column} has the wrong type or form"
    )]
    Decode {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
}

impl<T: Serialize + DeserializeOwned> Codec<T> for JsonCodec {
    type Error = CodecError;
    type Compact = Json;

    fn encode(&self, value: &T) -> Result<Json, CodecError> {
        Ok(Json::encode(value)?)
    }

    fn decode(&self, json: &Json) -> Result<T, CodecError> {
        json.decode().map_err(|error| CodecError::Decode {
            line: error.line(),
            column: error.column(),
        })
    }
}
