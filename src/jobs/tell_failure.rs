use std::time::Duration;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use windlass::model::{Conflict, Unique};
use windlass::{Backoff, Context, Job, JobId, JobOptions, Outcome, State, permanent};

use super::process_message::Origin;
use super::{ProcessMessage, Services};

/// Tells the writer of a message that it could not be answered, in the place of its job: that one ended for
/// ever in a way that left it no time to, because its worker was killed again and again, or an operator set it
/// aside. However often it runs, the writer is told once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TellFailure {
    /// Whose customer wrote.
    pub tenant_id: String,
    /// The message's job.
    pub job_id: JobId,
}

impl TellFailure {
    /// For how long a job that ended is known to have been looked at.
    pub(super) const REMEMBERED: Duration = Duration::from_hours(7 * 24);
}

impl Job for TellFailure {
    const KIND: &'static str = "tell_failure";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "messages",
            priority: 2,
            max_attempts: 8,
            timeout: Duration::from_mins(1),
            backoff: Backoff {
                base: Duration::from_secs(1),
                ..Backoff::default()
            },
            ..JobOptions::default()
        }
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant_id)
    }

    fn unique(&self) -> Option<Unique> {
        Some(Unique {
            key: self.job_id.to_string(),
            window: Some(Self::REMEMBERED),
            conflict: Conflict::ReturnExisting,
        })
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let client = cx.client();
        let ended = client.get(self.job_id, Some(&self.tenant_id)).await?;
        let Some(ended) = ended.filter(|job| job.state == State::Dead) else {
            return Ok(Outcome::cancel("the message's job is gone, or runs again"));
        };
        if ended.kind != ProcessMessage::KIND {
            return Err(permanent(anyhow!("jobId: is no message's job")));
        }
        let args = client.args_of(&ended).map_err(permanent)?;
        let Ok(message) = args.decode::<ProcessMessage>() else {
            return Ok(Outcome::cancel("what was enqueued is no message"));
        };
        let origin = Origin {
            id: ended.id,
            enqueued_at: ended.enqueued_at,
        };
        message.apologise(&cx, origin).await
    }
}
