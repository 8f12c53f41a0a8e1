//! The requeue of all dead webhooks at once: when it begins, that it can be stopped, that it is exact, and what
//! the API makes of it meanwhile.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::house::House;
use super::spread;

const EVERY: Duration = Duration::from_millis(20);

pub(crate) async fn requeue(house: &House) {
    let all = house.dead_webhooks().await;
    println!("\nrequeue of {all} dead jobs by filter");
    let stopped = run(house, Some(all / 4)).await;
    let left = house.dead_webhooks().await;
    println!("  stopped after {stopped}; {left} are left");
    assert_eq!(
        stopped + left,
        all,
        "jobs that were requeued, and those left"
    );
    let done = run(house, None).await;
    assert_eq!((done, house.dead_webhooks().await), (left, 0));
}

/// Begins it, looks at it until it is over, stops it when it has got so far; how many it says it did.
async fn run(house: &House, stop_at: Option<u64>) -> u64 {
    let began = Instant::now();
    let wish = json!({
        "operation": "requeue",
        "filter": {"states": ["dead"], "kind": "deliver_webhook"},
        "reason": "the bench",
    });
    let bulk = house.ask(Method::POST, "/v1/jobs/bulk", Some(&wish)).await;
    let bulk = bulk.unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/jobs/{bulk}?args=true");
    let (mut first, mut took, mut stopping) = (None, Vec::new(), stop_at);
    let job = loop {
        let asked = Instant::now();
        let job = house.get(&path).await.unwrap();
        took.push(asked.elapsed());
        let done = counted(&job["progress"]);
        if done > 0 && first.is_none() {
            first = Some(began.elapsed());
        }
        if stopping.is_some_and(|at| done >= at) {
            stopping = None;
            let cancel = format!("/v1/jobs/{bulk}/cancel");
            house.ask(Method::POST, &cancel, None).await.unwrap();
        }
        if ["completed", "cancelled", "dead"].contains(&job["state"].as_str().unwrap()) {
            break job;
        }
        tokio::time::sleep(EVERY).await;
    };
    let told = if job["result"].is_null() {
        &job["progress"]
    } else {
        &job["result"]
    };
    println!(
        "  {} with {told} after {:.1?}, first progress after {:.1?}; meanwhile the API answered within {}",
        job["state"],
        began.elapsed(),
        first.unwrap_or_default(),
        spread(took)
    );
    counted(told)
}

fn counted(progress: &Value) -> u64 {
    progress["changed"].as_u64().unwrap_or_default()
}
