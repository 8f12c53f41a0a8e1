//! Who is signed in to the dashboard, and links that let somebody in once. They are in the database, so
//! that every instance knows them.

use std::time::Duration;

use uuid::Uuid;
use windlass::Timestamp;
use windlass::db::{Db, Tx};

use super::{Digest, Error, Records, Role, Secret, postgres, sqlite};

/// A session to be opened: whoever showed a credential, without it from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession<'a> {
    /// Of which kind the credential is.
    pub kind: &'a str,
    /// Which of its kind.
    pub identity: &'a str,
    /// How the audit log calls it.
    pub name: &'a str,
    /// What it lets its bearer do.
    pub role: Role,
    /// The tenant that is all its bearer sees.
    pub tenant: Option<&'a str>,
    /// How long, at most.
    pub lasts: Duration,
}

/// The same as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id, which is no secret.
    pub id: Uuid,
    /// Of which kind the credential was.
    pub kind: String,
    /// Which of its kind.
    pub identity: String,
    /// How the audit log calls it.
    pub name: String,
    /// What it lets its bearer do.
    pub role: Role,
    /// The tenant that is all its bearer sees.
    pub tenant: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a link was good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// How the audit log calls whoever follows it.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// As both dialects return it.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: Uuid,
    kind: String,
    identity: String,
    name: String,
    role: String,
    tenant: Option<String>,
    expires_at: i64,
}

/// As both dialects return it.
#[derive(sqlx::FromRow)]
pub(super) struct LinkRow {
    name: String,
    role: String,
    good: bool,
}

impl TryFrom<Row> for Session {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            kind: row.kind,
            identity: row.identity,
            name: row.name,
            role: super::role::stored(&row.role)?,
            tenant: row.tenant,
            expires_at: super::instant(row.expires_at),
        })
    }
}

impl Records {
    /// Opens a session; what its cookie is to hold.
    pub async fn open_session(&self, tx: &mut Tx, new: &NewSession<'_>) -> Result<Secret, Error> {
        let (id, secret) = (Uuid::now_v7(), Secret::random(Secret::SESSION));
        let digest = secret.digest();
        match &self.db {
            Db::Postgres(_) => postgres::sessions::open(tx, id, digest.as_bytes(), new).await?,
            Db::Sqlite(_) => sqlite::sessions::open(tx, id, digest.as_bytes(), new).await?,
            _ => return Err(Error::UnknownDialect),
        }
        Ok(secret)
    }

    /// The session of this digest, unless it is over or was not used for `idle`. It is used now.
    pub async fn session(&self, digest: Digest, idle: Duration) -> Result<Option<Session>, Error> {
        let bytes = digest.as_bytes();
        let row = match &self.db {
            Db::Postgres(db) => postgres::sessions::get(db, bytes, idle).await?,
            Db::Sqlite(db) => sqlite::sessions::get(db, bytes, idle).await?,
            _ => return Err(Error::UnknownDialect),
        };
        let Some(row) = row else {
            return Ok(None);
        };
        match &self.db {
            Db::Postgres(db) => postgres::sessions::touch(db, bytes).await?,
            Db::Sqlite(db) => sqlite::sessions::touch(db, bytes).await?,
            _ => return Err(Error::UnknownDialect),
        }
        Session::try_from(row).map(Some)
    }

    /// Ends a session once `tx` commits. Whether there was one.
    pub async fn end_session(&self, tx: &mut Tx, digest: Digest) -> Result<bool, Error> {
        match &self.db {
            Db::Postgres(_) => postgres::sessions::end(tx, digest.as_bytes()).await,
            Db::Sqlite(_) => sqlite::sessions::end(tx, digest.as_bytes()).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Makes what a link must hold that lets somebody in once.
    pub async fn add_sign_in_link(
        &self,
        name: &str,
        role: Role,
        lasts: Duration,
    ) -> Result<Secret, Error> {
        let secret = Secret::random("mjl_");
        let digest = secret.digest();
        let bytes = digest.as_bytes();
        match &self.db {
            Db::Postgres(db) => {
                postgres::sessions::add_link(db, bytes, name, role, lasts).await?;
            }
            Db::Sqlite(db) => sqlite::sessions::add_link(db, bytes, name, role, lasts).await?,
            _ => return Err(Error::UnknownDialect),
        }
        Ok(secret)
    }

    /// Uses a link up once `tx` commits. What it was good for; none if it was used before, or is too old.
    pub async fn take_sign_in_link(
        &self,
        tx: &mut Tx,
        digest: Digest,
    ) -> Result<Option<Link>, Error> {
        let row = match &self.db {
            Db::Postgres(_) => postgres::sessions::take_link(tx, digest.as_bytes()).await?,
            Db::Sqlite(_) => sqlite::sessions::take_link(tx, digest.as_bytes()).await?,
            _ => return Err(Error::UnknownDialect),
        };
        let link = row.filter(|row| row.good).map(|row| {
            let role = super::role::stored(&row.role)?;
            Ok(Link {
                name: row.name,
                role,
            })
        });
        link.transpose()
    }
}
