//! What is being sent to channels that cannot be asked whether they have it.
//!
//! A part of a message is `pending` before its request, `sending` during it, and then `sent`, `pending`
//! again, `failed`, or `unknown`: the request may have arrived, and only a person can find out. From
//! `unknown` nothing leads on but an operator's decision, or the reply after all.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windlass::db::Db;
use windlass::{JobId, Timestamp};

use super::{Error, Records, postgres, sqlite};

/// Where a part of a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SendState {
    /// It is to be sent; the channel does not have it.
    Pending,
    /// A request is under way, or whoever made it is gone.
    Sending,
    /// The channel took it.
    Sent,
    /// The channel may have it or not: an operator decides.
    Unknown,
    /// The channel refused it; it does not have it.
    Failed,
}

/// Not the name of a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected pending, sending, sent, unknown or failed")]
pub struct UnknownSendState;

impl SendState {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for SendState {
    type Err = UnknownSendState;

    fn from_str(name: &str) -> Result<Self, UnknownSendState> {
        match name {
            "pending" => Ok(Self::Pending),
            "sending" => Ok(Self::Sending),
            "sent" => Ok(Self::Sent),
            "unknown" => Ok(Self::Unknown),
            "failed" => Ok(Self::Failed),
            _ => Err(UnknownSendState),
        }
    }
}

impl fmt::Display for SendState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of a message on its way to its channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its name here.
    pub id: Uuid,
    /// The job that sends it.
    pub job: JobId,
    /// Whose message.
    pub tenant: String,
    /// In which conversation.
    pub conversation: String,
    /// Which message.
    pub message: String,
    /// By which channel.
    pub channel: String,
    /// Which part, counted from 1.
    pub part: i32,
    /// Of how many.
    pub parts: i32,
    /// Where it stands.
    pub state: SendState,
    /// Requests made.
    pub attempts: i32,
    /// Whose request is under way, or was the last.
    pub sender: Option<Uuid>,
    /// What the channel calls it.
    pub provider_id: Option<String>,
    /// What went wrong last.
    pub error: Option<String>,
    /// When it was written down.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A message that is to be sent in parts.
#[derive(Debug, Clone)]
pub struct NewOutgoing<'a> {
    /// The job that sends it.
    pub job: JobId,
    /// Whose message.
    pub tenant: &'a str,
    /// In which conversation.
    pub conversation: &'a str,
    /// Which message.
    pub message: &'a str,
    /// By which channel.
    pub channel: &'a str,
    /// In how many parts.
    pub parts: i32,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent<'a> {
    /// Where the part stands now.
    pub state: SendState,
    /// What the channel calls it.
    pub provider_id: Option<&'a str>,
    /// What went wrong: never what the message says, nor a token.
    pub error: Option<&'a str>,
}

/// Which parts an operator looks for. Every one that is given must match.
#[derive(Debug, Clone, Default)]
pub struct OutboxFilter {
    /// In this state.
    pub state: Option<SendState>,
    /// Of this tenant.
    pub tenant: Option<String>,
}

/// As both dialects return it.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: Uuid,
    job_id: Uuid,
    tenant: String,
    conversation: String,
    message: String,
    channel: String,
    part: i32,
    parts: i32,
    state: String,
    attempts: i32,
    sender: Option<Uuid>,
    provider_id: Option<String>,
    error: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Outgoing {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let state = row.state.parse().map_err(|_| Error::Corrupt {
            what: "outbox row",
            problem: "its state is unknown; a newer program may have written it",
        })?;
        Ok(Self {
            id: row.id,
            job: JobId::from_uuid(row.job_id),
            tenant: row.tenant,
            conversation: row.conversation,
            message: row.message,
            channel: row.channel,
            part: row.part,
            parts: row.parts,
            state,
            attempts: row.attempts,
            sender: row.sender,
            provider_id: row.provider_id,
            error: row.error,
            created_at: super::instant(row.created_at),
            updated_at: super::instant(row.updated_at),
        })
    }
}

impl Records {
    /// Writes down the parts of a message, if they are not, and returns them in order. Durable when
    /// this returns.
    pub async fn open_outbox(&self, new: &NewOutgoing<'_>) -> Result<Vec<Outgoing>, Error> {
        let mut tx = self.db.begin().await?;
        for part in 1..=new.parts {
            match &self.db {
                Db::Postgres(_) => postgres::outbox::open(&mut tx, new, part).await?,
                Db::Sqlite(_) => sqlite::outbox::open(&mut tx, new, part).await?,
                _ => return Err(Error::UnknownDialect),
            }
        }
        tx.commit().await?;
        self.outbox_of(new.tenant, new.message).await
    }

    /// The parts of a message, in order.
    pub async fn outbox_of(&self, tenant: &str, message: &str) -> Result<Vec<Outgoing>, Error> {
        let rows = match &self.db {
            Db::Postgres(db) => postgres::outbox::of_message(db, tenant, message).await?,
            Db::Sqlite(db) => sqlite::outbox::of_message(db, tenant, message).await?,
            _ => return Err(Error::UnknownDialect),
        };
        rows.into_iter().map(Outgoing::try_from).collect()
    }

    /// Notes that `sender` makes a request for a part now; durable when this returns. `false` if it is
    /// not to be sent: do not send it.
    pub async fn begin_send(
        &self,
        part: &Outgoing,
        sender: Uuid,
        job: JobId,
    ) -> Result<bool, Error> {
        match &self.db {
            Db::Postgres(db) => postgres::outbox::begin(db, part, sender, job).await,
            Db::Sqlite(db) => sqlite::outbox::begin(db, part, sender, job).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Notes what came of a request. `false` if that no longer matters: somebody else has sent or
    /// settled it meanwhile.
    pub async fn end_send(
        &self,
        part: &Outgoing,
        sender: Uuid,
        sent: &Sent<'_>,
    ) -> Result<bool, Error> {
        match &self.db {
            Db::Postgres(db) => postgres::outbox::end(db, part, sender, sent).await,
            Db::Sqlite(db) => sqlite::outbox::end(db, part, sender, sent).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Notes that nobody knows what came of a request that `part` was seen in. `false` if its reply
    /// came after all.
    pub async fn lose_send(&self, part: &Outgoing, error: &str) -> Result<bool, Error> {
        match &self.db {
            Db::Postgres(db) => postgres::outbox::lose(db, part, error).await,
            Db::Sqlite(db) => sqlite::outbox::lose(db, part, error).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Parts that match, newest first; at most `limit`, older than `before`.
    pub async fn outbox(
        &self,
        filter: &OutboxFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Outgoing>, Error> {
        let rows = match &self.db {
            Db::Postgres(db) => postgres::outbox::list(db, filter, before, limit).await?,
            Db::Sqlite(db) => sqlite::outbox::list(db, filter, before, limit).await?,
            _ => return Err(Error::UnknownDialect),
        };
        rows.into_iter().map(Outgoing::try_from).collect()
    }

    /// How many parts wait for an operator to decide.
    pub async fn count_unknown(&self) -> Result<u64, Error> {
        let count = match &self.db {
            Db::Postgres(db) => postgres::outbox::count_unknown(db).await?,
            Db::Sqlite(db) => sqlite::outbox::count_unknown(db).await?,
            _ => return Err(Error::UnknownDialect),
        };
        Ok(count.unsigned_abs())
    }

    /// One part, if it is this tenant's.
    pub async fn outbox_row(
        &self,
        id: Uuid,
        tenant: Option<&str>,
    ) -> Result<Option<Outgoing>, Error> {
        let row = match &self.db {
            Db::Postgres(db) => postgres::outbox::row(db, id, tenant).await?,
            Db::Sqlite(db) => sqlite::outbox::row(db, id, tenant).await?,
            _ => return Err(Error::UnknownDialect),
        };
        row.map(Outgoing::try_from).transpose()
    }

    /// An operator's decision on a part as it was seen. `false` if it has changed since: look again.
    pub async fn settle_send(
        &self,
        seen: &Outgoing,
        state: SendState,
        provider_id: Option<&str>,
    ) -> Result<bool, Error> {
        match &self.db {
            Db::Postgres(db) => postgres::outbox::settle(db, seen, state, provider_id).await,
            Db::Sqlite(db) => sqlite::outbox::settle(db, seen, state, provider_id).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Deletes the parts of up to `limit` messages of which all were sent before a time; how many parts.
    /// A message of which one is not sent stays whole.
    pub async fn prune_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        match &self.db {
            Db::Postgres(db) => postgres::outbox::prune(db, before, limit).await,
            Db::Sqlite(db) => sqlite::outbox::prune(db, before, limit).await,
            _ => Err(Error::UnknownDialect),
        }
    }
}
