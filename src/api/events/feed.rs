//! What has happened, read once for each process and told to all who listen.
//!
//! The database is the source, so that it does not matter which process finished a job nor which one a client
//! comes back to. Only while somebody listens is it asked, by one reader.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use windlass::store::{Error, Finished, Since};
use windlass::{Client, JobId, State, Timestamp};

use super::cursor::EventId;
use crate::telemetry::Outage;

/// How many events a client may be behind before it is told to look anew.
const BEHIND: usize = 4096;
/// How long after its time a job may become visible: its transaction may take so long to commit.
pub(super) const LATE: Duration = Duration::from_secs(2);
/// The most that is read at once.
const PAGE: u32 = 1000;

/// A job has finished.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobFinished {
    #[schema(value_type = String, format = Uuid)]
    id: JobId,
    kind: String,
    queue: String,
    #[schema(schema_with = crate::api::schema::state)]
    state: State,
    /// Attempts used.
    attempt: u16,
    tenant_id: Option<String>,
    correlation_id: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    finished_at: Timestamp,
}

/// One event, written once for all who get it.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) about: JobFinished,
    pub(super) frame: Bytes,
}

/// What the reader says.
#[derive(Debug, Clone)]
pub(super) enum News {
    Event(Arc<Event>),
    /// It is there still.
    Heartbeat,
}

impl News {
    fn of(job: Finished) -> Self {
        Self::Event(Arc::new(Event::new(job)))
    }
}

impl Event {
    pub(super) fn new(job: Finished) -> Self {
        let id = EventId::of(&job);
        let about = JobFinished {
            id: job.id,
            kind: job.kind,
            queue: job.queue,
            state: job.state,
            attempt: job.attempt,
            tenant_id: job.tenant_id,
            correlation_id: job.correlation_id,
            finished_at: job.finished_at,
        };
        let data =
            serde_json::to_string(&about).expect("a struct of texts and numbers is always JSON");
        let name = about.state.as_str();
        let frame = format!("id: {id}\nevent: job.{name}\ndata: {data}\n\n");
        Self {
            about,
            frame: frame.into(),
        }
    }

    pub(super) fn is(&self, id: EventId) -> bool {
        self.about.id == id.job && self.about.finished_at == id.at
    }
}

impl JobFinished {
    pub(super) fn is(&self, kind: Option<&str>, queue: Option<&str>, states: &[State]) -> bool {
        kind.is_none_or(|kind| self.kind == kind)
            && queue.is_none_or(|queue| self.queue == queue)
            && (states.is_empty() || states.contains(&self.state))
    }

    pub(super) fn belongs_to(&self, tenant: Option<&str>) -> bool {
        tenant.is_none_or(|tenant| self.tenant_id.as_deref() == Some(tenant))
    }
}

/// The one reader of a process, and the places for those who listen.
#[derive(Debug)]
pub(in crate::api) struct Feed {
    pub(super) client: Client,
    pub(super) places: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
    sender: broadcast::Sender<News>,
    /// Whether everything from now on is told. Its lock also keeps the reader from leaving while somebody
    /// comes.
    reads: watch::Sender<bool>,
    listeners: tokio::sync::Notify,
    started: std::sync::Once,
    pace: Duration,
    heartbeat: Duration,
}

impl Feed {
    pub(in crate::api) fn new(
        client: Client,
        most_clients: usize,
        pace: Duration,
        heartbeat: Duration,
        stop: CancellationToken,
    ) -> Self {
        Self {
            client,
            places: Arc::new(Semaphore::new(most_clients)),
            stop,
            sender: broadcast::channel(BEHIND).0,
            reads: watch::Sender::new(false),
            listeners: tokio::sync::Notify::new(),
            started: std::sync::Once::new(),
            pace,
            heartbeat,
        }
    }

    /// Listens from now on: whatever finishes after this has answered is told.
    pub(super) async fn subscribe(self: &Arc<Self>) -> broadcast::Receiver<News> {
        let receiver = {
            let _nobody_leaves = self.reads.borrow();
            self.sender.subscribe()
        };
        self.started.call_once(|| {
            let (feed, stop) = (self.clone(), self.stop.clone());
            tokio::spawn(async move { stop.run_until_cancelled(feed.run()).await });
        });
        self.listeners.notify_one();
        // The sender is ours, so it cannot be gone.
        drop(self.reads.subscribe().wait_for(|reads| *reads).await);
        receiver
    }

    /// Reads for as long as somebody listens, and waits for the next who does.
    async fn run(&self) {
        let mut outage = Outage::new("the database (events)");
        loop {
            while self.sender.receiver_count() == 0 {
                self.listeners.notified().await;
            }
            self.tell(&mut outage).await;
        }
    }

    async fn tell(&self, outage: &mut Outage) {
        let mut reader = Reader::default();
        let mut pulse = tokio::time::interval(self.pace);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut spoke = Instant::now();
        while !self.nobody_listens() {
            pulse.tick().await;
            match reader.read(&self.client).await {
                Ok(jobs) => {
                    outage.worked();
                    self.reads.send_replace(true);
                    for job in jobs {
                        self.say(News::of(job));
                    }
                }
                Err(error) => outage.failed(&error),
            }
            if spoke.elapsed() >= self.heartbeat {
                spoke = Instant::now();
                self.say(News::Heartbeat);
            }
        }
    }

    fn nobody_listens(&self) -> bool {
        self.reads.send_if_modified(|reads| {
            let nobody = self.sender.receiver_count() == 0;
            *reads &= !nobody;
            nobody
        })
    }

    fn say(&self, news: News) {
        // The last one may just have left.
        drop(self.sender.send(news));
    }
}

/// Reads what is new, looking back for what came late.
#[derive(Debug, Default)]
struct Reader {
    /// Up to here everything was told, but for what comes late.
    told: Option<Timestamp>,
    /// What was told of the time that is looked at again.
    seen: HashSet<(Timestamp, JobId)>,
}

impl Reader {
    async fn read(&mut self, client: &Client) -> Result<Vec<Finished>, Error> {
        let Some(told) = self.told else {
            // What was before the first listener is nobody's news.
            let now = client.now().await?;
            self.told = Some(now);
            let before = since(client, now.minus(LATE), u32::MAX).await?;
            self.seen = before.iter().map(|job| (job.finished_at, job.id)).collect();
            return Ok(Vec::new());
        };
        let mut jobs = since(client, told.minus(LATE), u32::MAX).await?;
        jobs.retain(|job| self.seen.insert((job.finished_at, job.id)));
        if let Some(last) = jobs.last() {
            let told = told.max(last.finished_at);
            self.told = Some(told);
            let from = told.minus(LATE);
            self.seen.retain(|(at, _)| *at >= from);
        }
        Ok(jobs)
    }
}

/// What finished since then, page by page, up to so many.
pub(super) async fn since(
    client: &Client,
    at: Timestamp,
    most: u32,
) -> Result<Vec<Finished>, Error> {
    let mut since = Since {
        at,
        after: None,
        limit: PAGE,
    };
    let mut jobs = Vec::new();
    loop {
        let page = client.store().finished_since(since).await?;
        let is_last = page.len() < PAGE as usize;
        if let Some(last) = page.last() {
            since.at = last.finished_at;
            since.after = Some(last.id);
        }
        jobs.extend(page);
        if is_last || jobs.len() > most as usize {
            return Ok(jobs);
        }
    }
}
