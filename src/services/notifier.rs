//! Tells people, by whatever they have that takes an HTTP call, and by e-mail.

use std::time::Duration;

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::mailer::{Mail, Mailer};
use super::{Error, http};

const WEBHOOK: &str = "the webhook of notifications";
const PING: &str = "the dead man's switch";

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// In a few words.
    pub subject: String,
    /// What happened, and what to do.
    pub message: String,
}

/// Tells people.
#[derive(Debug, Clone, Default)]
pub struct Notifier {
    /// None if there is nobody to call.
    client: Option<Client>,
    webhook: SecretString,
    ping: SecretString,
    /// None if nobody gets any.
    mailer: Option<Mailer>,
    timeout: Duration,
}

impl Notifier {
    /// Either address may be empty, and then nobody is called.
    pub fn new(
        webhook: SecretString,
        ping: SecretString,
        mail: &Mail,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let nobody = webhook.expose_secret().is_empty() && ping.expose_secret().is_empty();
        let client = || http::client(WEBHOOK, timeout);
        Ok(Self {
            client: (!nobody).then(client).transpose()?,
            webhook,
            ping,
            mailer: Mailer::new(mail, timeout)?,
            timeout,
        })
    }

    /// Tells everybody who is to be told; if one way fails, the other is taken all the same.
    pub async fn tell(&self, notice: &Notice) -> Result<(), Error> {
        let mail = async {
            match &self.mailer {
                Some(mailer) => mailer.send(notice).await,
                None => Ok(()),
            }
        };
        let (posted, mailed) = tokio::join!(self.post(notice), mail);
        posted.and(mailed)
    }

    async fn post(&self, notice: &Notice) -> Result<(), Error> {
        let address = self.webhook.expose_secret();
        let Some(client) = self.client.as_ref().filter(|_| !address.is_empty()) else {
            return Ok(());
        };
        let (url, _) = http::base(WEBHOOK, address, "backups.notify.webhook_url")?;
        let request = client.post(url).json(notice).timeout(self.timeout);
        let answer = request
            .send()
            .await
            .map_err(|e| http::transport(WEBHOOK, e))?;
        http::check(WEBHOOK, answer).map(drop)
    }

    /// Says that a target's backup went well.
    pub async fn ping(&self, target: &str) -> Result<(), Error> {
        let address = self.ping.expose_secret().replace("{target}", target);
        let Some(client) = self.client.as_ref().filter(|_| !address.is_empty()) else {
            return Ok(());
        };
        let (url, _) = http::base(PING, &address, "backups.notify.ping_url")?;
        let request = client.get(url).timeout(self.timeout);
        let answer = request.send().await.map_err(|e| http::transport(PING, e))?;
        http::check(PING, answer).map(drop)
    }
}
