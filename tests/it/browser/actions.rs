//! What operators do, by clicks, and what came of it, by the API's own word.

use serde_json::{Value, json};

use super::{House, in_a_browser};

in_a_browser! {
    a_job_is_requeued_cancelled_and_run_with_other_args
    selected_jobs_are_discarded_at_once
    all_that_match_are_cancelled_after_their_number_is_typed
    a_queue_is_paused_with_a_reason_and_an_end
    a_schedule_is_paused_run_and_made_up_for
}

async fn state(house: &House, id: impl std::fmt::Display) -> Value {
    house.get(&format!("/v1/jobs/{id}")).await["state"].clone()
}

async fn a_job_is_requeued_cancelled_and_run_with_other_args(house: &House) {
    let browser = house.operator("ana").await;
    let (dead, later) = (house.seeded.dead, house.seeded.later);
    browser.visit(&format!("/jobs/{dead}")).await;
    browser.press("Requeue").await;
    browser.read("The job is requeued").await;
    assert_eq!(state(house, dead).await, "available");

    browser.visit(&format!("/jobs/{later}")).await;
    browser.press("Cancel").await;
    browser
        .fill("dialog input[name=reason]", "not wanted")
        .await;
    browser.press("Cancel it").await;
    browser.read("The job is cancelled").await;
    assert_eq!(state(house, later).await, "cancelled");
    let line = &house.get("/v1/audit?action=job.cancel").await["entries"][0];
    assert_eq!(
        (&line["actor"], &line["reason"]),
        (&json!("admin (ana)"), &json!("not wanted"))
    );

    browser.press("More").await;
    browser.press("Edit and run…").await;
    browser
        .fill("dialog textarea", "{\"n\": 12345678901234567890}")
        .await;
    browser.press("Run it").await;
    browser.read("12345678901234567890").await;
    assert_ne!(browser.path().await, format!("/jobs/{later}"));

    browser
        .visit(&format!("/jobs/{}", house.seeded.running))
        .await;
    browser.press("Cancel").await;
    browser.press("Cancel it").await;
    browser.read("it was asked to stop").await;
    // Numbers are shown as they are, and not as JavaScript would round them.
    browser.read("1234567890123456789").await;
}

async fn selected_jobs_are_discarded_at_once(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/jobs?state=retryable").await;
    browser.read("2 jobs on this page").await;
    browser.press("Select this page").await;
    browser.press("Discard").await;
    browser.press("Discard 2").await;
    browser.read("2 jobs discarded").await;
    browser.read("No retryable job matches").await;
    let dead = house.get("/v1/jobs?state=dead&kind=deliver_webhook").await;
    assert_eq!(dead["jobs"].as_array().unwrap().len(), 2);
    // The same by keys: down to the first row, select it, requeue.
    browser.visit("/jobs?state=dead&kind=deliver_webhook").await;
    browser.read("2 jobs on this page").await;
    browser.keys("jxr").await;
    browser.press("Requeue 1").await;
    browser.read("1 job requeued").await;
}

async fn all_that_match_are_cancelled_after_their_number_is_typed(house: &House) {
    let hook = json!({"kind": "deliver_webhook", "queue": "webhooks", "tenant_id": "umbrella", "args": {}});
    let jobs = vec![hook; 120];
    house.post("/v1/jobs/batch", json!({"jobs": jobs})).await;
    let browser = house.operator("ana").await;
    browser.visit("/jobs?tenant=umbrella&state=available").await;
    browser.read("50 jobs on this page").await;
    browser.press("Select this page").await;
    let every = "const found = [...document.querySelectorAll('.pick button')].find((each) => each.innerText.startsWith('Select all that match')); found?.click(); return Boolean(found)";
    browser.until(every, "").await;
    browser.press("Cancel").await;
    browser.read("Cancel 120 jobs?").await;
    let disabled = "return document.querySelector('dialog .primary').disabled";
    assert_eq!(browser.run(disabled, vec![]).await, true);
    browser.fill("dialog input[name=typed]", "119").await;
    assert_eq!(browser.run(disabled, vec![]).await, true);
    browser.fill("dialog input[name=typed]", "120").await;
    browser.press("Cancel them").await;
    browser.read("Cancel 120 jobs: 120 done").await;
    let left = json!({"filter": {"tenant_id": "umbrella", "states": ["cancelled"]}});
    assert_eq!(house.post("/v1/jobs/bulk/preview", left).await["jobs"], 120);
}

async fn a_queue_is_paused_with_a_reason_and_an_end(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/queues/delivery").await;
    browser.press("Pause").await;
    browser.press("Pause").await;
    browser.read("Reason is needed").await;
    browser
        .fill("dialog input[name=reason]", "the provider is down")
        .await;
    browser.choose("dialog select", "3600").await;
    browser.press("Pause").await;
    browser.read("It is paused").await;
    let pause = &house.get("/v1/pauses").await["pauses"][0];
    assert_eq!(
        (&pause["queue"], &pause["reason"]),
        (&json!("delivery"), &json!("the provider is down"))
    );
    assert!(pause["until"].is_string(), "{pause}");
    browser.visit("/").await;
    browser.read("queue delivery paused by admin (ana)").await;
    browser.visit("/queues").await;
    browser.press("Resume").await;
    browser.read("It goes on").await;
    assert_eq!(house.get("/v1/pauses").await["pauses"], json!([]));
}

async fn a_schedule_is_paused_run_and_made_up_for(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/schedules/daily_analytics").await;
    browser.press("Run now…").await;
    browser.press("Run now").await;
    browser.read("It runs").await;
    browser.read("run now").await;
    browser.press("Make up…").await;
    browser.see("dialog input[name=from]").await;
    browser.press("Preview").await;
    browser.read("Fire 1 tick?").await;
    browser.press("Fire").await;
    browser.read("1 tick fired").await;
    let ticks = house.get("/v1/schedules/daily_analytics/ticks").await;
    let origins: Vec<&Value> = ticks["ticks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tick| &tick["origin"])
        .collect();
    assert!(
        origins.contains(&&json!("backfill")) && origins.contains(&&json!("run_now")),
        "{origins:?}"
    );
    browser.press("Pause…").await;
    browser
        .fill("dialog input[name=note]", "the month is closed")
        .await;
    browser.press("Pause").await;
    browser.read("the month is closed").await;
    assert_eq!(
        house.get("/v1/schedules/daily_analytics").await["status"],
        "paused"
    );
    browser.press("Resume").await;
    browser.read_no("the month is closed").await;
}
