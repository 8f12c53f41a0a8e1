//! What operators decide beside jobs: on queues, workers, flows, messages that may have been sent, and broken ones.

use metachat_jobs::records::NewOutgoing;
use serde_json::{Value, json};
use uuid::Uuid;
use windlass::JobId;

use super::driver::Browser;
use super::{House, in_a_browser};

in_a_browser! {
    a_queue_is_given_slots_and_limits
    a_kind_of_one_tenant_is_paused
    a_worker_is_drained_and_works_again
    a_flow_is_cancelled_and_run_again_from_a_step
    jobs_of_an_error_are_discarded_and_one_is_run_again
    a_message_that_may_have_been_sent_is_decided_on
    a_broken_message_is_shown_replayed_and_dropped
}

/// The newest line of the audit log about this.
async fn audited(house: &House, action: &str) -> Value {
    house.get(&format!("/v1/audit?action={action}")).await["entries"][0].clone()
}

async fn a_queue_is_given_slots_and_limits(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/queues/delivery").await;
    browser
        .fill("input[aria-label='Slots per process']", "7")
        .await;
    browser.press("More").await;
    browser.press("Set…").await;
    browser.read("8 slots for delivery?").await;
    browser.press("Set it").await;
    browser.read("It is set.").await;
    let set = audited(house, "queue.slots").await;
    assert_eq!(set["after"], json!({"slots": 8}));
    browser.press("As started").await;
    browser.read("that it was started with").await;
    assert_eq!(audited(house, "queue.slots").await["after"], Value::Null);

    let policy = "dialog textarea[name=policy]";
    browser.press("Edit…").await;
    browser.fill(policy, "{\"concurrency\": 0}").await;
    browser.press("Set them").await;
    browser.read("zero would let nothing run").await;
    browser.press("Edit…").await;
    browser.fill(policy, "{\"concurrency\": 3}").await;
    browser.press("Set them").await;
    browser.read("It holds within a second").await;
    let policy = house.get("/v1/queues/delivery/policy").await;
    assert_eq!(policy["policy"], json!({"concurrency": 3}));
}

async fn a_kind_of_one_tenant_is_paused(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/queues").await;
    browser.press("Pause a kind or tenant…").await;
    for (field, words) in [
        ("kind", "deliver_webhook"),
        ("tenant_id", "globex"),
        ("reason", "their receiver is down"),
    ] {
        browser
            .fill(&format!("dialog input[name={field}]"), words)
            .await;
    }
    browser.choose("dialog select", "").await;
    browser.press("Pause").await;
    browser.read("kind deliver_webhook, tenant globex").await;
    let pause = &house.get("/v1/pauses").await["pauses"][0];
    assert_eq!(
        (
            &pause["queue"],
            &pause["kind"],
            &pause["tenant_id"],
            &pause["until"]
        ),
        (
            &Value::Null,
            &json!("deliver_webhook"),
            &json!("globex"),
            &Value::Null
        )
    );
}

async fn a_worker_is_drained_and_works_again(house: &House) {
    let draining = async || {
        let workers = house.get("/v1/workers").await;
        let workers = workers["workers"].as_array().unwrap().clone();
        let is = |worker: &&Value| worker["draining"] == true;
        workers.iter().filter(is).count()
    };
    let browser = house.operator("ana").await;
    browser.visit("/workers").await;
    browser.press("Drain").await;
    browser.confirm("Drain").await;
    browser.read("It starts nothing more").await;
    assert_eq!(audited(house, "worker.drain").await["actor"], "admin (ana)");
    browser.press("Undrain").await;
    browser.read("It takes jobs again").await;
    in_state(&browser, "draining", 0).await;
    assert_eq!(draining().await, 0);
    assert_eq!(
        audited(house, "worker.undrain").await["actor"],
        "admin (ana)"
    );
}

async fn a_flow_is_cancelled_and_run_again_from_a_step(house: &House) {
    let flow = format!("/v1/flows/{}", house.flow);
    let browser = house.operator("ana").await;
    browser.visit(&format!("/flows/{}", house.flow)).await;
    browser.press("Cancel").await;
    browser.press("Cancel it").await;
    browser.read("The flow is cancelled").await;
    assert_eq!(house.get(&flow).await["state"], "failed");
    browser.press("Retry").await;
    browser.confirm("Retry").await;
    browser.read("6 steps to run again").await;
    assert_eq!(house.get(&flow).await["state"], "running");
    browser.press("Cancel").await;
    browser.press("Cancel it").await;
    browser.press("Retry from here").await;
    browser.confirm("Retry").await;
    browser.read("to run again").await;
    let audit = audited(house, "flow.retry").await;
    assert_eq!(audit["actor"], "admin (ana)", "{audit}");
}

async fn jobs_of_an_error_are_discarded_and_one_is_run_again(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/errors?kind=deliver_webhook").await;
    browser.press("Discard").await;
    browser.press("Discard 2").await;
    browser.read("2 jobs discarded").await;
    let dead = house.get("/v1/jobs?state=dead&kind=deliver_webhook").await;
    assert_eq!(dead["jobs"].as_array().unwrap().len(), 2);

    browser.visit(&format!("/jobs/{}", house.seeded.dead)).await;
    browser.press("More").await;
    browser.press("Run again as a new job").await;
    browser.read("A new job runs it again").await;
    let fresh = house
        .get("/v1/jobs?state=available&kind=deliver_message")
        .await;
    assert_eq!(fresh["jobs"].as_array().unwrap().len(), 1);
    let still = house.get(&format!("/v1/jobs/{}", house.seeded.dead)).await;
    assert_eq!(still["state"], "dead");
}

/// A part whose answer was lost.
async fn unknown(house: &House, message: &str) {
    let new = NewOutgoing {
        job: JobId::from_uuid(Uuid::now_v7()),
        tenant: "acme",
        conversation: "c",
        message,
        channel: "whatsapp",
        parts: 1,
    };
    let part = house.records.open_outbox(&new).await.unwrap().remove(0);
    let sender = Uuid::now_v7();
    assert!(
        house
            .records
            .begin_send(&part, sender, new.job)
            .await
            .unwrap()
    );
    let part = house
        .records
        .outbox_of("acme", message)
        .await
        .unwrap()
        .remove(0);
    assert!(house.records.lose_send(&part, "no reply").await.unwrap());
}

async fn states(house: &House) -> Vec<String> {
    let parts = house.get("/v1/outbox").await;
    let parts = parts["parts"].as_array().unwrap().iter();
    let mut states: Vec<_> = parts
        .map(|part| part["state"].as_str().unwrap().to_owned())
        .collect();
    states.sort_unstable();
    states
}

async fn a_message_that_may_have_been_sent_is_decided_on(house: &House) {
    unknown(house, "m-1").await;
    unknown(house, "m-2").await;
    let browser = house.operator("ana").await;
    browser
        .press("2 messages that may or may not have been sent")
        .await;
    in_state(&browser, "unknown", 2).await;
    browser.press("Was sent").await;
    browser
        .fill("dialog input[name=provider_id]", "wamid.7")
        .await;
    browser.press("Mark as sent").await;
    browser.read("It is marked as sent").await;
    assert_eq!(states(house).await, ["sent", "unknown"]);
    in_state(&browser, "unknown", 1).await;
    browser.press("Send again").await;
    browser.confirm("Send again").await;
    in_state(&browser, "unknown", 0).await;
    assert_eq!(states(house).await, ["pending", "sent"]);
}

/// Waits until so many rows are in this state.
async fn in_state(browser: &Browser, state: &str, rows: usize) {
    let found = "[...document.querySelectorAll('main td')].filter((each) => each.innerText.trim() === arguments[0])";
    let script = format!(
        "return document.querySelector('main table') !== null && {found}.length === {rows}"
    );
    browser.until(&script, state).await;
}

async fn a_broken_message_is_shown_replayed_and_dropped(house: &House) {
    let broken = async || house.get("/v1/quarantine").await["messages"].clone();
    let browser = house.operator("ana").await;
    browser.visit("/quarantine").await;
    browser.press("Replay").await;
    browser.confirm("Replay").await;
    // It is as broken as it was, and stays.
    browser.see(".toast.bad").await;
    assert_eq!(broken().await.as_array().unwrap().len(), 1);
    browser.press("Show").await;
    browser.press("Show it").await;
    browser.read("x-from").await;
    browser.press("Drop").await;
    browser.press("Drop it").await;
    browser.read("It is gone").await;
    browser.read("Nothing is broken").await;
    assert_eq!(broken().await, json!([]));
}
