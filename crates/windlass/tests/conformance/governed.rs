//! Claims that go by limits and turns.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass::model::{Allotter, ClaimedJob, HeldBy, NewJob, Paused, Rules, RunAt, State, Verdict};
use windlass::store::{Claim, Granted};

use crate::fixture::{Fixture, LEASE, at_once, ids, job, job_with};

const QUEUE: &str = NewJob::DEFAULT_QUEUE;

fn by(policy: &str) -> Allotter {
    let policy: windlass::model::QueuePolicy = serde_json::from_str(policy).unwrap();
    policy.validate().unwrap();
    Allotter::new(Rules {
        policy,
        ..Rules::default()
    })
}

/// A policy that holds nothing back.
pub(crate) fn free() -> Allotter {
    by(r#"{"concurrency": 100000}"#)
}

fn of(tenant: &str) -> NewJob {
    job_with(|job| job.tenant_id = Some(tenant.to_owned()))
}

fn kind(kind: &str) -> NewJob {
    job_with(|job| kind.clone_into(&mut job.kind))
}

fn governed_claim(f: &Fixture, limit: u32) -> Claim<'static> {
    Claim {
        queue: QUEUE,
        worker: "worker",
        limit,
        lease: LEASE,
        now: Some(f.now()),
    }
}

async fn claim(f: &Fixture, allotter: &mut Allotter, limit: u32) -> Granted {
    let claim = governed_claim(f, limit);
    f.store.claim_governed(claim, allotter).await.unwrap()
}

/// Claims until there is nothing more to take.
pub(crate) async fn drain(f: &Fixture, allotter: &mut Allotter) -> Vec<ClaimedJob> {
    let mut jobs = Vec::new();
    for _ in 0..1000 {
        let granted = claim(f, allotter, 1000).await;
        jobs.extend(granted.jobs);
        if !granted.more {
            return jobs;
        }
    }
    panic!("never comes to rest");
}

fn tenants(jobs: &[ClaimedJob]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for job in jobs {
        let tenant = job.tenant_id.clone().unwrap_or_default();
        *counts.entry(tenant).or_default() += 1;
    }
    counts
}

pub(crate) async fn goes_by_priority_then_time(f: &Fixture) {
    let late = f.add(job_with(|job| job.priority = 5)).await;
    f.advance(Duration::from_secs(1));
    let urgent = f.add(job_with(|job| job.priority = 1)).await;
    let last = f.add(job_with(|job| job.priority = 5)).await;
    assert_eq!(ids(&drain(f, &mut free()).await), [urgent, late, last]);
}

pub(crate) async fn gives_a_worker_all_it_needs(f: &Fixture) {
    let id = f
        .add(job_with(|job| {
            job.tenant_id = Some("acme".to_owned());
            job.correlation_id = Some("correlation".to_owned());
            job.limit_key = Some("account".to_owned());
            job.priority = 3;
        }))
        .await;
    let granted = claim(f, &mut free(), 10).await;
    let [claimed] = &granted.jobs[..] else {
        panic!("{granted:?}")
    };
    assert_eq!((claimed.id, claimed.attempt, claimed.claim_no), (id, 1, 1));
    assert_eq!(claimed.tenant_id.as_deref(), Some("acme"));
    assert_eq!(claimed.correlation_id.as_deref(), Some("correlation"));
    assert_eq!((claimed.priority, claimed.claimed_at), (3, f.now()));
    let job = f.get(id).await;
    assert_eq!(job.state, State::Running);
    assert_eq!(job.worker.as_deref(), Some("worker"));
    assert_eq!(job.lease_expires_at, Some(f.now() + LEASE));
    f.complete(claimed.lease()).await;
    assert_eq!(f.state(id).await, State::Completed);
}

pub(crate) async fn ordinary_claims_do_not_see_governed_jobs(f: &Fixture) {
    f.add(job()).await;
    let other = f
        .add(job_with(|job| "other".clone_into(&mut job.queue)))
        .await;
    let mut none = by(r#"{"kinds": {"work": {"concurrency": 1}}}"#);
    assert_eq!(claim(f, &mut none, 10).await.jobs.len(), 1);
    f.add(job()).await;
    f.advance(Duration::from_secs(1));
    assert_eq!(
        claim(f, &mut none, 10).await.held_by,
        [HeldBy::KindConcurrency]
    );
    assert!(f.claim(10).await.is_empty());
    assert_eq!(f.store.next_due(QUEUE, Some(f.now())).await.unwrap(), None);
    assert_eq!(ids(&f.claim_from("other", 10).await), [other]);
    assert_eq!(f.store.governed_queues().await.unwrap(), [QUEUE]);
}

pub(crate) async fn what_was_enqueued_before_or_elsewhere_is_governed_too(f: &Fixture) {
    // By the other handle, which has no idea.
    for _ in 0..1200 {
        let job = job();
        f.other.enqueue(&[job], Some(f.now())).await.unwrap();
    }
    let mut allotter = free();
    let jobs = drain(f, &mut allotter).await;
    assert_eq!(jobs.len(), 1200);
    f.other.enqueue(&[job()], Some(f.now())).await.unwrap();
    assert_eq!(drain(f, &mut allotter).await.len(), 1);
}

pub(crate) async fn what_runs_already_is_counted(f: &Fixture) {
    for _ in 0..5 {
        f.add(job()).await;
    }
    let running = f.claim(2).await;
    let mut three = by(r#"{"concurrency": 3}"#);
    assert_eq!(claim(f, &mut three, 10).await.jobs.len(), 1);
    let held = claim(f, &mut three, 10).await;
    assert_eq!(
        (held.jobs.len(), held.held_by),
        (0, vec![HeldBy::QueueConcurrency])
    );
    f.complete(running[0].lease()).await;
    assert_eq!(claim(f, &mut three, 10).await.jobs.len(), 1);
}

pub(crate) async fn handing_back_leaves_nothing_behind(f: &Fixture) {
    let mut one = by(r#"{"concurrency": 1}"#);
    let mut all = Vec::new();
    for priority in [5, 3, 7] {
        all.push(f.add(job_with(|job| job.priority = priority)).await);
    }
    let first = claim(f, &mut one, 10).await.jobs;
    assert_eq!(ids(&first), [all[1]]);
    while f.store.ungovern(QUEUE, 1).await.unwrap() > 0 {}
    assert_eq!(f.store.governed_queues().await.unwrap(), [""; 0]);
    assert_eq!(f.claim_ids().await, [all[0], all[2]]);
    // One that was claimed under the policy comes back to whoever claims now.
    f.end(first[0].lease(), Verdict::Release).await;
    f.store.ungovern(QUEUE, 10).await.unwrap();
    assert_eq!(f.claim_ids().await, [all[1]]);
}

pub(crate) async fn governed_jobs_come_back_governed(f: &Fixture) {
    let mut allotter = free();
    assert!(drain(f, &mut allotter).await.is_empty());
    let mut added = Vec::new();
    for _ in 0..5 {
        added.push(f.add(job()).await);
    }
    let jobs = drain(f, &mut allotter).await;
    assert_eq!(ids(&jobs), added);
    f.end(jobs[0].lease(), Verdict::Retry { at: f.now() }).await;
    f.end(jobs[1].lease(), Verdict::Snooze { until: f.now() })
        .await;
    f.end(jobs[2].lease(), Verdict::Release).await;
    f.end(jobs[3].lease(), Verdict::Dead).await;
    let requeued = f
        .store
        .requeue(jobs[3].id, None, Some(f.now()))
        .await
        .unwrap();
    assert_eq!(requeued, windlass::store::Changed::Done);
    assert_eq!(f.crash().await.len(), 1);
    let mut back = ids(&drain(f, &mut allotter).await);
    back.sort_unstable();
    assert_eq!(back, added);
}

pub(crate) async fn a_revived_job_keeps_its_limit_key(f: &Fixture) {
    let mut one = by(r#"{"keys": {"account": {"concurrency": 1}}}"#);
    let account = |job: &mut NewJob| job.limit_key = Some("account".to_owned());
    let first = f.add(job_with(account)).await;
    let claimed = claim(f, &mut one, 1).await.jobs;
    f.end(claimed[0].lease(), Verdict::Dead).await;
    f.add(job_with(account)).await;
    assert_eq!(claim(f, &mut one, 1).await.jobs.len(), 1);
    f.store.requeue(first, None, Some(f.now())).await.unwrap();
    f.advance(Duration::from_secs(1));
    assert_eq!(
        claim(f, &mut one, 1).await.held_by,
        [HeldBy::KeyConcurrency]
    );
}

pub(crate) async fn limits_of_queue_kind_and_key_hold(f: &Fixture) {
    let mut limits = by(
        r#"{"concurrency": 7, "kinds": {"mail": {"concurrency": 2}}, "per_key": {"concurrency": 3}}"#,
    );
    for tenant in ["a", "b", "c"] {
        for _ in 0..5 {
            f.add(of(tenant)).await;
        }
    }
    for _ in 0..5 {
        f.add(kind("mail")).await;
    }
    let jobs = drain(f, &mut limits).await;
    assert_eq!(jobs.len(), 7);
    assert!(
        tenants(&jobs)
            .iter()
            .all(|(tenant, jobs)| tenant.is_empty() || *jobs <= 3)
    );
    assert!(jobs.iter().filter(|job| job.kind == "mail").count() <= 2);
    for job in &jobs {
        f.complete(job.lease()).await;
    }
    assert_eq!(drain(f, &mut limits).await.len(), 7);
}

pub(crate) async fn a_job_may_choose_its_key(f: &Fixture) {
    let mut one = by(r#"{"per_key": {"concurrency": 1}}"#);
    for account in ["x", "y", "x"] {
        f.add(job_with(|job| {
            job.tenant_id = Some("acme".to_owned());
            job.limit_key = Some(account.to_owned());
        }))
        .await;
    }
    f.add(of("x")).await;
    assert_eq!(
        drain(f, &mut one).await.len(),
        2,
        "x and y; the tenant x is the key x too"
    );
}

pub(crate) async fn what_a_limit_holds_back_does_not_hide_the_rest(f: &Fixture) {
    let mut limits = by(r#"{"per_key": {"concurrency": 1}}"#);
    let mut jobs = Vec::new();
    for key in 0..600 {
        let blocked = |job: &mut NewJob| job.limit_key = Some(format!("key {key:04}"));
        jobs.extend([job_with(blocked), job_with(blocked)]);
    }
    f.enqueue(&jobs).await;
    assert_eq!(drain(f, &mut limits).await.len(), 600);
    let free = f
        .add(job_with(|job| {
            job.limit_key = Some("key 0333 b".to_owned());
        }))
        .await;
    f.advance(Duration::from_secs(1));
    assert_eq!(ids(&drain(f, &mut limits).await), [free]);
}

pub(crate) async fn tokens_come_back_in_time(f: &Fixture) {
    let mut rate = by(r#"{"rate": {"jobs": 10, "per_ms": 1000, "burst": 3}}"#);
    for _ in 0..20 {
        f.add(job()).await;
    }
    let granted = claim(f, &mut rate, 100).await;
    assert_eq!(granted.jobs.len(), 3);
    assert_eq!(granted.held_by, [HeldBy::QueueRate]);
    assert_eq!(granted.again_in, Some(Duration::from_millis(100)));
    f.advance(Duration::from_millis(250));
    assert_eq!(claim(f, &mut rate, 100).await.jobs.len(), 2);
    // The tokens are the store's: another process draws from the same bucket.
    f.advance(Duration::from_millis(50));
    let mut elsewhere = by(r#"{"rate": {"jobs": 10, "per_ms": 1000, "burst": 3}}"#);
    let granted = f
        .other
        .claim_governed(governed_claim(f, 100), &mut elsewhere)
        .await;
    assert_eq!(granted.unwrap().jobs.len(), 1);
    assert_eq!(claim(f, &mut rate, 100).await.jobs.len(), 0);
    f.advance(Duration::from_mins(1));
    assert_eq!(claim(f, &mut rate, 100).await.jobs.len(), 3);
}

pub(crate) async fn tenants_take_turns(f: &Fixture) {
    let mut fair = by(r#"{"fair": {"weights": {"c": 2}}}"#);
    assert!(drain(f, &mut fair).await.is_empty());
    let mut jobs = Vec::new();
    for tenant in ["a", "b", "c"] {
        jobs.extend((0..400).map(|_| of(tenant)));
    }
    f.enqueue(&jobs).await;
    let mut taken = Vec::new();
    for room in [1, 3, 50, 7, 100, 39] {
        taken.extend(claim(f, &mut fair, room).await.jobs);
    }
    let counts = tenants(&taken);
    assert_eq!((counts["a"], counts["b"], counts["c"]), (50, 50, 100));
    let single = f.add(of("d")).await;
    let next = claim(f, &mut fair, 2).await.jobs;
    assert!(ids(&next).contains(&single), "{next:?}");
}

pub(crate) async fn one_tenants_many_keys_hide_no_other_tenant(f: &Fixture) {
    let mut fair = by(r#"{"fair": {}}"#);
    let many = (0..3000).map(|key| {
        job_with(|job| {
            job.tenant_id = Some("many".to_owned());
            job.limit_key = Some(format!("{key}"));
        })
    });
    f.enqueue(&many.collect::<Vec<_>>()).await;
    claim(f, &mut fair, 10).await;
    let single = f.add(of("single")).await;
    f.advance(Duration::from_secs(1));
    let next = claim(f, &mut fair, 2).await.jobs;
    assert!(ids(&next).contains(&single), "{next:?}");
    assert_eq!(drain(f, &mut fair).await.len(), 3000 - 10 - 1);
}

pub(crate) async fn ageing_lets_the_least_urgent_run(f: &Fixture) {
    let mut ageing = by(r#"{"ageing_ms": 1000}"#);
    let old = f.add(job_with(|job| job.priority = 9)).await;
    f.advance(Duration::from_secs(8));
    let urgent = f.add(job_with(|job| job.priority = 0)).await;
    assert_eq!(ids(&claim(f, &mut ageing, 1).await.jobs), [urgent]);
    f.advance(Duration::from_secs(2));
    f.add(job_with(|job| job.priority = 0)).await;
    assert_eq!(ids(&claim(f, &mut ageing, 1).await.jobs), [old]);
}

pub(crate) async fn a_pause_holds_its_jobs_and_no_others(f: &Fixture) {
    let mut rules = Rules::default();
    rules.paused.push(Paused {
        kind: Some("mail".to_owned()),
        tenant: Some("a".to_owned()),
    });
    let mut paused = Allotter::new(rules);
    let mail = |tenant: &str| {
        job_with(|job| {
            "mail".clone_into(&mut job.kind);
            job.tenant_id = Some(tenant.to_owned());
        })
    };
    let held = f.add(mail("a")).await;
    let others = [f.add(mail("b")).await, f.add(of("a")).await];
    let mut taken = ids(&drain(f, &mut paused).await);
    taken.sort_unstable();
    assert_eq!(taken, others);
    paused.change(Rules::default());
    assert_eq!(ids(&drain(f, &mut paused).await), [held]);
}

pub(crate) async fn ordering_keys_are_kept(f: &Fixture) {
    let mut allotter = free();
    let ordered = |job: &mut NewJob| job.ordering_key = Some("line".to_owned());
    let first = f.add(job_with(ordered)).await;
    let second = f.add(job_with(ordered)).await;
    let taken = drain(f, &mut allotter).await;
    assert_eq!(ids(&taken), [first]);
    f.complete(taken[0].lease()).await;
    assert_eq!(ids(&drain(f, &mut allotter).await), [second]);
}

pub(crate) async fn a_later_job_says_when_to_come(f: &Fixture) {
    let mut allotter = free();
    let at = f.now() + Duration::from_secs(5);
    let later = f.add(job_with(|job| job.run_at = RunAt::At(at))).await;
    let granted = claim(f, &mut allotter, 10).await;
    assert_eq!((granted.jobs.len(), granted.more), (0, false));
    assert_eq!(granted.again_in, Some(Duration::from_secs(5)));
    // One of the same cell that is due before does not hide it.
    let first = f.add(job_with(|_| ())).await;
    let granted = claim(f, &mut allotter, 10).await;
    assert_eq!(ids(&granted.jobs), [first]);
    assert_eq!(granted.again_in, Some(Duration::from_secs(5)));
    f.advance(Duration::from_secs(5));
    assert_eq!(ids(&claim(f, &mut allotter, 10).await.jobs), [later]);
}

pub(crate) async fn counts_in_the_figures_of_its_queue(f: &Fixture) {
    let mut one = by(r#"{"concurrency": 1}"#);
    for _ in 0..3 {
        f.add(job()).await;
    }
    f.add(job_with(|job| {
        job.run_at = RunAt::In(Duration::from_mins(1));
    }))
    .await;
    claim(f, &mut one, 10).await;
    let stats = f.store.queues(Some(f.now())).await.unwrap();
    let [stats] = &stats[..] else {
        panic!("{stats:?}")
    };
    assert_eq!((stats.available, stats.scheduled, stats.running), (2, 1, 1));
    assert_eq!(stats.oldest_available_at, Some(f.now()));
    assert!(!stats.capped);
}

pub(crate) async fn no_limit_is_passed_by_many_at_once(f: &Fixture) {
    const POLICY: &str = r#"{"concurrency": 12, "kinds": {"k1": {"concurrency": 3}},
        "per_key": {"concurrency": 5}}"#;
    let mut jobs = Vec::new();
    for number in 0..200 {
        jobs.push(job_with(|job| {
            job.kind = format!("k{}", number % 3);
            job.tenant_id = Some(format!("t{}", number % 4));
        }));
    }
    f.enqueue(&jobs).await;
    let mut handles = Vec::new();
    for _ in 0..4 {
        handles.push(f.handle().await);
    }
    let now = f.now();
    let claimed = at_once(8, |number| {
        let store = handles[number % 4].clone();
        async move {
            let mut allotter = by(POLICY);
            let mut jobs = Vec::new();
            for _ in 0..5 {
                let claim = Claim {
                    queue: QUEUE,
                    worker: "worker",
                    limit: 4,
                    lease: LEASE,
                    now: Some(now),
                };
                jobs.extend(
                    store
                        .claim_governed(claim, &mut allotter)
                        .await
                        .unwrap()
                        .jobs,
                );
            }
            jobs
        }
    })
    .await;
    let jobs: Vec<ClaimedJob> = claimed.into_iter().flatten().collect();
    assert_eq!(jobs.len(), 12, "exactly as many as may run");
    assert!(jobs.iter().filter(|job| job.kind == "k1").count() <= 3);
    assert!(tenants(&jobs).values().all(|jobs| *jobs <= 5));
}
