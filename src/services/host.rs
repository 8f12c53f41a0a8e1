//! The hosts that are called: one circuit breaker and one limit for each, whatever calls it.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use moka::sync::Cache;
use reqwest::Url;
use tokio::time::Instant;
use tracing::Instrument;

use super::Error;
use super::breaker::Breaker;
use super::limit::Limit;
use crate::telemetry::models::call_span;

/// The most hosts, and accounts at them, that are remembered.
const REMEMBERED: u64 = 10_000;
/// After how long without a call one is forgotten.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// How long an account is left alone whose host does not say how long.
const UNTOLD: Duration = Duration::from_secs(5);

/// Every host that a process calls.
pub(super) struct Hosts {
    most_at_once: NonZeroUsize,
    /// As long as anybody has an account there: two limits of one host would be none.
    known: Mutex<HashMap<String, Weak<Host>>>,
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
    /// How many calls this key gets at once.
    limit: Limit,
    paused_until: Mutex<Option<Instant>>,
}

impl Hosts {
    /// At most so many calls to each host at once.
    pub(super) fn new(most_at_once: NonZeroUsize) -> Self {
        Self {
            most_at_once,
            known: Mutex::default(),
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
            Arc::new(Account {
                host: self.host(&name),
                limit: Limit::of_account(name.clone(), self.most_at_once),
                name: name.clone(),
                paused_until: Mutex::new(None),
            })
        })
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut known = self.known();
        if let Some(host) = known.get(name).and_then(Weak::upgrade) {
            return host;
        }
        known.retain(|_, host| host.strong_count() > 0);
        let host = Arc::new(Host {
            breaker: Breaker::new(name.to_owned()),
            limit: Limit::new(name.to_owned(), self.most_at_once),
        });
        known.insert(name.to_owned(), Arc::downgrade(&host));
        host
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Weak<Host>>> {
        // Entries are whole: a panic elsewhere cannot have left one half written.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
        let own = self.limit.turn().await?;
        let turn = limit.turn().await?;
        let learning = async {
            let result = work.instrument(call_span(&self.name)).await;
            own.learn(&result, Instant::now());
            // That one key asked too much says nothing of what the host bears.
            if !matches!(result, Err(Error::Busy { .. })) {
                turn.learn(&result, Instant::now());
            }
            result
        };
        let result = breaker.guard(learning).await;
        if let Err(Error::Busy { retry_after, .. }) = &result {
            *self.paused() = Some(Instant::now() + retry_after.unwrap_or(UNTOLD));
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

    fn paused(&self) -> MutexGuard<'_, Option<Instant>> {
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
        write!(f, "Hosts({})", self.known().len())
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
    async fn a_key_that_asks_too_much_slows_no_other_down() {
        let hosts = Hosts::new(NonZeroUsize::MIN.saturating_add(15));
        let greedy = account(&hosts, "https://api.example", "greedy");
        for _ in 0..20 {
            let untold = Err::<(), _>(Error::Busy {
                service: "x".into(),
                reason: "429".into(),
                retry_after: None,
            });
            greedy.call(async { untold }).await.unwrap_err();
            let error = greedy.call(async { Ok(()) }).await.unwrap_err();
            let wait = error.retry_after().unwrap();
            assert!(wait > Duration::from_secs(4), "{wait:?}");
            *greedy.paused() = None;
        }
        let others: Vec<_> = (0..16)
            .map(|n| account(&hosts, "https://api.example", &n.to_string()))
            .collect();
        let together = tokio::sync::Barrier::new(16);
        let calls = others.iter().map(|other| {
            other.call(async {
                together.wait().await;
                Ok(())
            })
        });
        let all = futures_util::future::join_all(calls);
        let all = tokio::time::timeout(Duration::from_secs(5), all).await;
        assert!(all.is_ok(), "sixteen at once, as before");
    }

    #[test]
    fn a_host_has_one_limit_as_long_as_anybody_has_an_account_there() {
        let hosts = Hosts::new(NonZeroUsize::MIN);
        let kept = account(&hosts, "https://api.example", "kept");
        // As after an hour without a new account.
        hosts.accounts.invalidate_all();
        let new = account(&hosts, "https://api.example", "new");
        assert!(Arc::ptr_eq(&kept.host, &new.host));
        // Whom nobody calls any more is forgotten when the next comes.
        drop(hosts.host("gone"));
        let _next = hosts.host("next");
        assert!(!hosts.known().contains_key("gone"));
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
