//! Two at once, a page that is held still, a server that goes away, a session that ends.

use serde_json::json;

use super::{House, in_a_browser};

in_a_browser! {
    two_operators_see_what_the_other_did_and_rows_stay_where_they_are
    a_session_that_ended_leads_back_to_the_same_page
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
    browser
        .run("sessionStorage.setItem('jobs.key', JSON.stringify({key: 'revoked', name: 'ana'})); location.reload()", vec![])
        .await;
    browser.read("Your session has ended").await;
    browser.fill("input[name=key]", "wrong").await;
    browser.press("Sign in").await;
    browser.read("This key is not known").await;
    browser.fill("input[name=key]", super::KEY).await;
    browser.press("Sign in").await;
    browser.read("delivery").await;
    assert_eq!(browser.path().await, "/queues");
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
