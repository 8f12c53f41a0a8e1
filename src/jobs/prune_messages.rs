use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::bail;
use chrono::{Days, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;
use windlass::{Context, Job, JobOptions, Outcome, Timestamp};

use super::Services;
use super::failure::from_platform;
use crate::telemetry;

/// Rows deleted by one step, which is a transaction of some milliseconds.
const STEP: u32 = 1_000;
/// How long it works before it lets go of its slot, so that a pause is heeded and others get a turn.
const SPELL: Duration = Duration::from_secs(20);
/// How often it notes how far it is.
const NOTE: Duration = Duration::from_secs(1);

/// Deletes messages and records of API calls that their tenants want kept no longer: after the days of
/// `retention.messages` and `retention.apiLogs` in a tenant's own settings. Of a tenant that asks for
/// nothing, nothing is deleted; nor are messages of one that wants them archived, as there is no archive
/// to put them into.
///
/// Rows of days that the daily figures have still to count stay until they are counted. It works in
/// small steps and notes how far it is: stopped, crashed or paused, it goes on from there.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PruneMessages {
    /// Only this tenant's; all tenants' if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
}

/// How far it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Done {
    /// The last tenant that is done with.
    tenant: String,
    /// The last conversation, of the next tenant, that is done with.
    conversation: String,
    /// What has been done so far.
    #[serde(flatten)]
    tally: Tally,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tally {
    tenants: u64,
    messages: u64,
    api_logs: u64,
    /// Tenants whose messages stay, because they want them archived.
    unarchived: u64,
    /// Tenants that could not be looked at.
    failed: u64,
}

/// When the rows of a tenant are old enough to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    messages: Option<Timestamp>,
    api_logs: Option<Timestamp>,
    unarchived: bool,
}

/// How a spell of work ended.
enum End {
    Done,
    Spent,
}

impl Job for PruneMessages {
    const KIND: &'static str = "prune_messages";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "maintenance",
            timeout: Duration::from_mins(2),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let began = Instant::now();
        let mut work = Work {
            cx: &cx,
            began,
            noted: began,
            done: cx.resume()?.unwrap_or_default(),
        };
        for tenant in self.tenants(&cx).await? {
            if tenant <= work.done.tenant {
                continue;
            }
            match work.tenant(&tenant).await? {
                End::Done => work.done.finished(tenant),
                End::Spent => {
                    cx.checkpoint(&work.done).await?;
                    return Ok(Outcome::snooze(Duration::ZERO));
                }
            }
        }
        let tally = &work.done.tally;
        telemetry::retention::pruned(tally.messages, tally.api_logs, tally.tenants);
        Ok(Outcome::complete_with(&tally.told())?)
    }
}

impl PruneMessages {
    /// In the order of their ids.
    async fn tenants(&self, cx: &Context<Services>) -> anyhow::Result<Vec<String>> {
        if let Some(tenant) = &self.tenant_id {
            return Ok(vec![tenant.clone()]);
        }
        let known = cx.services().platform.known_tenants().await;
        let mut ids: Vec<String> = known
            .map_err(from_platform)?
            .into_iter()
            .map(|tenant| tenant.id)
            .collect();
        // The database may order texts in another way.
        ids.sort_unstable();
        Ok(ids)
    }
}

impl Done {
    fn finished(&mut self, tenant: String) {
        self.tenant = tenant;
        self.conversation.clear();
        self.tally.tenants += 1;
    }
}

impl Tally {
    fn told(&self) -> Value {
        json!({
            "tenants": self.tenants,
            "messages": self.messages,
            "apiLogs": self.api_logs,
            "unarchived": self.unarchived,
            "failed": self.failed,
        })
    }
}

/// One spell of the job.
struct Work<'a> {
    cx: &'a Context<Services>,
    began: Instant,
    noted: Instant,
    done: Done,
}

impl Work<'_> {
    /// Deletes a tenant's old rows. One that cannot be looked at holds up no other.
    async fn tenant(&mut self, tenant: &str) -> anyhow::Result<End> {
        let limits = match self.limits(tenant).await {
            Ok(limits) => limits,
            Err(error) if error.is_transient() => return Err(from_platform(error)),
            Err(error) => {
                telemetry::retention::not_looked_at(tenant, &error);
                self.done.tally.failed += 1;
                return Ok(End::Done);
            }
        };
        if let Some(before) = limits.messages
            && let End::Spent = self.messages(tenant, before).await?
        {
            return Ok(End::Spent);
        }
        if let Some(before) = limits.api_logs
            && let End::Spent = self.api_logs(tenant, before).await?
        {
            return Ok(End::Spent);
        }
        self.done.tally.unarchived += u64::from(limits.unarchived);
        Ok(End::Done)
    }

    async fn limits(&self, tenant: &str) -> Result<Limits, crate::platform::Error> {
        let platform = &self.cx.services().platform;
        let none = Limits {
            messages: None,
            api_logs: None,
            unarchived: false,
        };
        let Some(row) = platform.tenant(tenant).await? else {
            return Ok(none);
        };
        let wanted = row.settings.retention;
        if wanted.message_days.is_none() && wanted.api_log_days.is_none() {
            return Ok(none);
        }
        let counted = platform.last_aggregated(tenant).await?;
        let before = |days: NonZeroU32| limit(self.cx.now(), days, counted);
        Ok(Limits {
            messages: wanted
                .message_days
                .filter(|_| !wanted.archive_messages)
                .and_then(before),
            api_logs: wanted.api_log_days.and_then(before),
            unarchived: wanted.message_days.is_some() && wanted.archive_messages,
        })
    }

    async fn messages(&mut self, tenant: &str, before: Timestamp) -> anyhow::Result<End> {
        let platform = &self.cx.services().platform;
        loop {
            let after = &self.done.conversation;
            let step = platform.prune_messages(tenant, after, before, STEP).await;
            let step = step.map_err(from_platform)?;
            self.done.tally.messages += step.deleted;
            let Some(next) = step.next else {
                return Ok(End::Done);
            };
            self.done.conversation = next;
            if let End::Spent = self.pause().await? {
                return Ok(End::Spent);
            }
        }
    }

    async fn api_logs(&mut self, tenant: &str, before: Timestamp) -> anyhow::Result<End> {
        let platform = &self.cx.services().platform;
        loop {
            let deleted = platform.prune_api_logs(tenant, before, STEP).await;
            let deleted = deleted.map_err(from_platform)?;
            self.done.tally.api_logs += deleted;
            if deleted < u64::from(STEP) {
                return Ok(End::Done);
            }
            if let End::Spent = self.pause().await? {
                return Ok(End::Spent);
            }
        }
    }

    /// Between two steps: notes how far it is, and says whether there is time for another.
    async fn pause(&mut self) -> anyhow::Result<End> {
        if self.cx.cancelled().is_cancelled() {
            self.cx.checkpoint(&self.done).await?;
            bail!("told to stop");
        }
        if self.noted.elapsed() >= NOTE {
            self.noted = Instant::now();
            self.cx.checkpoint(&self.done).await?;
            self.cx.progress(&self.done.tally.told()).await?;
        }
        Ok(if self.began.elapsed() >= SPELL {
            End::Spent
        } else {
            End::Done
        })
    }
}

/// Before when rows may go that are to be kept for so many days. The daily figures are made of them, and
/// those of the last counted day and the one before it are made once more; before any were made, nothing
/// may go.
fn limit(now: Timestamp, days: NonZeroU32, counted: Option<NaiveDate>) -> Option<Timestamp> {
    let wanted = now.minus(Duration::from_hours(24 * u64::from(days.get())));
    let still_needed = counted?.checked_sub_days(Days::new(1))?;
    let still_needed = still_needed.and_time(NaiveTime::MIN).and_utc();
    Some(wanted.min(Timestamp::from_datetime(still_needed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_datetime(text.parse().unwrap())
    }

    #[test]
    fn rows_stay_as_long_as_wanted_and_until_they_are_counted() {
        let now = at("2026-03-10T03:00:00Z");
        let limit = |days, counted: Option<&str>| {
            let counted = counted.map(|day| day.parse().unwrap());
            limit(now, NonZeroU32::new(days).unwrap(), counted)
        };
        assert_eq!(
            limit(30, Some("2026-03-09")),
            Some(at("2026-02-08T03:00:00Z"))
        );
        assert_eq!(
            limit(1, Some("2026-03-09")),
            Some(at("2026-03-08T00:00:00Z"))
        );
        assert_eq!(
            limit(30, Some("2026-01-02")),
            Some(at("2026-01-01T00:00:00Z"))
        );
        assert_eq!(limit(30, None), None);
    }
}
