//! The ways in which queues on a database really die, and how this one comes out of them.
//!
//! Each case has a server of its own, which nothing was ever analysed on, and three phases: before, under
//! pressure, after. They are measured alike and held against each other, as no figure means anything by
//! itself on a machine that others use; what became of the jobs is exact. `CHAOS=full` takes them at the
//! rate and for the time that the promises are stated for.
#![expect(clippy::print_stdout, reason = "figures, for whoever asks for them")]

mod measure;
mod rig;

use std::time::Duration;

use futures_util::future::join_all;
use measure::Phase;
use rig::{Plan, ROLE, Rig};
use sqlx::{Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::size;

/// So many times may a phase be worse than the one that it is held against, and no less is noise.
const NOISE: u32 = 5;
/// A wait that is nothing yet.
const SHORT: Duration = Duration::from_millis(400);

fn plan() -> Plan {
    Plan {
        rate: size(400, 5_000),
        slots: 50,
        takes_ms: 0,
    }
}

fn calm() -> Duration {
    size(Duration::from_secs(2), Duration::from_mins(1))
}

fn pressed() -> Duration {
    size(Duration::from_secs(4), Duration::from_mins(10))
}

/// At least half as much was done.
fn holds_up(before: &Phase, under: &Phase) {
    let (before, under) = (before.throughput, under.throughput);
    assert!(under >= before / 2.0, "{under:.0}/s after {before:.0}/s");
}

/// Nobody waited much longer.
fn waits_as_before(before: &Phase, after: &Phase) {
    let (before, after) = (before.p99, after.p99);
    let most = before.max(SHORT) * NOISE;
    assert!(after <= most, "p99 {after:?} after {before:?}");
}

/// A transaction that writes and is forgotten: no dead row can be removed while it lasts.
pub(crate) async fn a_held_transaction_slows_nothing_down() {
    let mut rig = Rig::new(plan()).await;
    rig.admin
        .execute("create table forgotten (n int)")
        .await
        .unwrap();
    let before = rig.phase("before", calm(), 1.0).await;
    let mut holder = rig.connect().await;
    holder
        .execute("begin; insert into forgotten values (1)")
        .await
        .unwrap();
    let early = rig.phase("held", pressed() / 2, 1.0).await;
    let late = rig.phase("still", pressed() / 2, 1.0).await;
    rig.until_done().await;
    let kept = rig.dead_after_vacuum().await;
    holder.execute("rollback").await.unwrap();
    let after = rig.phase("after", calm(), 1.0).await;
    rig.until_done().await;
    let left = rig.dead_after_vacuum().await;
    assert!(kept > 0, "the transaction held nothing up");
    assert!(left < kept / 2, "{left} of {kept} dead rows are left");
    holds_up(&before, &late);
    holds_up(&before, &after);
    waits_as_before(&early, &late);
    waits_as_before(&before, &after);
    rig.conclude("held transaction").await;
}

/// Four reports that overlap: at no time is there none with an old snapshot.
pub(crate) async fn overlapping_readers_slow_nothing_down() {
    let mut rig = Rig::new(plan()).await;
    let before = rig.phase("before", calm(), 1.0).await;
    let stop = CancellationToken::new();
    let reads = size(Duration::from_secs(1), Duration::from_mins(1));
    let readers: Vec<_> = (0..4)
        .map(|n| tokio::spawn(read_and_read(rig.url(), n, reads, stop.clone())))
        .collect();
    let under = rig.phase("readers", pressed(), 1.0).await;
    stop.cancel();
    let read: u32 = join_all(readers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .sum();
    let after = rig.phase("after", calm(), 1.0).await;
    assert!(read >= 4, "{read} reports were read");
    holds_up(&before, &under);
    holds_up(&before, &after);
    waits_as_before(&before, &under);
    waits_as_before(&before, &after);
    rig.conclude("overlapping readers").await;
}

async fn read_and_read(url: String, nth: u32, lasts: Duration, stop: CancellationToken) -> u32 {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut read = 0;
    let mut holds = tokio::time::interval_at(tokio::time::Instant::now() + lasts * nth / 4, lasts);
    while !stop.is_cancelled() {
        connection
            .execute("begin isolation level repeatable read; select count(*) from jobs.jobs")
            .await
            .unwrap();
        tokio::select! {
            _ = holds.tick() => {}
            () = stop.cancelled() => {}
        }
        connection.execute("commit").await.unwrap();
        read += 1;
    }
    read
}

/// Half as much again as can be done: what is done does not become less, and the rest is done later.
pub(crate) async fn half_as_much_again_is_done_later() {
    // Twenty at a time that take 50 ms: 400 a second at the most, on any machine.
    let able = Plan {
        rate: 400,
        slots: 20,
        takes_ms: 50,
    };
    let mut rig = Rig::new(able).await;
    let before = rig.phase("before", calm(), 0.5).await;
    let under = rig.phase("overload", pressed(), 1.5).await;
    let caught_up = rig.until_done().await;
    let after = rig.phase("after", calm(), 0.5).await;
    println!("{:<20} caught up after {caught_up:.1?}", "overload");
    holds_up(&before, &under);
    holds_up(&before, &after);
    waits_as_before(&before, &after);
    rig.conclude("overload").await;
}

/// Somebody kills sessions of the worker, one after the other.
pub(crate) async fn killed_backends_cost_calls_and_no_jobs() {
    let mut rig = Rig::new(plan()).await;
    let before = rig.phase("before", calm(), 1.0).await;
    let stop = CancellationToken::new();
    let kills = tokio::spawn(kill_and_kill(rig.url(), stop.clone()));
    rig.phase("kills", pressed(), 1.0).await;
    stop.cancel();
    let killed = kills.await.unwrap();
    println!("{:<20} {killed} sessions killed", "killed backends");
    rig.until_done().await;
    let after = rig.phase("after", calm(), 1.0).await;
    assert!(killed >= 4, "{killed} sessions were killed");
    holds_up(&before, &after);
    waits_as_before(&before, &after);
    rig.conclude("killed backends").await;
}

async fn kill_and_kill(url: String, stop: CancellationToken) -> usize {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut pulse = tokio::time::interval(Duration::from_millis(200));
    let mut killed = 0;
    while !stop.is_cancelled() {
        pulse.tick().await;
        let one: Vec<bool> = sqlx::query_scalar(
            "select pg_terminate_backend(pid) from pg_stat_activity
              where usename = 'app' and backend_type = 'client backend' order by random() limit 1",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        killed += one.len();
    }
    killed
}

/// No connection is to be had: others have them all.
pub(crate) async fn without_connections_work_waits_and_goes_on() {
    let mut rig = Rig::new(plan()).await;
    let before = rig.phase("before", calm(), 1.0).await;
    // They take all that the role may have, and then the worker loses its own.
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(rig.connect_as_worker().await);
    }
    let limit = others.len();
    assert_eq!((ROLE, limit), ("app", 3));
    rig.admin
        .execute("alter role app connection limit 3")
        .await
        .unwrap();
    rig.admin
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity
              where usename = 'app' and application_name like 'windlass%'",
        )
        .await
        .unwrap();
    let under = rig.phase("exhausted", pressed(), 1.0).await;
    for other in others {
        other.close().await.unwrap();
    }
    rig.admin
        .execute("alter role app connection limit -1")
        .await
        .unwrap();
    let caught_up = rig.until_done().await;
    println!("{:<20} caught up after {caught_up:.1?}", "no connections");
    let after = rig.phase("after", calm(), 1.0).await;
    assert!(under.refused > 0, "connections were to be had");
    holds_up(&before, &after);
    waits_as_before(&before, &after);
    rig.conclude("no connections").await;
}

/// Plans are made while tables are empty, and kept: nothing is ever analysed.
pub(crate) async fn a_database_that_was_never_analysed_is_as_fast() {
    let mut rig = Rig::new(plan()).await;
    rig.admin
        .execute("alter table jobs.jobs set (autovacuum_enabled = off)")
        .await
        .unwrap();
    let early = rig.phase("fresh", calm(), 1.0).await;
    rig.phase("grows", pressed(), 1.0).await;
    let late = rig.phase("late", calm(), 1.0).await;
    let analysed: bool = sqlx::query_scalar(
        "select coalesce(last_analyze, last_autoanalyze) is not null
           from pg_stat_user_tables where relid = 'jobs.jobs'::regclass",
    )
    .fetch_one(&mut rig.admin)
    .await
    .unwrap();
    assert!(!analysed, "somebody analysed it");
    rig.admin.execute("analyze").await.unwrap();
    let after = rig.phase("analysed", calm(), 1.0).await;
    holds_up(&early, &late);
    holds_up(&early, &after);
    waits_as_before(&early, &late);
    waits_as_before(&early, &after);
    rig.conclude("never analysed").await;
}
