//! Messages and API logs go when their tenants' settings say so, and not before.

use std::sync::Arc;

use metachat_jobs::jobs::{AggregateAnalytics, PruneMessages, PruneQuarantine};
use metachat_jobs::records::{NewQuarantined, QuarantineFilter};
use metachat_jobs::services::models::ModelOptions;
use serde_json::{Value, json};
use windlass::db::Db;
use windlass::model::{Filter, Page};
use windlass::{Job, State};

use super::rig::{Rig, on_postgres, on_sqlite};
use crate::platform::records::{API_LOGS, CONVERSATIONS, MESSAGES, insert, number};

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_postgres(super::ModelOptions::default(), super::$name).await; })* }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_sqlite(super::ModelOptions::default(), super::$name).await; })* }
    };
}

on_both! {
    each_tenant_keeps_its_rows_as_long_as_it_says,
    nothing_goes_before_it_is_counted,
    what_nobody_took_out_of_quarantine_goes_in_the_end,
}

const DAY: i64 = 24 * 3600 * 1000;

async fn run<J: Job>(rig: &Rig, job: &J) -> Value {
    let id = rig.client.enqueue(job).await.unwrap().id();
    rig.result(id).await
}

/// A tenant with 1,500 messages and API calls of a hundred days ago, and one of each of five days ago.
async fn tenant(rig: &Rig, id: &str, retention: Value) {
    rig.create_tenant(id, &json!({"retention": retention}))
        .await;
    let now = rig.client.now().await.unwrap().as_micros() / 1000;
    let conversation = format!("{id}-1");
    let row = json!([conversation, id, "someone", "active", now, now, now]);
    insert(&rig.platform, id, &CONVERSATIONS, &[row]).await;
    let days = |n: i64| if n == 0 { 5 } else { 100 };
    let messages: Vec<Value> = (0..=1_500)
        .map(|n| {
            let at = now - days(n) * DAY;
            json!([format!("{id}-{n}"), id, conversation, "inbound", at])
        })
        .collect();
    insert(&rig.platform, id, &MESSAGES, &messages).await;
    let calls: Vec<Value> = (0..=1_500)
        .map(|n| json!([format!("{id}-{n}"), id, now - days(n) * DAY]))
        .collect();
    insert(&rig.platform, id, &API_LOGS, &calls).await;
}

async fn figures(rig: &Rig) {
    run(rig, &AggregateAnalytics::default()).await;
    let children = Filter {
        kind: Some("aggregate_tenant".into()),
        ..Filter::default()
    };
    for child in rig.client.list(&children, Page::default()).await.unwrap() {
        assert_eq!(rig.finished(child.id).await.state, State::Completed);
    }
}

/// How many messages and API calls a tenant has.
macro_rules! left {
    ($rig:expr, $tenant:literal) => {
        (
            number(
                &$rig.platform,
                $tenant,
                concat!(
                    r#"select count(*) from messages where "tenantId" = '"#,
                    $tenant,
                    "'"
                ),
            )
            .await,
            number(
                &$rig.platform,
                $tenant,
                concat!(
                    r#"select count(*) from api_logs where "tenantId" = '"#,
                    $tenant,
                    "'"
                ),
            )
            .await,
        )
    };
}

async fn each_tenant_keeps_its_rows_as_long_as_it_says(rig: Arc<Rig>) {
    let days = |n: u32| json!({"retentionDays": n});
    tenant(
        &rig,
        "both",
        json!({"messages": days(30), "apiLogs": days(4)}),
    )
    .await;
    tenant(&rig, "silent", json!({})).await;
    tenant(
        &rig,
        "wrong",
        json!({"messages": days(0), "apiLogs": {"retentionDays": "all"}}),
    )
    .await;
    let archived = json!({"messages": {"retentionDays": 30, "archive": true}});
    tenant(&rig, "archived", archived).await;
    figures(&rig).await;

    // The rig has a tenant of its own, which asks for nothing.
    let expected = json!({
        "tenants": 5, "messages": 1_500, "apiLogs": 1_501, "unarchived": 1, "failed": 0,
    });
    assert_eq!(run(&rig, &PruneMessages::default()).await, expected);
    assert_eq!(left!(rig, "both"), (1, 0));
    assert_eq!(left!(rig, "silent"), (1_501, 1_501));
    assert_eq!(left!(rig, "wrong"), (1_501, 1_501));
    assert_eq!(left!(rig, "archived"), (1_501, 1_501));
    let again = json!({"tenants": 5, "messages": 0, "apiLogs": 0, "unarchived": 1, "failed": 0});
    assert_eq!(run(&rig, &PruneMessages::default()).await, again);
}

async fn nothing_goes_before_it_is_counted(rig: Arc<Rig>) {
    let wanted = json!({"messages": {"retentionDays": 30}, "apiLogs": {"retentionDays": 30}});
    tenant(&rig, "late", wanted).await;
    let one = PruneMessages {
        tenant_id: Some("late".into()),
    };
    let result = run(&rig, &one).await;
    assert_eq!(
        (&result["messages"], &result["tenants"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(left!(rig, "late"), (1_501, 1_501));
    figures(&rig).await;
    assert_eq!(run(&rig, &one).await["messages"], 1_500);
    assert_eq!(left!(rig, "late"), (1, 1));
}

async fn what_nobody_took_out_of_quarantine_goes_in_the_end(rig: Arc<Rig>) {
    // More than one step, all but the last set aside a hundred days ago.
    for n in 0..=450 {
        let body = n.to_string().into_bytes();
        let new = NewQuarantined {
            tenant: Some("acme".to_owned()),
            source: "a queue".to_owned(),
            reason: "a reason".to_owned(),
            headers: json!({}),
            body_bytes: body.len() as u64,
            body,
        };
        let id = rig.records.quarantine(&new).await.unwrap();
        if n == 450 {
            break;
        }
        match &rig.db {
            Db::Postgres(db) => {
                let old = "update jobs.quarantine set taken_at = now() - interval '100 days' where id = $1";
                sqlx::query(old).bind(id).execute(db.pool()).await.unwrap();
            }
            Db::Sqlite(db) => {
                let old = "update quarantine set taken_at = taken_at - 8640000000 where id = ?1";
                sqlx::query(old)
                    .bind(id)
                    .execute(db.writer())
                    .await
                    .unwrap();
            }
            _ => unreachable!("two dialects"),
        }
    }
    assert_eq!(
        run(&rig, &PruneQuarantine::default()).await,
        json!({"deleted": 450})
    );
    let all = QuarantineFilter {
        limit: 500,
        ..QuarantineFilter::default()
    };
    assert_eq!(rig.records.list_quarantined(&all).await.unwrap().len(), 1);
}
