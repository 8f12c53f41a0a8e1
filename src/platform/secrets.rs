use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::rows::SecretRow;
use super::{Channel, Error, Platform, Private};

/// Keys that open what the platform keeps encrypted: AES-256-GCM, each under its id. Never printed.
#[derive(Clone, Default)]
pub struct SecretKeys(Arc<[(String, Aes256Gcm)]>);

/// A key that opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key {id:?}: {problem}")]
pub struct InvalidSecretKey {
    /// Which.
    pub id: String,
    /// What is wrong; never the key.
    pub problem: &'static str,
}

impl SecretKeys {
    /// From ids and keys, each 32 bytes as base64, in any order: every one opens.
    pub fn new<'a>(
        keys: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, InvalidSecretKey> {
        let mut ring: Vec<(String, Aes256Gcm)> = Vec::new();
        for (id, key) in keys {
            let invalid = |problem| InvalidSecretKey {
                id: id.to_owned(),
                problem,
            };
            if id.is_empty() {
                return Err(invalid("has no id; write `id:key`"));
            }
            if ring.iter().any(|(known, _)| known == id) {
                return Err(invalid("is there twice"));
            }
            let cipher = BASE64_STANDARD
                .decode(key)
                .ok()
                .and_then(|key| Aes256Gcm::new_from_slice(&key).ok());
            let cipher = cipher.ok_or_else(|| invalid("is not 32 bytes as base64"))?;
            ring.push((id.to_owned(), cipher));
        }
        Ok(Self(ring.into()))
    }

    /// The plaintext of a row.
    pub(super) fn open(&self, row: &SecretRow) -> Result<Vec<u8>, Error> {
        let unreadable = |problem: String| Error::Corrupt {
            what: "secret",
            problem,
        };
        let (_, cipher) = self.0.iter().find(|(id, _)| *id == row.key_id).ok_or_else(|| {
            unreadable(format!(
                "it was encrypted with key {:?}, which is not set; add it to channels.secret_keys",
                row.key_id
            ))
        })?;
        let decode = |text: &str, what: &str| {
            let bytes = BASE64_STANDARD.decode(text);
            bytes.map_err(|_| unreadable(format!("its {what} is not base64")))
        };
        let mut sealed = decode(&row.ciphertext, "ciphertext")?;
        sealed.extend(decode(&row.auth_tag, "authTag")?);
        let iv: [u8; 12] = decode(&row.iv, "iv")?
            .try_into()
            .map_err(|_| unreadable("its iv is not 12 bytes".to_owned()))?;
        cipher
            .decrypt(&iv.into(), sealed.as_slice())
            .map_err(|_| unreadable("it was altered, or its key is another one".to_owned()))
    }
}

/// What a channel is reached and recognised with: its secrets, and what stands in its configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Credentials {
    /// Decrypted; they go before the configuration.
    secrets: Private<Value>,
    config: Private<Value>,
    /// The name under which older configurations nest theirs.
    channel: &'static str,
}

impl Credentials {
    /// The first of these names that is set to a text.
    ///
    /// Looked for among the secrets, then in the configuration, then in its part for the channel.
    pub fn get(&self, names: &[&str]) -> Option<&str> {
        let places = [&*self.secrets, &*self.config, &self.config[self.channel]];
        let mut found = places.into_iter().flat_map(|place| {
            names
                .iter()
                .filter_map(move |name| place.get(name).and_then(Value::as_str))
        });
        found.find(|text| !text.is_empty())
    }
}

impl Platform {
    /// Opens encrypted secrets with these keys.
    #[must_use]
    pub fn with_secret_keys(mut self, keys: SecretKeys) -> Self {
        self.secret_keys = keys;
        self
    }

    /// A secret that is one text, or the `apiKey` of an object.
    pub(super) fn open_secret(&self, row: &SecretRow) -> Result<Private<String>, Error> {
        let opened = parsed(&self.secret_keys.open(row)?);
        let text = ["apiKey", "secret"]
            .into_iter()
            .find_map(|name| opened[name].as_str());
        text.map(|text| Private(text.trim().to_owned()))
            .ok_or_else(|| Error::Corrupt {
                what: "secret",
                problem: "it is neither a text nor an object with an `apiKey`".to_owned(),
            })
    }

    /// What a channel is reached and recognised with.
    pub async fn credentials(&self, tenant: &str, channel: &Channel) -> Result<Credentials, Error> {
        let row = self.repository.channel_secret(tenant, &channel.id).await?;
        let secrets = match row {
            Some(row) => parsed(&self.secret_keys.open(&row)?),
            None => json!({}),
        };
        Ok(Credentials {
            secrets: Private(secrets),
            config: channel.config.clone(),
            channel: channel.kind.as_str(),
        })
    }
}

/// A JSON object, or a bare text, which the platform calls `secret`.
pub(super) fn parsed(plaintext: &[u8]) -> Value {
    match serde_json::from_slice(plaintext) {
        Ok(Value::Object(secrets)) => Value::Object(secrets),
        _ => {
            let text = String::from_utf8_lossy(plaintext).into_owned();
            Value::Object(Map::from_iter([("secret".to_owned(), Value::String(text))]))
        }
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(id, _)| id))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    /// Encrypted with another program: AES-256-GCM of `{"appSecret":"hunter2"}` under [`KEY`].
    fn row() -> SecretRow {
        SecretRow {
            key_id: "k1".to_owned(),
            ciphertext: "bvTejDSnVX18SyUb1oRSgnvreSZWkCk=".to_owned(),
            iv: "AAAAAAAAAAAAAAAB".to_owned(),
            auth_tag: "cT6NmsjPD+VdLJz3PrYiiQ==".to_owned(),
        }
    }

    #[test]
    fn what_the_platform_encrypted_is_opened_with_the_key_of_its_id() {
        let keys = SecretKeys::new([
            ("k0", "//////////////////////////////////////////8="),
            ("k1", KEY),
        ]);
        let opened = keys.unwrap().open(&row()).unwrap();
        assert_eq!(parsed(&opened), json!({"appSecret": "hunter2"}));
    }

    #[test]
    fn what_cannot_be_opened_says_why_and_nothing_else() {
        let keys = SecretKeys::new([("k1", KEY)]).unwrap();
        let altered = SecretRow {
            auth_tag: "AAAAAAAAAAAAAAAAAAAAAA==".to_owned(),
            ..row()
        };
        let unknown = SecretRow {
            key_id: "k9".to_owned(),
            ..row()
        };
        let short = SecretRow {
            iv: "AAAA".to_owned(),
            ..row()
        };
        for (row, why) in [
            (altered, "altered"),
            (unknown, "\"k9\", which is not set"),
            (short, "12 bytes"),
        ] {
            let error = keys.open(&row).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused_and_no_key_is_printed() {
        for (id, key, why) in [
            ("", KEY, "no id"),
            ("k", "hunter2", "32 bytes"),
            ("k", "AAAA", "32 bytes"),
        ] {
            let error = SecretKeys::new([(id, key)]).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
        assert!(SecretKeys::new([("k", KEY), ("k", KEY)]).is_err());
        assert_eq!(
            format!("{:?}", SecretKeys::new([("k1", KEY)]).unwrap()),
            "[\"k1\"]"
        );
    }

    #[test]
    fn a_secret_goes_before_the_configuration_and_its_older_names_are_known() {
        let credentials = Credentials {
            secrets: Private(json!({"appSecret": "sealed"})),
            config: Private(
                json!({"appSecret": "plain", "verifyToken": "", "whatsapp": {"verifyToken": "nested"}}),
            ),
            channel: "whatsapp",
        };
        assert_eq!(credentials.get(&["appSecret"]), Some("sealed"));
        assert_eq!(credentials.get(&["apiSecret", "appSecret"]), Some("sealed"));
        assert_eq!(
            credentials.get(&["webhookVerifyToken", "verifyToken"]),
            Some("nested")
        );
        assert_eq!(credentials.get(&["accessToken"]), None);
        assert!(!format!("{credentials:?}").contains("sealed"));
    }
}
