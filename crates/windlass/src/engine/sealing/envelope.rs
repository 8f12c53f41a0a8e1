//! The form in which sealed and compressed values are stored:
//!
//! ```json
//! {"$sealed":{"v":1,"key":"2026-11","zip":"deflate","nonce":"..","data":".."}}
//! {"$packed":{"v":1,"zip":"deflate","data":".."}}
//! ```
//!
//! What is sealed is bound to its kind, its tenant and whether it is args, a result or a checkpoint:
//! moved elsewhere in the database, it does not open. It is not bound to the job's id, because a
//! unique job may hand its args to another. A caller's own value that begins like one of these is put
//! into an envelope itself, and so comes back as it was.

use std::borrow::Cow;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rand::RngCore as _;
use serde::{Deserialize, Serialize};

use super::{KeyRing, NoKeys};
use crate::model::Json;

const VERSION: u8 = 1;
const SEALED: &str = r#"{"$sealed":{"#;
const PACKED: &str = r#"{"$packed":{"#;
/// More than anything that was accepted: what unpacks to more was not packed here.
const LARGEST: u64 = 256 * 1024 * 1024;
const NONCE: usize = 24;

/// What is stored, which a sealed value is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// What a job is to work with.
    Args,
    /// What it recorded.
    Result,
    /// Where it was.
    Checkpoint,
}

/// Why a stored value cannot be read. Never says what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Sealed with a key that is not in the ring. Nothing is lost: put the key back.
    #[error("is sealed with key {0}, which this process does not have; add it to the key ring")]
    UnknownKey(String),
    /// In a later form: a newer program wrote it, and reads it.
    #[error("is sealed in form {0}, which only a newer program knows")]
    Newer(u8),
    /// Changed since it was sealed, or moved here from another kind or tenant.
    #[error("does not open: it was changed, or belongs to another kind or tenant")]
    Tampered,
    /// No envelope that this program ever wrote.
    #[error("is in an envelope that cannot be read")]
    Malformed,
}

/// How a value is stored, as far as its text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Form {
    Plain,
    Packed,
    Sealed,
}

#[derive(Serialize, Deserialize)]
enum Wrapped<'a> {
    #[serde(rename = "$sealed", borrow)]
    Sealed(Sealed<'a>),
    #[serde(rename = "$packed", borrow)]
    Packed(Packed<'a>),
}

#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    v: u8,
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zip: Option<Zip>,
    #[serde(borrow)]
    nonce: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct Packed<'a> {
    v: u8,
    zip: Zip,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Zip {
    Deflate,
}

/// The version alone, read first: a later form may have other members.
#[derive(Deserialize)]
enum Versioned {
    #[serde(rename = "$sealed", alias = "$packed")]
    Any { v: u8 },
}

/// How a value is to be stored.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Protection {
    pub(in crate::engine) seal: bool,
    pub(in crate::engine) compress_above: Option<usize>,
}

/// How a value is stored. A prefix tells: stores keep JSON to the letter.
pub(in crate::engine) fn form(json: &Json) -> Form {
    let text = json.as_str();
    if text.starts_with(SEALED) {
        Form::Sealed
    } else if text.starts_with(PACKED) {
        Form::Packed
    } else {
        Form::Plain
    }
}

/// The id of the key that a value is sealed with.
pub(super) fn key_of(json: &Json) -> Option<String> {
    if form(json) != Form::Sealed {
        return None;
    }
    match serde_json::from_str(json.as_str()) {
        Ok(Wrapped::Sealed(sealed)) => Some(sealed.key.into_owned()),
        _ => None,
    }
}

impl KeyRing {
    /// A value as it is to be stored; `None` if that is as it is.
    pub(in crate::engine) fn protect(
        &self,
        how: Protection,
        content: Content,
        kind: &str,
        tenant: Option<&str>,
        json: &Json,
    ) -> Result<Option<Json>, NoKeys> {
        let plain = json.as_str().as_bytes();
        let large = how.compress_above.is_some_and(|most| plain.len() > most);
        let zipped = large
            .then(|| deflate(plain))
            .filter(|z| z.len() < plain.len());
        if !how.seal {
            let zipped = match zipped {
                None if form(json) == Form::Plain => return Ok(None),
                None => deflate(plain),
                Some(zipped) => zipped,
            };
            return Ok(Some(packed(&zipped)));
        }
        let key = self.newest().ok_or_else(|| NoKeys {
            kind: kind.to_owned(),
        })?;
        let mut nonce = [0; NONCE];
        rand::rng().fill_bytes(&mut nonce);
        let zip = zipped.is_some().then_some(Zip::Deflate);
        let payload = Payload {
            msg: zipped.as_deref().unwrap_or(plain),
            aad: &bound_to(content, kind, tenant, zip),
        };
        let data = key
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("only 256 GiB and more are refused");
        let sealed = Wrapped::Sealed(Sealed {
            v: VERSION,
            key: Cow::Borrowed(&key.id),
            zip,
            nonce: Cow::Owned(STANDARD.encode(nonce)),
            data: Cow::Owned(STANDARD.encode(data)),
        });
        Ok(Some(written(&sealed)))
    }

    /// A stored value as it was given; `None` if it is stored as it was given.
    pub(in crate::engine) fn open(
        &self,
        content: Content,
        kind: &str,
        tenant: Option<&str>,
        json: &Json,
    ) -> Result<Option<Json>, OpenError> {
        if form(json) == Form::Plain {
            return Ok(None);
        }
        let bytes = match read(json)? {
            Wrapped::Packed(packed) => return unpacked(&packed).map(Some),
            Wrapped::Sealed(sealed) => {
                let key = self
                    .find(&sealed.key)
                    .ok_or_else(|| OpenError::UnknownKey(sealed.key.to_string()))?;
                let nonce: [u8; NONCE] = decode(&sealed.nonce)?
                    .try_into()
                    .map_err(|_| OpenError::Malformed)?;
                let payload = Payload {
                    msg: &decode(&sealed.data)?,
                    aad: &bound_to(content, kind, tenant, sealed.zip),
                };
                let opened = key
                    .cipher
                    .decrypt(&XNonce::from(nonce), payload)
                    .map_err(|_| OpenError::Tampered)?;
                match sealed.zip {
                    Some(Zip::Deflate) => inflate(&opened)?,
                    None => opened,
                }
            }
        };
        parsed(bytes).map(Some)
    }
}

/// A value that is compressed and not sealed.
pub(in crate::engine) fn unpack(json: &Json) -> Result<Json, OpenError> {
    match read(json)? {
        Wrapped::Packed(packed) => unpacked(&packed),
        Wrapped::Sealed(_) => Err(OpenError::Malformed),
    }
}

fn unpacked(packed: &Packed<'_>) -> Result<Json, OpenError> {
    let Zip::Deflate = packed.zip;
    parsed(inflate(&decode(&packed.data)?)?)
}

fn parsed(bytes: Vec<u8>) -> Result<Json, OpenError> {
    let text = String::from_utf8(bytes).map_err(|_| OpenError::Malformed)?;
    Json::parse(text).map_err(|_| OpenError::Malformed)
}

fn read(json: &Json) -> Result<Wrapped<'_>, OpenError> {
    let Versioned::Any { v } =
        serde_json::from_str(json.as_str()).map_err(|_| OpenError::Malformed)?;
    if v > VERSION {
        return Err(OpenError::Newer(v));
    }
    serde_json::from_str(json.as_str()).map_err(|_| OpenError::Malformed)
}

/// No kind and no tenant holds a control character, so no two of these are alike.
fn bound_to(content: Content, kind: &str, tenant: Option<&str>, zip: Option<Zip>) -> Vec<u8> {
    let content = match content {
        Content::Args => "args",
        Content::Result => "result",
        Content::Checkpoint => "checkpoint",
    };
    let zip = if zip.is_some() { "deflate" } else { "" };
    let tenant = tenant.unwrap_or_default();
    format!("windlass\x1f{VERSION}\x1f{content}\x1f{kind}\x1f{tenant}\x1f{zip}").into_bytes()
}

fn packed(zipped: &[u8]) -> Json {
    written(&Wrapped::Packed(Packed {
        v: VERSION,
        zip: Zip::Deflate,
        data: Cow::Owned(STANDARD.encode(zipped)),
    }))
}

fn written(wrapped: &Wrapped<'_>) -> Json {
    Json::encode(wrapped).expect("a flat object of texts is JSON")
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

fn inflate(zipped: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut plain = Vec::new();
    let mut decoder = DeflateDecoder::new(zipped).take(LARGEST + 1);
    decoder
        .read_to_end(&mut plain)
        .map_err(|_| OpenError::Malformed)?;
    if plain.len() as u64 > LARGEST {
        return Err(OpenError::Malformed);
    }
    Ok(plain)
}

fn decode(text: &str) -> Result<Vec<u8>, OpenError> {
    STANDARD.decode(text).map_err(|_| OpenError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: (&str, &str) = ("old", "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=");
    const NEW: (&str, &str) = ("new", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    const SEAL: Protection = Protection {
        seal: true,
        compress_above: None,
    };

    fn ring(keys: &[(&str, &str)]) -> KeyRing {
        KeyRing::new(keys.iter().copied()).unwrap()
    }

    fn sealed(keys: &KeyRing, json: &Json) -> Json {
        keys.protect(SEAL, Content::Args, "kind", Some("t"), json)
            .unwrap()
            .unwrap()
    }

    fn opened(keys: &KeyRing, json: &Json) -> Result<Option<Json>, OpenError> {
        keys.open(Content::Args, "kind", Some("t"), json)
    }

    proptest! {
        #[test]
        fn whatever_is_put_in_comes_out_to_the_letter(
            text in ".{0,200}", seal in any::<bool>(), above in proptest::option::of(0_usize..100),
        ) {
            let keys = ring(&[NEW]);
            let json = Json::encode(&text).unwrap();
            let how = Protection { seal, compress_above: above };
            let stored = keys
                .protect(how, Content::Result, "kind", None, &json)
                .unwrap()
                .unwrap_or_else(|| json.clone());
            let back = keys.open(Content::Result, "kind", None, &stored).unwrap();
            prop_assert_eq!(back.unwrap_or(stored), json);
        }
    }

    #[test]
    fn a_sealed_value_shows_nothing_and_never_looks_the_same() {
        let keys = ring(&[NEW]);
        let json = Json::parse(r#"{"body":"my secret words"}"#).unwrap();
        let (first, second) = (sealed(&keys, &json), sealed(&keys, &json));
        assert_ne!(first, second, "each has its own nonce");
        assert!(
            first
                .as_str()
                .starts_with(r#"{"$sealed":{"v":1,"key":"new","#)
        );
        assert!(!first.as_str().contains("secret"));
        assert_eq!(opened(&keys, &first), Ok(Some(json)));
        assert_eq!(key_of(&first).as_deref(), Some("new"));
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let json = Json::parse("[1.00000000000000000000001]").unwrap();
        let before = sealed(&ring(&[OLD]), &json);
        let both = ring(&[NEW, OLD]);
        assert_eq!(opened(&both, &before), Ok(Some(json.clone())));
        assert_eq!(key_of(&sealed(&both, &json)).as_deref(), Some("new"));
        let unknown = OpenError::UnknownKey("old".into());
        assert_eq!(opened(&ring(&[NEW]), &before), Err(unknown));
    }

    #[test]
    fn what_was_changed_or_moved_does_not_open() {
        let keys = ring(&[NEW]);
        let json = Json::parse(r#"{"a":1}"#).unwrap();
        let stored = sealed(&keys, &json);
        for (content, kind, tenant) in [
            (Content::Result, "kind", Some("t")),
            (Content::Args, "other", Some("t")),
            (Content::Args, "kind", Some("u")),
            (Content::Args, "kind", None),
        ] {
            let answer = keys.open(content, kind, tenant, &stored);
            assert_eq!(
                answer,
                Err(OpenError::Tampered),
                "{content:?} {kind} {tenant:?}"
            );
        }
        let data = stored.as_str().find(r#""data":""#).unwrap() + 8;
        let mut bytes = stored.as_str().as_bytes().to_vec();
        bytes[data] = if bytes[data] == b'A' { b'B' } else { b'A' };
        let changed = Json::parse(String::from_utf8(bytes).unwrap()).unwrap();
        assert_eq!(opened(&keys, &changed), Err(OpenError::Tampered));
        let zip = stored
            .as_str()
            .replace(r#""nonce""#, r#""zip":"deflate","nonce""#);
        assert_eq!(
            opened(&keys, &Json::parse(zip).unwrap()),
            Err(OpenError::Tampered)
        );
        let later = Json::parse(r#"{"$sealed":{"v":2,"box":[]}}"#).unwrap();
        assert_eq!(opened(&keys, &later), Err(OpenError::Newer(2)));
        for broken in [
            r#"{"$sealed":{}}"#,
            r#"{"$packed":{"v":1,"zip":"deflate","data":"AA"}}"#,
        ] {
            let answer = opened(&keys, &Json::parse(broken).unwrap());
            assert_eq!(answer, Err(OpenError::Malformed), "{broken}");
        }
    }

    #[test]
    fn what_only_looks_like_an_envelope_comes_back_as_it_was() {
        let keys = ring(&[NEW]);
        let plain = Protection {
            seal: false,
            compress_above: None,
        };
        for text in [r#"{"$sealed":{"v":1}}"#, r#"{"$packed":{}}"#] {
            let json = Json::parse(text).unwrap();
            let stored = keys.protect(plain, Content::Args, "kind", Some("t"), &json);
            let stored = stored.unwrap().unwrap();
            assert_eq!(form(&stored), Form::Packed);
            assert_eq!(opened(&KeyRing::default(), &stored), Ok(Some(json)));
        }
    }

    #[test]
    fn what_is_large_is_compressed_if_that_helps() {
        let keys = ring(&[NEW]);
        let json = Json::encode(&"word ".repeat(10_000)).unwrap();
        let how = |seal, most| Protection {
            seal,
            compress_above: Some(most),
        };
        for seal in [false, true] {
            let stored = keys.protect(how(seal, 1000), Content::Args, "kind", Some("t"), &json);
            let stored = stored.unwrap().unwrap();
            assert!(stored.as_str().len() < 2000, "{}", stored.as_str().len());
            assert_eq!(opened(&keys, &stored), Ok(Some(json.clone())));
        }
        let small = keys.protect(how(false, 60_000), Content::Args, "kind", None, &json);
        assert_eq!(small, Ok(None));
    }

    #[test]
    fn there_is_no_sealing_without_a_key() {
        let none =
            KeyRing::default().protect(SEAL, Content::Args, "kind", None, &Json::empty_object());
        assert_eq!(
            none,
            Err(NoKeys {
                kind: "kind".into()
            })
        );
    }
}
