//! Asks a server, and says in plain words what it would not do.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::super::ask::Ask;
use super::super::{Exit, Failure, actor};
use super::profile::Profile;

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);

/// A server, as a profile names it.
#[derive(Debug, Clone)]
pub struct Server {
    profile: String,
    base: Url,
    /// Marked as sensitive, so that nothing shows it.
    key: HeaderValue,
    client: reqwest::Client,
}

/// What of a problem is told.
#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    detail: String,
    field: Option<String>,
}

impl Server {
    pub(super) fn new(profile: &Profile, key: &SecretString) -> Result<Self, Failure> {
        let mut key = HeaderValue::from_str(key.expose_secret()).map_err(|_| {
            Failure::usage(format!(
                "the key of profile {} has letters that no key has",
                profile.name
            ))
        })?;
        key.set_sensitive(true);
        // reqwest asks for the process-wide provider; an earlier choice by somebody else stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The key goes to this server, and nowhere it may point to.
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        Ok(Self {
            profile: profile.name.clone(),
            base: profile.url.clone(),
            key,
            client,
        })
    }

    /// What its profile is called.
    pub fn name(&self) -> &str {
        &self.profile
    }

    /// Asks, and gives what was answered: JSON, or nothing.
    pub(in crate::cli) async fn send(&self, ask: &Ask) -> Result<String, Failure> {
        let mut url = self.base.clone();
        let cannot = || Failure::usage(format!("profile {}: its url is none", self.profile));
        url.path_segments_mut()
            .map_err(|()| cannot())?
            .pop_if_empty()
            .extend(&ask.path);
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        let mut request = self
            .client
            .request(ask.method.clone(), url)
            .header("x-admin-key", self.key.clone());
        if ask.method != Method::GET {
            request = request.header("x-actor", header(&actor::name()));
        }
        if let Some(reason) = &ask.reason {
            request = request.header("x-reason", header(reason));
        }
        if let Some(body) = &ask.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let response = request.send().await.map_err(|error| self.lost(error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.lost(error))?;
        if status.is_success() {
            return Ok(text);
        }
        Err(self.refused(status, &text))
    }

    fn lost(&self, error: reqwest::Error) -> Failure {
        let (name, base) = (&self.profile, &self.base);
        let error = error.without_url();
        let why = if error.is_connect() {
            "cannot be reached"
        } else if error.is_timeout() {
            "did not answer in time"
        } else {
            "broke off"
        };
        let message =
            format!("profile {name}: {base} {why}; straight to the database: without --profile");
        Failure::new(Exit::Failed, message)
    }

    fn refused(&self, status: StatusCode, text: &str) -> Failure {
        let name = &self.profile;
        let problem: Problem = serde_json::from_str(text).unwrap_or_default();
        let field = problem
            .field
            .map_or_else(String::new, |field| format!("{field}: "));
        let said = match problem.detail.as_str() {
            "" => format!("the server of profile {name} answered {status}"),
            detail => format!("{field}{detail}"),
        };
        let exit = match status {
            StatusCode::NOT_FOUND => Exit::NotFound,
            StatusCode::BAD_REQUEST
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::PAYLOAD_TOO_LARGE => Exit::Usage,
            _ => Exit::Failed,
        };
        let said = match status {
            StatusCode::UNAUTHORIZED => {
                format!("the server does not take the key of profile {name}: {said}")
            }
            StatusCode::FORBIDDEN => format!("the key of profile {name} may not do this: {said}"),
            _ => said,
        };
        Failure::new(exit, said)
    }
}

/// What people write, in a header: without what a header cannot hold.
fn header(text: &str) -> HeaderValue {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    HeaderValue::from_bytes(plain.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static("?"))
}
