//! What one request may take: a place among those under way, and time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};

use super::{ApiState, Problem};
use crate::telemetry;

/// Refuses a request while too many are under way. One more would only make all of them slower, until all
/// are given up; who is refused at once can go elsewhere. Health is always told.
pub(super) async fn shed(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("unmatched", MatchedPath::as_str).to_owned();
    if route.starts_with("/health") || route.starts_with("/api/health") {
        return next.run(request).await;
    }
    let Ok(_place) = state.places.try_acquire() else {
        telemetry::http::shed(&route);
        return Problem::overloaded().into_response();
    };
    next.run(request).await
}

/// Gives a request up that takes too long, and says whose fault it was.
pub(super) async fn time_out(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let (request, arrived) = watched(request);
    tokio::time::timeout(state.request_timeout, next.run(request))
        .await
        .unwrap_or_else(|_| {
            if arrived.load(Ordering::Relaxed) {
                Problem::timed_out().into_response()
            } else {
                Problem::body_too_slow().into_response()
            }
        })
}

/// Tells when the body has arrived whole.
fn watched(request: Request) -> (Request, Arc<AtomicBool>) {
    let arrived = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    if arrived.load(Ordering::Relaxed) {
        return (request, arrived);
    }
    let seen = arrived.clone();
    let request = request.map(|body| {
        let end = stream::poll_fn(move |_| {
            seen.store(true, Ordering::Relaxed);
            Poll::Ready(None)
        });
        Body::from_stream(body.into_data_stream().chain(end))
    });
    (request, arrived)
}
