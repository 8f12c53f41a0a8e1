//! Jobs join the caller's transaction, both ways, or the store says that they cannot.

use std::slice::from_ref;
use std::time::Duration;

use windlass::db::{self, Tx};
use windlass::model::{Conflict, Enqueued, Finish, Lease, Recorded, State, Unique, Verdict};
use windlass::store::{Beat, Error};
use windlass::{JobId, NewJob};

use crate::fixture::{Fixture, ended, job, job_with, json};

/// Whether jobs can join a transaction; if not, makes sure that the store says so.
async fn can_join(fx: &Fixture) -> bool {
    if fx.store.capabilities().transactions {
        return true;
    }
    let id = fx.add(job()).await;
    let lease = fx.claim_one().await.lease();
    let before = fx.get(id).await;
    let now = Some(fx.now());
    let mut tx = fx.begin().await;
    let refused = fx.store.enqueue_in(&mut tx, &[job()], now).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    let finish = Finish::complete(lease, None);
    let refused = fx.store.finish_in(&mut tx, &finish, now).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    tx.commit().await.unwrap();
    assert_eq!(fx.get(id).await, before);
    false
}

async fn enqueue_in(fx: &Fixture, tx: &mut Tx, jobs: &[NewJob]) -> Vec<Enqueued> {
    let now = Some(fx.now());
    fx.store.enqueue_in(tx, jobs, now).await.unwrap()
}

async fn finish_in(fx: &Fixture, tx: &mut Tx, finish: &Finish) -> Recorded {
    let now = Some(fx.now());
    fx.store.finish_in(tx, finish, now).await.unwrap()
}

async fn is_there(fx: &Fixture, id: JobId) -> bool {
    let job = fx.store.get(id, None, Some(fx.now())).await.unwrap();
    job.is_some()
}

/// The caller's own table.
async fn make_orders(fx: &Fixture) {
    const TABLE: &str = "create table orders (name text)";
    let mut tx = fx.begin().await;
    if let Some(connection) = tx.postgres() {
        sqlx::query(TABLE).execute(connection).await.unwrap();
    } else if let Some(connection) = tx.sqlite() {
        sqlx::query(TABLE).execute(connection).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn add_order(tx: &mut Tx, name: &str) {
    if let Some(connection) = tx.postgres() {
        let insert = sqlx::query("insert into orders (name) values ($1)").bind(name);
        insert.execute(connection).await.unwrap();
    } else if let Some(connection) = tx.sqlite() {
        let insert = sqlx::query("insert into orders (name) values (?1)").bind(name);
        insert.execute(connection).await.unwrap();
    }
}

async fn orders(fx: &Fixture) -> Vec<String> {
    const ALL: &str = "select name from orders order by name";
    let mut tx = fx.begin().await;
    let names = if let Some(connection) = tx.postgres() {
        sqlx::query_scalar(ALL).fetch_all(connection).await
    } else if let Some(connection) = tx.sqlite() {
        sqlx::query_scalar(ALL).fetch_all(connection).await
    } else {
        Ok(Vec::new())
    };
    tx.rollback().await.unwrap();
    names.unwrap()
}

pub(crate) async fn a_job_commits_with_the_callers_rows(fx: &Fixture) {
    if !can_join(fx).await {
        return;
    }
    make_orders(fx).await;
    let job = job_with(|job| job.args = json("[1]"));
    let mut tx = fx.begin().await;
    add_order(&mut tx, "one").await;
    let answers = enqueue_in(fx, &mut tx, from_ref(&job)).await;
    assert_eq!(answers, [Enqueued::Inserted(job.id)]);
    tx.commit().await.unwrap();

    assert_eq!(orders(fx).await, ["one"]);
    let claimed = fx.claim_one().await;
    assert_eq!((claimed.id, claimed.args), (job.id, job.args));
}

pub(crate) async fn a_rolled_back_enqueue_leaves_nothing(fx: &Fixture) {
    if !can_join(fx).await {
        return;
    }
    make_orders(fx).await;
    let asked = || {
        job_with(|job| {
            job.unique = Some(Unique {
                key: "k".into(),
                window: Some(Duration::from_hours(1)),
                conflict: Conflict::Reject,
            });
            job.idempotency = Some(windlass::model::Idempotency {
                key: "k".into(),
                digest: "d".into(),
                window: Duration::from_hours(1),
            });
            job.ordering_key = Some("k".into());
        })
    };
    for dropped in [false, true] {
        let job = asked();
        let mut tx = fx.begin().await;
        add_order(&mut tx, "never").await;
        enqueue_in(fx, &mut tx, from_ref(&job)).await;
        if dropped {
            drop(tx);
        } else {
            tx.rollback().await.unwrap();
        }
        assert!(!is_there(fx, job.id).await);
        assert_eq!(orders(fx).await, Vec::<String>::new());
    }
    let id = fx.add(asked()).await;
    assert_eq!(fx.claim_ids().await, [id]);
}

pub(crate) async fn a_job_is_unseen_until_the_commit(fx: &Fixture) {
    if !can_join(fx).await {
        return;
    }
    let job = job();
    let mut tx = fx.begin().await;
    enqueue_in(fx, &mut tx, from_ref(&job)).await;
    assert!(!is_there(fx, job.id).await);
    tx.commit().await.unwrap();
    assert!(is_there(fx, job.id).await);
}

pub(crate) async fn unique_keys_count_within_a_transaction(fx: &Fixture) {
    if !can_join(fx).await {
        return;
    }
    let unique = || {
        job_with(|job| {
            job.unique = Some(Unique {
                key: "k".into(),
                window: None,
                conflict: Conflict::ReturnExisting,
            });
        })
    };
    let first = unique();
    let mut tx = fx.begin().await;
    let answers = enqueue_in(fx, &mut tx, from_ref(&first)).await;
    assert_eq!(answers, [Enqueued::Inserted(first.id)]);
    let answers = enqueue_in(fx, &mut tx, &[unique()]).await;
    assert_eq!(answers, [Enqueued::Duplicate(first.id)]);
    tx.commit().await.unwrap();
    let later = fx.enqueue_one(unique()).await;
    assert_eq!(later, Enqueued::Duplicate(first.id));
}

pub(crate) async fn ordering_keys_count_within_a_transaction(fx: &Fixture) {
    if !can_join(fx).await {
        return;
    }
    let of_key = || job_with(|job| job.ordering_key = Some("k".into()));
    let first = fx.add(of_key()).await;
    let lease = fx.claim_one().await.lease();
    let second = of_key();
    let mut tx = fx.begin().await;
    enqueue_in(fx, &mut tx, from_ref(&second)).await;
    let finish = Finish::complete(lease, None);
    assert_eq!(finish_in(fx, &mut tx, &finish).await, Recorded::Yes);
    tx.commit().await.unwrap();
    assert_eq!(fx.state(first).await, State::Completed);
    assert_eq!(fx.claim_ids().await, [second.id]);
}

/// A job that runs.
async fn running(fx: &Fixture) -> Lease {
    fx.add(job()).await;
    fx.claim_one().await.lease()
}

pub(crate) async fn a_finish_commits_with_the_callers_rows(fx: &Fixture) {
    if !can_join(fx).await {
        return;
    }
    make_orders(fx).await;
    let lease = running(fx).await;
    let next = job();
    let mut tx = fx.begin().await;
    add_order(&mut tx, "one").await;
    enqueue_in(fx, &mut tx, from_ref(&next)).await;
    let finish = Finish::complete(lease, Some(json("[1]")));
    assert_eq!(finish_in(fx, &mut tx, &finish).await, Recorded::Yes);
    tx.commit().await.unwrap();

    assert_eq!(orders(fx).await, ["one"]);
    let done = fx.get(lease.job).await;
    assert_eq!(
        (done.state, done.result, done.finished_at),
        (State::Completed, Some(json("[1]")), Some(fx.now()))
    );
    assert_eq!(fx.claim_ids().await, [next.id]);
}

pub(crate) async fn a_rolled_back_finish_leaves_the_lease(fx: &Fixture) {
    if !can_join(fx).await {
        return;
    }
    make_orders(fx).await;
    for verdict in [Verdict::Complete { result: None }, Verdict::Dead] {
        let lease = running(fx).await;
        let before = fx.get(lease.job).await;
        let mut tx = fx.begin().await;
        add_order(&mut tx, "never").await;
        let finish = ended(lease, verdict);
        assert_eq!(finish_in(fx, &mut tx, &finish).await, Recorded::Yes);
        tx.rollback().await.unwrap();

        assert_eq!(fx.get(lease.job).await, before);
        assert_eq!(orders(fx).await, Vec::<String>::new());
        assert_eq!(fx.heartbeat(&[lease]).await, []);
        fx.complete(lease).await;
    }
}

pub(crate) async fn every_verdict_can_join(fx: &Fixture) {
    if !can_join(fx).await {
        return;
    }
    let later = fx.now() + Duration::from_mins(1);
    for (verdict, state) in [
        (Verdict::Retry { at: later }, State::Retryable),
        (Verdict::Snooze { until: later }, State::Scheduled),
        (Verdict::Cancel, State::Cancelled),
        (Verdict::Dead, State::Dead),
        (Verdict::Release, State::Available),
    ] {
        let lease = running(fx).await;
        let mut tx = fx.begin().await;
        let finish = ended(lease, verdict);
        assert_eq!(finish_in(fx, &mut tx, &finish).await, Recorded::Yes);
        tx.commit().await.unwrap();
        let job = fx.get(lease.job).await;
        assert_eq!((job.state, job.attempts.len()), (state, 1));
    }
}

pub(crate) async fn a_lost_lease_is_told_before_the_commit(fx: &Fixture) {
    if !can_join(fx).await {
        return;
    }
    make_orders(fx).await;
    let stale = running(fx).await;
    fx.crash().await;
    let current = fx.claim_one().await.lease();
    let mut tx = fx.begin().await;
    add_order(&mut tx, "never").await;
    let finish = Finish::complete(stale, None);
    assert_eq!(finish_in(fx, &mut tx, &finish).await, Recorded::LeaseLost);
    tx.rollback().await.unwrap();
    assert_eq!(orders(fx).await, Vec::<String>::new());
    assert_eq!(fx.heartbeat(&[stale]).await, [Beat::Lost(stale)]);
    fx.complete(current).await;
}

pub(crate) async fn two_enqueues_stand_or_fall_together(fx: &Fixture) {
    if !can_join(fx).await {
        return;
    }
    let (first, second) = (job(), job());
    for commit in [false, true] {
        let mut tx = fx.begin().await;
        for job in [&first, &second] {
            let answers = enqueue_in(fx, &mut tx, from_ref(job)).await;
            assert_eq!(answers, [Enqueued::Inserted(job.id)]);
        }
        if commit {
            tx.commit().await.unwrap();
        } else {
            drop(tx);
            assert_eq!(fx.claim_ids().await, []);
        }
    }
    assert_eq!(fx.claim_ids().await, [first.id, second.id]);
}

pub(crate) async fn a_transaction_of_another_database_is_refused(fx: &Fixture) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = db::Sqlite::new(path, &db::SqliteOptions::default());
    let lease = running(fx).await;
    let before = fx.get(lease.job).await;
    let now = Some(fx.now());
    let mut tx = other.begin().await.unwrap();
    let refused = fx.store.enqueue_in(&mut tx, &[job()], now).await;
    assert!(refused.is_err(), "{refused:?}");
    let finish = Finish::complete(lease, None);
    let refused = fx.store.finish_in(&mut tx, &finish, now).await;
    assert!(refused.is_err(), "{refused:?}");
    tx.rollback().await.unwrap();
    assert_eq!(fx.get(lease.job).await, before);
    assert_eq!(fx.claim_ids().await, []);
}
