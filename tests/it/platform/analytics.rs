//! The daily figures, compared with figures reckoned row by row, and the clean-up of what they are made of.

use std::collections::HashSet;

use chrono::{DateTime, Days as Spell, NaiveDate};
use metachat_jobs::platform::{DailyFigures, Days, MetricCursor, Platform};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use windlass::Timestamp;

use super::fixture::tenant;
use super::records::{API_LOGS, CONVERSATIONS, EVENTS, MESSAGES, METRICS, WIDGET, insert, number};
use super::{on_all, on_both};

on_all! {
    figures_are_those_of_the_rows,
    making_figures_again_changes_nothing,
}

on_both! {
    metrics_go_only_with_their_days_figures,
    a_clean_up_goes_on_where_it_was,
}

const DAY: i64 = 24 * 3600 * 1000;

fn first() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 10).unwrap()
}

fn start() -> i64 {
    first()
        .and_hms_opt(0, 0, 0)
        .unwrap()
        .and_utc()
        .timestamp_millis()
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_datetime(DateTime::from_timestamp_millis(ms).unwrap())
}

struct Conversation {
    id: String,
    user: String,
    status: &'static str,
    created: i64,
    updated: i64,
    last: i64,
}

struct Message {
    conversation: usize,
    inbound: bool,
    at: i64,
}

struct Metric {
    conversation: usize,
    at: i64,
    response: Option<i32>,
    similarity: Option<f64>,
    document: Option<String>,
    escalated: bool,
    error: bool,
}

/// A tenant's rows over some days, made at random.
struct World {
    tenant: String,
    conversations: Vec<Conversation>,
    messages: Vec<Message>,
    metrics: Vec<Metric>,
    handoffs: Vec<(usize, i64)>,
    widget: Vec<(&'static str, String, i64)>,
    calls: Vec<i64>,
}

impl World {
    fn new(tenant: &str, seed: u64) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed);
        // From a day before to a day after the days that are looked at; the borders as often as not.
        let mut moment = {
            let mut rng = StdRng::seed_from_u64(seed + 1);
            move || match rng.random_range(0..8) {
                0 => start() + rng.random_range(0..=3) * DAY,
                1 => start() + rng.random_range(0..=3) * DAY - 1,
                _ => start() + rng.random_range(-DAY..4 * DAY),
            }
        };
        let conversations: Vec<Conversation> = (0..60)
            .map(|n| Conversation {
                id: format!("{tenant}-c{n}"),
                user: format!("u{}", rng.random_range(0..25)),
                status: ["active", "active", "closed", "assigned_human"][rng.random_range(0..4)],
                created: moment(),
                updated: moment(),
                last: moment(),
            })
            .collect();
        let messages = (0..400)
            .map(|_| Message {
                conversation: rng.random_range(0..60),
                inbound: rng.random_bool(0.5),
                at: moment(),
            })
            .collect();
        let metrics = (0..200)
            .map(|_| {
                let used = rng.random_bool(0.6);
                Metric {
                    conversation: rng.random_range(0..60),
                    at: moment(),
                    response: rng.random_bool(0.8).then(|| rng.random_range(1..5000)),
                    similarity: used.then(|| f64::from(rng.random_range(0..10_000)) / 10_000.0),
                    document: used.then(|| format!("d{}", rng.random_range(0..7))),
                    escalated: rng.random_bool(0.05),
                    error: rng.random_bool(0.1),
                }
            })
            .collect();
        let handoffs = (0..6)
            .map(|_| (rng.random_range(0..60), moment()))
            .collect();
        let widget = (0..80)
            .map(|_| {
                let kind = ["impression", "open", "message_sent"][rng.random_range(0..3)];
                (kind, format!("s{}", rng.random_range(0..20)), moment())
            })
            .collect();
        let calls = (0..50).map(|_| moment()).collect();
        Self {
            tenant: tenant.to_owned(),
            conversations,
            messages,
            metrics,
            handoffs,
            widget,
            calls,
        }
    }

    async fn write(&self, platform: &Platform) {
        let Self { tenant: t, .. } = self;
        tenant(platform, t).await;
        let id = |n: usize| self.conversations[n].id.clone();
        let rows = self.conversations.iter();
        let rows: Vec<_> = rows
            .map(|c| json!([c.id, t, c.user, c.status, c.created, c.updated, c.last]))
            .collect();
        insert(platform, t, &CONVERSATIONS, &rows).await;
        let direction = |m: &Message| if m.inbound { "inbound" } else { "outbound" };
        let rows = self.messages.iter().enumerate();
        let rows: Vec<_> = rows
            .map(|(n, m)| {
                json!([
                    format!("{t}-m{n}"),
                    t,
                    id(m.conversation),
                    direction(m),
                    m.at
                ])
            })
            .collect();
        insert(platform, t, &MESSAGES, &rows).await;
        let rows = self.metrics.iter();
        let rows: Vec<_> = rows
            .map(|m| {
                json!([
                    t,
                    id(m.conversation),
                    m.at,
                    m.response,
                    m.similarity.is_some(),
                    m.similarity,
                    m.document,
                    m.escalated,
                    m.error
                ])
            })
            .collect();
        insert(platform, t, &METRICS, &rows).await;
        let rows = self.handoffs.iter().enumerate();
        let rows: Vec<_> = rows
            .map(|(n, (conversation, at))| {
                let data = json!({"conversationId": id(*conversation)});
                json!([format!("{t}-e{n}"), t, "human_handoff.requested", data, at])
            })
            .collect();
        insert(platform, t, &EVENTS, &rows).await;
        let rows = self.widget.iter();
        let rows: Vec<_> = rows
            .map(|(kind, session, at)| json!([t, kind, session, at]))
            .collect();
        insert(platform, t, &WIDGET, &rows).await;
        let rows = self.calls.iter().enumerate();
        let rows: Vec<_> = rows
            .map(|(n, at)| json!([format!("{t}-a{n}"), t, at]))
            .collect();
        insert(platform, t, &API_LOGS, &rows).await;
    }

    /// A day's figures, reckoned from the rows one by one.
    fn figures(&self, date: NaiveDate, now: i64) -> DailyFigures {
        let begin = date
            .and_hms_opt(0, 0, 0)
            .unwrap()
            .and_utc()
            .timestamp_millis();
        let on = |at: i64| at >= begin && at < begin + DAY;
        let count = |n: usize| i32::try_from(n).unwrap();
        let handed: HashSet<usize> = {
            let metrics = self.metrics.iter().filter(|m| m.escalated);
            let events = self.handoffs.iter().map(|(c, _)| *c);
            metrics.map(|m| m.conversation).chain(events).collect()
        };
        let mut escalated = HashSet::new();
        let mut writers = HashSet::new();
        let mut messages = 0;
        for message in self.messages.iter().filter(|m| on(m.at)) {
            messages += 1;
            if message.inbound {
                writers.insert(self.conversations[message.conversation].user.clone());
            }
        }
        let mut resolved = 0;
        for (n, c) in self.conversations.iter().enumerate() {
            let ended = match c.status {
                "closed" => on(c.updated),
                "active" => on(c.last) && c.last + DAY <= now,
                _ => false,
            };
            resolved += i32::from(ended && !handed.contains(&n));
        }
        let metrics: Vec<&Metric> = self.metrics.iter().filter(|m| on(m.at)).collect();
        escalated.extend(
            metrics
                .iter()
                .filter(|m| m.escalated)
                .map(|m| m.conversation),
        );
        escalated.extend(
            self.handoffs
                .iter()
                .filter(|(_, at)| on(*at))
                .map(|(c, _)| *c),
        );
        let times: Vec<i32> = metrics.iter().filter_map(|m| m.response).collect();
        let near: Vec<f64> = metrics.iter().filter_map(|m| m.similarity).collect();
        let documents: HashSet<_> = metrics.iter().filter_map(|m| m.document.clone()).collect();
        let visits: Vec<_> = self.widget.iter().filter(|(_, _, at)| on(*at)).collect();
        let sessions: HashSet<_> = visits
            .iter()
            .filter(|(kind, _, _)| *kind == "message_sent")
            .map(|(_, session, _)| session)
            .collect();
        DailyFigures {
            date,
            total_conversations: count(self.conversations.iter().filter(|c| on(c.created)).count()),
            total_messages: messages,
            active_users: count(writers.len()),
            avg_response_time_ms: rounded_mean(&times),
            documents_queried: count(documents.len()),
            api_calls: count(self.calls.iter().filter(|at| on(**at)).count()),
            rag_queries: count(near.len()),
            rag_avg_similarity: mean(&near).map(|mean| (mean * 1e4).round() / 1e4),
            conversations_resolved: resolved,
            conversations_escalated: count(escalated.len()),
            error_count: count(metrics.iter().filter(|m| m.error).count()),
            widget_impressions: count(visits.iter().filter(|(k, _, _)| *k == "impression").count()),
            widget_conversations: count(sessions.len()),
        }
    }
}

/// Halves are rounded up.
fn rounded_mean(values: &[i32]) -> Option<i32> {
    let n = i32::try_from(values.len()).unwrap();
    (n > 0).then(|| (2 * values.iter().sum::<i32>() + n).div_euclid(2 * n))
}

fn mean(values: &[f64]) -> Option<f64> {
    let n = u32::try_from(values.len()).unwrap();
    (n > 0).then(|| values.iter().sum::<f64>() / f64::from(n))
}

fn days(n: u64) -> Days {
    Days {
        from: first(),
        to: first().checked_add_days(Spell::new(n)).unwrap(),
    }
}

async fn aggregate(platform: &Platform, tenant: &str, days: Days, now: i64) -> u64 {
    let mut tx = platform.begin(tenant).await.unwrap();
    let made = platform
        .aggregate_days(&mut tx, tenant, days, at(now))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    made
}

async fn figures_are_those_of_the_rows(platform: Platform) {
    let (acme, other) = (World::new("acme", 7), World::new("other", 11));
    acme.write(&platform).await;
    other.write(&platform).await;
    // A moment at which the third day's last conversations are not a day idle yet.
    let now = start() + 3 * DAY + DAY / 2;
    for world in [&acme, &other] {
        assert_eq!(aggregate(&platform, &world.tenant, days(3), now).await, 3);
    }
    for world in [&acme, &other] {
        let expected: Vec<DailyFigures> = first()
            .iter_days()
            .take(3)
            .map(|date| world.figures(date, now))
            .collect();
        assert!(
            expected.iter().any(|day| day.conversations_resolved > 0
                && day.conversations_escalated > 0
                && day.active_users > 1),
            "the rows show nothing: {expected:#?}"
        );
        let found = platform.analytics(&world.tenant, days(3)).await.unwrap();
        assert_eq!(found, expected, "{}", world.tenant);
    }
    let last = platform.last_aggregated("acme").await.unwrap();
    assert_eq!(last, first().checked_add_days(Spell::new(2)));
}

async fn making_figures_again_changes_nothing(platform: Platform) {
    let world = World::new("acme", 23);
    world.write(&platform).await;
    let now = start() + 5 * DAY;
    aggregate(&platform, "acme", days(3), now).await;
    let once = platform.analytics("acme", days(3)).await.unwrap();
    aggregate(&platform, "acme", days(3), now).await;
    // Day by day comes to the same as all at once.
    aggregate(&platform, "acme", days(1), now).await;
    assert_eq!(platform.analytics("acme", days(3)).await.unwrap(), once);
    assert_eq!(once.len(), 3);
    assert_eq!(number(&platform, "acme", KEPT).await, 3);
}

const KEPT: &str = "select count(*) from analytics_daily where created_at <= updated_at";

/// So many metrics on each of the first days.
async fn metrics(platform: &Platform, tenant_id: &str, per_day: &[i64]) {
    tenant(platform, tenant_id).await;
    let mut rows = Vec::new();
    for (day, count) in (0..).zip(per_day) {
        for n in 0..*count {
            let at = start() + day * DAY + n;
            rows.push(json!([
                tenant_id, null, at, 1, false, null, null, false, false
            ]));
        }
    }
    insert(platform, tenant_id, &METRICS, &rows).await;
}

const LEFT: &str = "select count(*) from message_metrics";

async fn metrics_go_only_with_their_days_figures(platform: Platform) {
    metrics(&platform, "acme", &[5, 4, 3]).await;
    metrics(&platform, "other", &[2, 2, 2]).await;
    // The first two days have figures, for one of the two; the third day is not old enough.
    aggregate(&platform, "acme", days(2), start() + 9 * DAY).await;
    let before = at(start() + 2 * DAY);
    let step = platform.prune_metrics(before, MetricCursor::default(), 100);
    let step = step.await.unwrap();
    assert_eq!((step.seen, step.deleted), (13, 9));
    assert_eq!(number(&platform, "acme", LEFT).await, 3 + 6);
    let after = platform
        .prune_metrics(before, step.next, 100)
        .await
        .unwrap();
    assert_eq!(
        (after.seen, after.deleted),
        (0, 0),
        "what stays is not looked at again"
    );
    assert_eq!(after.next, step.next);
}

async fn a_clean_up_goes_on_where_it_was(platform: Platform) {
    metrics(&platform, "acme", &[50]).await;
    metrics(&platform, "other", &[50]).await;
    aggregate(&platform, "acme", days(1), start() + 9 * DAY).await;
    let (mut cursor, mut seen, mut deleted, mut steps) = (MetricCursor::default(), 0, 0, 0);
    loop {
        let step = platform
            .prune_metrics(at(start() + DAY), cursor, 7)
            .await
            .unwrap();
        (cursor, seen, deleted, steps) = (
            step.next,
            seen + step.seen,
            deleted + step.deleted,
            steps + 1,
        );
        if step.seen < 7 {
            break;
        }
    }
    assert_eq!((seen, deleted, steps), (100, 50, 15));
    assert_eq!(number(&platform, "acme", LEFT).await, 50);
}
