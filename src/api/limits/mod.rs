//! Rate limits: who may ask how often for what.
//!
//! What a request proved is counted by what it proved, all else by the address it came from. A credential
//! that is not known yet is charged to its address before it is checked, which costs much, and given back
//! if it was right. Buckets are in Redis, where all processes charge them by one script; while it is away each
//! process counts alone, with the same arithmetic.

mod address;
mod gcra;
mod identity;
mod refusal;
mod shared;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::ApiState;
use super::auth::Caller;
use gcra::{Bucket, Memory, Rule, Verdict};
use identity::Class;
use shared::Shared;

pub(super) use address::networks;
pub(super) use refusal::RateLimited;
pub use shared::InvalidRedisUrl;

use crate::telemetry;

/// What a credential is sent in.
const CREDENTIALS: [&str; 4] = ["x-admin-key", "x-api-key", "authorization", "cookie"];
/// Credentials that were right are not charged to their address again for so long.
const KNOWN: Duration = Duration::from_mins(1);
const MOST_KNOWN: u64 = 100_000;

/// How often whom may ask for what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitOptions {
    /// Whether anything is limited.
    pub enabled: bool,
    /// The time that the numbers below are for.
    pub window_ms: u64,
    /// Requests that make jobs.
    pub enqueue: u32,
    /// Requests that look.
    pub read: u32,
    /// Requests for health, metrics and the description.
    pub status: u32,
    /// Requests that change something.
    pub operate: u32,
    /// Requests for a session.
    pub login: u32,
    /// Credentials of one address that were wrong.
    pub failures: u32,
    /// So many user agents of one address may each have a limit of their own.
    pub agents_per_address: u32,
    /// What the names of the buckets begin with, in Redis.
    pub redis_prefix: String,
    /// How long Redis may take before it is left alone.
    pub redis_timeout_ms: u64,
}

/// The limits of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RateLimits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: RateLimitOptions,
    trusted_proxies: Vec<IpNet>,
    shared: Option<Shared>,
    memory: Memory,
    /// Digests of credentials that were right a moment ago.
    known: moka::sync::Cache<[u8; 32], ()>,
    /// Of credentials that are being tried: one request at a time tries, the others wait for what it finds.
    tried: moka::sync::Cache<[u8; 32], Arc<Mutex<()>>>,
}

/// A credential that is being tried, charged to its address.
#[derive(Debug)]
struct Attempt {
    credential: [u8; 32],
    charged: Bucket,
    _alone: OwnedMutexGuard<()>,
}

/// Where the check of credentials finds the attempt that led to it.
#[derive(Debug, Clone)]
struct Trying(Arc<std::sync::Mutex<Option<Attempt>>>);

impl Trying {
    fn take(&self) -> Option<Attempt> {
        let mut attempt = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attempt.take()
    }
}

impl RateLimits {
    /// Limits that are shared by all processes with this Redis; by none if it is empty.
    pub fn new(
        options: &RateLimitOptions,
        trusted_proxies: &[IpNet],
        redis: &SecretString,
    ) -> Result<Self, InvalidRedisUrl> {
        let timeout = Duration::from_millis(options.redis_timeout_ms);
        let shared = match redis.expose_secret() {
            "" => None,
            _ => Some(Shared::new(redis, timeout)?),
        };
        Ok(Self(Arc::new(Inner {
            options: options.clone(),
            trusted_proxies: trusted_proxies.to_vec(),
            shared,
            memory: Memory::new(),
            known: moka::sync::Cache::builder()
                .max_capacity(MOST_KNOWN)
                .time_to_live(KNOWN)
                .build(),
            tried: moka::sync::Cache::builder()
                .max_capacity(MOST_KNOWN)
                .time_to_idle(KNOWN)
                .build(),
        })))
    }
}

impl Inner {
    async fn charge(&self, buckets: &[Bucket]) -> Verdict {
        if let Some(shared) = &self.shared
            && let Some(verdict) = shared.charge(buckets).await
        {
            return verdict;
        }
        self.memory.charge(buckets)
    }

    /// The credential was right.
    async fn proved(&self, attempt: Attempt) {
        self.known.insert(attempt.credential, ());
        self.refund(&attempt.charged).await;
    }

    async fn refund(&self, bucket: &Bucket) {
        if let Some(shared) = &self.shared
            && shared.refund(bucket).await
        {
            return;
        }
        self.memory.refund(bucket);
    }

    fn address(&self, request: &Request) -> IpAddr {
        let connection = request.extensions().get::<ConnectInfo<SocketAddr>>();
        // Without a connection, as within a test, everyone is one.
        let peer = connection.map_or(Ipv4Addr::UNSPECIFIED.into(), |info| info.0.ip());
        address::of_client(peer, request.headers(), &self.trusted_proxies)
    }

    fn rule(&self, class: Class, times: u32) -> Rule {
        let requests = match class {
            Class::Enqueue => self.options.enqueue,
            Class::Read => self.options.read,
            Class::Status => self.options.status,
            Class::Operate => self.options.operate,
            Class::Login => self.options.login,
        };
        self.rule_of(requests.saturating_mul(times))
    }

    fn rule_of(&self, requests: u32) -> Rule {
        Rule {
            requests,
            window: Duration::from_millis(self.options.window_ms),
        }
    }

    /// In braces stands what a cluster of Redis must keep together.
    fn bucket(&self, together: &str, name: &str, rule: Rule) -> Bucket {
        let prefix = &self.options.redis_prefix;
        Bucket {
            key: format!("{prefix}{{{together}}}:{name}"),
            rule,
        }
    }

    /// What a request that proves nothing is charged to: its address, and there its user agent. The second
    /// is fairer to those who share an address, and worth little, so the first bounds all of them.
    fn of_address(&self, address: IpAddr, headers: &HeaderMap, class: Class) -> [Bucket; 2] {
        let (whole, agent) = (
            identity::of_address(address),
            identity::of_agent(address, headers),
        );
        let class_name = class.as_str();
        // A login that is tried is tried by the address, whatever it calls itself.
        let times = match class {
            Class::Login => 1,
            _ => self.options.agents_per_address,
        };
        let of_agent = format!("{agent}:{class_name}");
        [
            self.bucket(&whole, &of_agent, self.rule(class, 1)),
            self.bucket(&whole, class_name, self.rule(class, times)),
        ]
    }

    fn of_attempts(&self, address: IpAddr) -> Bucket {
        let whole = identity::of_address(address);
        self.bucket(&whole, "failures", self.rule_of(self.options.failures))
    }
}

/// What a request is to be limited as.
struct Asked {
    class: Class,
    route: String,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>();
        let route = route.map_or("unmatched", MatchedPath::as_str);
        Self {
            class: Class::of(request.method(), route),
            route: route.to_owned(),
        }
    }

    fn refused(&self, by: &'static str, verdict: &Verdict) -> Response {
        telemetry::limits::exceeded(&self.route, by);
        refusal::refused(self.class.as_str(), verdict)
    }
}

/// Around what needs no credential.
pub(super) async fn by_address(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let Some(limits) = limits(&state) else {
        return next.run(request).await;
    };
    let (asked, address) = (Asked::of(&request), limits.address(&request));
    if identity::is_free(&asked.route) {
        return next.run(request).await;
    }
    let buckets = limits.of_address(address, request.headers(), asked.class);
    let verdict = limits.charge(&buckets).await;
    if !verdict.passes {
        return asked.refused(identity::ADDRESS, &verdict);
    }
    refusal::with_headers(next.run(request).await, &verdict)
}

/// Around the check of credentials: what comes without one, and what is wrong, is its address's.
pub(super) async fn before_proof(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(limits) = limits(&state) else {
        return next.run(request).await;
    };
    let Some(credential) = credential(&request) else {
        return by_address(State(state), request, next).await;
    };
    let mut alone = None;
    if !limits.known.contains_key(&credential) {
        let turn = limits.tried.get_with(credential, Arc::default);
        alone = Some(turn.lock_owned().await);
    }
    let Some(alone) = alone.filter(|_| !limits.known.contains_key(&credential)) else {
        let response = next.run(request).await;
        if response.status() == StatusCode::UNAUTHORIZED {
            limits.known.invalidate(&credential);
        }
        return response;
    };
    let charged = limits.of_attempts(limits.address(&request));
    let verdict = limits.charge(std::slice::from_ref(&charged)).await;
    if !verdict.passes {
        return Asked::of(&request).refused(identity::ADDRESS, &verdict);
    }
    let trying = Trying(Arc::new(std::sync::Mutex::new(Some(Attempt {
        credential,
        charged,
        _alone: alone,
    }))));
    request.extensions_mut().insert(trying.clone());
    let response = next.run(request).await;
    // It got no further than the check, which may just have been unable to tell.
    if let Some(attempt) = trying.take()
        && response.status().is_server_error()
    {
        limits.refund(&attempt.charged).await;
    }
    response
}

/// Behind the check of credentials: by what the request proved.
pub(super) async fn by_identity(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let Some(limits) = limits(&state) else {
        return next.run(request).await;
    };
    if let Some(trying) = request.extensions().get::<Trying>().cloned()
        && let Some(attempt) = trying.take()
    {
        limits.proved(attempt).await;
    }
    let asked = Asked::of(&request);
    let (kind, name) = match request.extensions().get::<Caller>() {
        Some(caller) => (
            caller.kind.as_str(),
            identity::hashed(caller.kind.as_str(), caller.id.as_bytes()),
        ),
        None => return next.run(request).await,
    };
    let rule = limits.rule(asked.class, 1);
    let bucket = limits.bucket(&name, asked.class.as_str(), rule);
    let verdict = limits.charge(&[bucket]).await;
    if !verdict.passes {
        return asked.refused(kind, &verdict);
    }
    refusal::with_headers(next.run(request).await, &verdict)
}

fn limits(state: &ApiState) -> Option<&Inner> {
    let limits = state.limits.as_ref()?;
    limits.0.options.enabled.then_some(&*limits.0)
}

/// The digest of all that a request shows, right or wrong; `None` if it shows nothing.
fn credential(request: &Request) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut any = false;
    for name in CREDENTIALS {
        for value in request.headers().get_all(name) {
            hash.update(name);
            hash.update([0]);
            hash.update(value.as_bytes());
            hash.update([0]);
            any = true;
        }
    }
    let query = request.uri().query().unwrap_or_default();
    for pair in query.split('&').filter(|pair| pair.starts_with("apiKey=")) {
        hash.update(pair);
        any = true;
    }
    any.then(|| hash.finalize().into())
}
