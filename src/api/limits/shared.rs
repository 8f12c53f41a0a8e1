//! Buckets in Redis, which all processes share, and what is done while Redis is away.

use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Script};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::gcra::{Bucket, Level, Verdict};
use crate::telemetry::{self, Outage};

const SCRIPT: &str = include_str!("gcra.lua");
/// How long a Redis that did not answer in time is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// The shared buckets.
pub(super) struct Shared {
    client: Client,
    config: AsyncConnectionConfig,
    timeout: Duration,
    script: Script,
    connection: Mutex<Option<MultiplexedConnection>>,
    state: Lock<State>,
}

struct State {
    outage: Outage,
    /// Until when nobody asks; then one does, and the others go on without.
    left_alone: Option<Instant>,
}

/// Not the address of a Redis. It is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be redis://host:6379; TLS is not supported")]
pub struct InvalidRedisUrl;

impl Shared {
    /// Connects to nothing yet.
    pub(super) fn new(url: &SecretString, timeout: Duration) -> Result<Self, InvalidRedisUrl> {
        let client = Client::open(url.expose_secret()).map_err(|_| InvalidRedisUrl)?;
        Ok(Self {
            state: Lock::new(State {
                outage: Outage::new(format!(
                    "redis at {} (rate limits are counted by each process alone)",
                    client.get_connection_info().addr()
                )),
                left_alone: None,
            }),
            client,
            config: AsyncConnectionConfig::new()
                .set_connection_timeout(Some(timeout))
                .set_response_timeout(Some(timeout)),
            timeout,
            script: Script::new(SCRIPT),
            connection: Mutex::default(),
        })
    }

    /// Charges one request to all of the buckets, or to none; `None` if Redis is away.
    pub(super) async fn charge(&self, buckets: &[Bucket]) -> Option<Verdict> {
        let answer = self.run(buckets, 1).await?;
        let (passes, filled) = answer.split_first()?;
        let levels = buckets.iter().zip(filled);
        let levels = levels.map(|(bucket, micros)| Level::new(bucket.rule, *micros));
        Some(Verdict {
            passes: *passes == 1,
            levels: levels.collect(),
        })
    }

    /// Whether Redis answers: charging nothing is asking no more than that.
    pub(super) async fn answers(&self) -> bool {
        self.run(&[], 1).await.is_some()
    }

    /// Takes one charge back; `false` if Redis is away.
    pub(super) async fn refund(&self, bucket: &Bucket) -> bool {
        let done = self.run(std::slice::from_ref(bucket), -1).await;
        done.is_some()
    }

    async fn run(&self, buckets: &[Bucket], charge: i8) -> Option<Vec<u64>> {
        if !self.may_ask() {
            return None;
        }
        // One limit for all of it: connecting, loading the script and running it.
        let asked = tokio::time::timeout(self.timeout, self.ask(buckets, charge)).await;
        let answer = match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(format!("{:?}", error.kind())),
            Err(_) => Err(format!("no answer within {:?}", self.timeout)),
        };
        self.learn(&answer);
        if answer.is_err() {
            // The next one connects anew.
            *self.connection.lock().await = None;
        }
        answer.ok()
    }

    async fn ask(&self, buckets: &[Bucket], charge: i8) -> Result<Vec<u64>, RedisError> {
        let mut connection = self.connected().await?;
        let mut call = self.script.prepare_invoke();
        call.arg(charge);
        for bucket in buckets {
            call.key(&bucket.key);
            call.arg(bucket.rule.interval());
            call.arg(bucket.rule.window_micros());
        }
        call.invoke_async(&mut connection).await
    }

    async fn connected(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        let made = self
            .client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await?;
        Ok(connection.insert(made).clone())
    }

    fn may_ask(&self) -> bool {
        let mut state = self.state();
        match state.left_alone {
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                state.left_alone = Some(Instant::now() + LEFT_ALONE);
                true
            }
            None => true,
        }
    }

    fn learn(&self, answer: &Result<Vec<u64>, String>) {
        let mut state = self.state();
        match answer {
            Ok(_) => {
                state.left_alone = None;
                state.outage.worked();
            }
            Err(reason) => {
                state.left_alone = Some(Instant::now() + LEFT_ALONE);
                state.outage.failed(reason);
            }
        }
        telemetry::limits::are_shared(answer.is_ok());
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({})", self.client.get_connection_info().addr())
    }
}
