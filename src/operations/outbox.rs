//! Decides what became of a message that may have been sent, or not.

use serde_json::json;
use uuid::Uuid;
use windlass::engine::Operator;
use windlass::store::Changed;
use windlass::{Client, NewJob, State};

use super::{OperationError, encode};
use crate::records::{Outgoing, Records, SendState};

/// The kind that sends.
const KIND: &str = "deliver_message";

/// Why nobody knows what came of a request.
const ENDED: &str = "the job that sent it ended before the reply was noted";

/// What to do, on whose behalf.
#[derive(Debug)]
pub struct Desk<'a> {
    /// Where the outbox is.
    pub records: &'a Records,
    /// Where the jobs are.
    pub client: &'a Client,
    /// Who acts.
    pub operator: &'a Operator,
    /// Only what is this tenant's; another's is as if it were not there.
    pub tenant: Option<&'a str>,
}

impl Desk<'_> {
    /// Has a part sent again: the channel does not have it, or may have it twice. Its message's job
    /// goes on with it.
    pub async fn resend(&self, id: Uuid) -> Result<Outgoing, OperationError> {
        self.decide("outbox.resend", id, SendState::Pending, None)
            .await
    }

    /// Takes a part for sent: the channel has it, as `provider_id` if that is known. Its message's job
    /// goes on with the next one.
    pub async fn mark_sent(
        &self,
        id: Uuid,
        provider_id: Option<&str>,
    ) -> Result<Outgoing, OperationError> {
        self.decide("outbox.mark_sent", id, SendState::Sent, provider_id)
            .await
    }

    /// Broken off after any step it may be done again: it then goes on where it was.
    async fn decide(
        &self,
        action: &str,
        id: Uuid,
        to: SendState,
        provider_id: Option<&str>,
    ) -> Result<Outgoing, OperationError> {
        let seen = self.settled(self.row(id).await?).await?;
        check(seen.state, to)?;
        let after = json!({"before": seen.state, "state": to});
        self.operator
            .record(
                action,
                format!("outbox/{id}"),
                Some(seen.tenant.clone()),
                Some(encode(&after)?),
            )
            .await?;
        if seen.state != to {
            let settled = self.records.settle_send(&seen, to, provider_id).await?;
            if !settled {
                return Err(OperationError::State {
                    state: self.row(id).await?.state,
                    problem: "has changed meanwhile; look at it again",
                });
            }
        }
        self.go_on(&seen).await?;
        self.row(id).await
    }

    /// A part that was being sent by a job that has ended, cancelled in the middle of its request: nobody
    /// else will ever note that its outcome is unknown.
    async fn settled(&self, seen: Outgoing) -> Result<Outgoing, OperationError> {
        if seen.state != SendState::Sending {
            return Ok(seen);
        }
        let job = self.client.get(seen.job, Some(&seen.tenant)).await?;
        if job.is_some_and(|job| !job.state.is_finished()) {
            return Ok(seen);
        }
        // Whether or not its reply came after all: what is there now counts.
        self.records.lose_send(&seen, ENDED).await?;
        self.row(seen.id).await
    }

    async fn row(&self, id: Uuid) -> Result<Outgoing, OperationError> {
        let row = self.records.outbox_row(id, self.tenant).await?;
        row.ok_or(OperationError::NotFound {
            what: "part of a message",
        })
    }

    /// Lets the message's job run again; a new one, if retention has deleted it.
    async fn go_on(&self, row: &Outgoing) -> Result<(), OperationError> {
        match self.operator.requeue(row.job, Some(&row.tenant)).await? {
            Changed::NotFound => {}
            // It may have looked at this part already, and passed it over.
            Changed::Refused(State::Running) | Changed::Held(_) => {
                return Err(OperationError::State {
                    state: self.row(row.id).await?.state,
                    problem: "waits for a job of its message that runs just now; repeat this when it has ended",
                });
            }
            // It comes to run by itself.
            Changed::Done | Changed::Asked | Changed::Refused(_) => return Ok(()),
        }
        let args = json!({
            "tenantId": row.tenant,
            "channel": row.channel,
            "conversationId": row.conversation,
            "messageId": row.message,
        });
        let job = self.client.prepare_raw(KIND, encode(&args)?)?;
        // The message's key may still be held by the job that is gone.
        let job = NewJob {
            unique: None,
            ..job
        };
        self.client.insert(job).await?;
        Ok(())
    }
}

fn check(from: SendState, to: SendState) -> Result<(), OperationError> {
    let problem = match (from, to) {
        (SendState::Sending, _) => "is on its way; wait for its job to end",
        (SendState::Sent, SendState::Pending) => "is with the customer; it is not sent twice",
        (SendState::Pending | SendState::Failed, SendState::Sent) => {
            "is certain not to be sent; resend it"
        }
        _ => return Ok(()),
    };
    Err(OperationError::State {
        state: from,
        problem,
    })
}
