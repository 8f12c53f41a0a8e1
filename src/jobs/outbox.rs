//! Sends a message by a channel that cannot be asked whether it has it.
//!
//! Each part is written down before it is sent, and what came of it after. Whoever finds one of which
//! only the first is known does not send it again: it may be with the customer already. It is `unknown`,
//! and an operator decides.

use std::time::Duration;

use anyhow::anyhow;
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use windlass::{Context, Outcome, permanent, wait_for};

use super::failure::{from_platform, from_records};
use super::{DeliverMessage, Services};
use crate::platform::{ChannelType, Credentials};
use crate::records::{NewOutgoing, Outgoing, SendState, Sent};
use crate::services::graph::{self, GraphChannel, Part, SendError, Sender};
use crate::telemetry;

/// How long one attempt of the job goes on with further parts; less than its timeout by more than one
/// request can take.
const TURN: Duration = Duration::from_mins(3);
/// How long to wait for a host that did not say when to come back.
const AWAY: Duration = Duration::from_secs(10);
/// The first wait of a sender who has sent too much; it doubles with each attempt.
const LIMITED: Duration = Duration::from_secs(15);
const LONGEST_LIMITED: Duration = Duration::from_mins(10);
/// Waits between tries to note what came of a request, while the database is away.
const NOTE_AGAIN: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(6),
    Duration::from_secs(10),
];
const GONE: &str = "whoever sent it vanished before the reply was noted";

/// What a part is sent with.
struct Account {
    channel: GraphChannel,
    id: String,
    token: String,
    recipient: String,
}

/// Sends what is not sent yet. The id that the channel gave the first part, or why the job stops here.
pub(super) async fn send(
    job: &DeliverMessage,
    cx: &Context<Services>,
    channel: GraphChannel,
) -> anyhow::Result<Result<String, Outcome>> {
    let started = Instant::now();
    let parts = cut(job, cx, channel).await?;
    let account = account(job, cx, channel).await?;
    let rows = open(job, cx, &parts).await?;
    let mut first = None;
    for (row, part) in rows.iter().zip(&parts) {
        if row.state != SendState::Sent {
            if cx.cancelled().is_cancelled() || started.elapsed() > TURN {
                return Ok(Err(Outcome::snooze(Duration::ZERO)));
            }
            match send_row(cx, row, &account, part).await? {
                Ok(id) => first = first.or(Some(id)),
                Err(stop) => return Ok(Err(stop)),
            }
        } else if first.is_none() {
            // What an operator marked as sent may have no id of the channel's.
            first = Some(row.provider_id.clone().unwrap_or_default());
        }
    }
    Ok(Ok(first.unwrap_or_default()))
}

/// The message's parts.
async fn cut(
    job: &DeliverMessage,
    cx: &Context<Services>,
    channel: GraphChannel,
) -> anyhow::Result<Vec<Part>> {
    let message = cx
        .services()
        .platform
        .message(&job.tenant_id, &job.conversation_id, &job.message_id)
        .await
        .map_err(from_platform)?
        .ok_or_else(|| permanent(anyhow!("messageId: the conversation has no such message")))?;
    graph::parts(channel, &message.kind, &message.content).map_err(permanent)
}

async fn account(
    job: &DeliverMessage,
    cx: &Context<Services>,
    channel: GraphChannel,
) -> anyhow::Result<Account> {
    let platform = &cx.services().platform;
    let conversation = platform
        .conversation(&job.tenant_id, &job.conversation_id)
        .await
        .map_err(from_platform)?
        .ok_or_else(|| {
            permanent(anyhow!(
                "conversationId: this tenant has no such conversation"
            ))
        })?;
    let kind = match channel {
        GraphChannel::Whatsapp => ChannelType::Whatsapp,
        GraphChannel::Messenger => ChannelType::Messenger,
    };
    let row = platform
        .channel(&job.tenant_id, kind)
        .await
        .map_err(from_platform)?
        .filter(|channel| channel.enabled)
        .ok_or_else(|| {
            permanent(anyhow!(
                "channel: the tenant has no {kind} channel, or it is disabled; enable it, then requeue \
                 the job"
            ))
        })?;
    let credentials = platform
        .credentials(&job.tenant_id, &row)
        .await
        .map_err(from_platform)?;
    let (id, token): (&[&str], &[&str]) = match channel {
        GraphChannel::Whatsapp => (&["phoneNumberId"], &["accessToken", "apiKey", "secret"]),
        GraphChannel::Messenger => (&["pageId"], &["pageAccessToken", "accessToken", "secret"]),
    };
    Ok(Account {
        channel,
        id: needed(&credentials, id, kind)?,
        token: needed(&credentials, token, kind)?,
        recipient: conversation.user_id,
    })
}

fn needed(credentials: &Credentials, names: &[&str], kind: ChannelType) -> anyhow::Result<String> {
    let found = credentials.get(names).map(ToOwned::to_owned);
    found.ok_or_else(|| {
        let name = names[0];
        permanent(anyhow!(
            "channel: the {kind} channel has no {name}; set it in its configuration or secrets, then \
             requeue the job"
        ))
    })
}

/// Writes the parts down, unless an earlier attempt has.
async fn open(
    job: &DeliverMessage,
    cx: &Context<Services>,
    parts: &[Part],
) -> anyhow::Result<Vec<Outgoing>> {
    let new = NewOutgoing {
        job: cx.job().id,
        tenant: &job.tenant_id,
        conversation: &job.conversation_id,
        message: &job.message_id,
        channel: &job.channel,
        parts: i32::try_from(parts.len())?,
    };
    let rows = cx
        .services()
        .records
        .open_outbox(&new)
        .await
        .map_err(from_records)?;
    if rows.iter().any(|row| row.parts != new.parts) {
        return Err(permanent(anyhow!(
            "the message was cut into {} parts before and is {} now: what was sent cannot be told from \
             what was not; settle its parts with `jobctl outbox`",
            rows[0].parts,
            new.parts
        )));
    }
    Ok(rows)
}

/// Sends one part. The channel's id for it, or why the job stops here.
async fn send_row(
    cx: &Context<Services>,
    row: &Outgoing,
    account: &Account,
    part: &Part,
) -> anyhow::Result<Result<String, Outcome>> {
    let Services { records, graph, .. } = cx.services();
    match row.state {
        SendState::Unknown => return Ok(Err(ask(row, row.error.as_deref().unwrap_or(GONE)))),
        SendState::Sending => {
            let lost = records.lose_send(row, GONE).await.map_err(from_records)?;
            if !lost {
                // Its reply came after all.
                return Ok(Err(Outcome::snooze(Duration::ZERO)));
            }
            telemetry::delivery::outcome_unknown(&row.channel, &row.message, row.part, GONE);
            return Ok(Err(ask(row, GONE)));
        }
        SendState::Pending | SendState::Failed | SendState::Sent => {}
    }
    let request = Uuid::now_v7();
    let begun = records
        .begin_send(row, request, cx.job().id)
        .await
        .map_err(from_records)?;
    if !begun {
        // Somebody else sends it or has settled it since: look again.
        return Ok(Err(Outcome::snooze(Duration::from_secs(1))));
    }
    let from = Sender {
        channel: account.channel,
        id: &account.id,
        token: &account.token,
    };
    let asked = Instant::now();
    let sent = graph.send(&from, &account.recipient, part).await;
    telemetry::delivery::part_sent(&row.channel, outcome(&sent), asked.elapsed());
    note(cx, row, request, &sent).await?;
    match sent {
        Ok(id) => Ok(Ok(id)),
        Err(SendError::Unknown { reason }) => {
            telemetry::delivery::outcome_unknown(&row.channel, &row.message, row.part, &reason);
            Ok(Err(ask(row, &reason)))
        }
        Err(error @ SendError::Refused { .. }) => Err(permanent(error)),
        Err(SendError::Later { reason, after }) => Err(wait_for(
            after.unwrap_or(AWAY),
            anyhow!("not sent: {reason}"),
        )),
        Err(SendError::Limited { reason, after }) => {
            let wait = after.unwrap_or_else(|| limited(row.attempts));
            Err(wait_for(wait, anyhow!("not sent: {reason}")))
        }
    }
}

/// Notes what came of a request, and does not give up at once: what is not noted is unknown.
async fn note(
    cx: &Context<Services>,
    row: &Outgoing,
    request: Uuid,
    sent: &Result<String, SendError>,
) -> anyhow::Result<()> {
    let error = sent.as_ref().err().map(ToString::to_string);
    let noted = Sent {
        state: match sent {
            Ok(_) => SendState::Sent,
            Err(SendError::Unknown { .. }) => SendState::Unknown,
            Err(SendError::Refused { .. }) => SendState::Failed,
            Err(SendError::Later { .. } | SendError::Limited { .. }) => SendState::Pending,
        },
        provider_id: sent.as_deref().ok(),
        error: error.as_deref(),
    };
    let records = &cx.services().records;
    for wait in NOTE_AGAIN {
        match records.end_send(row, request, &noted).await {
            Err(error) if error.is_transient() => sleep(wait).await,
            done => return done.map(drop).map_err(from_records),
        }
    }
    let done = records.end_send(row, request, &noted).await;
    done.map(drop).map_err(from_records)
}

/// The end of a job of which nobody knows whether it did its work.
fn ask(row: &Outgoing, reason: &str) -> Outcome {
    let Outgoing {
        id, part, parts, ..
    } = row;
    Outcome::discard(format!(
        "unknown: part {part} of {parts} may have been sent, or not ({reason}); look into the channel, \
         then `jobctl outbox resend {id}` or `jobctl outbox mark-sent {id}`"
    ))
}

fn limited(attempts: i32) -> Duration {
    let doubled = 1_u32.checked_shl(attempts.unsigned_abs());
    let wait = doubled.and_then(|times| LIMITED.checked_mul(times));
    wait.unwrap_or(LONGEST_LIMITED).min(LONGEST_LIMITED)
}

fn outcome(sent: &Result<String, SendError>) -> &'static str {
    match sent {
        Ok(_) => "sent",
        Err(SendError::Unknown { .. }) => "unknown",
        Err(SendError::Refused { .. }) => "refused",
        Err(SendError::Limited { .. }) => "limited",
        Err(SendError::Later { .. }) => "unreachable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_sender_waits_twice_as_long_each_time() {
        let seconds = |attempts| limited(attempts).as_secs();
        assert_eq!(
            [0, 1, 2, 5, 6, 40].map(seconds),
            [15, 30, 60, 480, 600, 600]
        );
    }
}
