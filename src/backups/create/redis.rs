//! Redis by `redis-cli --rdb`: the server sends a snapshot as it would to a replica, which is whole by itself. Its
//! append-only set is copied besides if the target's `path` says where on this machine it lies.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Error, Work, append_only};
use crate::backups::Manifest;
use crate::backups::command::Tool;

const REDIS_BIN: &str = "backups.tools.redis_bin";

pub(super) async fn copy(work: &Work<'_>, manifest: &mut Manifest) -> Result<(), Error> {
    let server = Server::new(&work.target.url)?;
    let told = work.run(server.cli(work).arg("INFO").arg("server")).await?;
    let told = String::from_utf8_lossy(&told.output).into_owned();
    let version = told
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"));
    // `redis-cli` ends well even if the server refused.
    let Some(version) = version else {
        return Err(refused("INFO", &told));
    };
    manifest.server_version = Some(version.trim().to_owned());
    let client = work.run(Server::bare(work).arg("--version")).await?;
    let client = String::from_utf8_lossy(&client.output).trim().to_owned();
    manifest.client_version = Some(client.trim_start_matches("redis-cli ").to_owned());
    let file = work.folder.join("dump.rdb");
    let copied = work.run(server.cli(work).arg("--rdb").arg(&file)).await?;
    match tokio::fs::metadata(&file).await {
        Ok(it) if it.len() > 0 => {}
        _ => return Err(refused("--rdb", &copied.errors)),
    }
    if work.target.path.as_os_str().is_empty() {
        return Ok(());
    }
    append_only::copy(work, &server, manifest).await
}

pub(super) fn refused(what: &str, told: &str) -> Error {
    Error::ToolFailed {
        tool: "redis-cli".to_owned(),
        status: format!("{what} was refused"),
        message: told.trim().chars().take(500).collect(),
    }
}

/// Where it is, without its password.
pub(super) struct Server {
    url: Url,
    password: Option<SecretString>,
}

impl Server {
    fn new(url: &SecretString) -> Result<Self, Error> {
        let wrong = || {
            Error::setting(
                "backups.targets",
                "url: must be redis://user:password@host:6379",
            )
        };
        let mut url = Url::parse(url.expose_secret()).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "redis" | "rediss") || !url.has_host() {
            return Err(wrong());
        }
        let password = url
            .password()
            .map(decoded)
            .transpose()
            .map_err(|()| wrong())?;
        url.set_password(None).map_err(|()| wrong())?;
        Ok(Self { url, password })
    }

    fn bare(work: &Work<'_>) -> Tool {
        Tool::new(work.backups.options().tools.redis("redis-cli"), REDIS_BIN)
    }

    pub(super) fn cli(&self, work: &Work<'_>) -> Tool {
        let host = self.url.host_str().unwrap_or("localhost");
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut tool = Self::bare(work).args(["--no-auth-warning", "-h", host]);
        tool = tool
            .arg("-p")
            .arg(self.url.port().unwrap_or(6379).to_string());
        if self.url.scheme() == "rediss" {
            tool = tool.arg("--tls");
        }
        if !self.url.username().is_empty()
            && let Ok(user) = decoded(self.url.username())
        {
            tool = tool.arg("--user").arg(user.expose_secret());
        }
        match &self.password {
            Some(password) => tool.secret("REDISCLI_AUTH", password.clone()),
            None => tool,
        }
    }
}

fn decoded(encoded: &str) -> Result<SecretString, ()> {
    crate::backups::connection::decode(encoded).map_err(drop)
}
