use std::time::Duration;

use anyhow::anyhow;
use chrono::{Days as Spell, NaiveDate};
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::model::{Conflict, Unique};
use windlass::{Context, Job, JobOptions, Json, Outcome, permanent};

use super::Services;
use super::failure::from_platform;
use crate::platform::Days;
use crate::telemetry;

/// Days that are made again each time: a conversation has ended once it has been idle for a day.
const AGAIN: Spell = Spell::new(2);
/// How far back missed days are caught up: what is older has lost the metrics it was made of.
const CAUGHT_UP: Spell = Spell::new(90);

/// One tenant's daily figures, made from its rows in one statement and one transaction.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AggregateTenant {
    /// Whose.
    pub tenant_id: String,
    /// The first UTC day; without one, what is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    /// The last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<NaiveDate>,
}

impl Job for AggregateTenant {
    const KIND: &'static str = "aggregate_tenant";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "analytics",
            timeout: Duration::from_mins(10),
            ..JobOptions::default()
        }
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant_id)
    }

    fn unique(&self) -> Option<Unique> {
        let day = |day: Option<NaiveDate>| day.map_or_else(String::new, |day| day.to_string());
        Some(Unique {
            key: format!("{}..{}", day(self.from), day(self.through)),
            window: None,
            conflict: Conflict::ReturnExisting,
        })
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let platform = &cx.services().platform;
        let now = cx.now();
        let today = now.to_datetime().date_naive();
        let days = match (self.from, self.through) {
            (Some(from), through) => given(from, through.unwrap_or(from), today),
            (None, _) => {
                let last = platform.last_aggregated(&self.tenant_id).await;
                due(last.map_err(from_platform)?, today)
            }
        };
        if days.from >= days.to {
            return Err(permanent(anyhow!(
                "from: {} has not ended yet; figures are made of whole days",
                days.from
            )));
        }
        let mut tx = platform
            .begin(&self.tenant_id)
            .await
            .map_err(from_platform)?;
        let made = platform
            .aggregate_days(&mut tx, &self.tenant_id, days, now)
            .await
            .map_err(from_platform)?;
        let result = Json::encode(&json!({"from": days.from, "to": days.to, "days": made}))?;
        let done = cx.commit(tx, Some(result)).await?;
        telemetry::analytics::aggregated(&self.tenant_id, made, cx.now().since(now), cx.now());
        Ok(done)
    }
}

/// The days asked for, those that have ended.
fn given(from: NaiveDate, through: NaiveDate, today: NaiveDate) -> Days {
    let to = through.checked_add_days(Spell::new(1)).unwrap_or(through);
    Days {
        from,
        to: to.min(today),
    }
}

/// The last two days, and those before them that were missed since the last figures.
fn due(last: Option<NaiveDate>, today: NaiveDate) -> Days {
    let before = |spell| today.checked_sub_days(spell).unwrap_or(NaiveDate::MIN);
    let again = before(AGAIN);
    let missed = last.and_then(|last| last.checked_add_days(Spell::new(1)));
    Days {
        from: missed.map_or(again, |missed| missed.min(again).max(before(CAUGHT_UP))),
        to: today,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn days(from: &str, to: &str) -> Days {
        Days {
            from: day(from),
            to: day(to),
        }
    }

    #[test]
    fn the_last_two_days_are_made_again_and_missed_ones_caught_up() {
        let today = day("2026-03-10");
        let due = |last: Option<&str>| due(last.map(day), today);
        assert_eq!(due(None), days("2026-03-08", "2026-03-10"));
        assert_eq!(due(Some("2026-03-09")), days("2026-03-08", "2026-03-10"));
        assert_eq!(due(Some("2026-03-01")), days("2026-03-02", "2026-03-10"));
        assert_eq!(due(Some("2020-01-01")), days("2025-12-10", "2026-03-10"));
    }

    #[test]
    fn a_day_that_has_not_ended_has_no_figures() {
        let today = day("2026-03-10");
        let given = |from, through| given(day(from), day(through), today);
        assert_eq!(
            given("2026-03-01", "2026-03-02"),
            days("2026-03-01", "2026-03-03")
        );
        assert_eq!(
            given("2026-03-09", "2026-03-12"),
            days("2026-03-09", "2026-03-10")
        );
        let none = given("2026-03-10", "2026-03-10");
        assert!(none.from >= none.to);
    }
}
