//! RabbitMQ's definitions, as it exports them itself: vhosts, users, permissions, queues, exchanges, bindings
//! and policies. No messages: those are jobs as soon as they are taken in.

use secrecy::ExposeSecret;

use super::{Error, Work};
use crate::backups::Manifest;
use crate::backups::command::Tool;
use crate::services;
use crate::services::management::definitions;

const FILE: &str = "definitions.json";

/// By the management plugin if the target's `url` is one of HTTP, and else by `rabbitmqctl`, which works on the
/// broker's own machine only.
pub(super) async fn export(work: &Work<'_>, manifest: &mut Manifest) -> Result<(), Error> {
    let url = &work.target.url;
    let by_http = url.expose_secret().starts_with("http");
    if by_http {
        let asked = async {
            definitions(url, work.left())
                .await
                .map_err(|e| from_service(&e))
        };
        let told = work
            .bounded("exporting RabbitMQ's definitions", asked)
            .await?;
        work.write(FILE, told).await?;
    } else {
        let tool = work.backups.options().tools.rabbitmq("rabbitmqctl");
        let tool = Tool::new(tool, "backups.tools.rabbitmq_bin")
            .arg("export_definitions")
            .arg(work.folder.join(FILE));
        work.run(tool).await?;
    }
    let written = work.folder.join(FILE);
    let text = tokio::fs::read(&written)
        .await
        .map_err(Error::io(format!("reading {}", written.display())))?;
    let exported: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|e| Error::Suspect(format!("what RabbitMQ exported is not JSON: {e}")))?;
    let version = ["rabbitmq_version", "rabbit_version"]
        .iter()
        .find_map(|key| exported[key].as_str());
    manifest.server_version = version.map(str::to_owned);
    let how = if by_http {
        "management API"
    } else {
        "rabbitmqctl"
    };
    manifest
        .details
        .insert("exported_by".to_owned(), how.to_owned());
    for subject in [
        "vhosts",
        "users",
        "queues",
        "exchanges",
        "bindings",
        "policies",
    ] {
        let Some(list) = exported[subject].as_array() else {
            return Err(Error::Suspect(format!(
                "what RabbitMQ exported has no {subject}"
            )));
        };
        manifest.rows.insert(subject.to_owned(), list.len() as u64);
    }
    Ok(())
}

fn from_service(error: &services::Error) -> Error {
    Error::Unavailable {
        what: "RabbitMQ's management API".to_owned(),
        reason: error.to_string(),
    }
}
