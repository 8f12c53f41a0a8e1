use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use apalis_core::backend::codec::Codec;
use apalis_core::backend::{TaskSink, TaskSinkError};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use futures_util::{FutureExt, Sink, Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::finalize::Checked;
use super::{Error, WindlassBackend, tasks};
use crate::engine::client::{Client, EnqueueError};
use crate::model::{Json, NewJob};

/// Most tasks written at once.
const BATCH: usize = 1000;
/// Between two tries while the store is away.
const PAUSE: Duration = Duration::from_millis(200);

/// Tasks that were pushed and are not durable yet.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    jobs: Vec<NewJob>,
    writing: Option<JoinHandle<Result<(), EnqueueError>>>,
}

/// Writes jobs, all or none; while the store is away, for as long as there is patience. Their ids are
/// fixed: to repeat it is harmless.
async fn write(client: Client, jobs: Vec<NewJob>, patience: Duration) -> Result<(), EnqueueError> {
    let started = Instant::now();
    loop {
        match client.insert_many(&jobs).await {
            // A task that is there already is what an idempotency key asks for.
            Ok(_) => return Ok(()),
            Err(EnqueueError::Store(error))
                if error.is_transient() && started.elapsed() < patience =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

impl<Args> WindlassBackend<Args> {
    /// Writes everything that was pushed.
    pub(super) fn poll_flush_pushed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if let Some(writing) = &mut self.buffer.writing {
                let written = ready!(writing.poll_unpin(cx));
                self.buffer.writing = None;
                written.map_err(|_| Error::Stopping)??;
            }
            if self.buffer.jobs.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let jobs = std::mem::take(&mut self.buffer.jobs);
            let writing = write(self.client.clone(), jobs, self.options.patience);
            self.buffer.writing = Some(tokio::spawn(writing));
        }
    }
}

impl<Args> Sink<Task<Json>> for WindlassBackend<Args> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.buffer.jobs.len() < BATCH {
            return Poll::Ready(Ok(()));
        }
        self.poll_flush_pushed(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, task: Task<Json>) -> Result<(), Error> {
        let job = tasks::new_job(task, &self.options)?;
        job.validate(&self.client.limits())
            .map_err(EnqueueError::from)?;
        self.buffer.jobs.push(job);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_flush_pushed(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_flush_pushed(cx)
    }
}

impl<Args: Serialize + DeserializeOwned> WindlassBackend<Args> {
    /// Takes a task into the buffer, under the key that [`WindlassBackend::unique_by`] gives it.
    fn take(&mut self, task: Task<Args>) -> Result<(), TaskSinkError<Error>> {
        let key = match &self.identify {
            Some(identify) if task.idempotency_key().is_none() => identify(&task.args),
            _ => None,
        };
        let codec = self.codec;
        let task = task
            .try_map_args(|args| codec.encode(&args))
            .map_err(|error| TaskSinkError::CodecError(error.into()))?;
        let task = match key {
            Some(key) => task.into_builder().idempotency_key(key).build(),
            None => task,
        };
        Ok(Sink::start_send(Pin::new(self), task)?)
    }

    async fn flush_pushed(&mut self) -> Result<(), TaskSinkError<Error>> {
        Ok(std::future::poll_fn(|cx| self.poll_flush_pushed(cx)).await?)
    }
}

impl<Args: Serialize + DeserializeOwned + Send> TaskSink<Args, Checked> for WindlassBackend<Args> {
    fn start_send(self: Pin<&mut Self>, task: Task<Args>) -> Result<(), TaskSinkError<Error>> {
        self.get_mut().take(task)
    }

    fn poll_ready(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TaskSinkError<Error>>> {
        Sink::poll_ready(self, cx).map_err(TaskSinkError::PushError)
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TaskSinkError<Error>>> {
        Sink::poll_flush(self, cx).map_err(TaskSinkError::PushError)
    }

    fn poll_close(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TaskSinkError<Error>>> {
        Sink::poll_close(self, cx).map_err(TaskSinkError::PushError)
    }

    async fn push(&mut self, args: Args) -> Result<(), TaskSinkError<Error>> {
        self.push_task(Task::new(args)).await
    }

    async fn push_bulk(&mut self, all: Vec<Args>) -> Result<(), TaskSinkError<Error>> {
        self.push_all(futures_util::stream::iter(all.into_iter().map(Task::new)))
            .await
    }

    async fn push_stream(
        &mut self,
        all: impl Stream<Item = Args> + Unpin + Send,
    ) -> Result<(), TaskSinkError<Error>> {
        self.push_all(all.map(|args| TaskBuilder::new(args).build()))
            .await
    }

    async fn push_task(&mut self, task: Task<Args>) -> Result<(), TaskSinkError<Error>> {
        self.take(task)?;
        self.flush_pushed().await
    }

    async fn push_all(
        &mut self,
        all: impl Stream<Item = Task<Args>> + Unpin + Send,
    ) -> Result<(), TaskSinkError<Error>> {
        let mut all = pin!(all);
        while let Some(task) = all.next().await {
            if self.buffer.jobs.len() >= BATCH {
                self.flush_pushed().await?;
            }
            self.take(task)?;
        }
        self.flush_pushed().await
    }
}
