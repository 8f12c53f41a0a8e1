//! Taking in a message and recording its answer, in few statements: what every message goes through.

use async_trait::async_trait;
use chrono::{Datelike, Days, Months, NaiveDate, NaiveTime};
use windlass::Timestamp;
use windlass::db::Tx;

use super::conversations::{Message, NewConversation, NewMessage, Opened, Recorded};
use super::metrics::MessageMetric;
use super::rows::{MessageRow, RuntimeRow, SecretRow, UsageRow};
use super::{Conversation, ConversationStatus, Error, Platform};

/// What one dialect does for [`Platform::receive`] and what stands beside it: a step each.
#[async_trait]
pub(super) trait Intake {
    async fn runtime(&self, tenant: &str) -> Result<Option<RuntimeRow>, Error>;
    /// Under the first of these names, if it is there, else under the second.
    async fn tenant_secret(
        &self,
        tenant: &str,
        names: &[String; 2],
    ) -> Result<Option<SecretRow>, Error>;
    /// Its id, if it was not there under any of `ids`, and its own was free.
    async fn record_message(
        &self,
        tx: &mut Tx,
        tenant: &str,
        message: &Message,
        ids: &[String],
    ) -> Result<Option<String>, Error>;
    /// Whether the tenant has a message that came in under this id.
    async fn has_message(&self, tenant: &str, external_id: &str) -> Result<bool, Error>;
    /// The newest messages of a conversation, newest first, with those that `tx` wrote.
    async fn newest(
        &self,
        tx: &mut Tx,
        tenant: &str,
        conversation: &str,
        limit: u32,
    ) -> Result<Vec<MessageRow>, Error>;
    /// Locks the conversation's row, and says who answers.
    async fn conversation_status(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
    ) -> Result<Option<String>, Error>;
    /// Adds to the month's figures, and returns them.
    async fn count_usage(
        &self,
        tx: &mut Tx,
        tenant: &str,
        month: &Month,
        conversations: i32,
    ) -> Result<UsageRow, Error>;
}

/// A message that comes in.
#[derive(Debug)]
pub struct Inbound<'a> {
    /// Where it belongs.
    pub conversation: NewConversation,
    /// The platform's own id of it, if it has one; see [`Platform::insert_inbound`].
    pub id: Option<&'a str>,
    /// What was written; its `conversation_id` is filled in.
    pub message: NewMessage,
    /// How many of the conversation's newest messages to read.
    pub history: u32,
    /// When it is taken in.
    pub now: Timestamp,
}

/// A message that came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The conversation it belongs to.
    pub conversation: Conversation,
    /// Whether it was closed until this message opened it.
    pub reopened: bool,
    /// Its id, and whether it was not there before.
    pub message: Recorded,
    /// The newest messages of the conversation, this one among them, oldest first.
    pub history: Vec<Message>,
    /// What the tenant used in this month, with this message; `None` if it was there before.
    pub usage: Option<MonthlyUsage>,
}

/// What a tenant used in a calendar month (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MonthlyUsage {
    /// Messages that came in.
    pub messages: u64,
    /// Conversations that began.
    pub conversations: u64,
    /// Whether the conversation of this message is one of them, begun by it.
    pub began: bool,
}

/// A calendar month as `usage_tracking` keeps it: its first day, and its last at midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Month {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

impl Month {
    fn of(at: Timestamp) -> Self {
        let first = at.to_datetime().date_naive();
        let first = first.with_day(1).unwrap_or(first);
        let last = first
            .checked_add_months(Months::new(1))
            .and_then(|next| next.checked_sub_days(Days::new(1)))
            .unwrap_or(first);
        let midnight =
            |day: NaiveDate| Timestamp::from_datetime(day.and_time(NaiveTime::MIN).and_utc());
        Self {
            first: midnight(first),
            last: midnight(last),
        }
    }
}

impl Platform {
    /// Makes a message part of its conversation and of what its tenant used in the month, once however
    /// often it is delivered.
    ///
    /// The conversation's row stays locked until the transaction ends, and so does the tenant's
    /// figure for the month: commit soon.
    pub async fn receive(
        &self,
        tx: &mut Tx,
        tenant: &str,
        new: Inbound<'_>,
    ) -> Result<Received, Error> {
        let Opened {
            conversation,
            began,
            reopened,
        } = self
            .open_conversation(tx, tenant, &new.conversation)
            .await?;
        let message = NewMessage {
            conversation_id: conversation.id.clone(),
            ..new.message
        };
        let (row, ids) =
            super::conversations::inbound(tenant, new.conversation.channel, new.id, &message);
        let message = self.record_locked(tx, tenant, row, &ids).await?;
        let newest = self
            .repository
            .newest(tx, tenant, &conversation.id, new.history)
            .await?;
        let history = newest.into_iter().rev().map(Message::try_from);
        let history = history.collect::<Result<_, _>>()?;
        let usage = if message.is_new {
            let row = self
                .repository
                .count_usage(tx, tenant, &Month::of(new.now), i32::from(began))
                .await?;
            Some(MonthlyUsage {
                messages: u64::try_from(row.messages).unwrap_or_default(),
                conversations: u64::try_from(row.conversations).unwrap_or_default(),
                began,
            })
        } else {
            None
        };
        Ok(Received {
            conversation,
            reopened,
            message,
            history,
            usage,
        })
    }

    /// Whether a message that its channel calls so has come in, whoever took it in.
    pub async fn has_message(&self, tenant: &str, external_id: &str) -> Result<bool, Error> {
        self.repository
            .has_message(tenant, &super::text::storable(external_id))
            .await
    }

    /// Locks a conversation until the transaction ends, and says who answers in it.
    pub async fn lock_conversation(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
    ) -> Result<ConversationStatus, Error> {
        let status = self.repository.conversation_status(tx, tenant, id).await?;
        status.map(ConversationStatus::from).ok_or(Error::NotFound {
            what: "conversation",
        })
    }

    /// Records an answer and what it took, once for each message that is answered; `reply_to` tells
    /// it from others to the same message. Lock the conversation first.
    pub async fn record_answer(
        &self,
        tx: &mut Tx,
        tenant: &str,
        reply_to: &str,
        answer: &NewMessage,
        metric: &MessageMetric,
    ) -> Result<Recorded, Error> {
        let (row, ids) = super::conversations::outbound(tenant, reply_to, answer);
        let recorded = self.record_locked(tx, tenant, row, &ids).await?;
        let metric = metric.storable();
        self.repository.insert_metric(tx, tenant, &metric).await?;
        Ok(recorded)
    }

    /// Records a message under the first of its ids that is free, unless it is there under any. The
    /// lock on its conversation makes looking and inserting one step.
    async fn record_locked(
        &self,
        tx: &mut Tx,
        tenant: &str,
        mut message: Message,
        ids: &[String],
    ) -> Result<Recorded, Error> {
        for id in ids {
            message.id.clone_from(id);
            let recorded = self
                .repository
                .record_message(tx, tenant, &message, ids)
                .await?;
            if let Some(id) = recorded {
                return Ok(Recorded { id, is_new: true });
            }
            let known = self.repository.find_message(tx, tenant, &message, ids);
            if let Some(id) = known.await? {
                return Ok(Recorded { id, is_new: false });
            }
        }
        Err(super::conversations::ids_taken())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(text: &str) -> Timestamp {
        let at = DateTime::parse_from_rfc3339(text).unwrap();
        Timestamp::from_datetime(at.to_utc())
    }

    #[test]
    fn a_month_is_a_calendar_month_in_utc() {
        for (moment, first, last) in [
            (
                "2026-02-14T10:00:00Z",
                "2026-02-01T00:00:00Z",
                "2026-02-28T00:00:00Z",
            ),
            (
                "2028-02-29T23:59:59.999Z",
                "2028-02-01T00:00:00Z",
                "2028-02-29T00:00:00Z",
            ),
            (
                "2026-12-31T23:30:00-01:00",
                "2027-01-01T00:00:00Z",
                "2027-01-31T00:00:00Z",
            ),
        ] {
            let month = Month::of(at(moment));
            assert_eq!((month.first, month.last), (at(first), at(last)), "{moment}");
        }
    }
}
