use std::collections::HashMap;

use sqlx::{Connection, Executor};
use tokio::sync::Barrier;
use windlass::NewJob;
use windlass::model::{Finish, JobId, State};
use windlass::store::{Error, Store};

use super::claim;
use crate::backend::Postgres;
use crate::fixture::{Backend, job_with};

fn in_line() -> NewJob {
    job_with(|job| job.ordering_key = Some("line".to_owned()))
}

async fn states(store: &impl Store, jobs: &[JobId]) -> Vec<State> {
    let mut states = Vec::new();
    for id in jobs {
        states.push(store.get(*id, None, None).await.unwrap().unwrap().state);
    }
    states
}

#[tokio::test]
async fn upkeep_lets_a_line_go_on_that_stands_still() {
    let database = Postgres::open().await;
    let store = database.store();
    let jobs = [in_line(), in_line()];
    let ids = jobs.clone().map(|job| job.id);
    store.enqueue(&jobs, None).await.unwrap();
    database
        .connection()
        .await
        .execute("update jobs.jobs set state = 'waiting'")
        .await
        .unwrap();
    assert_eq!(claim(&store, 9).await, []);
    store.maintain(None).await.unwrap();
    assert_eq!(
        states(&store, &ids).await,
        [State::Available, State::Waiting]
    );
    database.close().await;
}

#[tokio::test]
async fn a_caller_with_an_old_snapshot_makes_no_second_head() {
    let database = Postgres::open().await;
    let store = database.store();
    let mut connection = database.connection().await;
    let mut old = connection
        .begin_with("begin isolation level repeatable read")
        .await
        .unwrap();
    old.execute("select count(*) from jobs.jobs").await.unwrap();
    let first = in_line();
    store
        .enqueue(std::slice::from_ref(&first), None)
        .await
        .unwrap();
    // Its snapshot shows an empty line.
    let second: uuid::Uuid =
        sqlx::query_scalar("select jobs.enqueue('work', ordering_key => 'line')")
            .fetch_one(&mut *old)
            .await
            .unwrap();
    old.commit().await.unwrap();
    let ids = [first.id, JobId::from_uuid(second)];
    assert_eq!(
        states(&store, &ids).await,
        [State::Available, State::Waiting]
    );

    let lease = claim(&store, 9).await[0].lease();
    store
        .finish(&[Finish::complete(lease, None)], None)
        .await
        .unwrap();
    assert_eq!(
        states(&store, &ids).await,
        [State::Completed, State::Available]
    );
    database.close().await;
}

#[tokio::test]
async fn jobs_that_end_and_join_each_others_lines_never_deadlock() {
    let database = Postgres::open().await;
    let store = database.store();
    let of = |line: &'static str| job_with(|job| job.ordering_key = Some(line.to_owned()));
    let mut lines = HashMap::new();
    for line in ["one", "two"] {
        let job = of(line);
        lines.insert(job.id, line);
        store.enqueue(&[job], None).await.unwrap();
    }
    for _ in 0..20 {
        let running = claim(&store, 9).await;
        let [one, two] = running.as_slice() else {
            panic!("not one of each line: {running:?}");
        };
        let both = Barrier::new(2);
        let hand_over = async |lease, next: &NewJob| {
            let mut tx = store.begin().await?;
            store
                .enqueue_in(&mut tx, std::slice::from_ref(next), None)
                .await?;
            both.wait().await;
            store
                .finish_in(&mut tx, &Finish::complete(lease, None), None)
                .await?;
            tx.commit().await?;
            Ok::<_, Error>(())
        };
        let next = [of(lines[&two.id]), of(lines[&one.id])];
        lines.extend([(next[0].id, lines[&two.id]), (next[1].id, lines[&one.id])]);
        tokio::try_join!(
            hand_over(one.lease(), &next[0]),
            hand_over(two.lease(), &next[1])
        )
        .unwrap();
    }
    database.close().await;
}
