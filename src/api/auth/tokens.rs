//! The platform's tokens: one algorithm, one issuer for each type, and no type that is not named here.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Once};

use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, decode};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use sha2::Sha256;

use super::platform::PlatformAccessOptions;

/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 30;

/// Whom a token that is good speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claims {
    /// An admin who signed in.
    Admin { user: String },
    /// A tenant's person who signed in.
    Tenant { tenant: String, user: String },
    /// A key of `admin_keys` that was exchanged.
    AdminKey { key: String, scopes: Vec<String> },
}

/// Reads the platform's tokens.
#[derive(Clone)]
pub(super) struct Tokens {
    key: Arc<DecodingKey>,
    people: Arc<Validation>,
    keys: Arc<Validation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    #[serde(rename = "type")]
    kind: String,
    user_id: String,
    email: String,
    tenant_id: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "type")]
    kind: String,
    sub: String,
    scope: Scope,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scope {
    Text(String),
    List(Vec<String>),
}

impl Tokens {
    /// None without a secret: then there is nothing to check a token with.
    pub(super) fn new(options: &PlatformAccessOptions) -> Option<Self> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Whoever was first has installed this one: nothing else in the program uses the crate.
            let _ = HS256.install_default();
        });
        let secret = options.jwt_secret.expose_secret();
        if secret.is_empty() {
            return None;
        }
        let mut people = validation(&options.jwt_issuer);
        people.validate_aud = false; // theirs name nobody
        let mut keys = validation(&options.admin_jwt_issuer);
        keys.set_audience(&[&options.admin_jwt_audience]);
        keys.required_spec_claims.insert("aud".to_owned());
        Some(Self {
            key: Arc::new(DecodingKey::from_secret(secret.as_bytes())),
            people: Arc::new(people),
            keys: Arc::new(keys),
        })
    }

    /// Whether it has the form of a token.
    pub(super) fn looks_like(shown: &str) -> bool {
        shown.starts_with("eyJ") && shown.bytes().filter(|b| *b == b'.').count() == 2
    }

    /// What a token says, if it is good.
    pub(super) fn read(&self, token: &str) -> Option<Claims> {
        self.person(token).or_else(|| self.admin_key(token))
    }

    fn person(&self, token: &str) -> Option<Claims> {
        let person = decode::<Person>(token, &self.key, &self.people)
            .ok()?
            .claims;
        let named = !person.user_id.is_empty() && !person.email.is_empty();
        match (&*person.kind, person.tenant_id) {
            ("admin", None) if named => Some(Claims::Admin {
                user: person.user_id,
            }),
            ("tenant_user", Some(tenant)) if named && !tenant.is_empty() => Some(Claims::Tenant {
                tenant,
                user: person.user_id,
            }),
            _ => None,
        }
    }

    fn admin_key(&self, token: &str) -> Option<Claims> {
        let key = decode::<Key>(token, &self.key, &self.keys).ok()?.claims;
        let scopes = match key.scope {
            Scope::List(scopes) => scopes,
            Scope::Text(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        };
        (key.kind == "admin" && !key.sub.is_empty()).then_some(Claims::AdminKey {
            key: key.sub,
            scopes,
        })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

fn validation(issuer: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[issuer]);
    validation.required_spec_claims = HashSet::from(["exp".to_owned(), "iss".to_owned()]);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation
}

/// The one algorithm there is.
static HS256: CryptoProvider = CryptoProvider {
    signer_factory: |_, _: &EncodingKey| -> Result<Box<dyn JwtSigner>, Error> {
        Err(ErrorKind::InvalidAlgorithm.into())
    },
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => {
            let secret = key.try_get_as_bytes()?;
            let mac = Hmac::<Sha256>::new_from_slice(secret);
            let mac = mac.map_err(|_| Error::from(ErrorKind::InvalidKeyFormat))?;
            Ok(Box::new(Hs256(mac)))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(Hmac<Sha256>);

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], given: &Vec<u8>) -> Result<(), signature::Error> {
        let mac = self.0.clone().chain_update(message);
        mac.verify_slice(given).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
