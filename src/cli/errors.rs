//! `jobctl errors`, `jobctl mute` and `jobctl unmute`: what fails, and what is known to.

use reqwest::Method;
use serde::Serialize;
use serde_json::json;
use windlass::model::Mute;
use windlass::{Client, Timestamp};

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::{Exit, Failure, Printer, actor};

/// The API groups them; the database by itself has jobs only.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Of this kind
    #[arg(long)]
    kind: Option<String>,
    /// In this queue
    #[arg(long)]
    queue: Option<String>,
    /// Of this tenant
    #[arg(long)]
    tenant: Option<String>,
}

impl Args {
    pub(super) fn ask(self) -> Ask {
        let columns = &[
            "fingerprint",
            "dead",
            "retryable",
            "kinds",
            "tenants",
            "last_at",
            "message",
        ];
        Ask::get(&[&"errors"], Shows::Rows("groups", columns))
            .with("kind", self.kind)
            .with("queue", self.queue)
            .with("tenant", self.tenant)
    }
}

#[derive(Debug, Clone, clap::Args)]
pub struct MuteArgs {
    /// Which error, as `jobctl errors` tells it
    fingerprint: String,
    /// When the mute ends by itself, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = super::enqueue::time)]
    until: Option<Timestamp>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub struct UnmuteArgs {
    /// Which error, as `jobctl errors` tells it
    fingerprint: String,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Muted {
    fingerprint: String,
    #[serde(flatten)]
    mute: Mute,
}

pub(super) async fn mute(
    client: &Client,
    args: MuteArgs,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let operator = actor::operator(client, args.reason.as_deref());
    let mute = operator.mute(&args.fingerprint, args.until).await?;
    let muted = Muted {
        fingerprint: args.fingerprint,
        mute,
    };
    printer.data(&muted, |muted| {
        let end = match muted.mute.until {
            Some(until) => format!(" until {until}"),
            None => String::new(),
        };
        format!("error {} is muted{end}\n", muted.fingerprint)
    })?;
    Ok(())
}

pub(super) async fn unmute(
    client: &Client,
    args: UnmuteArgs,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let operator = actor::operator(client, args.reason.as_deref());
    if !operator.unmute(&args.fingerprint).await? {
        return Err(Failure::new(Exit::NotFound, "this error is not muted"));
    }
    printer.data(&json!({ "fingerprint": args.fingerprint }), |_| {
        format!("error {} is muted no more\n", args.fingerprint)
    })?;
    Ok(())
}

impl MuteArgs {
    pub(super) fn ask(self) -> Result<Ask, Failure> {
        let mute = json!({ "until": self.until, "reason": self.reason });
        let path: [&(dyn std::fmt::Display + Sync); 3] = [&"errors", &self.fingerprint, &"mute"];
        Ask::new(Method::PUT, &path, Shows::Sheet).body(&mute)
    }

    pub(super) fn would(&self) -> Would {
        let end = self
            .until
            .map_or_else(String::new, |at| format!(" until {at}"));
        Would::Change(format!("mute error {}{end}", self.fingerprint))
    }
}

impl UnmuteArgs {
    pub(super) fn ask(self) -> Ask {
        let path: [&(dyn std::fmt::Display + Sync); 3] = [&"errors", &self.fingerprint, &"mute"];
        Ask::new(Method::DELETE, &path, Shows::Words("it is muted no more"))
            .with("reason", self.reason)
    }

    pub(super) fn would(&self) -> Would {
        Would::Change(format!("end the mute of error {}", self.fingerprint))
    }
}
