use serde_json::Value;
use windlass::Timestamp;
use windlass::db::Tx;

use super::rows::{ConversationRow, MessageRow};
use super::{ChannelType, Error, Platform, Private, ids, text};

/// What a person and the tenant write to each other on one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// The channel.
    pub channel: ChannelType,
    /// What the channel calls it.
    pub external_id: String,
    /// Whom to answer.
    pub user_id: String,
    /// Who is to answer.
    pub status: ConversationStatus,
    /// When the newest inbound message was written.
    pub last_message_at: Timestamp,
}

/// Who is to answer in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationStatus {
    /// The machine.
    Active,
    /// A human: the machine must be silent.
    AssignedHuman,
    /// Nobody, until the user writes again.
    Closed,
    /// Something else the platform wrote; the column is free text.
    Other(String),
}

/// What is known of a conversation when a message comes in.
#[derive(Debug, Clone)]
pub struct NewConversation {
    /// The channel.
    pub channel: ChannelType,
    /// What the channel calls it.
    pub external_id: String,
    /// Whom to answer.
    pub user_id: String,
    /// When the message was written.
    pub at: Timestamp,
}

/// A conversation that a message came into.
pub(super) struct Opened {
    pub(super) conversation: Conversation,
    /// Whether it is its first.
    pub(super) began: bool,
    /// Whether it was closed until now.
    pub(super) reopened: bool,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the person.
    Inbound,
    /// To the person.
    Outbound,
}

/// One chat message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// The conversation it belongs to.
    pub conversation_id: String,
    /// What the channel calls it; `None` for what was not sent yet.
    pub external_id: Option<String>,
    /// Which way it went.
    pub direction: Direction,
    /// Who wrote it.
    pub from: String,
    /// `text`, `image`, `audio`, `video`, `document`, `location`, or what the channel said.
    pub kind: String,
    /// `{text}`, `{media}` or `{location}`.
    pub content: Private<Value>,
    /// Whatever the channel or the model added.
    pub metadata: Private<Value>,
    /// When it was written.
    pub at: Timestamp,
}

/// A message to be recorded.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The conversation it belongs to.
    pub conversation_id: String,
    /// What the channel calls it.
    pub external_id: Option<String>,
    /// Who wrote it.
    pub from: String,
    /// `text`, `image`, `audio`, `video`, `document` or `location`.
    pub kind: String,
    /// `{text}`, `{media}` or `{location}`.
    pub content: Private<Value>,
    /// Whatever else is worth keeping.
    pub metadata: Private<Value>,
    /// When it was written, the same however often it is recorded.
    pub at: Timestamp,
}

/// What became of a message to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The id it has.
    pub id: String,
    /// Whether it was not there before.
    pub is_new: bool,
}

impl Platform {
    /// The conversation of a channel's user, made if there is none. Its row stays locked until the
    /// transaction ends, so that jobs of one conversation take turns.
    ///
    /// A human who was assigned stays so. A closed conversation opens again, unless the message is
    /// not newer than its last one: an old message delivered twice re-opens nothing.
    pub async fn upsert_conversation(
        &self,
        tx: &mut Tx,
        tenant: &str,
        new: &NewConversation,
    ) -> Result<Conversation, Error> {
        let opened = self.open_conversation(tx, tenant, new).await?;
        Ok(opened.conversation)
    }

    /// The same, and what the message did to it.
    pub(super) async fn open_conversation(
        &self,
        tx: &mut Tx,
        tenant: &str,
        new: &NewConversation,
    ) -> Result<Opened, Error> {
        let new = NewConversation {
            external_id: text::storable(&new.external_id).into_owned(),
            user_id: text::storable(&new.user_id).into_owned(),
            ..*new
        };
        let id = ids::fresh();
        let row = self
            .repository
            .upsert_conversation(tx, tenant, &id, &new)
            .await?;
        let began = row.id == id;
        let was = row.was.clone().map(ConversationStatus::from);
        let conversation = Conversation::try_from(row)?;
        Ok(Opened {
            reopened: was == Some(ConversationStatus::Closed)
                && conversation.status != ConversationStatus::Closed,
            began,
            conversation,
        })
    }

    /// One conversation.
    pub async fn conversation(
        &self,
        tenant: &str,
        id: &str,
    ) -> Result<Option<Conversation>, Error> {
        let row = self.repository.conversation(tenant, id).await?;
        row.map(Conversation::try_from).transpose()
    }

    /// Hands a conversation to a human, back to the machine, or closes it.
    pub async fn set_conversation_status(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        status: &ConversationStatus,
    ) -> Result<(), Error> {
        self.repository
            .set_conversation_status(tx, tenant, id, status.as_str())
            .await
    }

    /// Records what a person wrote, once however often it is delivered.
    ///
    /// `id` is the platform's own id of the message, if it has one. Without one the id follows from
    /// tenant, channel and external id; without that either, from what was written, by whom and when.
    pub async fn insert_inbound(
        &self,
        tx: &mut Tx,
        tenant: &str,
        channel: ChannelType,
        id: Option<&str>,
        new: &NewMessage,
    ) -> Result<Recorded, Error> {
        let (message, ids) = inbound(tenant, channel, id, new);
        self.record(tx, tenant, message, &ids).await
    }

    /// Records an answer, once for each message that is answered.
    pub async fn insert_outbound(
        &self,
        tx: &mut Tx,
        tenant: &str,
        reply_to: &str,
        new: &NewMessage,
    ) -> Result<Recorded, Error> {
        let (message, ids) = outbound(tenant, reply_to, new);
        self.record(tx, tenant, message, &ids).await
    }

    /// Records the id that a channel gave to an answer it took.
    pub async fn set_external_id(
        &self,
        tx: &mut Tx,
        tenant: &str,
        message: &str,
        external_id: &str,
    ) -> Result<(), Error> {
        self.repository
            .set_external_id(tx, tenant, message, &text::storable(external_id))
            .await
    }

    /// The newest `limit` messages of a conversation, oldest first: what a model reads.
    pub async fn history(
        &self,
        tenant: &str,
        conversation: &str,
        limit: u32,
    ) -> Result<Vec<Message>, Error> {
        let mut messages = self.messages(tenant, conversation, limit).await?;
        messages.reverse();
        Ok(messages)
    }

    /// The newest `limit` messages of a conversation, newest first: what a person looks through.
    pub async fn messages(
        &self,
        tenant: &str,
        conversation: &str,
        limit: u32,
    ) -> Result<Vec<Message>, Error> {
        let rows = self
            .repository
            .messages(tenant, conversation, limit)
            .await?;
        rows.into_iter().map(Message::try_from).collect()
    }

    /// Inserts a message under the first of its ids that is free, unless it is there under any.
    ///
    /// No index makes this unique: the platform's key holds the timestamp too, and `externalId` may
    /// repeat. The lock on the conversation makes looking and inserting one step.
    async fn record(
        &self,
        tx: &mut Tx,
        tenant: &str,
        mut message: Message,
        ids: &[String],
    ) -> Result<Recorded, Error> {
        self.repository
            .lock_conversation(tx, tenant, &message.conversation_id)
            .await?;
        if let Some(id) = self
            .repository
            .find_message(tx, tenant, &message, ids)
            .await?
        {
            return Ok(Recorded { id, is_new: false });
        }
        for id in ids {
            message.id.clone_from(id);
            if self.repository.insert_message(tx, tenant, &message).await? {
                return Ok(Recorded {
                    id: message.id,
                    is_new: true,
                });
            }
        }
        Err(ids_taken())
    }
}

/// An inbound message and the ids it may have, the preferred one first.
pub(super) fn inbound(
    tenant: &str,
    channel: ChannelType,
    id: Option<&str>,
    new: &NewMessage,
) -> (Message, Vec<String>) {
    let message = message(Direction::Inbound, new);
    let content = message.content.to_string();
    let id = id.filter(|id| !id.is_empty());
    let external_id = message.external_id.as_deref();
    let key = match (id, external_id) {
        (Some(key), _) | (None, Some(key)) => ["key", key, ""],
        (None, None) => ["content", &message.at.to_string(), &content],
    };
    let conversation = &message.conversation_id;
    let derived = ids::derived(
        &[
            &["inbound", tenant, channel.as_str(), conversation][..],
            &key,
        ]
        .concat(),
    );
    // The platform's own id may be taken by another tenant, who sent the same one; then ours is
    // used, and it is looked for under both.
    let own = id.map_or_else(|| derived.clone(), |id| text::storable(id).into_owned());
    (message, vec![own, derived])
}

/// An outbound message and the one id it may have.
pub(super) fn outbound(tenant: &str, reply_to: &str, new: &NewMessage) -> (Message, Vec<String>) {
    let id = ids::derived(&["reply", tenant, &new.conversation_id, reply_to]);
    (message(Direction::Outbound, new), vec![id])
}

pub(super) fn ids_taken() -> Error {
    Error::Invalid {
        problem: "every id of this message belongs to another conversation".to_owned(),
    }
}

fn message(direction: Direction, new: &NewMessage) -> Message {
    Message {
        id: String::new(),
        conversation_id: new.conversation_id.clone(),
        external_id: new
            .external_id
            .as_deref()
            .filter(|id| !id.is_empty())
            .map(|id| text::storable(id).into_owned()),
        direction,
        from: text::storable(&new.from).into_owned(),
        kind: text::storable(&new.kind).into_owned(),
        content: Private(text::storable_json(&new.content)),
        metadata: Private(text::storable_json(&new.metadata)),
        at: new.at,
    }
}

impl Message {
    /// What can be read in it: its text, or the caption of what it carries.
    pub fn text(&self) -> Option<&str> {
        let content = &*self.content;
        [
            &content["text"],
            &content["media"]["caption"],
            &content["caption"],
        ]
        .into_iter()
        .filter_map(Value::as_str)
        .find(|text| !text.is_empty())
    }
}

impl ConversationStatus {
    /// As the platform writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Active => "active",
            Self::AssignedHuman => "assigned_human",
            Self::Closed => "closed",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for ConversationStatus {
    fn from(name: String) -> Self {
        match name.as_str() {
            "active" => Self::Active,
            "assigned_human" => Self::AssignedHuman,
            "closed" => Self::Closed,
            _ => Self::Other(name),
        }
    }
}

impl Direction {
    /// As the platform writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl TryFrom<ConversationRow> for Conversation {
    type Error = Error;

    fn try_from(row: ConversationRow) -> Result<Self, Error> {
        let channel = row.channel.parse().map_err(|_| Error::Corrupt {
            what: "conversation",
            problem: "its channel is unknown".to_owned(),
        })?;
        Ok(Self {
            id: row.id,
            channel,
            external_id: row.external_id,
            user_id: row.user_id,
            status: row.status.into(),
            last_message_at: super::rows::timestamp(row.last_message_at),
        })
    }
}

impl TryFrom<MessageRow> for Message {
    type Error = Error;

    fn try_from(row: MessageRow) -> Result<Self, Error> {
        let direction = match row.direction.as_str() {
            "inbound" => Direction::Inbound,
            "outbound" => Direction::Outbound,
            _ => {
                return Err(Error::Corrupt {
                    what: "message",
                    problem: "its direction is neither inbound nor outbound".to_owned(),
                });
            }
        };
        Ok(Self {
            id: row.id,
            conversation_id: row.conversation_id,
            external_id: row.external_id,
            direction,
            from: row.sender,
            kind: row.kind,
            content: Private(row.content.0),
            metadata: Private(row.metadata.0),
            at: super::rows::timestamp(row.at),
        })
    }
}
