//! `GET /v1/events`: what finishes, as it does.

mod cursor;
mod feed;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio_util::task::AbortOnDropHandle;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::store;

use super::auth::{Caller, Proof};
use super::jobs::states;
use super::query::{Own, of_tenant};
use super::schema::Guarded;
use super::{ApiState, Problem};
use cursor::EventId;
use feed::{Event, JobFinished, LATE, News};

pub(super) use feed::Feed;

/// Who was away for more than so many events is told to look anew instead.
const MOST_REPLAYED: u32 = 1000;
const LAST_EVENT_ID: &str = "last-event-id";
const RESYNC: Bytes = Bytes::from_static(
    b"event: resync\ndata: {\"reason\":\"events were missed; list what you show anew\"}\n\n",
);
const HEARTBEAT: Bytes = Bytes::from_static(b": still here\n\n");
/// The first words: after how many milliseconds to come back.
const OPENED: Bytes = Bytes::from_static(b"retry: 2000\n\n");

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(listen))
}

/// Which events. Every parameter that is given must match.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    kind: Option<String>,
    queue: Option<String>,
    /// One or more of completed, cancelled and dead, separated by commas.
    #[param(example = "cancelled,dead")]
    state: Option<String>,
    /// Only this tenant's jobs.
    tenant: Option<String>,
}

of_tenant!(Wanted);

/// Tells of jobs that finish, as server-sent events.
///
/// `job.completed`, `job.cancelled` and `job.dead` carry a JobFinished. An event's id names it on every process: a
/// client that comes back with `last-event-id` gets what it missed, and perhaps a few events again. `resync` says
/// that events were missed, because the client was too slow or away for too long: list what you show anew.
/// The stream ends within half a minute of its credential; whoever then comes back with it is refused.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "listenToEvents",
    tag = "events",
    params(
        Wanted,
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that was received")
    ),
    responses(
        (status = 200, description = "Events, until either side has enough", body = JobFinished, content_type = "text/event-stream"),
        Guarded
    )
)]
async fn listen(
    State(state): State<ApiState>,
    Own(wanted): Own<Wanted>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filter = Arc::new(Filter {
        states: states(wanted.state.as_deref())?,
        wanted,
    });
    let last = last_event(&headers)?;
    let place = state.feed.places.clone().try_acquire_owned();
    let place = place.map_err(|_| Problem::too_many_listeners())?;
    let news = state.feed.subscribe().await;
    let missed = match last {
        Some(last) => missed(&state.feed, last, &filter).await?,
        None => Vec::new(),
    };
    let stopped = state.feed.stop.clone().cancelled_owned();
    // In a task of its own: a client that does not read must not keep a look-up half done, and with it the
    // one connection that writes.
    let ended = state.credentials.clone().ended(Proof::of(&headers), caller);
    let ended = AbortOnDropHandle::new(tokio::spawn(ended));
    let frames = stream::iter([OPENED])
        .chain(stream::iter(missed))
        .chain(live(news, filter, place))
        .take_until(stopped)
        .take_until(ended)
        .map(Ok::<_, std::convert::Infallible>);
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    // nginx would keep events back until it has enough of them.
    let unbuffered = [("x-accel-buffering", "no")];
    Ok((headers, unbuffered, Body::from_stream(frames)).into_response())
}

/// What one client wants to hear of.
#[derive(Debug)]
struct Filter {
    states: Vec<windlass::State>,
    wanted: Wanted,
}

impl Filter {
    fn passes(&self, event: &Event) -> bool {
        let Wanted {
            kind,
            queue,
            tenant,
            ..
        } = &self.wanted;
        event.about.belongs_to(tenant.as_deref())
            && event
                .about
                .is(kind.as_deref(), queue.as_deref(), &self.states)
    }
}

fn last_event(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let given = headers.get(LAST_EVENT_ID);
    let text = given.map(|value| value.to_str().unwrap_or_default());
    // A browser that has none yet sends none, others send it empty.
    let text = text.filter(|text| !text.is_empty());
    text.map(str::parse).transpose().map_err(|_| {
        Problem::invalid_parameter(LAST_EVENT_ID, "is not the id of an event; leave it out")
    })
}

/// What finished while a client was away.
async fn missed(feed: &Feed, last: EventId, filter: &Filter) -> Result<Vec<Bytes>, store::Error> {
    let from = last.at.minus(LATE);
    let jobs = feed::since(&feed.client, from, MOST_REPLAYED).await?;
    if jobs.len() > MOST_REPLAYED as usize {
        return Ok(vec![RESYNC]);
    }
    let known = |event: &Event| event.is(last);
    let events = jobs.into_iter().map(Event::new);
    let events = events.filter(|event| filter.passes(event) && !known(event));
    Ok(events.map(|event| event.frame).collect())
}

/// What finishes from now on. Whoever reads too slowly loses events, and is told so.
fn live(
    news: broadcast::Receiver<News>,
    filter: Arc<Filter>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Bytes> {
    stream::unfold((news, filter, place), async |(mut news, filter, place)| {
        loop {
            let frame = match news.recv().await {
                Ok(News::Event(event)) if filter.passes(&event) => event.frame.clone(),
                Ok(News::Event(_)) => continue,
                Ok(News::Heartbeat) => HEARTBEAT,
                Err(RecvError::Lagged(_)) => RESYNC,
                Err(RecvError::Closed) => return None,
            };
            return Some((frame, (news, filter, place)));
        }
    })
}
