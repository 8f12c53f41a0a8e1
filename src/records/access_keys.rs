//! Keys of the API, for installations without the platform and for programs that are none of it.

use std::time::Duration;

use uuid::Uuid;
use windlass::Timestamp;
use windlass::db::{Db, Tx};

use super::{Digest, Error, Records, Role, Secret, postgres, sqlite};

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccessKey<'a> {
    /// What it is called; unique among keys that are not revoked.
    pub name: &'a str,
    /// What it lets its bearer do.
    pub role: Role,
    /// The tenant that is all its bearer sees.
    pub tenant: Option<&'a str>,
    /// How long it is good; without end if that is not said.
    pub expires_in: Option<Duration>,
    /// Who makes it.
    pub by: &'a str,
}

/// The same as it is remembered: without the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// What it lets its bearer do.
    pub role: Role,
    /// The tenant that is all its bearer sees.
    pub tenant: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// From when on it is no longer good.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// As both dialects return it.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: Uuid,
    name: String,
    role: String,
    tenant: Option<String>,
    created_by: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl TryFrom<Row> for AccessKey {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            name: row.name,
            role: super::role::stored(&row.role)?,
            tenant: row.tenant,
            created_by: row.created_by,
            created_at: super::instant(row.created_at),
            expires_at: row.expires_at.map(super::instant),
            last_used_at: row.last_used_at.map(super::instant),
            revoked_at: row.revoked_at.map(super::instant),
        })
    }
}

impl AccessKey {
    /// How each of them begins, so that it is known for what it is wherever it turns up.
    pub const PREFIX: &str = "mjk_";
    /// What their sessions are noted under.
    pub const KIND: &str = "access_key";
}

impl Records {
    /// Makes a key once `tx` commits, and shows it: nobody can ever again. None if its name is taken.
    pub async fn create_access_key(
        &self,
        tx: &mut Tx,
        new: &NewAccessKey<'_>,
    ) -> Result<Option<(Uuid, Secret)>, Error> {
        let (id, secret) = (Uuid::now_v7(), Secret::random(AccessKey::PREFIX));
        let digest = secret.digest();
        let made = match &self.db {
            Db::Postgres(_) => {
                postgres::access_keys::insert(tx, id, digest.as_bytes(), new).await?
            }
            Db::Sqlite(_) => sqlite::access_keys::insert(tx, id, digest.as_bytes(), new).await?,
            _ => return Err(Error::UnknownDialect),
        };
        Ok(made.then_some((id, secret)))
    }

    /// Every key there is or was, the newest first.
    pub async fn access_keys(&self) -> Result<Vec<AccessKey>, Error> {
        let rows = match &self.db {
            Db::Postgres(db) => postgres::access_keys::all(db).await?,
            Db::Sqlite(db) => sqlite::access_keys::all(db).await?,
            _ => return Err(Error::UnknownDialect),
        };
        rows.into_iter().map(AccessKey::try_from).collect()
    }

    /// The key of this digest, if it is neither revoked nor expired.
    pub async fn access_key(&self, digest: Digest) -> Result<Option<AccessKey>, Error> {
        let row = match &self.db {
            Db::Postgres(db) => postgres::access_keys::good(db, digest.as_bytes()).await?,
            Db::Sqlite(db) => sqlite::access_keys::good(db, digest.as_bytes()).await?,
            _ => return Err(Error::UnknownDialect),
        };
        row.map(AccessKey::try_from).transpose()
    }

    /// Whether anyone holds a good key that sees all tenants.
    pub async fn has_access_keys(&self) -> Result<bool, Error> {
        match &self.db {
            Db::Postgres(db) => postgres::access_keys::any(db).await,
            Db::Sqlite(db) => sqlite::access_keys::any(db).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Notes that a key is used; at most once a minute.
    pub async fn touch_access_key(&self, id: Uuid) -> Result<(), Error> {
        match &self.db {
            Db::Postgres(db) => postgres::access_keys::touch(db, id).await,
            Db::Sqlite(db) => sqlite::access_keys::touch(db, id).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Ends a key once `tx` commits, by its id or name, and the sessions that it opened. Its id; none if
    /// there is no such key, or it was revoked before.
    pub async fn revoke_access_key(&self, tx: &mut Tx, key: &str) -> Result<Option<Uuid>, Error> {
        let id = key.parse().ok();
        let revoked = match &self.db {
            Db::Postgres(_) => postgres::access_keys::revoke(tx, id, key).await?,
            Db::Sqlite(_) => sqlite::access_keys::revoke(tx, id, key).await?,
            _ => return Err(Error::UnknownDialect),
        };
        if let Some(id) = revoked {
            let id = id.to_string();
            match &self.db {
                Db::Postgres(_) => {
                    postgres::sessions::end_of(tx, AccessKey::KIND, &id).await?;
                }
                _ => sqlite::sessions::end_of(tx, AccessKey::KIND, &id).await?,
            }
        }
        Ok(revoked)
    }
}
