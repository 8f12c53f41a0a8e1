//! The keys of apalis-redis 1.0.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, Script};
use windlass::Timestamp;

use super::{Error, OldJob, Source};

/// How long one command may take.
const ANSWER: Duration = Duration::from_secs(20);
/// What apalis-redis allows a job that names no number.
const MAX_ATTEMPTS: u64 = 25;

/// Moves jobs from the list and the set that workers take from, and with the flag from what workers hold, into a
/// hash that only an import knows: keys active, scheduled, held; arguments: flag, in flight prefix, workers.., ids..
static HOLD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/hold.lua")));
/// Moves held jobs back: keys held, scheduled.
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/release.lua")));

/// Queues of a Redis.
#[derive(Debug)]
pub struct Redis {
    client: Client,
    connection: Option<MultiplexedConnection>,
    queues: Vec<String>,
    running: bool,
}

impl Redis {
    /// Jobs of these queues; also those that run, if their workers are stopped.
    pub fn open(url: &str, queues: &[String], running: bool) -> Result<Self, Error> {
        if queues.is_empty() {
            let problem = "a Redis does not tell its queues; name each with --queue";
            return Err(Error::Url(problem.into()));
        }
        let client = Client::open(url)
            .map_err(|_| Error::Url("expected redis://HOST:PORT; TLS is not supported".into()))?;
        Ok(Self {
            client,
            connection: None,
            queues: queues.to_vec(),
            running,
        })
    }

    async fn connection(&mut self) -> Result<MultiplexedConnection, Error> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER))
            .set_response_timeout(Some(ANSWER));
        let client = &self.client;
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }
}

/// An id here names its queue too: `length of the queue:queue:id`.
fn name(queue: &str, id: &str) -> String {
    format!("{}:{queue}:{id}", queue.len())
}

fn parts(name: &str) -> Option<(&str, &str)> {
    let (length, rest) = name.split_once(':')?;
    let (queue, id) = rest.split_at_checked(length.parse().ok()?)?;
    Some((queue, id.strip_prefix(':')?))
}

/// Ids by their queue.
fn by_queue(names: &[String]) -> BTreeMap<&str, Vec<&str>> {
    let mut queues: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (queue, id) in names.iter().filter_map(|name| parts(name)) {
        queues.entry(queue).or_default().push(id);
    }
    queues
}

fn held(queue: &str) -> String {
    format!("{queue}:windlass:held")
}

async fn in_flight(
    connection: &mut MultiplexedConnection,
    queue: &str,
) -> Result<Vec<String>, Error> {
    let workers: Vec<String> = connection.zrange(format!("{queue}:workers"), 0, -1).await?;
    Ok(workers
        .iter()
        .map(|worker| format!("{queue}:inflight:{worker}"))
        .collect())
}

#[async_trait]
impl Source for Redis {
    async fn waiting(&mut self) -> Result<Vec<String>, Error> {
        let mut connection = self.connection().await?;
        let mut names = Vec::new();
        for queue in &self.queues {
            let mut ids: Vec<String> = connection.hkeys(held(queue)).await?;
            let active: Vec<String> = connection.lrange(format!("{queue}:active"), 0, -1).await?;
            ids.extend(active);
            let scheduled = format!("{queue}:scheduled");
            ids.extend(
                connection
                    .zrange::<_, Vec<String>>(scheduled, 0, -1)
                    .await?,
            );
            if self.running {
                for key in in_flight(&mut connection, queue).await? {
                    ids.extend(connection.smembers::<_, Vec<String>>(key).await?);
                }
            }
            names.extend(ids.iter().map(|id| name(queue, id)));
        }
        Ok(names)
    }

    async fn read(&mut self, names: &[String]) -> Result<Vec<OldJob>, Error> {
        let mut connection = self.connection().await?;
        let mut jobs = Vec::new();
        for (queue, ids) in by_queue(names) {
            let mut asked = redis::pipe();
            for id in &ids {
                asked.hget(format!("{queue}:data"), id);
                asked.hgetall(format!("{queue}:meta:{id}"));
                asked.zscore(format!("{queue}:scheduled"), id);
                asked.hget(held(queue), id);
            }
            let mut answers = asked
                .query_async::<Vec<redis::Value>>(&mut connection)
                .await?
                .into_iter();
            for id in ids {
                let mut next = || answers.next().unwrap_or(redis::Value::Nil);
                let (data, meta, scheduled, held) = (next(), next(), next(), next());
                let payload: Option<Vec<u8>> = redis::from_redis_value(data).map_err(parse)?;
                let Some(payload) = payload else {
                    continue;
                };
                let meta: HashMap<String, String> = redis::from_redis_value(meta).map_err(parse)?;
                let scheduled: Option<f64> = redis::from_redis_value(scheduled).map_err(parse)?;
                let held: Option<f64> = redis::from_redis_value(held).map_err(parse)?;
                jobs.push(old_job(queue, id, payload, meta, scheduled.or(held)));
            }
        }
        Ok(jobs)
    }

    async fn hold(&mut self, names: &[String]) -> Result<Vec<String>, Error> {
        let mut connection = self.connection().await?;
        let mut got = Vec::new();
        for (queue, ids) in by_queue(names) {
            let mut call = HOLD.prepare_invoke();
            call.key(format!("{queue}:active"));
            call.key(format!("{queue}:scheduled"));
            call.key(held(queue));
            if self.running {
                for key in in_flight(&mut connection, queue).await? {
                    call.key(key);
                }
            }
            call.arg(&ids);
            let held: Vec<String> = call.invoke_async(&mut connection).await?;
            got.extend(held.iter().map(|id| name(queue, id)));
        }
        Ok(got)
    }

    async fn release(&mut self, names: &[String]) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        for (queue, ids) in by_queue(names) {
            let mut call = RELEASE.prepare_invoke();
            call.key(held(queue))
                .key(format!("{queue}:scheduled"))
                .arg(&ids);
            call.invoke_async::<()>(&mut connection).await?;
        }
        Ok(())
    }

    async fn done(&mut self, names: &[String]) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        for (queue, ids) in by_queue(names) {
            let mut gone = redis::pipe();
            gone.atomic();
            for id in ids {
                gone.hdel(format!("{queue}:data"), id).ignore();
                gone.del(format!("{queue}:meta:{id}")).ignore();
                gone.hdel(held(queue), id).ignore();
            }
            gone.query_async::<()>(&mut connection).await?;
        }
        Ok(())
    }
}

/// Says what is wrong, and not what stands there.
fn parse(_: redis::ParsingError) -> Error {
    Error::Strange("a key holds what apalis-redis does not write".into())
}

fn old_job(
    queue: &str,
    id: &str,
    payload: Vec<u8>,
    mut meta: HashMap<String, String>,
    due: Option<f64>,
) -> OldJob {
    let mut number = |name: &str| meta.remove(name).and_then(|text| text.parse().ok());
    let attempts = number("attempts").unwrap_or(0);
    let max_attempts = number("max_attempts").unwrap_or(MAX_ATTEMPTS);
    let idempotency_key = meta.remove("idempotency_key").filter(|key| !key.is_empty());
    for own in ["status", "result", "done_at"] {
        meta.remove(own);
    }
    OldJob {
        id: name(queue, id),
        job_type: queue.to_owned(),
        payload,
        attempts,
        max_attempts,
        run_at: due.filter(|secs| *secs > 0.0).map(seconds),
        priority: 0,
        metadata: meta.into_iter().collect(),
        idempotency_key,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "whole seconds since 1970; beyond that the cast saturates"
)]
fn seconds(secs: f64) -> Timestamp {
    Timestamp::from_micros((secs * 1e6) as i64)
}
