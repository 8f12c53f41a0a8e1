use std::collections::BTreeMap;
use std::sync::Arc;

use metachat_jobs::jobs::{MessageOptions, PlanLimits};
use serde_json::json;

use super::server::{ModelServer, Reply};
use super::sql;
use crate::jobs::rig::{Rig, Setup, TENANT, on_postgres, on_sqlite, text};

fn two_messages_a_month() -> Setup {
    let free = PlanLimits {
        conversations: 0,
        messages: 2,
    };
    Setup {
        messages: MessageOptions {
            plans: BTreeMap::from([("free".to_owned(), free)]),
            ..MessageOptions::default()
        },
        ..Setup::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_allows_no_more_is_told_and_no_model_is_asked_on_postgres() {
    on_postgres(two_messages_a_month(), over_limit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_allows_no_more_is_told_and_no_model_is_asked_on_sqlite() {
    on_sqlite(two_messages_a_month(), over_limit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_message_beyond_the_limit_stays_so_on_postgres() {
    on_postgres(two_messages_a_month(), interrupted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_message_beyond_the_limit_stays_so_on_sqlite() {
    on_sqlite(two_messages_a_month(), interrupted).await;
}

/// The message is recorded and counted, and then its reply cannot be.
async fn interrupted(rig: Arc<Rig>) {
    let server = ModelServer::start([Reply::Say("Hello!")]).await;
    let settings = json!({"llm": server.llm("openai"), "texts": {"limit": "No more this month."}});
    rig.configure(TENANT, &settings).await;
    for n in ["1", "2"] {
        let job = rig.send(TENANT, "webchat", text(n, "ada", "hello")).await;
        rig.result(job).await;
    }
    sql::run(&rig.platform, "alter table message_metrics rename to away").await;
    let job = rig.send(TENANT, "webchat", text("3", "ada", "hello")).await;
    rig.until(job, |job| !job.attempts.is_empty()).await;
    sql::run(&rig.platform, "alter table away rename to message_metrics").await;
    assert_eq!(rig.result(job).await["reason"], "over_limit");
    assert_eq!(server.asked().len(), 2, "the model is not asked");
}

async fn over_limit(rig: Arc<Rig>) {
    let server = ModelServer::start([Reply::Say("Hello!")]).await;
    let settings = json!({"llm": server.llm("openai"), "texts": {"limit": "No more this month."}});
    rig.configure(TENANT, &settings).await;
    let mut reasons = Vec::new();
    for n in ["1", "2", "2", "3"] {
        let job = rig.send(TENANT, "webchat", text(n, "ada", "hello")).await;
        reasons.push(rig.result(job).await["reason"].clone());
    }
    assert_eq!(json!(reasons), json!([null, null, null, "over_limit"]));
    let said = ["Hello!", "Hello!", "No more this month."];
    assert_eq!(rig.outbound(TENANT).await, said);
    assert_eq!(server.asked().len(), 2);

    // What was used is counted once for each message, whatever became of it.
    let messages = "select cast(messages_count as bigint) from usage_tracking";
    assert_eq!(sql::number(&rig.platform, messages).await, 3);
    let conversations = "select cast(conversations_count as bigint) from usage_tracking";
    assert_eq!(sql::number(&rig.platform, conversations).await, 1);
    let metrics = "select cast(count(*) as bigint) from message_metrics";
    assert_eq!(sql::number(&rig.platform, metrics).await, 3);
}
