//! Governed claims that start from remembered places miss nothing for long.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use windlass::NewJob;
use windlass::model::{Allotter, ClaimedJob, Finish, JobId, Recorded, Rules, RunAt};
use windlass::store::postgres::PgStore;
use windlass::store::{Claim, Governed, Store};

use super::positions::{PATIENCE, database_sleep};
use crate::backend::Postgres;
use crate::fixture::{Backend, job_with};

fn of(tenant: &str) -> NewJob {
    job_with(|job| job.tenant_id = Some(tenant.to_owned()))
}

/// Takes turns and limits, so that running jobs are counted too.
fn allotter() -> Allotter {
    let policy = r#"{"concurrency": 100000, "fair": {}}"#;
    Allotter::new(Rules {
        policy: serde_json::from_str(policy).unwrap(),
        ..Rules::default()
    })
}

async fn claim(store: &PgStore, allotter: &mut Allotter, limit: u32) -> Vec<ClaimedJob> {
    let claim = Claim {
        queue: NewJob::DEFAULT_QUEUE,
        worker: "worker",
        limit,
        lease: Duration::from_secs(30),
        now: None,
    };
    store.claim_governed(claim, allotter).await.unwrap().jobs
}

/// Claims as a fetcher does: at once if there may be more, else when there is a hint.
async fn until_found(store: &PgStore, allotter: &mut Allotter, jobs: usize) -> Vec<ClaimedJob> {
    let mut found = Vec::new();
    let looking = async {
        let mut wakes = store.wakes();
        while found.len() < jobs {
            let claim = Claim {
                queue: NewJob::DEFAULT_QUEUE,
                worker: "worker",
                limit: 50,
                lease: Duration::from_secs(30),
                now: None,
            };
            let granted = store.claim_governed(claim, allotter).await.unwrap();
            found.extend(granted.jobs);
            if !granted.more && found.len() < jobs {
                let due = granted.again_in.unwrap_or(PATIENCE);
                // Whether a hint came or a job fell due: the next claim sees.
                drop(tokio::time::timeout(due, wakes.recv()).await);
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap();
    found
}

#[tokio::test]
async fn cells_that_come_up_between_known_ones_are_found_at_once() {
    let database = Postgres::open().await;
    let (store, mut allotter) = (database.store(), allotter());
    store.enqueue(&[of("b"), of("d")], None).await.unwrap();
    assert_eq!(claim(&store, &mut allotter, 10).await.len(), 2);
    assert_eq!(claim(&store, &mut allotter, 10).await.len(), 0);
    let new = [
        of("a"),
        of("c"),
        of("e"),
        of("\u{10FFFE}"),
        job_with(|_| ()),
    ];
    store.enqueue(&new, None).await.unwrap();
    // The first claim may come upon jobs that are not governed yet, and makes them so.
    let mut found = claim(&store, &mut allotter, 10).await.len();
    found += claim(&store, &mut allotter, 10).await.len();
    assert_eq!(found, new.len());
    database.close().await;
}

#[tokio::test]
async fn a_governed_job_that_commits_late_is_found_and_announced() {
    let database = Postgres::open().await;
    let (store, other, mut allotter) = (database.store(), database.store(), allotter());
    let mut tx = other.begin().await.unwrap();
    let late = of("a");
    other
        .enqueue_in(&mut tx, std::slice::from_ref(&late), None)
        .await
        .unwrap();
    for _ in 0..4 {
        store.enqueue(&[of("a")], None).await.unwrap();
        assert_eq!(until_found(&store, &mut allotter, 1).await.len(), 1);
        database_sleep(&database, "0.1").await;
    }
    tx.commit().await.unwrap();
    let found = until_found(&store, &mut allotter, 1).await;
    assert_eq!(found[0].id, late.id);
    database.close().await;
}

#[tokio::test]
async fn a_governed_job_that_another_process_hands_back_is_found() {
    let database = Postgres::open().await;
    let (store, other) = (database.store(), database.store());
    let (mut mine, mut theirs) = (allotter(), allotter());
    let first = of("a");
    other
        .enqueue(std::slice::from_ref(&first), None)
        .await
        .unwrap();
    let lease = until_found(&other, &mut theirs, 1).await[0].lease();
    for _ in 0..4 {
        store.enqueue(&[of("a")], None).await.unwrap();
        until_found(&store, &mut mine, 1).await;
        database_sleep(&database, "0.1").await;
    }
    let recorded = other.finish(&[Finish::release(lease)], None).await.unwrap();
    assert_eq!(recorded, [Recorded::Yes]);
    let found = until_found(&store, &mut mine, 1).await;
    assert_eq!(found[0].id, first.id, "in its old place");
    database.close().await;
}

/// Two processes enqueue, claim, finish and hand back as it comes; in the end nothing is left behind.
#[tokio::test]
async fn nothing_stays_hidden_whatever_two_processes_do() {
    let database = Postgres::open().await;
    let stores = [database.store(), database.store()];
    let mut allotters = [allotter(), allotter()];
    for seed in 0..4 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut open: BTreeSet<JobId> = BTreeSet::new();
        for _ in 0..60 {
            let at = rng.random_range(0..2);
            let new: Vec<NewJob> = (0..rng.random_range(0..8)).map(|_| any(&mut rng)).collect();
            open.extend(new.iter().map(|job| job.id));
            stores[at].enqueue(&new, None).await.unwrap();
            let room = rng.random_range(1..12);
            let claimed = claim(&stores[1 - at], &mut allotters[1 - at], room).await;
            let mut finishes = Vec::new();
            for job in &claimed {
                if rng.random_bool(0.3) {
                    finishes.push(Finish::release(job.lease()));
                } else {
                    finishes.push(Finish::complete(job.lease(), None));
                    assert!(open.remove(&job.id), "seed {seed}: {} ran twice", job.id);
                }
            }
            let recorded = stores[1 - at].finish(&finishes, None).await.unwrap();
            assert!(recorded.iter().all(|recorded| *recorded == Recorded::Yes));
        }
        let rest = until_found(&stores[0], &mut allotters[0], open.len()).await;
        let found: BTreeSet<JobId> = rest.iter().map(|job| job.id).collect();
        assert_eq!(found, open, "seed {seed}");
        let finishes: Vec<Finish> = rest
            .iter()
            .map(|job| Finish::complete(job.lease(), None))
            .collect();
        stores[0].finish(&finishes, None).await.unwrap();
    }
    database.close().await;
}

fn any(rng: &mut StdRng) -> NewJob {
    let tenant = ["a", "b", "c", "d", "e"].choose(rng).copied();
    let kind = ["work", "play"].choose(rng).copied();
    job_with(|job| {
        job.tenant_id = tenant.map(str::to_owned);
        kind.unwrap_or("work").clone_into(&mut job.kind);
        job.priority = rng.random_range(0..3);
        if rng.random_bool(0.1) {
            job.run_at = RunAt::In(Duration::from_millis(rng.random_range(0..80)));
        }
    })
}
