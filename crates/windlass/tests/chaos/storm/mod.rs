//! Three workers and a scheduler while everything fails: killed, frozen for longer than their leases, told to
//! stop, taken down by their jobs; and on PostgreSQL the database crashing behind a network that cuts,
//! delays, swallows and loses answers.
//!
//! A ledger of what ran, the answers that were given and the rows at the end are held against the twelve
//! invariants (see `check`). `CHAOS_SECONDS` says how long, `CHAOS_SEED` repeats the faults of a run and
//! what was enqueued; when each process got how far, it cannot repeat.

mod check;
mod faults;
mod ledger;
mod load;
mod process;
mod work;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass::Client;
use windlass::model::{Audit, QueuePolicy};
use windlass::store::ChangeSetting;

use crate::database::Database;
use crate::proxy::Proxy;
use crate::server::Server;
use check::Evidence;
use faults::{Faults, Network};

pub(crate) use work::run;

/// So long a call to the database may take: less than a lease, or a dead connection costs it.
pub(crate) const PATIENCE_OF_A_CALL: Duration = Duration::from_millis(1_500);
/// So long after the last fault all that is left may take.
const CALM: Duration = Duration::from_secs(90);

pub(crate) fn is_role(word: &str) -> bool {
    word == work::WORKER || word == work::SCHEDULER
}

pub(crate) async fn every_promise_is_kept_in_a_storm_on_postgres() {
    let server = Arc::new(Server::start());
    let proxy = Arc::new(Proxy::before(server.port()).await);
    let network = Network {
        proxy: proxy.clone(),
        server: server.clone(),
    };
    let folder = tempfile::tempdir().unwrap();
    let through = Server::url_by(proxy.port());
    storm(&server.url(), &through, Some(network), folder.path(), 60).await;
}

pub(crate) async fn every_promise_is_kept_in_a_storm_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("storm.db").display());
    storm(&url, &url, None, folder.path(), 20).await;
}

/// `direct` is the database itself, `through` how all but the judge reach it.
#[expect(
    clippy::print_stdout,
    reason = "the seed repeats the run, the figures are its result"
)]
async fn storm(direct: &str, through: &str, network: Option<Network>, folder: &Path, usual: u64) {
    let seed = number("CHAOS_SEED").unwrap_or_else(|| rand::rng().random_range(1..1_000_000));
    let length = Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(usual));
    println!("a storm of {length:?}; the same again: CHAOS_SEED={seed}");
    let database = Database::open(direct);
    database.store.migrate().await.unwrap();
    database.execute(work::EFFECTS).await;
    limit(&database).await;

    let client = || Client::new(Database::impatient(through).store);
    let stop = CancellationToken::new();
    let first = tokio::spawn(load::enqueue(client(), seed + 1, true, stop.clone()));
    let second = tokio::spawn(load::enqueue(client(), seed + 2, false, stop.clone()));
    let operator = tokio::spawn(load::operate(client(), seed + 3, stop.clone()));
    let mut faults = Faults::new(seed, through, folder, network.clone());
    faults.rage(length).await;
    faults.end().await;
    let calm = Instant::now();
    stop.cancel();
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    let operated = operator.await.unwrap();
    faults.stop_scheduling().await;
    faults.until_idle(&Database::open(direct), CALM).await;
    let idle = calm.elapsed();
    faults.stop_all().await;

    let lost = network.map(|network| network.proxy.lost());
    println!("faults: {:?}", faults.counted());
    println!("answers to commits lost: {lost:?}");
    println!(
        "enqueues repeated: {}; all was done {idle:.1?} after the last fault",
        first.repeats + second.repeats
    );
    // The connections of before may have died with the database.
    let database = Database::open(direct);
    let evidence = Evidence::gather(&database, folder, [first, second], operated, faults.log).await;
    let broken = evidence.check(&database).await;
    assert!(
        broken.is_empty(),
        "CHAOS_SEED={seed} breaks {} promises:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

async fn limit(database: &Database) {
    let policy = format!(r#"{{"concurrency": {}}}"#, work::LIMIT);
    let change = ChangeSetting {
        space: QueuePolicy::SPACE,
        name: work::LIMITED,
        value: Some(&windlass::Json::parse(policy).unwrap()),
        expected: None,
        audit: &Audit::new("test", "policy.set", "queue"),
        now: None,
    };
    database.store.change_setting(change).await.unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no config to read it from"
)]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is to be a number, not {text:?}")),
    )
}
