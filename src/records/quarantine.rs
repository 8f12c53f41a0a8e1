use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use windlass::Timestamp;
use windlass::db::{Db, Tx};

use super::{Error, Records, postgres, sqlite};

/// The space of ids that are derived from messages.
const IDS: Uuid = Uuid::from_u128(0x6d65_7461_6368_6174_2d71_7561_7261_6e74);

/// A message that could not become a job.
#[derive(Clone)]
pub struct NewQuarantined {
    /// Whose it is, as its queue says.
    pub tenant: Option<String>,
    /// The queue it came from.
    pub source: String,
    /// What is wrong, never a part of the body.
    pub reason: String,
    /// The headers it came with.
    pub headers: Value,
    /// Its body, or the beginning of it.
    pub body: Vec<u8>,
    /// How many bytes the whole body has.
    pub body_bytes: u64,
}

/// A message in quarantine.
#[derive(Clone, PartialEq)]
pub struct Quarantined {
    /// Its id.
    pub id: Uuid,
    /// Whose it is, as its queue says.
    pub tenant: Option<String>,
    /// The queue it came from.
    pub source: String,
    /// What is wrong.
    pub reason: String,
    /// The headers it came with.
    pub headers: Value,
    /// Its body, or the beginning of it. What a person wrote: not for logs.
    pub body: Vec<u8>,
    /// How many bytes the whole body has.
    pub body_bytes: u64,
    /// When it was set aside.
    pub taken_at: Timestamp,
}

/// A place in the quarantine, newest first: it stays where it is though the message there is replayed or
/// discarded. As text, `<microseconds since 1970>.<id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantinePlace {
    /// When the message there was set aside.
    pub taken_at: Timestamp,
    /// Its id.
    pub id: Uuid,
}

/// Not a place in the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not what a page called next; use that, unchanged")]
pub struct NoPlace;

impl fmt::Display for QuarantinePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.taken_at.as_micros(), self.id)
    }
}

impl FromStr for QuarantinePlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (at, id) = text.split_once('.').ok_or(NoPlace)?;
        Ok(Self {
            taken_at: Timestamp::from_micros(at.parse().map_err(|_| NoPlace)?),
            id: id.parse().map_err(|_| NoPlace)?,
        })
    }
}

/// Which messages in quarantine.
#[derive(Debug, Clone, Default)]
pub struct QuarantineFilter {
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Older than this: where a page ended.
    pub before: Option<QuarantinePlace>,
    /// At most so many.
    pub limit: u32,
}

impl NewQuarantined {
    /// Derived from the message, so that one that is set aside twice is there once.
    fn id(&self) -> Uuid {
        let mut digest = Sha256::new();
        for part in [
            self.source.as_bytes(),
            &[0],
            self.reason.as_bytes(),
            &[0],
            &self.body,
        ] {
            digest.update(part);
        }
        digest.update(self.body_bytes.to_be_bytes());
        Uuid::new_v5(&IDS, &digest.finalize())
    }
}

impl Quarantined {
    /// Where it stands.
    pub fn place(&self) -> QuarantinePlace {
        QuarantinePlace {
            taken_at: self.taken_at,
            id: self.id,
        }
    }

    /// Whether only the beginning of the body was kept.
    pub fn is_truncated(&self) -> bool {
        self.body_bytes > self.body.len() as u64
    }
}

impl Records {
    /// Sets a message aside; its id. One that is there already stays as it is.
    pub async fn quarantine(&self, new: &NewQuarantined) -> Result<Uuid, Error> {
        let id = new.id();
        let headers = without_nul(&new.headers);
        let new = &NewQuarantined {
            tenant: new.tenant.as_deref().map(plain),
            source: plain(&new.source),
            reason: plain(&new.reason),
            ..new.clone()
        };
        match &self.db {
            Db::Postgres(db) => postgres::quarantine::insert(db, id, new, &headers).await?,
            Db::Sqlite(db) => sqlite::quarantine::insert(db, id, new, &headers).await?,
            _ => return Err(Error::UnknownDialect),
        }
        Ok(id)
    }

    /// One message in quarantine.
    pub async fn quarantined(&self, id: Uuid) -> Result<Option<Quarantined>, Error> {
        match &self.db {
            Db::Postgres(db) => postgres::quarantine::get(db, id).await,
            Db::Sqlite(db) => sqlite::quarantine::get(db, id).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Messages in quarantine, newest first, without their bodies.
    pub async fn list_quarantined(
        &self,
        filter: &QuarantineFilter,
    ) -> Result<Vec<Quarantined>, Error> {
        match &self.db {
            Db::Postgres(db) => postgres::quarantine::list(db, filter).await,
            Db::Sqlite(db) => sqlite::quarantine::list(db, filter).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Takes a message out of quarantine, within the transaction that does something with it. Whether
    /// it was there.
    pub async fn release(&self, tx: &mut Tx, id: Uuid) -> Result<bool, Error> {
        match &self.db {
            Db::Postgres(_) => postgres::quarantine::delete(tx, id).await,
            Db::Sqlite(_) => sqlite::quarantine::delete(tx, id).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Deletes up to `limit` messages that were set aside before a time, oldest first; how many.
    pub async fn prune_quarantine(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        match &self.db {
            Db::Postgres(db) => postgres::quarantine::prune(db, before, limit).await,
            Db::Sqlite(db) => sqlite::quarantine::prune(db, before, limit).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Deletes a message in quarantine. Whether it was there.
    pub async fn discard_quarantined(&self, id: Uuid) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let there = self.release(&mut tx, id).await?;
        tx.commit().await?;
        Ok(there)
    }
}

/// PostgreSQL knows no NUL.
fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn without_nul(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(plain(text)),
        Value::Array(values) => values.iter().map(without_nul).collect(),
        Value::Object(entries) => Value::Object(
            entries
                .iter()
                .map(|(name, value)| (plain(name), without_nul(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// What people wrote belongs in no log.
impl fmt::Debug for Quarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quarantined")
            .field("id", &self.id)
            .field("source", &self.source)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NewQuarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewQuarantined")
            .field("source", &self.source)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_is_read_as_it_was_written(
            micros in 0..=Timestamp::MAX.as_micros(),
            id in any::<u128>(),
        ) {
            let (taken_at, id) = (Timestamp::from_micros(micros), Uuid::from_u128(id));
            let place = QuarantinePlace { taken_at, id };
            prop_assert_eq!(place.to_string().parse(), Ok(place));
        }

        #[test]
        fn any_text_is_a_place_or_none(text in "\\PC{0,60}|-?[0-9]{0,20}\\.[0-9a-f-]{0,40}") {
            if let Ok(place) = text.parse::<QuarantinePlace>() {
                prop_assert_eq!(place.to_string().parse(), Ok(place));
            }
        }
    }
}
