//! Takes connections in, and lets them go when the program stops.
//!
//! Own code because `axum::serve` sets no time-out for reading a request's head: whoever sends one letter a
//! minute holds a connection for ever, and enough of them hold them all.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::ServerOptions;
use crate::telemetry::Outage;

/// How long to wait when the system gives no more connections, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop`; then for `drain_ms` more, in which readiness says no already; then finishes what it
/// has begun.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    options: &ServerOptions,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(options.header_timeout_ms));
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(options.max_connections));
    let mut outage = Outage::new("new connections");
    let mut tasks = JoinSet::new();
    let mut closing = pin!(async {
        stop.cancelled().await;
        tokio::time::sleep(Duration::from_millis(options.drain_ms)).await;
    });
    loop {
        // Before the next one is taken in: whoever is too many waits in the system's queue.
        let next = async {
            let place = room.clone().acquire_owned().await;
            (place, accept(&listener, &mut outage).await)
        };
        let (place, (stream, peer)) = tokio::select! {
            () = &mut closing => break,
            next = next => next,
        };
        let app = app.clone();
        let service = service_fn(move |request| answer(app.clone(), request, peer));
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tasks.spawn(async move {
            // How a client's connection ends concerns only that client.
            drop(connection.await);
            drop(place);
        });
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    // A request takes no longer than this, and whoever reads its answer more slowly is cut off.
    let patience = Duration::from_millis(options.request_timeout_ms);
    if tokio::time::timeout(patience, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = tasks.len(),
            "cut off: they did not end in time"
        );
    }
    Ok(())
}

async fn accept(listener: &TcpListener, outage: &mut Outage) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                outage.worked();
                // Answers are written whole, so there is nothing to gather.
                drop(stream.set_nodelay(true));
                return (stream, peer);
            }
            // It was gone before it was taken in.
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                outage.failed(&error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn answer(
    mut app: Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    // A router is always ready.
    app.call(request).await
}
