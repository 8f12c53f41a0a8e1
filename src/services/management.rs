//! RabbitMQ's management plugin.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{Error, http};

const SERVICE: &str = "RabbitMQ management";
const CONNECT: Duration = Duration::from_secs(10);

/// Everything that is declared in the broker, as JSON.
pub async fn definitions(url: &SecretString, timeout: Duration) -> Result<Vec<u8>, Error> {
    let setting = "backups.targets.<name>.url";
    let (base, name) = http::base(SERVICE, url.expose_secret(), setting)?;
    let wrong = |_| Error::rejected(&name, "its address cannot be a base", "check its address");
    let at = base.join("/api/definitions").map_err(wrong)?;
    // User and password of the URL become a header; they are in no error, whose URL is taken out.
    let request = http::client(&name, CONNECT)?.get(at).timeout(timeout);
    let answer = request
        .send()
        .await
        .map_err(|e| http::transport(&name, e))?;
    let answer = http::check(&name, answer)?;
    let body = answer
        .bytes()
        .await
        .map_err(|e| http::transport(&name, e))?;
    Ok(body.into())
}
