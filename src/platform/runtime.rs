//! What answering a tenant's messages needs to know of the tenant, read once and kept for a moment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::{future, sync};

use super::rows::RuntimeRow;
use super::{ChannelType, Error, Platform, Private, TenantSettings};
use crate::telemetry;

/// How many tenants are remembered.
const REMEMBERED: u64 = 10_000;
/// How long what was read is taken for true, unless somebody says otherwise.
const FRESH: Duration = Duration::from_secs(2);

/// A tenant as its messages are answered.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantRuntime {
    /// Its id.
    pub id: String,
    /// Whether it is served at all.
    pub enabled: bool,
    /// `current_plan_id`, such as `free`.
    pub plan: String,
    /// What it configured.
    pub settings: TenantSettings,
    /// Its own key for its model provider: encrypted in `tenant_secrets`, or from the settings.
    pub llm_key: Option<Private<String>>,
    /// Channels that it switched off.
    pub disabled_channels: Vec<ChannelType>,
}

/// What is remembered of tenants. Whoever changes a tenant, in whatever process, is heard after a
/// moment: entries grow old fast, and are read again.
#[derive(Clone)]
pub(super) struct Runtimes {
    entries: future::Cache<String, Arc<TenantRuntime>>,
    /// What was said of a tenant's settings, so that it is said once.
    told: sync::Cache<String, Arc<[String]>>,
}

impl Default for Runtimes {
    fn default() -> Self {
        Self::fresh_for(FRESH)
    }
}

impl Runtimes {
    fn fresh_for(age: Duration) -> Self {
        Self {
            entries: future::Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(age)
                .build(),
            told: sync::Cache::new(REMEMBERED),
        }
    }

    /// Says what had to be left out of a tenant's settings, when that is new.
    fn tell(&self, tenant: &str, problems: Vec<String>) {
        let known = self.told.get(tenant).unwrap_or_default();
        for problem in problems.iter().filter(|problem| !known.contains(problem)) {
            telemetry::messages::setting_ignored(tenant, problem);
        }
        if *known != *problems {
            self.told.insert(tenant.to_owned(), problems.into());
        }
    }
}

impl Platform {
    /// Takes a tenant's settings for true for so long.
    #[must_use]
    pub fn with_runtime_age(mut self, age: Duration) -> Self {
        self.runtimes = Runtimes::fresh_for(age);
        self
    }

    /// What answering needs to know of a tenant, at most a moment old. However many jobs want it at
    /// once, one of them reads it.
    pub async fn runtime(&self, tenant: &str) -> Result<Option<Arc<TenantRuntime>>, Error> {
        let read = async { self.read_runtime(tenant).await.map(Arc::new) };
        match self
            .runtimes
            .entries
            .try_get_with_by_ref(tenant, read)
            .await
        {
            Ok(runtime) => Ok(Some(runtime)),
            Err(error) if matches!(*error, Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::Shared(error)),
        }
    }

    async fn read_runtime(&self, tenant: &str) -> Result<TenantRuntime, Error> {
        let row = self.repository.runtime(tenant).await?;
        let row = row.ok_or(Error::NotFound { what: "tenant" })?;
        let (settings, problems) = TenantSettings::parse(&row.settings.0);
        self.runtimes.tell(tenant, problems);
        let secret = match &settings.llm.provider {
            Some(provider) => self.tenant_secret(tenant, &secret_names(provider)).await?,
            None => None,
        };
        Ok(TenantRuntime {
            llm_key: secret.or_else(|| settings.llm.api_key.clone()),
            disabled_channels: disabled(&row),
            id: row.id,
            enabled: row.enabled,
            plan: row.plan,
            settings,
        })
    }

    /// The first of these secrets of a tenant that is there.
    async fn tenant_secret(
        &self,
        tenant: &str,
        names: &[String; 2],
    ) -> Result<Option<Private<String>>, Error> {
        let Some(row) = self.repository.tenant_secret(tenant, names).await? else {
            return Ok(None);
        };
        self.open_secret(&row).map(Some)
    }
}

/// What a key may be called: by its provider, or simply the key.
fn secret_names(provider: &str) -> [String; 2] {
    [format!("{provider}.apiKey"), "llm.apiKey".to_owned()]
}

/// A type this program does not know is no concern of its jobs.
fn disabled(row: &RuntimeRow) -> Vec<ChannelType> {
    let names = row.disabled_channels.as_deref().unwrap_or_default();
    names
        .split(',')
        .filter_map(|name| name.parse().ok())
        .collect()
}

impl fmt::Debug for Runtimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runtimes({})", self.entries.entry_count())
    }
}
