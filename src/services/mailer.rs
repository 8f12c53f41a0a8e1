//! Tells people by e-mail, through a server that takes it in for them.

use std::fmt;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};

use super::Error;
use super::notifier::Notice;

const MAIL: &str = "the mail server of notifications";

/// Who is told by e-mail, and through which server.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// Such as `smtps://user:password@mail.example.com`; `smtp://..:587?tls=required` begins in the clear.
    pub server: SecretString,
    /// Whose name it is sent in.
    pub from: String,
    /// Who gets it; nobody if there is none.
    pub to: Vec<String>,
}

/// Sends e-mail. Each goes by a connection of its own: there are few.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The server's address may hold a password.
        f.debug_struct("Mailer")
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

impl Mailer {
    /// None if nobody is to get any.
    pub fn new(mail: &Mail, timeout: Duration) -> Result<Option<Self>, Error> {
        if mail.to.is_empty() {
            return Ok(None);
        }
        // The transport asks for the process-wide provider of TLS; an earlier choice by somebody else stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = |what: &str, remedy: &str| Error::rejected(MAIL, what, remedy);
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(mail.server.expose_secret());
        let server = server.map_err(|_| {
            wrong(
                "its address cannot be read",
                "set `backups.notify.smtp_url` to an address such as smtps://user:password@mail.example.com",
            )
        })?;
        let from = mail.from.parse().map_err(|_| {
            wrong(
                "the sender is no address",
                "set `backups.notify.email_from` to one such as backups@example.com",
            )
        })?;
        let to = mail
            .to
            .iter()
            .map(|to| to.parse())
            .collect::<Result<_, _>>();
        let to = to.map_err(|_| {
            wrong(
                "a receiver is no address",
                "set `backups.notify.email_to` to ones such as ops@example.com",
            )
        })?;
        Ok(Some(Self {
            transport: server.timeout(Some(timeout)).build(),
            from,
            to,
            timeout,
        }))
    }

    /// Sends a notice to everybody.
    pub async fn send(&self, notice: &Notice) -> Result<(), Error> {
        let mut letter = Message::builder()
            .from(self.from.clone())
            .subject(&notice.subject)
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            letter = letter.to(to.clone());
        }
        let letter = letter
            .body(notice.message.clone())
            .map_err(|_| Error::rejected(MAIL, "the letter cannot be written", "report this"))?;
        match tokio::time::timeout(self.timeout, self.transport.send(letter)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(Error::unavailable(MAIL, "it did not finish in time")),
        }
    }
}

/// In our own words: what the server answers is not repeated.
fn failed(error: &smtp::Error) -> Error {
    if let Some(code) = error.status() {
        let reason = format!("it answered {code}");
        if error.is_transient() {
            return Error::unavailable(MAIL, reason);
        }
        let remedy = "check its user, password and addresses in `backups.notify`";
        return Error::rejected(MAIL, reason, remedy);
    }
    Error::unavailable(
        MAIL,
        if error.is_timeout() {
            "it did not finish in time"
        } else if error.is_tls() {
            "no encrypted connection to it"
        } else {
            "the connection to it failed"
        },
    )
}
