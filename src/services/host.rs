//! The hosts that are called: one circuit breaker and one limit for each, whatever calls it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use reqwest::Url;
use tokio::time::Instant;

use super::Error;
use super::breaker::Breaker;
use super::limit::Limit;

/// The most hosts, and accounts at them, that are remembered.
const REMEMBERED: u64 = 10_000;
/// After how long without a call one is forgotten.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// Every host that a process calls.
pub(super) struct Hosts {
    most_at_once: NonZeroUsize,
    known: Cache<String, Arc<Host>>,
    accounts: Cache<(String, u64), Arc<Account>>,
    /// Keys are told apart without being kept.
    hasher: RandomState,
}

/// One host.
#[derive(Debug)]
struct Host {
    breaker: Breaker,
    limit: Limit,
}

/// Who we are at a host: a key that it asked to slow down says nothing of other keys.
#[derive(Debug)]
pub(super) struct Account {
    /// How errors and logs call the host; the address may hold a password.
    name: String,
    host: Arc<Host>,
    paused_until: Mutex<Option<Instant>>,
}

impl Hosts {
    /// At most so many calls to each host at once.
    pub(super) fn new(most_at_once: NonZeroUsize) -> Self {
        Self {
            most_at_once,
            known: cache(),
            accounts: cache(),
            hasher: RandomState::new(),
        }
    }

    /// The account of a key, if there is one, with a service at an address.
    pub(super) fn account(&self, service: &str, base: &Url, key: Option<&str>) -> Arc<Account> {
        let host = base.host_str().unwrap_or_default();
        let port = base.port_or_known_default().unwrap_or_default();
        let name = format!("{service} at {host}:{port}");
        let key = (name.clone(), self.hasher.hash_one(key));
        self.accounts.get_with(key, || {
            let host = self.known.get_with(name.clone(), || {
                Arc::new(Host {
                    breaker: Breaker::new(name.clone()),
                    limit: Limit::new(name.clone(), self.most_at_once),
                })
            });
            Arc::new(Account {
                name: name.clone(),
                host,
                paused_until: Mutex::new(None),
            })
        })
    }
}

impl Account {
    /// How errors and logs call it, such as `openai at api.openai.com:443`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Makes a call when the host, and this account, may be called.
    pub(super) async fn call<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.pause_is_over(Instant::now())?;
        let Host { breaker, limit } = &*self.host;
        let turn = limit.turn().await?;
        let learning = async {
            let result = work.await;
            turn.learn(&result, Instant::now());
            result
        };
        let result = breaker.guard(learning).await;
        if let Err(Error::Busy { retry_after, .. }) = &result {
            *self.paused() = retry_after.map(|after| Instant::now() + after);
        }
        result
    }

    fn pause_is_over(&self, now: Instant) -> Result<(), Error> {
        let mut paused = self.paused();
        let left = paused.map(|until| until.saturating_duration_since(now));
        match left {
            Some(left) if !left.is_zero() => Err(Error::Busy {
                service: self.name.clone(),
                reason: "it asked to be left alone for a while".to_owned(),
                retry_after: Some(left),
            }),
            _ => {
                *paused = None;
                Ok(())
            }
        }
    }

    fn paused(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        // An instant is replaced whole, so a panic elsewhere cannot have left it half written.
        self.paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn cache<K, V>() -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(REMEMBERED)
        .time_to_idle(FORGOTTEN)
        .build()
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hosts({})", self.known.entry_count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(hosts: &Hosts, address: &str, key: &str) -> Arc<Account> {
        hosts.account("x", &Url::parse(address).unwrap(), Some(key))
    }

    fn busy(after: u64) -> Result<(), Error> {
        Err(Error::Busy {
            service: "x".into(),
            reason: "429".into(),
            retry_after: Some(Duration::from_secs(after)),
        })
    }

    #[tokio::test]
    async fn a_pause_holds_for_its_key_only_and_ends() {
        let hosts = Hosts::new(NonZeroUsize::MIN);
        let ours = account(&hosts, "https://api.example/v1", "ours");
        ours.call(async { busy(7) }).await.unwrap_err();
        let again = account(&hosts, "https://api.example/v1", "ours");
        let error = again.call(async { Ok(()) }).await.unwrap_err();
        assert!(error.retry_after() > Some(Duration::from_secs(6)));

        let theirs = account(&hosts, "https://api.example/v1", "theirs");
        theirs.call(async { Ok(()) }).await.unwrap();
        ours.pause_is_over(Instant::now() + Duration::from_secs(7))
            .unwrap();
        ours.call(async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn every_key_shares_the_hosts_circuit() {
        let hosts = Hosts::new(NonZeroUsize::MIN);
        for key in 0..5 {
            let account = account(&hosts, "https://down.example", &key.to_string());
            let down = async { Err::<(), _>(Error::unavailable("x", "down")) };
            account.call(down).await.unwrap_err();
        }
        let other = account(&hosts, "https://down.example", "new");
        let error = other.call(async { Ok(()) }).await.unwrap_err();
        assert!(error.to_string().contains("left alone"), "{error}");
        let well = account(&hosts, "https://well.example", "new");
        well.call(async { Ok(()) }).await.unwrap();
    }
}
