//! Two at once, a page that is held still, a server that goes away, a session that ends.

use serde_json::json;

use super::{House, in_a_browser};

in_a_browser! {
    two_operators_see_what_the_other_did_and_rows_stay_where_they_are
    a_session_that_ended_leads_back_to_the_same_page
    the_key_is_kept_nowhere_and_signing_out_ends_the_session
    a_server_that_went_away_is_said_to_be_stale
}

async fn two_operators_see_what_the_other_did_and_rows_stay_where_they_are(house: &House) {
    let (ana, ben) = tokio::join!(house.operator("ana"), house.operator("ben"));
    let dead = house.seeded.dead;
    ana.visit(&format!("/jobs/{dead}")).await;
    ana.read("dead").await;
    ben.visit(&format!("/jobs/{dead}")).await;
    ben.press("Requeue").await;
    ana.see("h1 [data-state=available]").await;
    // Of new rows a list says that there are some, and moves nothing until it is asked to.
    ana.visit("/jobs?tenant=umbrella").await;
    ana.read("No job matches").await;
    let hook = json!({"kind": "deliver_webhook", "queue": "webhooks", "tenant_id": "umbrella", "args": {}});
    house.post("/v1/jobs", hook.clone()).await;
    ana.read("1 job on this page").await;
    house.post("/v1/jobs", hook.clone()).await;
    ana.read("1 new job, show").await;
    ana.read("1 job on this page").await;
    ana.press("1 new job, show").await;
    ana.read("2 jobs on this page").await;
    // Paused, it does not even ask.
    ana.keys("p").await;
    ana.see(".live[data-is=paused]").await;
    house.post("/v1/jobs", hook).await;
    ana.keys("p").await;
    ana.read("1 new job, show").await;
}

async fn a_session_that_ended_leads_back_to_the_same_page(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/queues?x=1").await;
    browser.read("delivery").await;
    // Somebody else has ended it: the page finds out by itself.
    house.end_session(&browser).await;
    browser.read("Your session has ended").await;
    browser.fill("input[name=key]", "wrong").await;
    browser.press("Sign in").await;
    browser.read("This key is not known").await;
    browser.fill("input[name=key]", super::KEY).await;
    browser.press("Sign in").await;
    browser.read("delivery").await;
    let at = browser
        .run("return location.pathname + location.search", vec![])
        .await;
    assert_eq!(at, "/queues?x=1");
}

async fn the_key_is_kept_nowhere_and_signing_out_ends_the_session(house: &House) {
    let browser = house.operator("ana").await;
    let kept = "return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])";
    let kept = browser.run(kept, vec![]).await;
    let kept = kept.as_str().unwrap();
    assert!(kept.contains("ana") && !kept.contains(super::KEY), "{kept}");
    let cookie = browser.cookie(super::COOKIE).await.unwrap();
    assert!(!kept.contains(&cookie), "a script sees the cookie");
    // The page is there on reload, and in another tab.
    browser.visit("/queues").await;
    browser.read("delivery").await;
    assert_eq!(house.shows(&cookie).await, 200);
    browser.press("Sign out").await;
    browser.see("input[name=key]").await;
    assert_eq!(browser.cookie(super::COOKIE).await, None);
    assert_eq!(house.shows(&cookie).await, 401);
    let opened = &house.get("/v1/audit?action=session.open").await["entries"];
    let closed = &house.get("/v1/audit?action=session.close").await["entries"];
    assert_eq!(
        (
            opened.as_array().unwrap().len(),
            closed.as_array().unwrap().len()
        ),
        (1, 1)
    );
    browser.visit("/").await;
    browser.see("input[name=key]").await;
}

async fn a_server_that_went_away_is_said_to_be_stale(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/queues").await;
    browser.read("delivery").await;
    house.stop.cancel();
    browser.read("Not fresh since").await;
    // What was known is still shown.
    browser.read("delivery").await;
    browser.see(".live[data-is=stale]").await;
}
