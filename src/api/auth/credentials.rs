//! From what a request shows to who sent it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use moka::{future, sync};
use secrecy::{ExposeSecret as _, SecretString};

use super::admin_key::AdminKey;
use super::platform::PlatformAccess;
use super::session::{self, IDLE};
use super::{Caller, IdentityKind};
use crate::api::Problem;
use crate::records::{AccessKey, Digest, Records};

/// A key that was good is taken for good so long: revoked, it still opens for these few seconds.
const GOOD_FOR: Duration = Duration::from_secs(10);
/// A key that was nobody's is taken for nobody's so long.
const BAD_FOR: Duration = Duration::from_secs(10);
/// How many of each are remembered, by their digests.
const REMEMBERED: u64 = 10_000;
/// No credential is longer.
const LONGEST: usize = 4096;
/// Where a credential may be.
const HEADERS: [&str; 2] = ["x-admin-key", "x-api-key"];

/// Knows callers by what they show. Clones share what they remember.
#[derive(Clone)]
pub(in crate::api) struct Credentials {
    admin: Option<AdminKey>,
    records: Option<Records>,
    platform: Option<PlatformAccess>,
    good: future::Cache<Digest, Caller>,
    bad: sync::Cache<Digest, ()>,
    /// How long a key that was good is taken for good.
    good_for: Duration,
}

/// What a request showed, for whoever has to look at it again.
pub(in crate::api) struct Proof(SecretString);

impl Proof {
    /// What the resolver goes by of these headers.
    pub(in crate::api) fn of(headers: &HeaderMap) -> Option<Self> {
        let proof = shown(headers).or_else(|| session::cookie(headers));
        proof.map(|proof| Self(proof.into()))
    }
}

/// Why nobody was found.
#[derive(Debug)]
enum Miss {
    /// It is nobody's.
    Unknown,
    /// It could not be looked up.
    Problem(Problem),
}

impl Credentials {
    pub(in crate::api) fn new(admin: Option<AdminKey>) -> Self {
        Self {
            admin,
            records: None,
            platform: None,
            good: remember_for(GOOD_FOR),
            good_for: GOOD_FOR,
            bad: sync::Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(BAD_FOR)
                .build(),
        }
    }

    /// Takes a key that was good for good so long, rather than for ten seconds.
    pub(in crate::api) fn set_good_for(&mut self, good_for: Duration) {
        self.good = remember_for(good_for);
        self.good_for = good_for;
    }

    /// Resolves once the credential no longer opens what it opened for this caller. What cannot be looked up
    /// now is looked up the next time: a database that is away has ended nobody's credential.
    pub(in crate::api) async fn ended(self, proof: Option<Proof>, caller: Caller) {
        let Some(Proof(shown)) = proof else {
            return;
        };
        loop {
            // Twice the time that it is remembered, so that every second look is not at what is remembered.
            tokio::time::sleep(self.good_for * 2).await;
            match self.again(shown.expose_secret()).await {
                Ok(now) if now == caller => {}
                Ok(_) => return,
                Err(problem) if problem.is_ours() => {}
                Err(_) => return,
            }
        }
    }

    async fn again(&self, shown: &str) -> Result<Caller, Problem> {
        // Only a cookie was let in with one.
        if shown.starts_with(session::PREFIX) {
            return self.remembered(shown).await;
        }
        self.bearer(shown).await
    }

    /// Also knows the keys and sessions of the product's own.
    pub(in crate::api) fn set_records(&mut self, records: Records) {
        self.records = Some(records);
    }

    /// Also knows the platform's credentials.
    pub(in crate::api) fn set_platform(&mut self, platform: PlatformAccess) {
        self.platform = Some(platform);
    }

    /// Who sent a request with these headers.
    pub(in crate::api) async fn caller(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Caller, Problem> {
        if let Some(shown) = shown(headers) {
            return self.bearer(shown).await;
        }
        let Some(cookie) = session::cookie(headers) else {
            return Err(Problem::unauthorised());
        };
        // Only a cookie is sent by a browser without being told to.
        session::same_origin(method, headers)?;
        self.remembered(cookie).await
    }

    /// Who shows this.
    pub(in crate::api) async fn bearer(&self, shown: &str) -> Result<Caller, Problem> {
        if shown.len() > LONGEST {
            return Err(Problem::unauthorised());
        }
        if self
            .admin
            .as_ref()
            .is_some_and(|key| key.opens(shown.as_bytes()))
        {
            return Ok(Caller::admin());
        }
        // What a cookie holds is nothing to be shown otherwise.
        if shown.starts_with(session::PREFIX) {
            return Err(Problem::unauthorised());
        }
        self.remembered(shown).await
    }

    /// However many requests show the same at once, it is looked up for one of them.
    async fn remembered(&self, shown: &str) -> Result<Caller, Problem> {
        let digest = Digest::of(shown);
        if self.bad.contains_key(&digest) {
            return Err(Problem::unauthorised());
        }
        let look_up = async {
            let found = self.look_up(shown, digest).await;
            found.map_err(Miss::Problem)?.ok_or(Miss::Unknown)
        };
        let found = self.good.try_get_with(digest, look_up).await;
        found.map_err(|miss: Arc<Miss>| match &*miss {
            Miss::Unknown => {
                self.bad.insert(digest, ());
                Problem::unauthorised()
            }
            Miss::Problem(problem) => problem.clone(),
        })
    }

    /// A credential says by its form what it is.
    async fn look_up(&self, shown: &str, digest: Digest) -> Result<Option<Caller>, Problem> {
        let found = if shown.starts_with(AccessKey::PREFIX) {
            self.access_key(digest).await?
        } else if shown.starts_with(session::PREFIX) {
            self.session(digest).await?
        } else if let Some(platform) = &self.platform {
            platform.caller(shown).await?
        } else {
            None
        };
        // A tenant that is disabled is refused, whatever its credential.
        let tenant = found.as_ref().and_then(Caller::tenant);
        if let (Some(platform), Some(tenant)) = (&self.platform, tenant)
            && !platform.serves(tenant).await?
        {
            return Ok(None);
        }
        Ok(found)
    }

    async fn access_key(&self, digest: Digest) -> Result<Option<Caller>, Problem> {
        let Some(records) = &self.records else {
            return Ok(None);
        };
        let Some(key) = records.access_key(digest).await? else {
            return Ok(None);
        };
        if let Err(error) = records.touch_access_key(key.id).await {
            tracing::warn!(%error, "the last use of a key was not noted");
        }
        Ok(Some(Caller {
            kind: IdentityKind::AccessKey,
            id: key.id.to_string(),
            name: format!("key/{}", key.name),
            role: key.role,
            reach: key.tenant.into(),
        }))
    }

    async fn session(&self, digest: Digest) -> Result<Option<Caller>, Problem> {
        let Some(records) = &self.records else {
            return Ok(None);
        };
        let session = records.session(digest, IDLE).await?;
        Ok(session.map(|session| Caller {
            kind: IdentityKind::Session,
            // All sessions of one credential are one to whoever counts.
            id: format!("{}:{}", session.kind, session.identity),
            name: session.name,
            role: session.role,
            reach: session.tenant.into(),
        }))
    }

    /// Forgets what was remembered of a secret that this process has just ended.
    pub(in crate::api) async fn forget(&self, shown: &str) {
        self.good.invalidate(&Digest::of(shown)).await;
    }
}

fn remember_for(time: Duration) -> future::Cache<Digest, Caller> {
    future::Cache::builder()
        .max_capacity(REMEMBERED)
        .time_to_live(time)
        .build()
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// `x-admin-key` or `x-api-key`, or `authorization: Bearer`, which is what Prometheus sends. The first
/// that is there counts; one that cannot be read is nobody's.
fn shown(headers: &HeaderMap) -> Option<&str> {
    let keyed = HEADERS.iter().find_map(|name| headers.get(*name));
    if let Some(key) = keyed {
        return Some(key.to_str().unwrap_or_default());
    }
    let (scheme, key) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .unwrap_or_default()
        .split_once(' ')
        .unwrap_or_default();
    let bearer = scheme.eq_ignore_ascii_case("bearer");
    Some(if bearer { key.trim() } else { "" })
}
