//! Lists that a variable may carry too, and the ring that keys make.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use windlass::engine::{InvalidKey, KeyRing};

use super::SealingOptions;

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// A list, or its elements in one text, separated by commas.
pub(super) fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let words = match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => text.split(',').map(|word| word.trim().to_owned()).collect(),
        OneOrMany::Many(words) => words,
    };
    Ok(words.into_iter().filter(|word| !word.is_empty()).collect())
}

pub(super) fn keys<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<SecretString>, D::Error> {
    Ok(words(deserializer)?.into_iter().map(Into::into).collect())
}

impl SealingOptions {
    /// The keys as a ring; empty if there are none.
    pub fn ring(&self) -> Result<KeyRing, InvalidKey> {
        let pairs = self.keys.iter().map(|key| {
            let key = key.expose_secret();
            // Without a colon it is all key, and refused for having no id.
            key.split_once(':').unwrap_or(("", key))
        });
        KeyRing::new(pairs)
    }
}
