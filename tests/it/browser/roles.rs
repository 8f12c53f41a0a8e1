//! What a role may not do is not offered, and the page says why.

use metachat_jobs::records::{NewAccessKey, Role};

use super::driver::Browser;
use super::{DESKTOP, House, in_a_browser};

in_a_browser! {
    a_viewer_sees_every_page_and_is_offered_nothing_that_changes
    an_operator_is_offered_all_but_what_is_for_admins
    a_tenants_viewer_is_shown_no_page_that_is_not_for_tenants
}

/// Somebody with a key of this role.
async fn with_key(house: &House, role: Role, tenant: Option<&str>) -> Browser {
    let new = NewAccessKey {
        name: "a person",
        role,
        tenant,
        expires_in: None,
        by: "a test",
    };
    let mut tx = house.records.begin().await.unwrap();
    let made = house
        .records
        .create_access_key(&mut tx, &new)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let browser = Browser::open(&house.url, DESKTOP).await;
    browser.sign_in(made.unwrap().1.expose(), "vera").await;
    browser
}

/// Buttons of this name: how many, and the reasons of those that are disabled.
async fn reasons(browser: &Browser, name: &str) -> Vec<String> {
    let script = "return [...document.querySelectorAll('main button')].filter((each) => each.innerText.trim() === arguments[0])
        .map((each) => each.disabled ? each.title : '')";
    let found = browser.run(script, vec![name.into()]).await;
    let found = found.as_array().unwrap().iter();
    found
        .map(|each| each.as_str().unwrap().to_owned())
        .collect()
}

const FOR_OPERATORS: &str = "This needs an operator; you are signed in as a viewer.";

async fn a_viewer_sees_every_page_and_is_offered_nothing_that_changes(house: &House) {
    let browser = with_key(house, Role::Viewer, None).await;
    browser.read("viewer").await;
    for (name, path, words) in super::pages::pages(house) {
        browser.visit(&path).await;
        browser.read(words).await;
        browser.read_no("Try again").await;
        assert_eq!(browser.barriers().await, [""; 0], "{name}");
        // Whatever is left enabled only leads elsewhere or changes how the page looks.
        let acts = "return [...document.querySelectorAll('main button:enabled')].map((each) => each.innerText.trim())
            .filter((text) => /^(Requeue|Run|Cancel|Discard|Retry|Mute|Unmute|Pause|Resume|Drain|Undrain|Replay|Drop|Set|Edit|Send|Was|As started|Make up)/.test(text)).join()";
        assert_eq!(browser.run(acts, vec![]).await, "", "{name}");
    }
    let dead = house.seeded.dead;
    browser.visit(&format!("/jobs/{dead}")).await;
    browser.read("you may look, and change nothing").await;
    assert_eq!(reasons(&browser, "Requeue").await, [FOR_OPERATORS]);
    // The keys do no more than the buttons.
    browser.visit("/jobs?state=dead&tenant=acme").await;
    browser.read("on this page").await;
    browser.keys("jxr").await;
    browser.see(".toast").await;
    assert!(browser.text(".toast").await.contains(FOR_OPERATORS));
    let still = &house.get(&format!("/v1/jobs/{dead}")).await["state"];
    assert_eq!(still, "dead");
}

async fn an_operator_is_offered_all_but_what_is_for_admins(house: &House) {
    let browser = with_key(house, Role::Operator, None).await;
    browser.visit("/workers").await;
    browser.read("web-1").await;
    for reason in reasons(&browser, "Drain").await {
        assert_eq!(
            reason,
            "This needs an admin; you are signed in as an operator."
        );
    }
    let dead = house.seeded.dead;
    browser.visit(&format!("/jobs/{dead}")).await;
    browser.press("Requeue").await;
    browser.read("The job is requeued").await;
    let line = &house.get("/v1/audit?action=job.requeue").await["entries"][0];
    assert_eq!(line["actor"], "key/a person (vera)");
}

async fn a_tenants_viewer_is_shown_no_page_that_is_not_for_tenants(house: &House) {
    let browser = with_key(house, Role::Viewer, Some("acme")).await;
    // Who sees one tenant begins with its jobs: the overview is of all.
    browser
        .until("return location.pathname === '/jobs'", "")
        .await;
    browser.read("viewer of acme").await;
    let rail = browser.text("nav.rail").await;
    assert!(
        rail.contains("Errors") && !rail.contains("Workers") && !rail.contains("Overview"),
        "{rail}"
    );
    // Whoever goes there all the same is told.
    browser.visit("/workers").await;
    browser.read("You may not see this").await;
}
