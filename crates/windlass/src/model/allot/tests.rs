use proptest::prelude::*;

use super::*;
use crate::model::{Fair, JobId, Json, Limit, Rate};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn policy(json: &str) -> QueuePolicy {
    let policy: QueuePolicy = serde_json::from_str(json).unwrap();
    policy.validate().unwrap();
    policy
}

fn rules(json: &str) -> Rules {
    Rules {
        policy: policy(json),
        ..Rules::default()
    }
}

fn cell(tenant: &str, kind: &str, priority: u8) -> Cell {
    Cell {
        tenant: tenant.to_owned(),
        kind: kind.to_owned(),
        key: tenant.to_owned(),
        priority,
    }
}

/// A queue as a store would keep it.
#[derive(Debug, Clone, Default)]
struct Queue {
    waiting: BTreeMap<Cell, Vec<Timestamp>>,
    running: HashMap<(String, String), u64>,
    buckets: Buckets,
}

impl Queue {
    fn add(&mut self, cell: &Cell, jobs: usize, run_at: Timestamp) {
        let waiting = self.waiting.entry(cell.clone()).or_default();
        waiting.extend(std::iter::repeat_n(run_at, jobs));
        waiting.sort();
    }

    /// A claim, with cells counted to a depth; the jobs in order, and what the round ended with.
    fn claim(
        &mut self,
        allotter: &mut Allotter,
        room: u32,
        depth: usize,
        now: Timestamp,
    ) -> (Vec<Cell>, Ended) {
        let heads: Vec<Head> = self
            .waiting
            .iter()
            .filter(|(_, jobs)| !jobs.is_empty())
            .map(|(cell, jobs)| {
                let due = jobs.partition_point(|run_at| *run_at <= now);
                Head {
                    cell: cell.clone(),
                    run_at: jobs[0],
                    due: u32::try_from(due.min(depth)).unwrap(),
                    deep: due >= depth,
                    later: jobs.get(due).copied(),
                }
            })
            .collect();
        let running: Vec<Running> = self
            .running
            .iter()
            .map(|((kind, key), jobs)| Running {
                kind: kind.clone(),
                key: key.clone(),
                jobs: *jobs,
            })
            .collect();
        let mut round = allotter.begin(now, &heads, &running, &self.buckets);
        let mut keys = HashMap::new();
        loop {
            let grants = round.grants(room);
            if grants.is_empty() {
                break;
            }
            let mut taken = Vec::new();
            for (Head { cell, .. }, most) in grants {
                let jobs = self.waiting.get_mut(cell).unwrap();
                let due = jobs.partition_point(|run_at| *run_at <= now);
                for run_at in jobs.drain(..due.min(most as usize)) {
                    let job = claimed(cell, run_at);
                    keys.insert(job.id, cell.clone());
                    taken.push((job, cell.key.clone()));
                }
            }
            round.took(taken);
        }
        let ended = round.end();
        self.buckets.extend(ended.buckets.clone());
        let cells: Vec<Cell> = ended.jobs.iter().map(|job| keys[&job.id].clone()).collect();
        for cell in &cells {
            let run = (cell.kind.clone(), cell.key.clone());
            *self.running.entry(run).or_default() += 1;
        }
        (cells, ended)
    }

    fn running(&self, of: impl Fn(&(String, String)) -> bool) -> u64 {
        let running = self.running.iter().filter(|(run, _)| of(run));
        running.map(|(_, jobs)| jobs).sum()
    }
}

fn claimed(cell: &Cell, run_at: Timestamp) -> ClaimedJob {
    ClaimedJob {
        id: JobId::new(),
        kind: cell.kind.clone(),
        args: Json::empty_object(),
        queue: "queue".to_owned(),
        priority: cell.priority,
        run_at,
        attempt: 1,
        max_attempts: 1,
        crashes: 0,
        claim_no: 1,
        tenant_id: Some(cell.tenant.clone()).filter(|tenant| !tenant.is_empty()),
        correlation_id: None,
        trace_parent: None,
        ordering_key: None,
        enqueued_at: run_at,
        claimed_at: run_at,
        checkpoint: None,
    }
}

fn count(cells: &[Cell], tenant: &str) -> usize {
    cells.iter().filter(|cell| cell.tenant == tenant).count()
}

proptest! {
    #[test]
    fn tenants_get_their_shares_whatever_the_size_of_claims(
        rooms in prop::collection::vec(1_u32..40, 20..40),
        weights in prop::collection::vec(1_u32..5, 2..5),
        depth in 1_usize..40,
    ) {
        let names: Vec<String> = (0..weights.len()).map(|i| format!("t{i}")).collect();
        let fair = Fair { weights: names.iter().cloned().zip(weights.clone()).collect() };
        let policy = QueuePolicy { fair: Some(fair), ..QueuePolicy::default() };
        let mut allotter = Allotter::new(Rules { policy, ..Rules::default() });
        let mut queue = Queue::default();
        for name in &names {
            queue.add(&cell(name, "work", 5), 1_700, NOW);
        }
        let mut taken = Vec::new();
        for room in rooms {
            taken.extend(queue.claim(&mut allotter, room, depth, NOW).0);
        }
        let whole: u32 = weights.iter().sum();
        for (name, weight) in names.iter().zip(weights) {
            let share = f64::from(weight) / f64::from(whole) * jobs(taken.len());
            let got = jobs(count(&taken, name));
            // Never more than one turn off, at any moment.
            prop_assert!((got - share).abs() <= f64::from(weight) + 1.0, "{name}: {got} of {share}");
        }
    }

    #[test]
    fn no_limit_is_ever_passed_and_what_is_free_is_taken(
        cells in prop::collection::vec((0_usize..4, 0_usize..3, 0_u8..3, 1_usize..30), 1..12),
        limits in prop::collection::vec(1_u32..12, 3),
        rate in 1_u32..50,
        steps in prop::collection::vec((1_u32..40, 0_u64..400, 0_usize..20), 1..30),
        depth in 1_usize..20,
        fair in any::<bool>(),
    ) {
        let limit = |concurrency| Limit { concurrency: Some(concurrency), rate: None };
        let rate = Rate { jobs: rate, per_ms: 1000, burst: Some(7) };
        let policy = QueuePolicy {
            concurrency: Some(limits[0]),
            kinds: BTreeMap::from([
                ("k0".to_owned(), limit(limits[1])),
                ("k1".to_owned(), Limit { concurrency: None, rate: Some(rate) }),
            ]),
            per_key: Some(limit(limits[2])),
            fair: fair.then(Fair::default),
            ..QueuePolicy::default()
        };
        let mut allotter = Allotter::new(Rules { policy, ..Rules::default() });
        let mut queue = Queue::default();
        for (tenant, kind, priority, jobs) in cells {
            let tenant = ["", "a", "b", "c"][tenant];
            queue.add(&cell(tenant, &format!("k{kind}"), priority), jobs, NOW);
        }
        let mut now = NOW;
        let mut started = 0.0;
        for (room, pause, end) in steps {
            now = now + Duration::from_millis(pause);
            let (taken, ended) = queue.claim(&mut allotter, room, depth, now);
            prop_assert!(taken.len() <= room as usize);
            prop_assert!(queue.running(|_| true) <= u64::from(limits[0]));
            prop_assert!(queue.running(|run| run.0 == "k0") <= u64::from(limits[1]));
            for key in ["a", "b", "c"] {
                prop_assert!(queue.running(|run| run.1 == key) <= u64::from(limits[2]));
            }
            started += jobs(taken.iter().filter(|cell| cell.kind == "k1").count());
            let most = 7.0 + now.since(NOW).as_secs_f64() * f64::from(rate.jobs);
            prop_assert!(started <= most + 1e-3, "{started} > {most}");
            // If there was room, whatever is left is held back by something that it is told by.
            let left = queue.waiting.values().any(|jobs| !jobs.is_empty());
            if taken.len() < room as usize && left {
                prop_assert!(!ended.held_by.is_empty());
                prop_assert!(ended.again_in.is_some());
            }
            let runs: Vec<_> = queue.running.keys().cloned().collect();
            for run in runs.into_iter().cycle().take(end) {
                let jobs = queue.running.get_mut(&run).unwrap();
                *jobs = jobs.saturating_sub(1);
            }
        }
    }
}

#[test]
fn who_was_away_has_saved_nothing_up() {
    let mut allotter = Allotter::new(rules(r#"{"fair": {}}"#));
    let mut queue = Queue::default();
    let (a, b) = (cell("a", "work", 5), cell("b", "work", 5));
    queue.add(&a, 1000, NOW);
    assert_eq!(queue.claim(&mut allotter, 500, 16, NOW).0.len(), 500);
    queue.add(&b, 1000, NOW);
    let (taken, _) = queue.claim(&mut allotter, 100, 16, NOW);
    assert!(
        (49..=51).contains(&count(&taken, "b")),
        "{}",
        count(&taken, "b")
    );
}

#[test]
fn a_single_job_is_next_whatever_others_have_waiting() {
    let mut allotter = Allotter::new(rules(r#"{"fair": {}}"#));
    let mut queue = Queue::default();
    queue.add(&cell("large", "work", 0), 100_000, NOW);
    queue.claim(&mut allotter, 1000, 125, NOW);
    queue.add(&cell("small", "work", 9), 1, NOW);
    let (taken, _) = queue.claim(&mut allotter, 2, 4, NOW);
    assert_eq!(count(&taken, "small"), 1, "within one turn");
}

#[test]
fn turns_mix_within_a_claim() {
    let mut allotter = Allotter::new(rules(r#"{"fair": {}}"#));
    let mut queue = Queue::default();
    queue.add(&cell("a", "work", 5), 10, NOW);
    queue.add(&cell("b", "work", 5), 10, NOW);
    let (taken, _) = queue.claim(&mut allotter, 8, 100, NOW);
    let order: Vec<&str> = taken.iter().map(|cell| cell.tenant.as_str()).collect();
    assert_eq!(order, ["a", "b", "a", "b", "a", "b", "a", "b"]);
}

#[test]
fn within_a_tenant_priority_comes_first_then_time() {
    let mut allotter = Allotter::new(rules(r#"{"concurrency": 100}"#));
    let mut queue = Queue::default();
    let earlier = NOW.minus(Duration::from_mins(1));
    queue.add(&cell("a", "late", 1), 1, NOW);
    queue.add(
        &cell("a", "old", 2),
        1,
        earlier.minus(Duration::from_secs(9)),
    );
    queue.add(&cell("a", "early", 1), 1, earlier);
    let (taken, _) = queue.claim(&mut allotter, 3, 100, NOW);
    let kinds: Vec<&str> = taken.iter().map(|cell| cell.kind.as_str()).collect();
    assert_eq!(kinds, ["early", "late", "old"]);
}

#[test]
fn with_ageing_the_least_urgent_job_is_run_in_the_end() {
    let starved = |policy: &str| {
        let mut allotter = Allotter::new(rules(policy));
        let mut queue = Queue::default();
        queue.add(&cell("a", "work", 9), 1, NOW);
        let mut now = NOW;
        for second in 0..60 {
            now = now + Duration::from_secs(1);
            queue.add(&cell("a", "work", 0), 2, now);
            let (taken, _) = queue.claim(&mut allotter, 1, 10, now);
            if taken[0].priority == 9 {
                return Some(second);
            }
        }
        None
    };
    assert_eq!(starved(r#"{"concurrency": 1000000}"#), None);
    let waited = starved(r#"{"ageing_ms": 2000}"#).unwrap();
    // Nine priorities of two seconds each; the queue of the urgent ones grows older meanwhile.
    assert!((17..=40).contains(&waited), "{waited}");
}

#[test]
fn what_is_paused_does_not_start_and_the_rest_does() {
    let mut rules = rules(r#"{"fair": {}}"#);
    let paused = |kind: Option<&str>, tenant: Option<&str>| Paused {
        kind: kind.map(str::to_owned),
        tenant: tenant.map(str::to_owned),
    };
    rules.paused = vec![
        paused(Some("mail"), None),
        paused(None, Some("b")),
        paused(Some("work"), Some("c")),
    ];
    let mut allotter = Allotter::new(rules);
    let mut queue = Queue::default();
    queue.add(&cell("a", "mail", 0), 5, NOW);
    queue.add(&cell("a", "work", 5), 5, NOW);
    queue.add(&cell("b", "work", 5), 5, NOW);
    queue.add(&cell("c", "work", 5), 5, NOW);
    let (taken, ended) = queue.claim(&mut allotter, 100, 100, NOW);
    assert_eq!(taken, vec![cell("a", "work", 5); 5]);
    assert_eq!(ended.held_by, [HeldBy::Pause]);
    assert_eq!(ended.again_in, None, "a pause ends by its own event");
}

#[test]
fn a_limit_of_one_key_leaves_the_others_alone() {
    let mut allotter = Allotter::new(rules(
        r#"{"per_key": {"concurrency": 1}, "keys": {"b": {"concurrency": 3}}}"#,
    ));
    let mut queue = Queue::default();
    for tenant in ["", "a", "b", "c"] {
        queue.add(&cell(tenant, "work", 5), 5, NOW);
    }
    let (taken, ended) = queue.claim(&mut allotter, 100, 100, NOW);
    let got = ["", "a", "b", "c"].map(|tenant| count(&taken, tenant));
    assert_eq!(got, [5, 1, 3, 1], "no key, no limit");
    assert_eq!(ended.held_by, [HeldBy::KeyConcurrency]);
}

#[test]
fn tokens_come_back_evenly_and_are_asked_for_in_time() {
    let mut allotter = Allotter::new(rules(
        r#"{"kinds": {"mail": {"rate": {"jobs": 10, "per_ms": 1000, "burst": 2}}}}"#,
    ));
    let mut queue = Queue::default();
    queue.add(&cell("a", "mail", 5), 100, NOW);
    let (taken, ended) = queue.claim(&mut allotter, 10, 100, NOW);
    assert_eq!(
        (taken.len(), ended.again_in),
        (2, Some(Duration::from_millis(100)))
    );
    assert_eq!(ended.held_by, [HeldBy::KindRate]);
    let later = NOW + Duration::from_millis(50);
    let (taken, ended) = queue.claim(&mut allotter, 10, 100, later);
    assert_eq!(
        (taken.len(), ended.again_in),
        (0, Some(Duration::from_millis(50)))
    );
    assert!(ended.buckets.is_empty(), "nothing passed, nothing to write");
    let later = NOW + Duration::from_millis(100);
    assert_eq!(queue.claim(&mut allotter, 10, 100, later).0.len(), 1);
    let rested = NOW + Duration::from_mins(1);
    assert_eq!(queue.claim(&mut allotter, 10, 100, rested).0.len(), 2);
}

#[test]
fn a_clock_put_back_stops_no_rate_for_long() {
    let mut allotter = Allotter::new(rules(r#"{"rate": {"jobs": 10, "burst": 1}}"#));
    let mut queue = Queue::default();
    queue.add(
        &cell("a", "work", 5),
        10,
        NOW.minus(Duration::from_hours(2)),
    );
    assert_eq!(queue.claim(&mut allotter, 5, 10, NOW).0.len(), 1);
    let back = NOW.minus(Duration::from_hours(1));
    assert_eq!(queue.claim(&mut allotter, 5, 10, back).0.len(), 0);
    let soon = back + Duration::from_millis(100);
    assert_eq!(queue.claim(&mut allotter, 5, 10, soon).0.len(), 1);
}

#[test]
fn a_job_that_is_due_later_says_when_to_come() {
    let mut allotter = Allotter::new(rules(r#"{"fair": {}}"#));
    let mut queue = Queue::default();
    queue.add(&cell("a", "work", 5), 1, NOW + Duration::from_secs(3));
    let (taken, ended) = queue.claim(&mut allotter, 5, 10, NOW);
    assert!(taken.is_empty());
    assert_eq!(ended.again_in, Some(Duration::from_secs(3)));
    assert!(ended.held_by.is_empty());
    // Nor does one that was due before it hide it.
    queue.add(&cell("a", "work", 5), 1, NOW);
    let (taken, ended) = queue.claim(&mut allotter, 5, 10, NOW);
    assert_eq!(taken.len(), 1);
    assert_eq!(ended.again_in, Some(Duration::from_secs(3)));
}

#[test]
fn what_another_took_first_is_not_counted() {
    let mut allotter = Allotter::new(rules(r#"{"concurrency": 5, "fair": {}}"#));
    let a = cell("a", "work", 5);
    let heads = [Head {
        cell: a,
        run_at: NOW,
        due: 5,
        deep: false,
        later: None,
    }];
    let mut round = allotter.begin(NOW, &heads, &[], &Buckets::new());
    assert_eq!(round.grants(10), [(&heads[0], 5)]);
    round.took(Vec::new());
    assert!(round.grants(10).is_empty(), "somebody else has them");
    let ended = round.end();
    assert!(ended.jobs.is_empty() && ended.held_by.is_empty());
}
