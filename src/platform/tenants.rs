use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use windlass::db::Tx;

use super::rows::{OpenChannelRow, TenantRow};
use super::{Error, Platform, Private, TenantSettings, ids, text};

/// A customer of the platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whether it is served at all.
    pub enabled: bool,
    /// What it configured.
    pub settings: TenantSettings,
    /// Settings that made no sense and were replaced by defaults; for whoever can tell the tenant.
    pub settings_problems: Vec<String>,
}

/// Where messages come from and go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChannelType {
    /// WhatsApp, through the Graph API.
    Whatsapp,
    /// Messenger, through the Graph API.
    Messenger,
    /// The widget on a tenant's web site.
    Webchat,
}

/// Not the name of a channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected whatsapp, messenger or webchat")]
pub struct UnknownChannelType;

/// A tenant's channel of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its id.
    pub id: String,
    /// Which one.
    pub kind: ChannelType,
    /// Addresses and, on old rows, tokens.
    pub config: Private<Value>,
    /// Whether it may be used.
    pub enabled: bool,
}

/// A channel that takes messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpenChannel {
    /// Whose it is.
    pub tenant: String,
    /// Which one.
    pub channel: ChannelType,
}

impl Platform {
    /// One tenant with its settings.
    pub async fn tenant(&self, tenant: &str) -> Result<Option<Tenant>, Error> {
        Ok(self.repository.tenant(tenant).await?.map(Tenant::from))
    }

    /// Makes a tenant. For demos and tests: on a platform, its own sign-up does.
    pub async fn create_tenant(
        &self,
        tx: &mut Tx,
        tenant: &str,
        name: &str,
        settings: &Value,
    ) -> Result<(), Error> {
        let settings = text::storable_json(settings);
        self.repository
            .create_tenant(tx, tenant, &text::storable(name), &settings)
            .await
    }

    /// A tenant's channel of one type, whether enabled or not.
    pub async fn channel(&self, tenant: &str, kind: ChannelType) -> Result<Option<Channel>, Error> {
        let row = self.repository.channel(tenant, kind).await?;
        Ok(row.map(|row| Channel {
            id: row.id,
            kind,
            config: Private(row.config.0),
            enabled: row.enabled,
        }))
    }

    /// Makes a channel; a tenant has at most one of each type. For demos and tests.
    pub async fn create_channel(
        &self,
        tx: &mut Tx,
        tenant: &str,
        channel: ChannelType,
        config: &Value,
    ) -> Result<String, Error> {
        let id = ids::fresh();
        let config = text::storable_json(config);
        self.repository
            .create_channel(tx, tenant, &id, channel, &config)
            .await?;
        Ok(id)
    }

    /// Every channel that takes messages, of all tenants. Where row security hides tenants from the
    /// role, of those that have API keys or figures; one with `bypassrls` sees them all.
    pub async fn open_channels(&self) -> Result<Vec<OpenChannel>, Error> {
        Ok(known(self.repository.open_channels().await?))
    }

    /// The channels of one tenant that take messages.
    pub async fn open_channels_of(&self, tenant: &str) -> Result<Vec<OpenChannel>, Error> {
        Ok(known(self.repository.open_channels_of(tenant).await?))
    }
}

/// A type this program does not know is served by somebody else.
fn known(rows: Vec<OpenChannelRow>) -> Vec<OpenChannel> {
    let known = |row: OpenChannelRow| {
        let channel = row.channel.parse().ok()?;
        Some(OpenChannel {
            tenant: row.tenant,
            channel,
        })
    };
    rows.into_iter().filter_map(known).collect()
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        let (settings, settings_problems) = TenantSettings::parse(&row.settings.0);
        Self {
            id: row.id,
            name: row.name,
            enabled: row.enabled,
            settings,
            settings_problems,
        }
    }
}

impl ChannelType {
    /// As the platform writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whatsapp => "whatsapp",
            Self::Messenger => "messenger",
            Self::Webchat => "webchat",
        }
    }
}

impl FromStr for ChannelType {
    type Err = UnknownChannelType;

    fn from_str(name: &str) -> Result<Self, UnknownChannelType> {
        match name {
            "whatsapp" => Ok(Self::Whatsapp),
            "messenger" => Ok(Self::Messenger),
            "webchat" => Ok(Self::Webchat),
            _ => Err(UnknownChannelType),
        }
    }
}

impl fmt::Display for ChannelType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
