//! The dashboard over a large store: 10 million finished jobs and a million live ones on PostgreSQL 18.
//!
//! ```sh
//! eval "$(scripts/services env)"
//! cargo bench --bench dashboard                    # of the stated size
//! cargo bench --bench dashboard -- 1000000 100000  # finished and live
//! ```
//!
//! The program itself serves (`run --role api`) and looks after the store (`run --role scheduler`), over a database
//! of its own on `TEST_DATABASE_URL`, whose role must be a superuser. Chromium goes through every page and tells
//! how long each request of it took and when it first painted; what operators ask for besides is asked without a
//! browser. The server's log has every statement of more than 100 ms since; with `POSTGRES_LOG` naming that file, and
//! nobody else on the server, they are counted. Nothing is served over a network.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on has failed; it prints, and has no config to read from"
)]

mod bulk;
#[allow(dead_code, reason = "tests use all of it")]
#[path = "../../tests/it/browser/driver.rs"]
mod driver;
mod house;
mod pages;

use std::time::Duration;

use house::House;

const FINISHED: i64 = 10_000_000;
const LIVE: i64 = 1_000_000;
/// Of the finished ones: four of five of them are requeued in bulk.
const DEAD: i64 = 250_000;

#[tokio::main]
async fn main() {
    // As the program does; whoever was first in this process is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sizes: Vec<i64> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let of = |place: usize, default: i64| sizes.get(place).copied().unwrap_or(default);
    let (finished, live) = (of(0, FINISHED), of(1, LIVE));
    let house = House::build(finished, live, DEAD.min(finished / 4)).await;
    println!("{finished} finished, {live} live: {}", house.size().await);
    pages::in_a_browser(&house).await;
    pages::asked_for(&house).await;
    house.slow_statements();
    bulk::requeue(&house).await;
    house.close().await;
}

/// The p-th part of them, and the longest.
fn spread(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    format!(
        "p50 {:.1?}, p95 {:.1?}, longest {:.1?}",
        at(50),
        at(95),
        at(100)
    )
}
