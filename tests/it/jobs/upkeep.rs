//! The daily figures and the clean-up, as jobs.

use std::sync::Arc;

use metachat_jobs::jobs::{AggregateAnalytics, MaintainPartitions, PruneMessageMetrics};
use metachat_jobs::platform::Days;
use metachat_jobs::services::models::ModelOptions;
use serde_json::{Value, json};
use windlass::model::{Filter, Page};
use windlass::{Job, JobId, State};

use super::rig::{Rig, TENANT, on_postgres, on_sqlite};
use crate::platform::records::{METRICS, insert, number};

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_postgres(super::ModelOptions::default(), super::$name).await; })* }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_sqlite(super::ModelOptions::default(), super::$name).await; })* }
    };
}

on_both! {
    every_tenant_gets_its_figures_by_a_job_of_its_own,
    days_that_cannot_be_are_refused,
    old_metrics_go_and_the_job_says_how_many,
    tables_without_months_need_no_upkeep,
}

async fn run<J: Job>(rig: &Rig, job: &J) -> JobId {
    rig.client.enqueue(job).await.unwrap().id()
}

async fn every_tenant_gets_its_figures_by_a_job_of_its_own(rig: Arc<Rig>) {
    rig.create_tenant("other", &json!({})).await;
    let parent = run(&rig, &AggregateAnalytics::default()).await;
    assert_eq!(rig.result(parent).await, json!({"tenants": 2}));
    let children = Filter {
        kind: Some("aggregate_tenant".into()),
        ..Filter::default()
    };
    let children = rig.client.list(&children, Page::default()).await.unwrap();
    assert_eq!(children.len(), 2);
    let today = rig.client.now().await.unwrap().to_datetime().date_naive();
    for child in children {
        let result = rig.result(child.id).await;
        assert_eq!(result["days"], 2, "yesterday and the day before");
        let days = Days {
            from: today - chrono::Days::new(2),
            to: today,
        };
        let tenant = child.tenant_id.unwrap();
        let figures = rig.platform.analytics(&tenant, days).await.unwrap();
        assert_eq!(figures.len(), 2, "{tenant}");
    }
}

async fn days_that_cannot_be_are_refused(rig: Arc<Rig>) {
    for (args, problem) in [
        (
            json!({"from": "2026-02-02", "through": "2026-02-01"}),
            "through: 2026-02-01 lies before",
        ),
        (json!({"through": "2026-02-01"}), "through: needs a `from`"),
    ] {
        let job: AggregateAnalytics = serde_json::from_value(args).unwrap();
        let job = rig.finished(run(&rig, &job).await).await;
        assert_eq!((job.state, job.attempt), (State::Dead, 1));
        let error = job.attempts[0].error.clone().unwrap().message;
        assert!(error.contains(problem), "{error}");
    }
}

async fn old_metrics_go_and_the_job_says_how_many(rig: Arc<Rig>) {
    // More than one step of the clean-up, on a day that has figures, and some on one that has none.
    let day = |text: &str| text.parse::<chrono::NaiveDate>().unwrap();
    let midnight = |text: &str| {
        day(text)
            .and_hms_opt(0, 0, 0)
            .unwrap()
            .and_utc()
            .timestamp_millis()
    };
    let rows = |first: i64, count: i64| -> Vec<Value> {
        (0..count)
            .map(|n| json!([TENANT, null, first + n, 1, false, null, null, false, false]))
            .collect()
    };
    insert(
        &rig.platform,
        TENANT,
        &METRICS,
        &rows(midnight("2025-01-01"), 4_500),
    )
    .await;
    insert(
        &rig.platform,
        TENANT,
        &METRICS,
        &rows(midnight("2025-01-02"), 10),
    )
    .await;
    let figures = AggregateAnalytics {
        from: Some(day("2025-01-01")),
        through: None,
    };
    rig.result(run(&rig, &figures).await).await;
    let children = Filter {
        kind: Some("aggregate_tenant".into()),
        ..Filter::default()
    };
    for child in rig.client.list(&children, Page::default()).await.unwrap() {
        assert_eq!(rig.result(child.id).await["days"], 1);
    }
    let prune = run(&rig, &PruneMessageMetrics::default()).await;
    assert_eq!(
        rig.result(prune).await,
        json!({"deleted": 4_500, "kept": 10})
    );
    let left = number(
        &rig.platform,
        TENANT,
        "select count(*) from message_metrics",
    )
    .await;
    assert_eq!(left, 10);
}

async fn tables_without_months_need_no_upkeep(rig: Arc<Rig>) {
    let job = run(&rig, &MaintainPartitions::default()).await;
    assert_eq!(rig.result(job).await, json!({"made": []}));
}
