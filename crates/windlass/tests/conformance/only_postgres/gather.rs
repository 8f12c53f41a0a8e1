//! Enqueues of many callers at once share transactions, and nobody can tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use windlass::NewJob;
use windlass::model::{Conflict, Enqueued, Idempotency, JobId, Unique};
use windlass::store::Store;
use windlass::store::postgres::PgStore;

use crate::backend::Postgres;
use crate::fixture::{Backend, at_once, job, job_with};

fn keyed(key: impl Into<String>, conflict: Conflict) -> NewJob {
    job_with(|job| {
        job.unique = Some(Unique {
            key: key.into(),
            window: None,
            conflict,
        });
    })
}

/// Every caller enqueues by itself, all at the same time; answers by caller.
async fn each(store: &Arc<PgStore>, jobs: &[NewJob]) -> Vec<(NewJob, Enqueued)> {
    let calls = at_once(jobs.len(), |caller| {
        let (store, job) = (store.clone(), jobs[caller].clone());
        async move {
            let answer = store.enqueue(std::slice::from_ref(&job), None).await;
            (job, answer.unwrap()[0])
        }
    });
    calls.await
}

async fn statements(database: &Postgres) -> i64 {
    let commits = "select count(distinct xmin::text) from jobs.jobs";
    sqlx::query_scalar(commits)
        .fetch_one(&mut database.connection().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn callers_at_once_share_transactions_and_get_their_own_answers() {
    let database = Postgres::open().await;
    let store = Arc::new(database.store());
    let jobs: Vec<NewJob> = (0..200)
        .map(|caller| match caller % 4 {
            0 => job(),
            1 => job_with(|job| job.ordering_key = Some("line".to_owned())),
            _ => keyed(format!("key {}", caller % 20), Conflict::ReturnExisting),
        })
        .collect();
    let answers = each(&store, &jobs).await;
    let mut holders: BTreeMap<&str, Vec<&(NewJob, Enqueued)>> = BTreeMap::new();
    for answered in &answers {
        match &answered.0.unique {
            Some(unique) => holders.entry(&unique.key).or_default().push(answered),
            None => assert_eq!(answered.1, Enqueued::Inserted(answered.0.id)),
        }
    }
    assert_eq!(holders.len(), 10);
    for (key, answers) in holders {
        let made: Vec<JobId> = answers
            .iter()
            .filter(|(_, answer)| answer.is_inserted())
            .map(|(job, _)| job.id)
            .collect();
        assert_eq!(made.len(), 1, "{key}");
        assert!(answers.iter().all(|(_, answer)| answer.id() == made[0]));
    }
    let transactions = statements(&database).await;
    assert!(transactions < 60, "{transactions} transactions of 110 jobs");
    database.close().await;
}

/// A group that one caller's key holds up parts company: no other caller waits for that key.
#[tokio::test]
async fn a_locked_key_holds_up_only_who_wants_it() {
    let database = Postgres::open().await;
    let store = Arc::new(database.store());
    let mut tx = store.begin().await.unwrap();
    let holder = keyed("locked", Conflict::Reject);
    let held = store.enqueue_in(&mut tx, std::slice::from_ref(&holder), None);
    assert!(held.await.unwrap()[0].is_inserted());

    let mut waiting = JoinSet::new();
    for _ in 0..6 {
        let (store, job) = (store.clone(), keyed("locked", Conflict::Reject));
        waiting.spawn(async move { store.enqueue(&[job], None).await.unwrap()[0] });
    }
    let others: Vec<NewJob> = (0..60)
        .map(|caller| keyed(format!("free {caller}"), Conflict::Reject))
        .collect();
    for (job, answer) in each(&store, &others).await {
        assert_eq!(answer, Enqueued::Inserted(job.id));
    }
    assert!(waiting.try_join_next().is_none(), "the key is locked still");
    tx.commit().await.unwrap();
    for answer in waiting.join_all().await {
        assert_eq!(answer, Enqueued::Rejected(holder.id));
    }
    database.close().await;
}

/// Whose job the database refuses gets the error; who went with it does not.
#[tokio::test]
async fn a_job_that_cannot_be_stored_fails_alone() {
    let database = Postgres::open().await;
    let store = Arc::new(database.store());
    let mut calls = JoinSet::new();
    for caller in 0..60 {
        let store = store.clone();
        let mut job = job();
        if caller % 6 == 0 {
            // Checked before it comes here, by the client; no text in PostgreSQL may hold it.
            job.kind = "null\0".to_owned();
        }
        calls.spawn(async move {
            let answer = store.enqueue(std::slice::from_ref(&job), None).await;
            (caller % 6 == 0, answer.map(|answers| answers[0]))
        });
    }
    for (is_bad, answer) in calls.join_all().await {
        match answer {
            Ok(answer) => assert!(!is_bad && answer.is_inserted(), "{answer:?}"),
            Err(error) => assert!(is_bad && error.is_about_the_data(), "{error}"),
        }
    }
    database.close().await;
}

/// The same request by many callers at once is one job, though it is of one group.
#[tokio::test]
async fn a_repeated_request_is_one_job() {
    let database = Postgres::open().await;
    let store = Arc::new(database.store());
    let jobs: Vec<NewJob> = (0..40)
        .map(|_| {
            job_with(|job| {
                job.idempotency = Some(Idempotency {
                    key: "request".to_owned(),
                    digest: "the same".to_owned(),
                    window: std::time::Duration::from_hours(1),
                });
            })
        })
        .collect();
    let answers = each(&store, &jobs).await;
    let made = answers.iter().filter(|(_, answer)| answer.is_inserted());
    assert_eq!(made.count(), 1, "{answers:?}");
    let first = answers[0].1.id();
    assert!(answers.iter().all(|(_, answer)| answer.id() == first));
    database.close().await;
}
