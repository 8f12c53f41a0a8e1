//! Whose models there are, and the one that a tenant chose.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};

use super::chat::ChatModel;
use super::options::{ApiOptions, ChatKind, ModelOptions, OllamaOptions};
use super::{anthropic, extractive, ollama, openai};
use crate::services::addresses::{NotPublic, PublicOnly, check_literal};
use crate::services::host::Hosts;
use crate::services::http::not_public;
use crate::services::{Error, http};

/// A tenant cannot make us give up on its provider sooner.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(10);

/// Whose model it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// An Ollama server.
    Ollama,
    /// OpenAI, or whatever speaks like it.
    Openai,
    /// DeepSeek.
    Deepseek,
    /// Anthropic.
    Anthropic,
}

/// What a tenant chose of the model that answers; what is `None` is as the options say.
#[derive(Clone, Default)]
pub struct ChatChoice {
    /// Whose.
    pub provider: Option<Provider>,
    /// Which.
    pub model: Option<String>,
    /// The tenant's own key.
    pub key: Option<SecretString>,
    /// The tenant's own address.
    pub base_url: Option<String>,
    /// `OpenAI-Organization`.
    pub organization: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// How long one request may take in all.
    pub timeout: Option<Duration>,
}

/// What makes chat models.
pub(super) struct Providers {
    options: ModelOptions,
    hosts: Hosts,
    client: Client,
    /// For addresses of tenants': it finds none that is not public.
    public: Client,
}

impl FromStr for Provider {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "ollama" => Ok(Self::Ollama),
            "openai" => Ok(Self::Openai),
            "deepseek" => Ok(Self::Deepseek),
            "anthropic" => Ok(Self::Anthropic),
            _ => Err(()),
        }
    }
}

impl Provider {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ollama => "ollama",
            Self::Openai => "openai",
            Self::Deepseek => "deepseek",
            Self::Anthropic => "anthropic",
        }
    }
}

impl Providers {
    pub(super) fn new(options: &ModelOptions, hosts: Hosts) -> Result<Self, Error> {
        // One client, so that connections are used again whoever asks; it has one time-out.
        let apis = [&options.openai, &options.deepseek, &options.anthropic];
        let patience = apis.into_iter().map(|api| api.connect_timeout_ms);
        let patience = patience.fold(options.ollama.connect_timeout_ms, u64::max);
        let patience = Duration::from_millis(patience);
        let public = http::builder(patience).dns_resolver(Arc::new(PublicOnly));
        Ok(Self {
            client: http::client("models", patience)?,
            public: http::build("models", public)?,
            options: options.clone(),
            hosts,
        })
    }

    /// What answers where a tenant chose nothing.
    pub(super) fn default_chat(&self, kind: ChatKind) -> Result<Arc<dyn ChatModel>, Error> {
        let provider = match kind {
            ChatKind::Extractive => return Ok(Arc::new(extractive::Extractive)),
            ChatKind::Ollama => Provider::Ollama,
            ChatKind::Openai => Provider::Openai,
            ChatKind::Deepseek => Provider::Deepseek,
            ChatKind::Anthropic => Provider::Anthropic,
        };
        self.chat(&ChatChoice {
            provider: Some(provider),
            ..ChatChoice::default()
        })
    }

    /// What answers where a tenant chose this.
    pub(super) fn chat(&self, choice: &ChatChoice) -> Result<Arc<dyn ChatModel>, Error> {
        let provider = match (choice.provider, self.options.model) {
            (Some(provider), _) => provider,
            (None, ChatKind::Extractive) => return Ok(Arc::new(extractive::Extractive)),
            (None, ChatKind::Ollama) => Provider::Ollama,
            (None, ChatKind::Openai) => Provider::Openai,
            (None, ChatKind::Deepseek) => Provider::Deepseek,
            (None, ChatKind::Anthropic) => Provider::Anthropic,
        };
        if choice.base_url.is_some() && !self.options.tenant_addresses {
            return Err(Error::rejected(
                provider.as_str(),
                "the tenant set `llm.baseUrl`, which this installation does not allow",
                "take it out, or set models.tenant_addresses",
            ));
        }
        match provider {
            Provider::Ollama => self.ollama(choice),
            Provider::Openai => self.openai(provider, &self.options.openai, choice),
            Provider::Deepseek => self.openai(provider, &self.options.deepseek, choice),
            Provider::Anthropic => self.anthropic(choice),
        }
    }

    /// What embeds on the installation's Ollama server.
    pub(super) fn ollama_embedder(&self) -> Result<ollama::Embedder, Error> {
        let options = &self.options.ollama;
        let server = ollama::Server::new(options, &self.hosts, self.client.clone())?;
        Ok(ollama::Embedder::new(Arc::new(server), options))
    }

    fn ollama(&self, choice: &ChatChoice) -> Result<Arc<dyn ChatModel>, Error> {
        let options = &self.options.ollama;
        let patience = patience(Duration::from_millis(options.timeout_ms), choice);
        let options = OllamaOptions {
            base_url: choice
                .base_url
                .as_ref()
                .unwrap_or(&options.base_url)
                .clone(),
            chat_model: choice.model.as_ref().unwrap_or(&options.chat_model).clone(),
            timeout_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            ..options.clone()
        };
        let client = self.client(&self.options.ollama.base_url, choice)?;
        let server = ollama::Server::new(&options, &self.hosts, client)?;
        Ok(Arc::new(ollama::Chat::new(Arc::new(server), &options)))
    }

    fn openai(
        &self,
        provider: Provider,
        options: &ApiOptions,
        choice: &ChatChoice,
    ) -> Result<Arc<dyn ChatModel>, Error> {
        let name = provider.as_str();
        let url = address(name, options, choice, "chat/completions")?;
        let key = key(options, choice);
        let account = key.as_ref().map(ExposeSecret::expose_secret);
        Ok(Arc::new(openai::Chat {
            provider: name,
            client: self.client(&options.base_url, choice)?,
            account: self.hosts.account(name, &url, account),
            url,
            model: model(name, options, choice)?,
            key,
            organization: choice.organization.clone(),
            headers: headers(choice),
            timeout: timeout(options, choice),
        }))
    }

    fn anthropic(&self, choice: &ChatChoice) -> Result<Arc<dyn ChatModel>, Error> {
        let (name, options) = ("anthropic", &self.options.anthropic);
        let url = address(name, options, choice, "v1/messages")?;
        let key = key(options, choice);
        let account = key.as_ref().map(ExposeSecret::expose_secret);
        Ok(Arc::new(anthropic::Chat {
            client: self.client(&options.base_url, choice)?,
            account: self.hosts.account(name, &url, account),
            url,
            model: model(name, options, choice)?,
            key,
            headers: headers(choice),
            timeout: timeout(options, choice),
        }))
    }
}

impl Providers {
    /// What connects to the address that was chosen: to one of a tenant's only where that is public, as
    /// whoever names an address of our own network speaks in our name there.
    fn client(&self, ours: &str, choice: &ChatChoice) -> Result<Client, Error> {
        let bare = |address: &str| address.trim_end_matches('/').to_owned();
        let theirs = choice
            .base_url
            .as_deref()
            .filter(|theirs| !self.options.tenant_private_addresses && bare(theirs) != bare(ours));
        let Some(theirs) = theirs else {
            return Ok(self.client.clone());
        };
        // What is no URL is told by whoever makes a request of it.
        match Url::parse(theirs).map(|url| check_literal(&url)) {
            Ok(Err(NotPublic)) => Err(not_public("models")),
            _ => Ok(self.public.clone()),
        }
    }
}

fn address(
    service: &str,
    options: &ApiOptions,
    choice: &ChatChoice,
    path: &str,
) -> Result<Url, Error> {
    let base = choice.base_url.as_ref().unwrap_or(&options.base_url);
    let whole = format!("{}/{path}", base.trim_end_matches('/'));
    Url::parse(&whole)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| {
            let reason = "its address is not an http URL with a host";
            let remedy = format!("set the tenant's `llm.baseUrl`, or models.{service}.base_url");
            Error::rejected(service, reason, remedy)
        })
}

fn model(service: &str, options: &ApiOptions, choice: &ChatChoice) -> Result<String, Error> {
    let model = choice.model.as_ref().unwrap_or(&options.chat_model);
    if model.is_empty() {
        let remedy = format!("set the tenant's `llm.model`, or models.{service}.chat_model");
        return Err(Error::rejected(service, "no model is chosen", remedy));
    }
    Ok(model.clone())
}

/// The tenant's own key, or the installation's; that one goes to the installation's address only.
fn key(options: &ApiOptions, choice: &ChatChoice) -> Option<SecretString> {
    let shared = Some(&options.api_key).filter(|_| choice.base_url.is_none());
    let key = choice.key.as_ref().or(shared);
    key.filter(|key| !key.expose_secret().is_empty()).cloned()
}

pub(super) fn timeout(options: &ApiOptions, choice: &ChatChoice) -> Duration {
    patience(Duration::from_millis(options.timeout_ms), choice)
}

/// As long as the tenant says, and no shorter than an answer may well take: what it would not wait for
/// counts as a failure of the host, which others call too.
fn patience(ours: Duration, choice: &ChatChoice) -> Duration {
    let theirs = choice.timeout.unwrap_or(ours);
    theirs.max(ours.min(SHORTEST_PATIENCE))
}

/// What cannot be sent as a header is left out.
fn headers(choice: &ChatChoice) -> HeaderMap {
    let header = |(name, value): &(String, String)| {
        let name: HeaderName = name.parse().ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    choice.headers.iter().filter_map(header).collect()
}

impl PartialEq for ChatChoice {
    fn eq(&self, other: &Self) -> bool {
        let key = |choice: &Self| {
            let key = choice.key.as_ref();
            key.map(|key| key.expose_secret().to_owned())
        };
        self.provider == other.provider
            && self.model == other.model
            && key(self) == key(other)
            && self.base_url == other.base_url
            && self.organization == other.organization
            && self.headers == other.headers
            && self.timeout == other.timeout
    }
}

/// An address may hold a password.
impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Providers({:?})", self.hosts)
    }
}

/// Headers may hold secrets.
impl fmt::Debug for ChatChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatChoice")
            .field("provider", &self.provider)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}
