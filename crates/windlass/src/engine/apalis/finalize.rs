use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use apalis_core::backend::codec::Codec;
use apalis_core::backend::finalize::{DurableError, FinalizeBackend};
use apalis_core::backend::{Backend, BackendConfig, WireFormatBackend};
use apalis_core::task::Task;
use apalis_core::worker::context::WorkerContext;
use futures_util::Sink;

use super::record::Claimed;

/// The kind of a [`WindlassBackend`](super::WindlassBackend): durable, and a task whose args do not decode
/// is set aside with the reason. (apalis' own `Durable` ends the worker with it.)
#[derive(Debug, Clone, Copy, Default)]
pub struct Checked;

impl<B, Args> FinalizeBackend<B, Args> for Checked {
    type Backend = Decoded<B, Args>;

    fn finalize(current: B) -> Self::Backend {
        Decoded {
            backend: current,
            args: PhantomData,
        }
    }
}

/// A backend whose tasks have been decoded.
#[derive(Debug)]
pub struct Decoded<B, Args> {
    backend: B,
    args: PhantomData<fn() -> Args>,
}

impl<B: Clone, Args> Clone for Decoded<B, Args> {
    fn clone(&self) -> Self {
        Checked::finalize(self.backend.clone())
    }
}

impl<B, Args> Backend for Decoded<B, Args>
where
    B: Backend<Task = Task<B::Compact>> + WireFormatBackend,
    B::Codec: Codec<Args, Compact = B::Compact>,
    <B::Codec as Codec<Args>>::Error: std::error::Error + Send + Sync + 'static,
{
    type Task = Task<Args>;
    type Error = DurableError<B::Error, <B::Codec as Codec<Args>>::Error>;

    fn poll_ready(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Result<(), Self::Error>> {
        let polled = self.backend.poll_ready(cx, worker);
        polled.map_err(DurableError::PollNextError)
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Self::Error>>> {
        loop {
            let task = match std::task::ready!(self.backend.poll_next(cx, worker)) {
                Some(Ok(task)) => task,
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(DurableError::PollNextError(error))));
                }
                None => return Poll::Ready(None),
            };
            let claimed = task.data().get::<Claimed>().cloned();
            match task.try_map_args(|args| self.backend.codec().decode(&args)) {
                Ok(task) => return Poll::Ready(Some(Ok(task))),
                Err(error) => match claimed {
                    Some(claimed) => claimed.set_aside(&error),
                    None => return Poll::Ready(Some(Err(DurableError::CodecError(error)))),
                },
            }
        }
    }

    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Result<(), Self::Error>> {
        let polled = self.backend.poll_close(cx, worker);
        polled.map_err(DurableError::PollNextError)
    }
}

impl<B: WireFormatBackend, Args> WireFormatBackend for Decoded<B, Args> {
    type Compact = B::Compact;
    type Codec = B::Codec;

    fn codec(&self) -> &B::Codec {
        self.backend.codec()
    }
}

impl<B: BackendConfig, Args> BackendConfig for Decoded<B, Args> {
    type Id = B::Id;
    type Args = Args;
    type Kind = Checked;
    type Config = B::Config;
    type Layer = B::Layer;

    fn config(&self) -> &B::Config {
        self.backend.config()
    }

    fn middleware(&mut self, worker: &mut WorkerContext) -> B::Layer {
        self.backend.middleware(worker)
    }
}

impl<B, Args, Item> Sink<Item> for Decoded<B, Args>
where
    B: Sink<Item> + Unpin,
{
    type Error = B::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), B::Error>> {
        Pin::new(&mut self.backend).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: Item) -> Result<(), B::Error> {
        Pin::new(&mut self.backend).start_send(item)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), B::Error>> {
        Pin::new(&mut self.backend).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), B::Error>> {
        Pin::new(&mut self.backend).poll_close(cx)
    }
}
