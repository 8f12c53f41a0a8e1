//! apalis' optional traits.

use std::time::Duration;

use apalis_core::backend::{
    FetchById, Filter, ListQueues, ListTasks, ListWorkers, Metrics, Reschedule, ResumeAbandoned,
    ResumeById, TaskSink, Vacuum, WaitForCompletion,
};
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::status::Status;
use apalis_core::task::task_id::TaskId;
use windlass::model::{Finish, JobRecord, WorkerRecord};
use windlass::store::Claim;
use windlass::{JobId, Timestamp};

use crate::stores::{Place, backend, on_every_store, quick, task};

async fn job(place: &Place, id: &TaskId) -> Option<JobRecord> {
    let id = JobId::from_uuid(id.to_uuid());
    place.open().get(id, None, None).await.unwrap()
}

async fn complete_one(place: &Place) -> JobId {
    let store = place.open();
    let claim = Claim {
        queue: "admin",
        worker: "w",
        limit: 1,
        lease: Duration::from_secs(30),
        now: None,
    };
    let job = store.claim(claim).await.unwrap().remove(0);
    store
        .finish(&[Finish::complete(job.lease(), None)], None)
        .await
        .unwrap();
    job.id
}

async fn pushing_again_is_harmless_and_ids_of_any_form_are_found(place: &Place) {
    let mut tasks =
        backend::<u32>(place, quick("admin")).unique_by(|n| (*n > 100).then(|| n.to_string()));
    let named = TaskId::String("welcome ada".into());
    for _ in 0..2 {
        let task = TaskBuilder::new(1).task_id(named.clone()).build();
        tasks.push_task(task).await.unwrap();
        let keyed = TaskBuilder::new(2).idempotency_key("once").build();
        tasks.push_task(keyed).await.unwrap();
        tasks.push(101).await.unwrap();
        tasks.push(3).await.unwrap();
    }
    let filter = Filter {
        status: None,
        page: 1,
        page_size: Some(50),
    };
    let mut args: Vec<u32> = tasks
        .list_tasks(&filter)
        .await
        .unwrap()
        .iter()
        .map(|task| task.args.decode().unwrap())
        .collect();
    args.sort_unstable();
    assert_eq!(args, [1, 2, 3, 3, 101]);
    assert!(tasks.fetch_by_id(&named).await.unwrap().is_some());
    assert!(tasks.fetch_by_id(&TaskId::Int(5)).await.unwrap().is_none());
    let refused = TaskBuilder::new(9).max_attempts(0).build();
    let error = tasks.push_task(refused).await.unwrap_err().to_string();
    assert!(error.contains("max_attempts: 0 is out of range"), "{error}");
    let many = (0..2500).collect();
    tasks.push_bulk(many).await.unwrap();
    let figures = tasks.fetch_by_queue().await.unwrap();
    let available = figures
        .iter()
        .find(|figure| figure.title == "Available")
        .unwrap();
    // 2399 of the new ones and one of the old share no key; counting stops at a bound.
    assert!(
        ["2504", "1000+", "10000+"].contains(&available.value.as_str()),
        "{}",
        available.value
    );
}

async fn vacuum_deletes_only_what_has_been_kept_long_enough(place: &Place) {
    let mut tasks = backend::<u32>(place, quick("admin"));
    tasks.push_bulk(vec![1, 2]).await.unwrap();
    let done = complete_one(place).await;
    assert_eq!(
        tasks.vacuum_before(Duration::ZERO).await.unwrap(),
        0,
        "kept for its time"
    );
    let mut hasty = quick("admin");
    hasty.retention.completed = Duration::ZERO;
    let mut tasks = backend::<u32>(place, hasty);
    assert_eq!(
        tasks.vacuum_before(Duration::from_hours(1)).await.unwrap(),
        0
    );
    assert_eq!(tasks.vacuum().await.unwrap(), 1);
    assert!(job(place, &TaskId::Uuid(done.as_uuid())).await.is_none());
    let filter = Filter {
        status: Some(Status::Pending),
        page: 1,
        page_size: None,
    };
    assert_eq!(
        tasks.list_tasks(&filter).await.unwrap().len(),
        1,
        "what waits is left"
    );
}

async fn tasks_are_rescheduled_resumed_and_taken_back(place: &Place) {
    let store = place.open();
    let mut tasks = backend::<u32>(place, quick("admin"));
    let (id, one) = task(1);
    tasks.push_task(one).await.unwrap();
    let fetched = tasks.fetch_by_id(&id).await.unwrap().unwrap();
    tasks
        .reschedule(fetched, Duration::from_hours(1))
        .await
        .unwrap();
    let claim = |now: Option<Timestamp>| Claim {
        queue: "admin",
        worker: "w",
        limit: 5,
        lease: Duration::from_millis(1),
        now,
    };
    assert_eq!(
        store.claim(claim(None)).await.unwrap(),
        [],
        "not before its time"
    );
    let due = store.next_due("admin", None).await.unwrap().unwrap();
    assert!(
        due > Duration::from_secs(3500) && due <= Duration::from_hours(1),
        "{due:?}"
    );
    assert!(tasks.resume_by_id(id.clone()).await.unwrap());
    let claimed = store.claim(claim(None)).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let running = tasks.fetch_by_id(&id).await.unwrap().unwrap();
    assert_eq!(running.status(), Status::Running);
    let error = tasks
        .reschedule(running, Duration::ZERO)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("is running"), "{error}");
    assert!(!tasks.resume_by_id(TaskId::Int(7)).await.unwrap());

    // Its lease has run out by then: it has crashed.
    while tasks.resume_abandoned().await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let back = job(place, &id).await.unwrap();
    assert_eq!((back.crashes, back.attempt), (1, 0));
    let done = complete_one(place).await;
    let results: Vec<_> =
        WaitForCompletion::<()>::check_status(&mut tasks, [id.clone(), TaskId::Int(1)])
            .await
            .unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(
        (&results[0].task_id, &results[0].status),
        (&id, &Status::Done)
    );
    assert!(
        tasks
            .resume_by_id(TaskId::Uuid(done.as_uuid()))
            .await
            .unwrap(),
        "a finished one is revived"
    );
    assert_eq!(job(place, &id).await.unwrap().attempt, 0);
    let nameless = apalis_core::task::Task::new(windlass::Json::empty_object());
    let error = tasks
        .reschedule(nameless, Duration::ZERO)
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("task_id: "), "{error}");
}

async fn workers_and_queues_are_listed(place: &Place) {
    let store = place.open();
    let mut tasks = backend::<u32>(place, quick("admin"));
    let mut other = backend::<u32>(place, quick("other"));
    tasks.push(1).await.unwrap();
    other.push_bulk(vec![1, 2]).await.unwrap();
    let worker = WorkerRecord {
        id: "w1".into(),
        host: "here".into(),
        pid: 1,
        version: "1".into(),
        queues: vec!["admin".into(), "other".into()],
        slots: 5,
        running: 0,
        started_at: Timestamp::EPOCH,
        beat_at: Timestamp::EPOCH,
        draining: false,
    };
    store.beat_worker(&worker, None).await.unwrap();
    let queues = tasks.list_queues().await.unwrap();
    let names: Vec<_> = queues
        .iter()
        .map(|q| (q.name.as_str(), q.workers.len()))
        .collect();
    assert_eq!(names, [("admin", 1), ("other", 1)]);
    assert_eq!(tasks.list_workers().await.unwrap().len(), 1);
    let all = tasks.list_all_workers().await.unwrap();
    assert_eq!(all.len(), 2, "a line for each queue");
    assert!(
        all.iter()
            .all(|line| line.id == "w1" && line.last_heartbeat > 1_700_000_000)
    );
    let global = tasks.global().await.unwrap();
    let value = |title: &str| {
        global
            .iter()
            .find(|s| s.title == title)
            .unwrap()
            .value
            .clone()
    };
    assert_eq!(
        (value("Available").as_str(), value("Workers").as_str()),
        ("3", "1")
    );
}

on_every_store!(
    pushing_again_is_harmless_and_ids_of_any_form_are_found,
    vacuum_deletes_only_what_has_been_kept_long_enough,
    tasks_are_rescheduled_resumed_and_taken_back,
    workers_and_queues_are_listed,
);

#[test]
fn options_that_cannot_work_are_refused() {
    let place = Place::memory();
    let refused = |change: fn(&mut windlass::apalis::BackendOptions)| {
        let mut options = quick("admin");
        change(&mut options);
        let backend = windlass::apalis::WindlassBackend::<u32>::with_options(place.open(), options);
        backend.unwrap_err().field
    };
    assert_eq!(refused(|o| o.queue = "a b".into()), "queue");
    assert_eq!(refused(|o| o.kind = String::new()), "kind");
    assert_eq!(refused(|o| o.ahead = 0), "ahead");
    assert_eq!(refused(|o| o.most = 0), "most");
    assert_eq!(refused(|o| o.max_attempts = 0), "max_attempts");
    assert_eq!(refused(|o| o.lease = Duration::ZERO), "lease");
}
