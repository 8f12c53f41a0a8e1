//! What operators do, by clicks, and what came of it, by the API's own word.

use serde_json::{Value, json};
use windlass::JobId;

use super::{HOSTILE, House, in_a_browser};

in_a_browser! {
    a_job_is_requeued_cancelled_and_run_with_other_args
    a_job_is_given_another_time
    an_error_that_is_known_of_is_muted_for_a_while
    selected_jobs_are_discarded_at_once
    a_bulk_action_can_be_taken_back_before_it_is_sent
    filters_are_saved_under_a_name_and_forgotten
    an_error_is_compared_by_words_or_by_lines
    all_that_match_are_cancelled_after_their_number_is_typed
    a_queue_is_paused_with_a_reason_and_an_end
    a_schedule_is_paused_run_and_made_up_for
}

/// As the field for local times writes them.
const PAST: &str = "2000-01-01T00:00";
const FUTURE: &str = "2100-06-01T08:30";
/// A local time of the browser, as the API writes it.
const AS_UTC: &str = "return new Date(arguments[0]).toISOString().replace('.000', '.000000')";

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

async fn a_job_is_given_another_time(house: &House) {
    let browser = house.operator("ana").await;
    let (dead, later) = (house.seeded.dead, house.seeded.later);
    let due = async |id: JobId| {
        let job = house.get(&format!("/v1/jobs/{id}")).await;
        (job["state"].clone(), job["run_at"].clone())
    };
    browser.visit(&format!("/jobs/{later}")).await;
    browser.press("More").await;
    browser.press("Snooze…").await;
    browser.choose_time("dialog input[name=at]", PAST).await;
    browser.press("Snooze").await;
    browser.read("The time has passed").await;
    browser.choose_time("dialog input[name=at]", FUTURE).await;
    browser.read("2100").await;
    browser
        .fill("dialog input[name=reason]", "after the holidays")
        .await;
    browser.press("Snooze").await;
    browser.read("The job waits until 2100").await;
    let told = browser.run(AS_UTC, vec![json!(FUTURE)]).await;
    assert_eq!(due(later).await, (json!("scheduled"), told.clone()));
    let line = &house.get("/v1/audit?action=job.snooze").await["entries"][0];
    assert_eq!(line["reason"], "after the holidays");

    browser.visit(&format!("/jobs/{dead}")).await;
    browser.press("More").await;
    browser.press("Requeue at…").await;
    browser.choose_time("dialog input[name=at]", FUTURE).await;
    browser.press("Requeue").await;
    browser.read("The job is due at 2100").await;
    assert_eq!(due(dead).await, (json!("scheduled"), told));
}

async fn an_error_that_is_known_of_is_muted_for_a_while(house: &House) {
    let first = async || house.get("/v1/errors").await["groups"][0].clone();
    let worst = first().await;
    let browser = house.operator("ana").await;
    browser.visit("/errors").await;
    browser.press("Mute…").await;
    browser.fill("dialog input[name=reason]", HOSTILE).await;
    browser.press("Mute").await;
    browser.read("It is muted").await;
    browser.see("li.group.muted").await;
    // It comes last, with who muted it, and the others are as they were.
    let groups = house.get("/v1/errors").await["groups"].clone();
    let last = groups.as_array().unwrap().last().unwrap();
    assert_eq!(last["fingerprint"], worst["fingerprint"]);
    assert_eq!(last["muted"]["by"], "admin (ana)");
    assert!(last["muted"]["until"].is_string(), "{last}");
    assert_eq!(first().await["muted"], Value::Null);
    let line = &house.get("/v1/audit?action=error.mute").await["entries"][0];
    assert_eq!(line["reason"], HOSTILE);
    // What is known of is not counted as needing attention.
    let dead = house
        .post(
            "/v1/jobs/bulk/preview",
            json!({"filter": {"states": ["dead"]}}),
        )
        .await;
    let left = dead["jobs"].as_u64().unwrap() - worst["dead"].as_u64().unwrap();
    browser.visit("/").await;
    browser.read(&format!("{left} dead job")).await;
    browser.visit("/errors").await;
    browser.press("Unmute").await;
    browser.read("It is muted no more").await;
    assert_eq!(first().await["fingerprint"], worst["fingerprint"]);
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

async fn a_bulk_action_can_be_taken_back_before_it_is_sent(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/jobs?state=retryable").await;
    browser.read("2 jobs on this page").await;
    browser.press("Select this page").await;
    browser.press("Discard").await;
    browser.press("Discard 2").await;
    browser.read("Discard 2 jobs in 5 seconds").await;
    browser.press("Undo").await;
    browser.read("Nothing was done").await;
    // What was selected still is.
    browser.see(".pick").await;
    let left = house.get("/v1/jobs?state=retryable").await;
    assert_eq!(left["jobs"].as_array().unwrap().len(), 2);
    let done = house.get("/v1/audit?action=job.discard").await;
    assert_eq!(done["entries"], json!([]));
}

async fn filters_are_saved_under_a_name_and_forgotten(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/jobs?state=dead&tenant=acme").await;
    browser.read("on this page").await;
    browser.press("Views").await;
    browser.press("Save these filters…").await;
    browser.fill("dialog input[name=name]", HOSTILE).await;
    browser.press("Save").await;
    browser.read("is longer than 60 characters").await;
    browser
        .fill("dialog input[name=name]", "<b>acme's dead")
        .await;
    browser.press("Save").await;
    browser.read("is saved").await;
    browser.visit("/jobs").await;
    browser.press("Views").await;
    browser.press("<b>acme's dead").await;
    let at = "return location.search === '?state=dead&tenant=acme'";
    browser.until(at, "").await;
    browser.press("Views").await;
    browser.press("Forget a view…").await;
    browser.press("Forget it").await;
    browser.read("is forgotten").await;
    browser.press("Views").await;
    browser.read_no("<b>acme's dead\n").await;
}

async fn an_error_is_compared_by_words_or_by_lines(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/").await;
    // The module itself, drawn in the page: the errors of a store say what they say.
    let draw = "const done = arguments[arguments.length - 1];
        const root = document.querySelector('script[type=module]').src.replace('main.js', '');
        (async () => {
            const { html, render } = await import(root + 'lib/ui.js');
            const { Attempts } = await import(root + 'parts/attempts.js');
            const attempt = (n, message) => ({ attempt: n, claim_no: n, outcome: 'failed', worker: 'w', started_at: '2026-01-01T00:00:00Z', ended_at: '2026-01-01T00:00:01Z', error: { message, chain: [] } });
            const drawn = arguments[0].map(([before, after]) => {
                const place = document.createElement('div');
                render(html`<${Attempts} attempts=${[attempt(1, before), attempt(2, after)]} />`, place);
                return [...place.querySelector('pre').querySelectorAll('del, ins')].map((each) => each.tagName + ' ' + each.textContent);
            });
            done(drawn);
        })().catch((error) => done(String(error)))";
    let pairs = json!([
        [
            "the provider answered 502 after 3 s",
            "the provider answered 503 after 3 s"
        ],
        [
            "the token of the page expired at noon",
            "connection reset by peer while reading"
        ]
    ]);
    let drawn = browser.run_async(draw, vec![pairs]).await;
    assert_eq!(
        drawn,
        json!([
            ["DEL 502", "INS 503"],
            [
                "DEL the token of the page expired at noon\n",
                "INS connection reset by peer while reading\n"
            ]
        ])
    );
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
    browser.read("1 tick to fire").await;
    browser.choose_time("dialog input[name=until]", PAST).await;
    browser.read("from").await;
    let disabled = "return document.querySelector('dialog .primary').disabled";
    browser.until(disabled, "").await;
    browser.press("Leave it").await;
    browser.press("Make up…").await;
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
