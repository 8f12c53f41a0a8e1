//! Every page: that it shows what there is, says nothing to the console, and shuts nobody out.

use windlass::model::MAX_ENQUEUE;
use windlass::{Json, NewJob};

use super::driver::Browser;
use super::{DESKTOP, HOSTILE, House, KEY, in_a_browser, on_sqlite};

in_a_browser! {
    every_page_shows_what_there_is_and_the_console_stays_silent
    what_an_attacker_writes_is_text_wherever_it_is_shown
    filters_sorts_and_pages_are_in_the_address
    a_search_goes_on_until_it_has_found_what_is_rare
}

/// Each page, and words that are only there once its data is.
pub(super) fn pages(house: &House) -> Vec<(&'static str, String, &'static str)> {
    let seeded = &house.seeded;
    vec![
        ("overview", "/".into(), "Needs attention"),
        ("jobs", "/jobs".into(), "process_message"),
        ("job", format!("/jobs/{}", seeded.dead), "token expired"),
        (
            "message-job",
            format!("/jobs/{}", seeded.message),
            "llama3.1",
        ),
        ("errors", "/errors".into(), "token expired"),
        ("queues", "/queues".into(), "delivery"),
        ("queue", "/queues/delivery".into(), "Slots"),
        ("schedules", "/schedules".into(), "weekly_report"),
        ("schedule", "/schedules/weekly_report".into(), "09:00"),
        ("flows", "/flows".into(), "monthly_report"),
        ("flow", format!("/flows/{}", house.flow), "waits for 3 of 3"),
        ("messages", "/messages".into(), "whatsapp/49150"),
        (
            "message",
            format!("/messages/{}", seeded.message),
            "Shipping and returns.md",
        ),
        ("outbox", "/outbox".into(), "Nothing here"),
        ("quarantine", "/quarantine".into(), "is missing"),
        ("backups", "/backups".into(), "No backup is set up"),
        ("workers", "/workers".into(), "web-1"),
        ("system", "/system".into(), "http_requests_total"),
        ("audit", "/audit".into(), "Only added to"),
    ]
}

async fn a_search_goes_on_until_it_has_found_what_is_rare(house: &House) {
    let job = |tag: &str| NewJob {
        tags: vec![tag.into()],
        ..NewJob::new("deliver_webhook", Json::empty_object())
    };
    let rare = job("rare");
    let id = rare.id.to_string();
    house.store.enqueue(&[rare], None).await.unwrap();
    // The store looks at 100,000 at once.
    for _ in 0..3 {
        let newer: Vec<NewJob> = (0..MAX_ENQUEUE / 2).map(|_| job("frequent")).collect();
        house.store.enqueue(&newer, None).await.unwrap();
    }

    let browser = house.operator("ana").await;
    browser.visit("/jobs?tag=rare").await;
    browser.read("1 job on this page").await;
    let found = browser.text("main#page table.jobs code").await;
    assert!(id.starts_with(&found[..8]), "{found} is not {id}");
    browser.visit("/jobs?tag=nobody-has-this").await;
    browser.read("No job matches").await;
}

/// What the console says beyond this: that a queue has no limits is an answer, and not a fault.
async fn complaints(browser: &Browser) -> Vec<String> {
    let mut lines = browser.complaints().await;
    lines.retain(|line| !line.contains("/policy - Failed to load resource"));
    lines
}

async fn every_page_shows_what_there_is_and_the_console_stays_silent(house: &House) {
    let browser = house.operator("ana").await;
    for (name, path, words) in pages(house) {
        browser.visit(&path).await;
        browser.read(words).await;
        browser.read_no("Try again").await;
        let title = browser.text("main#page h1").await;
        assert!(!title.is_empty(), "{name} has no title");
        assert_eq!(complaints(&browser).await, [""; 0], "{name}");
    }
    browser.visit("/system").await;
    browser.read("tells the time in").await;
    let system = house.get("/v1/system").await;
    for what in ["tables", "indexes"] {
        for each in system[what].as_array().unwrap() {
            browser.read(each["name"].as_str().unwrap()).await;
        }
    }
    browser.visit("/").await;
    browser.read("5 dead jobs").await;
    browser.read("1 broken message in quarantine").await;
    browser.see("canvas").await;
}

async fn what_an_attacker_writes_is_text_wherever_it_is_shown(house: &House) {
    let browser = house.operator(HOSTILE).await;
    let job = format!("/jobs/{}", house.seeded.hostile);
    let start: String = HOSTILE.chars().take(40).collect();
    for path in [
        &*job,
        "/errors",
        "/jobs?tag=<b>",
        "/queues/<img>",
        "/quarantine",
    ] {
        browser.visit(path).await;
        browser.see("main#page h1").await;
        if path == job || path == "/errors" {
            browser.read(&start).await;
        }
    }
    browser.press("Show").await;
    browser.press("Show it").await;
    browser.read(&start).await;
    // Somebody acts under this name and gives such a reason.
    browser.visit(&job).await;
    browser.press("Requeue").await;
    browser.read("The job is requeued").await;
    browser.visit("/audit").await;
    browser.read("job.requeue").await;
    for path in [&*job, "/errors", "/audit", "/quarantine", "/jobs"] {
        browser.visit(path).await;
        browser.see("main#page h1").await;
        let found = "return String(window.hacked) + document.querySelectorAll('main img, main script, main iframe').length";
        assert_eq!(browser.run(found, vec![]).await, "undefined0", "{path}");
    }
    let refused: Vec<_> = complaints(&browser).await;
    assert_eq!(refused, [""; 0]);
}

async fn filters_sorts_and_pages_are_in_the_address(house: &House) {
    let browser = house.operator("ana").await;
    browser.visit("/jobs").await;
    browser
        .fill(
            "input[name=search]",
            "state:dead kind:deliver_message tenant:acme",
        )
        .await;
    browser.press("Search").await;
    browser.read("4 jobs on this page").await;
    let at = browser.run("return location.search", vec![]).await;
    assert_eq!(at, "?state=dead&kind=deliver_message&tenant=acme");
    browser.press("Drop kind").await;
    browser.read("5 jobs on this page").await;
    browser.run("history.back()", vec![]).await;
    browser.read("4 jobs on this page").await;
    // What is no token is said to be none, and nothing is asked for.
    browser.fill("input[name=search]", "status:dead").await;
    browser.press("Search").await;
    browser.read("There is no “status:”").await;
    browser.visit("/nowhere").await;
    browser.read("no-such-route").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_shut_out_by_any_page_in_the_light_theme() {
    on_sqlite(async |house| nobody_is_shut_out(&house, "light").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_shut_out_by_any_page_in_the_dark_theme() {
    on_sqlite(async |house| nobody_is_shut_out(&house, "dark").await).await;
}

async fn nobody_is_shut_out(house: &House, theme: &str) {
    let browser = Browser::open(&house.url, DESKTOP).await;
    browser.visit("/").await;
    browser.theme(theme).await;
    browser.visit("/").await;
    browser.see("input[name=key]").await;
    assert_eq!(browser.barriers().await, [""; 0], "signing in");
    browser.sign_in(KEY, "ana").await;
    for (name, path, words) in pages(house) {
        browser.visit(&path).await;
        browser.read(words).await;
        assert_eq!(browser.barriers().await, [""; 0], "{name}");
    }
    browser.visit("/queues").await;
    browser.press("Pause").await;
    browser.see("dialog[open]").await;
    assert_eq!(browser.barriers().await, [""; 0], "a dialog");
}
