//! Which processes work, as they last reported.

use std::time::Duration;

use windlass::Timestamp;
use windlass::model::WorkerRecord;

use crate::fixture::Fixture;

const DAY: Duration = Duration::from_hours(24);

fn worker(id: &str) -> WorkerRecord {
    WorkerRecord {
        id: id.to_owned(),
        host: "host".into(),
        pid: 4_000_000_000,
        version: "1.2.3".into(),
        queues: vec!["default".into(), "mail".into()],
        slots: 8,
        running: 3,
        started_at: Timestamp::EPOCH,
        beat_at: Timestamp::EPOCH,
        draining: false,
    }
}

async fn beat(fx: &Fixture, worker: &WorkerRecord) {
    let now = Some(fx.now());
    fx.store.beat_worker(worker, now).await.unwrap();
}

async fn workers(fx: &Fixture) -> Vec<WorkerRecord> {
    let mut workers = fx.store.workers(Some(fx.now())).await.unwrap();
    workers.sort_by(|a, b| a.id.cmp(&b.id));
    workers
}

async fn names(fx: &Fixture) -> Vec<String> {
    workers(fx)
        .await
        .into_iter()
        .map(|worker| worker.id)
        .collect()
}

pub(crate) async fn nobody_works_at_first(fx: &Fixture) {
    assert_eq!(workers(fx).await, []);
}

pub(crate) async fn a_beat_tells_all_about_a_worker(fx: &Fixture) {
    beat(fx, &worker("a")).await;
    let expected = WorkerRecord {
        started_at: fx.now(),
        beat_at: fx.now(),
        ..worker("a")
    };
    assert_eq!(workers(fx).await, [expected]);
}

pub(crate) async fn a_later_beat_renews_all_but_the_start(fx: &Fixture) {
    beat(fx, &worker("a")).await;
    let started_at = fx.now();
    fx.advance(Duration::from_secs(10));
    let later = WorkerRecord {
        running: 0,
        draining: true,
        queues: vec![],
        ..worker("a")
    };
    beat(fx, &later).await;
    let expected = WorkerRecord {
        started_at,
        beat_at: fx.now(),
        ..later
    };
    assert_eq!(workers(fx).await, [expected]);
}

pub(crate) async fn who_is_silent_for_a_day_is_not_told(fx: &Fixture) {
    beat(fx, &worker("a")).await;
    fx.advance(DAY);
    beat(fx, &worker("b")).await;
    assert_eq!(names(fx).await, ["a", "b"]);
    fx.advance(Duration::from_micros(1));
    assert_eq!(names(fx).await, ["b"]);
}

pub(crate) async fn who_stops_is_forgotten(fx: &Fixture) {
    for name in ["a", "b", "c"] {
        beat(fx, &worker(name)).await;
    }
    for _ in 0..2 {
        fx.store.remove_worker("b", Some(fx.now())).await.unwrap();
        assert_eq!(names(fx).await, ["a", "c"]);
    }
}

pub(crate) async fn forgetting_one_forgets_the_silent(fx: &Fixture) {
    beat(fx, &worker("silent")).await;
    let then = fx.now();
    fx.advance(DAY + Duration::from_micros(1));
    beat(fx, &worker("alive")).await;
    fx.store
        .remove_worker("none", Some(fx.now()))
        .await
        .unwrap();
    let as_of_then = fx.store.workers(Some(then)).await.unwrap();
    assert_eq!(as_of_then.len(), 1);
    assert_eq!(as_of_then[0].id, "alive");
}
