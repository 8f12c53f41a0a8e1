//! Deleting what a tenant wants kept no longer: its own old rows and nothing else.

use metachat_jobs::platform::Platform;
use serde_json::json;

use super::fixture::{at, tenant};
use super::on_all;
use super::records::{API_LOGS, CONVERSATIONS, MESSAGES, insert, number};

on_all! {
    old_messages_go_step_by_step_and_all_others_stay,
    old_api_logs_go_step_by_step_and_all_others_stay,
}

/// So many milliseconds after the fixture's noon.
fn millis(ms: i64) -> i64 {
    at(0).as_micros() / 1000 + ms
}

/// Two conversations of a tenant, with five old messages each and one at the limit.
async fn talk(platform: &Platform, id: &str) {
    tenant(platform, id).await;
    for conversation in ["a", "b"] {
        let conversation = format!("{id}-{conversation}");
        let noon = millis(0);
        let row = json!([conversation, id, "someone", "active", noon, noon, noon]);
        insert(platform, id, &CONVERSATIONS, &[row]).await;
        let rows: Vec<_> = (0..6)
            .map(|n| {
                json!([
                    format!("{conversation}-{n}"),
                    id,
                    conversation,
                    "inbound",
                    millis(n - 5)
                ])
            })
            .collect();
        insert(platform, id, &MESSAGES, &rows).await;
    }
}

async fn old_messages_go_step_by_step_and_all_others_stay(platform: Platform) {
    talk(&platform, "t").await;
    talk(&platform, "u").await;
    let (mut after, mut deleted) = (String::new(), Vec::new());
    loop {
        let step = platform.prune_messages("t", &after, at(0), 4).await;
        let step = step.unwrap();
        deleted.push(step.deleted);
        match step.next {
            Some(next) => after = next,
            None => break,
        }
        assert!(deleted.len() < 10, "{deleted:?}");
    }
    assert_eq!(deleted, [4, 4, 2, 0], "no step takes more than it may");
    assert_eq!(after, "t-b");
    let mine = r#"select count(*) from messages where "tenantId" = 't'"#;
    let theirs = r#"select count(*) from messages where "tenantId" = 'u'"#;
    assert_eq!(number(&platform, "t", mine).await, 2);
    assert_eq!(number(&platform, "u", theirs).await, 12);
    let none = platform.prune_messages("nobody", "", at(0), 4).await;
    assert_eq!(none.unwrap().next, None);
}

async fn old_api_logs_go_step_by_step_and_all_others_stay(platform: Platform) {
    for id in ["t", "u"] {
        tenant(&platform, id).await;
        let rows: Vec<_> = (0..6)
            .map(|n| json!([format!("{id}-{n}"), id, millis(n - 5)]))
            .collect();
        insert(&platform, id, &API_LOGS, &rows).await;
    }
    let step = async || platform.prune_api_logs("t", at(0), 3).await.unwrap();
    assert_eq!([step().await, step().await, step().await], [3, 2, 0]);
    let mine = r#"select count(*) from api_logs where "tenantId" = 't'"#;
    let theirs = r#"select count(*) from api_logs where "tenantId" = 'u'"#;
    assert_eq!(number(&platform, "t", mine).await, 1);
    assert_eq!(number(&platform, "u", theirs).await, 6);
}
