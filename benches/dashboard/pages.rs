//! How long what the pages show takes: as the browser sees it, and asked for by itself.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::driver::Browser;
use super::house::{House, KEY};
use super::spread;

/// How often each page is opened.
const VISITS: usize = 20;
/// How often each question is asked.
const TIMES: usize = 100;
const DESKTOP: (u32, u32) = (1280, 860);

/// A page, its place, and words that are only there once its data is.
async fn pages(house: &House) -> Vec<(&'static str, String, &'static str)> {
    let newest = async |query: &str| {
        let jobs = house.get(&format!("/v1/jobs?{query}&limit=1")).await;
        jobs.unwrap()["jobs"][0]["id"].as_str().unwrap().to_owned()
    };
    let dead = newest("state=dead").await;
    let message = newest("kind=process_message&state=completed").await;
    vec![
        ("overview", "/".into(), "Needs attention"),
        ("jobs", "/jobs".into(), "jobs on this page"),
        ("jobs, dead", "/jobs?state=dead".into(), "jobs on this page"),
        (
            "jobs, completed",
            "/jobs?state=completed".into(),
            "jobs on this page",
        ),
        (
            "jobs of a tenant",
            "/jobs?tenant=tenant-7".into(),
            "jobs on this page",
        ),
        (
            "jobs that nobody has",
            "/jobs?tag=nobody-has-this".into(),
            "No job matches",
        ),
        ("job", format!("/jobs/{dead}"), "no answer from host"),
        ("errors", "/errors".into(), "no answer from host"),
        ("queues", "/queues".into(), "webhooks"),
        ("queue", "/queues/webhooks".into(), "Slots"),
        ("schedules", "/schedules".into(), "aggregate"),
        ("flows", "/flows".into(), "No flow"),
        ("messages", "/messages".into(), "process_message"),
        ("message", format!("/messages/{message}"), "process_message"),
        ("outbox", "/outbox".into(), "Nothing here"),
        ("quarantine", "/quarantine".into(), "Nothing here"),
        ("backups", "/backups".into(), "backup"),
        ("workers", "/workers".into(), "draining"),
        ("system", "/system".into(), "jobs.finished_jobs"),
        ("audit", "/audit".into(), "Only added to"),
    ]
}

/// Every page, as often as it takes, in one browser.
pub(crate) async fn in_a_browser(house: &House) {
    let browser = Browser::open(&house.url, DESKTOP).await;
    browser.sign_in(KEY, "ana").await;
    println!("\n{VISITS} visits of each page: its requests, and when it first painted");
    let (mut all, mut paints) = (Vec::new(), Vec::new());
    for (name, path, _) in pages(house).await {
        let (mut asked, mut painted) = (Vec::new(), Vec::new());
        for _ in 0..VISITS {
            browser.visit(&path).await;
            let settled = "return document.querySelector('main#page h1') !== null && document.querySelector('[aria-busy=true]') === null";
            browser.until(settled, "").await;
            let seen = browser.run(SEEN, vec![]).await;
            asked.extend(millis(&seen["asked"]));
            painted.extend(millis(&seen["painted"]));
        }
        println!(
            "  {name:18} {}; {}",
            spread(asked.clone()),
            spread(painted.clone())
        );
        all.extend(asked);
        paints.extend(painted);
    }
    println!("  all requests       {}", spread(all));
    println!("  first paints       {}", spread(paints));
}

/// What the page asked of the API, but for the stream, which does not end; and its first paint.
const SEEN: &str = "const asked = performance.getEntriesByType('resource')
        .filter((each) => /\\/(v1|health|metrics)/.test(each.name) && !each.name.includes('/v1/events') && each.responseEnd > 0)
        .map((each) => each.responseEnd - each.startTime);
    const painted = performance.getEntriesByName('first-contentful-paint').map((each) => each.startTime);
    return { asked, painted }";

fn millis(list: &Value) -> impl Iterator<Item = Duration> {
    let numbers = list.as_array().unwrap().iter();
    numbers.map(|each| Duration::from_secs_f64(each.as_f64().unwrap() / 1000.0))
}

/// What people search for, likely or not, one after the other.
pub(crate) async fn asked_for(house: &House) {
    let deep = deep(house).await;
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    let count = |filter: Value| {
        let body = json!({ "filter": filter });
        (Method::POST, "/v1/jobs/bulk/preview".to_owned(), Some(body))
    };
    println!("\n{TIMES} times each, without a browser");
    for (method, path, body) in [
        get("/v1/queues"),
        get("/v1/stats?range=3600&step=60"),
        get("/v1/stats?range=2592000&step=21600"),
        get("/v1/errors"),
        get("/v1/errors?tenant=tenant-7"),
        get("/v1/jobs?limit=50"),
        get("/v1/jobs?state=available&limit=50"),
        get("/v1/jobs?state=completed&kind=deliver_message&tenant=tenant-6&limit=50"),
        get("/v1/jobs?state=dead&kind=deliver_message&limit=50"),
        get("/v1/jobs?kind=nobody_has_this&limit=50"),
        get("/v1/jobs?tag=nobody-has-this&limit=50"),
        get("/v1/jobs?queue=nobody-has-this&limit=50"),
        get("/v1/jobs?tenant=nobody&limit=50"),
        get("/v1/jobs?correlation=c-2500000&limit=50"),
        get(&deep),
        get("/v1/system"),
        get("/v1/audit?limit=100"),
        count(json!({"states": ["dead"]})),
        count(json!({"states": ["available"]})),
        count(json!({"states": ["dead"], "kind": "deliver_webhook"})),
        count(json!({"tenant_id": "tenant-7"})),
        count(json!({"kind": "nobody_has_this"})),
    ] {
        let mut took = Vec::new();
        for _ in 0..TIMES {
            let began = Instant::now();
            house
                .ask(method.clone(), &path, body.as_ref())
                .await
                .unwrap_or_else(|error| panic!("{path}: {error}"));
            took.push(began.elapsed());
        }
        let filter = body.map_or_else(String::new, |body| body["filter"].to_string());
        println!("  {path} {filter}\n    {}", spread(took));
    }
}

/// A page far from the first one.
async fn deep(house: &House) -> String {
    let mut path = "/v1/jobs?state=completed&limit=200".to_owned();
    for _ in 0..50 {
        let next = house.get(&path).await.unwrap()["next"].clone();
        let next = next.as_str().unwrap();
        path = format!("/v1/jobs?state=completed&limit=200&after={next}");
    }
    path
}
