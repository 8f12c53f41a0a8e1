use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use zeroize::Zeroizing;

/// The keys that seal and open args and results: the first seals, all open.
///
/// A new key is put first, and the old ones are kept until nothing is sealed with them any more; no
/// process has to stop for it. `Debug` shows ids, never keys.
///
/// ```
/// use windlass::engine::KeyRing;
///
/// // 32 random bytes as base64: `openssl rand -base64 32`
/// let keys = KeyRing::new([
///     ("2026-11", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
///     ("2026-05", "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="),
/// ])?;
/// assert_eq!(keys.ids().collect::<Vec<_>>(), ["2026-11", "2026-05"]);
/// # Ok::<(), windlass::engine::InvalidKey>(())
/// ```
#[derive(Clone, Default)]
pub struct KeyRing(Arc<[Key]>);

pub(super) struct Key {
    pub(super) id: String,
    pub(super) cipher: XChaCha20Poly1305,
}

/// A key that cannot be used: which, and what would be right. Never the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key {number} ({id}): {problem}")]
pub struct InvalidKey {
    /// Its place in the ring, counted from 1.
    pub number: usize,
    /// Its id, if that is one.
    pub id: String,
    /// What is wrong and what would be right.
    pub problem: &'static str,
}

impl KeyRing {
    /// A ring of keys: each an id of 1 to 64 letters, digits, `-`, `_` or `.`, and 32 bytes as base64.
    pub fn new<I, K>(keys: impl IntoIterator<Item = (I, K)>) -> Result<Self, InvalidKey>
    where
        I: Into<String>,
        K: AsRef<str>,
    {
        let mut ring: Vec<Key> = Vec::new();
        for (index, (id, key)) in keys.into_iter().enumerate() {
            let id = id.into();
            let made = if !is_id(&id) {
                Err("needs an id of 1 to 64 letters, digits, - _ or .")
            } else if ring.iter().any(|other| other.id == id) {
                Err("has the id of another key; give each its own, for ever")
            } else {
                cipher(key.as_ref())
            };
            match made {
                Ok(cipher) => ring.push(Key { id, cipher }),
                Err(problem) => {
                    return Err(InvalidKey {
                        number: index + 1,
                        id: if is_id(&id) { id } else { "?".to_owned() },
                        problem,
                    });
                }
            }
        }
        Ok(Self(ring.into()))
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ids, the one that seals first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// The key that seals.
    pub(super) fn newest(&self) -> Option<&Key> {
        self.0.first()
    }

    pub(super) fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

fn is_id(id: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=64).contains(&id.len()) && id.chars().all(fits)
}

fn cipher(key: &str) -> Result<XChaCha20Poly1305, &'static str> {
    let bytes = Zeroizing::new(
        STANDARD
            .decode(key.trim())
            .map_err(|_| "is not base64; make one with `openssl rand -base64 32`")?,
    );
    if bytes.len() != 32 {
        return Err("is not of 32 bytes; make one with `openssl rand -base64 32`");
    }
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return Err(
            "is one byte repeated, which anyone may guess; make one with `openssl rand -base64 32`",
        );
    }
    XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| "is not of 32 bytes")
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")?;
        f.debug_list().entries(self.ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    #[test]
    fn shows_ids_and_never_keys() {
        let ring = KeyRing::new([("k2", KEY)]).unwrap();
        assert_eq!(format!("{ring:?}"), r#"KeyRing["k2"]"#);
        assert!(!format!("{ring:#?}").contains("MDEy"));
    }

    #[test]
    fn refuses_what_is_no_key_and_says_which() {
        let fault =
            |keys: &[(&str, &str)]| KeyRing::new(keys.iter().copied()).unwrap_err().to_string();
        assert_eq!(
            fault(&[("a", KEY), ("a", KEY)]),
            "key 2 (a): has the id of another key; give each its own, for ever"
        );
        assert!(fault(&[("", KEY)]).starts_with("key 1 (?): needs an id"));
        assert!(fault(&[("a b", KEY)]).starts_with("key 1 (?): needs an id"));
        assert!(fault(&[("a", "hunter2!")]).contains("not base64"));
        assert!(fault(&[("a", "c2hvcnQ=")]).contains("32 bytes"));
        let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert!(fault(&[("a", zeros)]).contains("guess"));
        assert!(!fault(&[("a", "hunter2!")]).contains("hunter2"));
    }
}
