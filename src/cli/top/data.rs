//! What is shown, as the API tells it.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::ask::{Ask, Shows};
use super::super::remote::Server;
use super::super::{Exit, Failure};
use super::state::Tab;

/// The longest list that is looked at.
const MOST: u32 = 200;

/// What one page shows.
#[derive(Debug, Clone)]
pub enum Part {
    /// How it goes.
    Overview(Overview),
    /// Queues, and what is paused.
    Queues(Vec<Queue>, Vec<Pause>),
    /// The newest jobs.
    Jobs(Vec<Job>),
    /// What fails.
    Errors(Vec<Group>),
    /// What is done by the clock.
    Schedules(Vec<Schedule>),
}

/// How it goes.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    pub(super) health: Health,
    pub(super) queues: Vec<Queue>,
    pub(super) workers: Vec<Worker>,
    pub(super) points: Vec<Point>,
    pub(super) as_of: String,
    pub(super) pauses: usize,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Health {
    pub(super) status: String,
}

/// How a queue stands.
#[expect(clippy::struct_field_names, reason = "the API calls it so")]
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Queue {
    pub(super) queue: String,
    pub(super) available: u64,
    pub(super) scheduled: u64,
    pub(super) retryable: u64,
    pub(super) waiting: u64,
    pub(super) running: u64,
    pub(super) capped: bool,
    pub(super) oldest_available_at: Option<String>,
}

/// What is kept from being started.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pause {
    pub(super) queue: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) tenant_id: Option<String>,
    pub(super) by: String,
    pub(super) until: Option<String>,
    pub(super) reason: Option<String>,
}

/// A job, as a list has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) queue: String,
    pub(super) state: String,
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    pub(super) run_at: String,
    pub(super) tenant_id: Option<String>,
}

/// Jobs that fail the same way.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Group {
    pub(super) message: String,
    pub(super) dead: u64,
    pub(super) retryable: u64,
    pub(super) kinds: Vec<String>,
    pub(super) tenants: Vec<String>,
    pub(super) last_at: String,
    pub(super) per_hour: Vec<u64>,
}

/// What is done by the clock.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Schedule {
    pub(super) name: String,
    pub(super) status: String,
    pub(super) cron: String,
    pub(super) zone: String,
    pub(super) description: Option<String>,
    pub(super) next: Vec<String>,
    pub(super) late_ms: u64,
    pub(super) last: Vec<Tick>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tick {
    pub(super) outcome: String,
    pub(super) state: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Worker {
    pub(super) running: u64,
    pub(super) slots: u64,
    pub(super) draining: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Point {
    pub(super) at: String,
    pub(super) enqueued: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) dead: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Lists {
    queues: Vec<Queue>,
    pauses: Vec<Pause>,
    jobs: Vec<Job>,
    groups: Vec<Group>,
    schedules: Vec<Schedule>,
    workers: Vec<Worker>,
    points: Vec<Point>,
    as_of: String,
}

/// Asks for what a page shows, in words where that fails.
pub async fn load(server: &Server, tab: Tab) -> Result<Part, String> {
    part(server, tab).await.map_err(Failure::message)
}

async fn part(server: &Server, tab: Tab) -> Result<Part, Failure> {
    Ok(match tab {
        Tab::Overview => {
            let stats = Ask::get(&[&"stats"], Shows::Sheet)
                .with("range", Some(3600))
                .with("step", Some(60));
            let stats: Lists = asked(server, &stats).await?;
            let health = Ask::unversioned("health");
            Part::Overview(Overview {
                health: asked(server, &health).await?,
                queues: list(server, "queues").await?.queues,
                workers: list(server, "workers").await?.workers,
                pauses: list(server, "pauses").await?.pauses.len(),
                points: stats.points,
                as_of: stats.as_of,
            })
        }
        Tab::Queues => {
            let pauses = list(server, "pauses").await?.pauses;
            Part::Queues(list(server, "queues").await?.queues, pauses)
        }
        Tab::Jobs => {
            let ask = Ask::get(&[&"jobs"], Shows::Sheet).with("limit", Some(MOST));
            let found: Lists = asked(server, &ask).await?;
            Part::Jobs(found.jobs)
        }
        Tab::Errors => Part::Errors(list(server, "errors").await?.groups),
        Tab::Schedules => Part::Schedules(list(server, "schedules").await?.schedules),
    })
}

async fn list(server: &Server, name: &'static str) -> Result<Lists, Failure> {
    asked(server, &Ask::get(&[&name], Shows::Sheet)).await
}

async fn asked<T: DeserializeOwned>(server: &Server, ask: &Ask) -> Result<T, Failure> {
    let answer = server.send(ask).await?;
    serde_json::from_str(&answer).map_err(|_| {
        let message = "the server answered something else than asked";
        Failure::new(Exit::Failed, message)
    })
}
