//! The platform's own credentials: API keys of tenants and admins, admins' keys, and the people that
//! tokens speak of. They are only read here, but for the time of their last use.

use std::time::Duration;

use async_trait::async_trait;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::rows::{AdminKeyRow, ApiKeyRow};
use super::{Error, Platform, Private};

/// Characters of a key that it is looked up by.
const PREFIX: usize = 10;
/// What the platform hashes with: N = 2^14, r = 8, p = 1, 64 bytes.
const COST: (u8, u32, u32) = (14, 8, 1);
const HASH: usize = 64;
/// Bytes of the platform's salts.
const SALT: usize = 16;
/// Keys that are hashed at once: each takes 16 MB and tens of milliseconds of a core.
static HASHING: Semaphore = Semaphore::const_new(2);
/// How long a key waits for its turn to be hashed; whoever shows it is then asked to come again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whose a credential of the platform is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// One of `tenant_api_keys`.
    Tenant {
        /// The key's id.
        key: String,
        /// Whose it is.
        tenant: String,
    },
    /// One of `admin_api_keys`.
    Admin {
        /// The key's id.
        key: String,
        /// Whether its holder is a `SUPER` admin.
        is_super: bool,
    },
    /// One of `admin_keys`.
    AdminKey {
        /// The key's id.
        key: String,
        /// What it may be used for, such as `admin:read`; nothing said is nothing here.
        scopes: Vec<String>,
    },
}

/// A tenant's person, by what they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantUserRole {
    /// Whoever signed up.
    Owner,
    /// Who may change things.
    Admin,
    /// Who may look.
    Member,
}

/// What one dialect does for credentials. Only what is active and has not expired is found.
#[async_trait]
pub(super) trait Access {
    /// Of admins first. At most 20: a prefix has ten characters.
    async fn api_keys(&self, prefix: &str) -> Result<Vec<ApiKeyRow>, Error>;
    async fn admin_key(&self, id: &str) -> Result<Option<AdminKeyRow>, Error>;
    /// `SUPER` or `STANDARD`.
    async fn admin_user(&self, id: &str) -> Result<Option<String>, Error>;
    /// `OWNER`, `ADMIN` or `MEMBER`.
    async fn tenant_user(&self, tenant: &str, id: &str) -> Result<Option<String>, Error>;
    /// At most once a minute.
    async fn touch_key(&self, holder: &Holder) -> Result<(), Error>;
    async fn has_admin_access(&self) -> Result<bool, Error>;
}

impl Platform {
    /// Whose API key this is; none if nobody's, or it is not active.
    pub async fn api_key(&self, shown: &str) -> Result<Option<Holder>, Error> {
        let Some(prefix) = prefix(shown) else {
            return Ok(None);
        };
        // Several keys may begin alike, so each is tried.
        let rows = self.repository.api_keys(&prefix).await?;
        let stored = |row: &ApiKeyRow| Stored::read(&row.salt, &row.hash);
        let keys = rows
            .into_iter()
            .filter_map(|row| Some((stored(&row)?, row)));
        let check = |stored| is_hashed(shown.to_owned(), stored);
        let Some(row) = opened(keys, check).await? else {
            return Ok(None);
        };
        let holder = match &*row.holder {
            "admin" => Holder::Admin {
                key: row.id,
                is_super: row.role.as_deref() == Some("SUPER"),
            },
            _ => Holder::Tenant {
                key: row.id,
                tenant: row.owner,
            },
        };
        self.touch(&holder).await;
        Ok(Some(holder))
    }

    /// Whose `adm_<id>.<secret>` this is; none if nobody's, or it is not active.
    pub async fn admin_key(&self, shown: &str, pepper: &str) -> Result<Option<Holder>, Error> {
        let parts = shown
            .strip_prefix("adm_")
            .and_then(|rest| rest.split_once('.'));
        let Some((id, secret)) = parts else {
            return Ok(None);
        };
        let row = self.repository.admin_key(id).await?;
        let stored = |row: &AdminKeyRow| {
            let (salt, hash) = row.hashed_secret.split_once(':')?;
            Stored::read(salt, hash)
        };
        let key = row.and_then(|row| Some((stored(&row)?, row)));
        let check = |stored| is_hashed(format!("{secret}{pepper}"), stored);
        let Some(row) = opened(key, check).await? else {
            return Ok(None);
        };
        let holder = Holder::AdminKey {
            scopes: row.scopes(),
            key: row.id,
        };
        self.touch(&holder).await;
        Ok(Some(holder))
    }

    /// A good key stays good where its last use cannot be noted, such as on a replica.
    async fn touch(&self, holder: &Holder) {
        if let Err(error) = self.repository.touch_key(holder).await {
            tracing::warn!(%error, "the last use of a key was not noted");
        }
    }

    /// What an `admin_keys` key that is still active may be used for; none if it is not.
    pub async fn admin_key_scopes(&self, id: &str) -> Result<Option<Vec<String>>, Error> {
        let row = self.repository.admin_key(id).await?;
        Ok(row.map(|row| row.scopes()))
    }

    /// Whether an admin is a `SUPER` one; none if there is no such admin.
    pub async fn admin_is_super(&self, id: &str) -> Result<Option<bool>, Error> {
        let role = self.repository.admin_user(id).await?;
        Ok(role.map(|role| role == "SUPER"))
    }

    /// What a person is at a tenant; none if they are not there.
    pub async fn tenant_user(
        &self,
        tenant: &str,
        id: &str,
    ) -> Result<Option<TenantUserRole>, Error> {
        let role = self.repository.tenant_user(tenant, id).await?;
        Ok(role.map(|role| match &*role {
            "OWNER" => TenantUserRole::Owner,
            "ADMIN" => TenantUserRole::Admin,
            _ => TenantUserRole::Member,
        }))
    }

    /// Whether any admin of the platform has a key that is active.
    pub async fn has_admin_access(&self) -> Result<bool, Error> {
        self.repository.has_admin_access().await
    }
}

impl AdminKeyRow {
    /// From the metadata: `scopes`, a list, or `scope`, a text.
    fn scopes(&self) -> Vec<String> {
        let metadata = self.metadata.as_ref().map(|metadata| &metadata.0);
        let Some(metadata) = metadata else {
            return Vec::new();
        };
        let listed = metadata["scopes"].as_array().into_iter().flatten();
        let listed = listed.filter_map(|scope| scope.as_str());
        let text = metadata["scope"].as_str().unwrap_or_default();
        listed
            .chain(text.split_ascii_whitespace())
            .map(str::to_owned)
            .collect()
    }
}

/// What the platform looks a key up by; none for what is too short to be one.
fn prefix(key: &str) -> Option<String> {
    let letters: String = key
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(PREFIX)
        .collect();
    (letters.len() == PREFIX).then(|| letters.to_ascii_lowercase())
}

/// A key as it is stored.
#[derive(Debug)]
struct Stored {
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Stored {
    /// From hexadecimal digits; none if they are no such.
    fn read(salt: &str, hash: &str) -> Option<Self> {
        let (salt, hash) = (hex::decode(salt).ok()?, hex::decode(hash).ok()?);
        Some(Self { salt, hash })
    }

    /// What takes as long to check as anybody's, and nobody's key opens.
    fn nobodys() -> Self {
        Self {
            salt: vec![0; SALT],
            hash: vec![0; HASH],
        }
    }
}

/// Which of these keys was shown. Where there is none to check, one that is nobody's is checked: how long a
/// refusal takes tells nobody whether there is such a key.
async fn opened<K, F>(
    keys: impl IntoIterator<Item = (Stored, K)>,
    check: impl Fn(Stored) -> F,
) -> Result<Option<K>, Error>
where
    F: Future<Output = Result<bool, Error>>,
{
    let mut keys = keys.into_iter().peekable();
    if keys.peek().is_none() {
        check(Stored::nobodys()).await?;
    }
    for (stored, key) in keys {
        if check(stored).await? {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Away from the threads that others wait for, and few at a time.
async fn is_hashed(password: String, Stored { salt, hash }: Stored) -> Result<bool, Error> {
    let password = Private(password);
    let Ok(Ok(permit)) = tokio::time::timeout(PATIENCE, HASHING.acquire()).await else {
        return Err(Error::Busy);
    };
    let hashed = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let (log_n, r, p) = COST;
        let mut made = [0; HASH];
        let params = scrypt::Params::new(log_n, r, p, HASH);
        let done =
            params.map(|params| scrypt::scrypt(password.as_bytes(), &salt, &params, &mut made));
        matches!(done, Ok(Ok(()))) && bool::from(made[..].ct_eq(&hash))
    });
    hashed.await.map_err(|_| Error::Invalid {
        problem: "the check of a key broke off".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_looked_up_as_the_platform_does() {
        assert_eq!(prefix("ten_AbC-d_9xYzzzz").as_deref(), Some("tenabcd9xy"));
        assert_eq!(prefix("ten_-__-abcdef"), None);
        assert_eq!(prefix(""), None);
    }

    /// The hash is that of Node's `crypto.scryptSync("ten_secret", salt, 64)`.
    #[tokio::test]
    async fn a_key_is_hashed_as_the_platform_does() {
        let salt = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap();
        let hash = hex::decode(HASH_OF_NODE).unwrap();
        let check = |key: &str| {
            let (salt, hash) = (salt.clone(), hash.clone());
            is_hashed(key.to_owned(), Stored { salt, hash })
        };
        assert!(check("ten_secret").await.unwrap());
        assert!(!check("ten_secret2").await.unwrap());
    }

    /// How many keys were checked, and which was found.
    async fn checks(keys: &[(&str, &str)], good: &str) -> (usize, Option<usize>) {
        let stored = |(salt, hash): &(&str, &str)| Stored::read(salt, hash);
        let keys = keys.iter().enumerate();
        let keys = keys.filter_map(|(at, key)| Some((stored(key)?, at)));
        let count = std::cell::Cell::new(0);
        let check = |stored: Stored| {
            count.set(count.get() + 1);
            let opens = hex::encode(stored.hash) == good;
            async move { Ok(opens) }
        };
        let found = opened(keys, check).await.unwrap();
        (count.get(), found)
    }

    #[tokio::test]
    async fn a_refusal_takes_one_check_whether_there_is_such_a_key_or_not() {
        let (key, another) = (("00", "aa"), ("01", "bb"));
        assert_eq!(checks(&[key], "cc").await, (1, None));
        assert_eq!(checks(&[], "cc").await, (1, None), "an unknown one");
        let malformed = [("xx", "aa")];
        assert_eq!(checks(&malformed, "aa").await, (1, None), "no hash");
        assert_eq!(checks(&[key], "aa").await, (1, Some(0)));
        assert_eq!(checks(&[key, another], "bb").await, (2, Some(1)));
    }

    #[tokio::test]
    async fn nobodys_key_is_checked_at_full_cost_and_opened_by_nobody() {
        assert_eq!(Stored::nobodys().hash.len(), HASH);
        for key in ["", "ten_secret", "adm_x.secret"] {
            assert!(!is_hashed(key.to_owned(), Stored::nobodys()).await.unwrap());
        }
    }

    const HASH_OF_NODE: &str = "091664a5bf43bde703f3a7130a5b744bf57709926e36974b1d3d7b8f9c69cd638997f01181d598ae4d1873d68393195bbb81f95588baee21e00870b626349ed7";
}
