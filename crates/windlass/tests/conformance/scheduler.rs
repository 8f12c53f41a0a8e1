//! Schedulers on a simulated clock: many of them, killed, cut off, and after an outage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::engine::{Round, Scheduler};
use windlass::model::{CatchUp, Cron, Origin, Overlap, Schedule, Skip, TickOutcome, TickRecord};
use windlass::store::{Prune, Store};
use windlass::{Client, Context, Job, Json, Outcome, Registry, Timestamp};

use crate::fixture::{Fixture, START, at_once};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const TERM: Duration = Duration::from_secs(15);

#[derive(Serialize, Deserialize)]
struct Work {}

impl Job for Work {
    const KIND: &'static str = "work";
    type Services = ();

    async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> {
        Ok(Outcome::complete())
    }
}

/// Times in zones whose clocks change, intervals, and all ways to overlap and to catch up.
fn timetable() -> Vec<Schedule> {
    let schedule = |name: &str, cron: &str, zone: &str, catch_up| Schedule {
        zone: zone.to_owned(),
        catch_up,
        overlap: Overlap::Allow,
        jitter: Duration::from_secs(90),
        ..Schedule::new(name, cron, Work::KIND, Json::empty_object())
    };
    let all = CatchUp::All { within: DAY * 7 };
    vec![
        schedule("backup", "30 2 * * *", "Europe/Berlin", all),
        schedule(
            "digest",
            "0 9 * * MON-FRI",
            "America/New_York",
            CatchUp::Latest,
        ),
        schedule("report", "5 0 * * *", "UTC", CatchUp::None),
        schedule("sweep", "0 */6 * * *", "Asia/Kathmandu", CatchUp::None),
        schedule(
            "tidy",
            "*/40 0-3 * * *",
            "Australia/Lord_Howe",
            CatchUp::Latest,
        ),
    ]
}

fn client(store: &Arc<dyn Store>) -> Client {
    let registry = Registry::new(()).register::<Work>();
    Client::new(Arc::clone(store)).with_catalogue(registry.catalogue())
}

fn scheduler(store: &Arc<dyn Store>, timetable: Vec<Schedule>, number: usize) -> Scheduler {
    Scheduler::new(client(store), timetable, format!("process {number}"), TERM).unwrap()
}

async fn ticks(fx: &Fixture, schedule: &str) -> Vec<TickRecord> {
    let mut all: Vec<TickRecord> = Vec::new();
    loop {
        let before = all.last().map(|tick| tick.fire_at);
        let page = fx
            .store
            .ticks(schedule, before, 1000, Some(fx.now()))
            .await
            .unwrap();
        if page.is_empty() {
            all.reverse();
            return all;
        }
        all.extend(page);
    }
}

/// Every scheduler looks once, all at the same time; says who led.
async fn round(fx: &Fixture, schedulers: &mut [Option<Scheduler>]) -> Vec<(usize, Round)> {
    let now = fx.now();
    let mut looks = tokio::task::JoinSet::new();
    for (number, slot) in schedulers.iter_mut().enumerate() {
        if let Some(mut scheduler) = slot.take() {
            looks.spawn(async move {
                let round = scheduler.round(Some(now)).await.unwrap();
                (number, scheduler, round)
            });
        }
    }
    let mut led = Vec::new();
    while let Some(look) = looks.join_next().await {
        let (number, scheduler, round) = look.unwrap();
        schedulers[number] = Some(scheduler);
        led.extend(round.leads.then_some((number, round)));
    }
    led
}

/// What the timetable wants between two times.
fn wanted(schedule: &Schedule, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let cron = Cron::new(&schedule.cron, &schedule.zone).unwrap();
    cron.after(from).take_while(|at| *at <= until).collect()
}

/// Ten schedulers, ten days, three leaders killed. Time goes from tick to tick, and in between.
pub(crate) async fn fire_each_tick_once_with_ten_schedulers_and_three_leaders_killed(fx: &Fixture) {
    let start = fx.now();
    let end = start + DAY * 10;
    let mut schedulers: Vec<Option<Scheduler>> = (0..10)
        .map(|number| {
            let store = if number % 2 == 0 {
                &fx.store
            } else {
                &fx.other
            };
            Some(scheduler(store, timetable(), number))
        })
        .collect();
    let mut deaths: BTreeSet<Timestamp> = [2, 5, 8]
        .into_iter()
        .map(|day| start + DAY * day + HOUR * 3)
        .collect();
    let (mut killed, mut leader, mut next) = (Vec::new(), None, None);
    while fx.now() < end {
        let death_is_near = deaths.first().is_some_and(|death| *death <= fx.now());
        if death_is_near
            && next == Some(fx.now())
            && let Some(leader) = leader.take()
        {
            // Just as a tick falls due, and without a goodbye: its term has to run out.
            deaths.pop_first();
            schedulers[leader] = None;
            killed.push(leader);
        }
        let led = round(fx, &mut schedulers).await;
        assert!(led.len() <= 1, "two lead: {led:?}");
        leader = led.first().map(|(number, _)| *number);
        next = led.first().and_then(|(_, round)| round.next);
        let until_next = next.map_or(TERM / 3, |next| next.since(fx.now()));
        let step = match until_next.checked_sub(Duration::from_secs(5)) {
            Some(rest) if death_is_near && !rest.is_zero() => rest,
            _ => until_next,
        };
        // To every tick there is, and in between.
        fx.advance(step.clamp(Duration::from_micros(1), Duration::from_mins(40)));
    }
    round(fx, &mut schedulers).await;
    assert_eq!(killed.len(), 3);

    let mut jobs = BTreeSet::new();
    for schedule in timetable() {
        let ticks = ticks(fx, &schedule.name).await;
        let fired: Vec<_> = ticks.iter().map(|tick| tick.fire_at).collect();
        let wanted = wanted(&schedule, start, fx.now());
        assert!(wanted.len() > 5);
        assert_eq!(fired, wanted, "{}", schedule.name);
        assert!(ticks.iter().all(|tick| tick.outcome == TickOutcome::Fired));
        assert!(
            ticks
                .iter()
                .all(|tick| tick.fired_at.since(tick.fire_at) <= Duration::from_mins(1))
        );
        for tick in ticks {
            assert!(
                jobs.insert(tick.job_id.expect("it fired")),
                "one job for two ticks"
            );
        }
    }
    fx.advance(HOUR);
    let stored: BTreeSet<_> = fx.claim_ids().await.into_iter().collect();
    assert_eq!(
        stored, jobs,
        "each tick made one job, and nothing else made any"
    );
}

/// All think that they lead, and all look at once.
pub(crate) async fn fire_each_tick_once_though_everyone_leads(fx: &Fixture) {
    let start = fx.now();
    let schedules = vec![timetable().remove(0), timetable().remove(3)];
    for _ in 0..30 {
        let now = fx.now();
        let stores = [Arc::clone(&fx.store), Arc::clone(&fx.other)];
        let schedules = &schedules;
        at_once(6, |number| {
            // Another role for each: no election keeps them apart.
            let mut own = schedules.clone();
            let extra = format!("only {number}").replace(' ', "_");
            own.push(Schedule {
                name: extra,
                enabled: false,
                ..own[0].clone()
            });
            let mut own = scheduler(&stores[number % 2], own, number);
            async move {
                let round = own.round(Some(now)).await.unwrap();
                assert!(round.leads);
            }
        })
        .await;
        fx.advance(Duration::from_mins(50));
    }
    let until = fx.now().minus(Duration::from_mins(50));
    for schedule in &schedules {
        let ticks = ticks(fx, &schedule.name).await;
        let fired: Vec<_> = ticks.iter().map(|tick| tick.fire_at).collect();
        assert_eq!(fired, wanted(schedule, start, until), "{}", schedule.name);
        let jobs: BTreeSet<_> = ticks.iter().filter_map(|tick| tick.job_id).collect();
        let made = ticks
            .iter()
            .filter(|t| t.outcome == TickOutcome::Fired)
            .count();
        assert_eq!(jobs.len(), made);
    }
}

/// Two days in which no scheduler runs.
pub(crate) async fn catch_up_after_an_outage_of_two_days_as_each_policy_says(fx: &Fixture) {
    assert_eq!(
        START, 1_767_268_800_123_457,
        "what follows counts from noon"
    );
    let schedule = |name: &str, catch_up| Schedule {
        catch_up,
        overlap: Overlap::Allow,
        ..Schedule::new(name, "0 */6 * * *", Work::KIND, Json::empty_object())
    };
    let schedules = vec![
        schedule("all", CatchUp::All { within: DAY }),
        schedule("everything", CatchUp::All { within: DAY * 30 }),
        schedule("latest", CatchUp::Latest),
        schedule("none", CatchUp::None),
    ];
    scheduler(&fx.store, schedules.clone(), 0)
        .round(Some(fx.now()))
        .await
        .unwrap();
    // From noon to half an hour past noon, two days later.
    fx.advance(DAY * 2 + HOUR / 2);
    let up = fx.now();
    let mut after = scheduler(&fx.other, schedules.clone(), 1);
    let round = after.round(Some(up)).await.unwrap();
    assert!(round.leads);
    assert_eq!(
        after.round(Some(up)).await.unwrap().settled,
        0,
        "nothing is left to do"
    );

    let noon = Timestamp::from_micros(up.as_micros() / 3_600_000_000 * 3_600_000_000);
    let hours_ago = |hours: u32| noon.minus(HOUR * hours);
    let mut told = BTreeMap::new();
    for schedule in &schedules {
        let ticks = ticks(fx, &schedule.name).await;
        let made: Vec<_> = ticks
            .iter()
            .filter(|tick| tick.outcome == TickOutcome::Fired)
            .map(|tick| {
                assert_eq!(tick.origin, Origin::CatchUp);
                tick.fire_at
            })
            .collect();
        let newest_missed = ticks
            .iter()
            .filter(|tick| tick.outcome == TickOutcome::Skipped(Skip::Missed))
            .map(|tick| tick.fire_at)
            .next_back();
        told.insert(schedule.name.as_str(), (made, newest_missed));
    }
    let within_a_day = [18, 12, 6, 0].map(hours_ago).to_vec();
    let since_the_outage = [42, 36, 30, 24, 18, 12, 6, 0].map(hours_ago).to_vec();
    assert_eq!(told["all"], (within_a_day, Some(hours_ago(24))));
    assert_eq!(told["everything"], (since_the_outage, None));
    assert_eq!(told["latest"], (vec![hours_ago(0)], Some(hours_ago(6))));
    assert_eq!(told["none"], (vec![], Some(hours_ago(0))));

    // Then all goes on as ever.
    fx.advance(HOUR * 11 / 2);
    after.round(Some(fx.now())).await.unwrap();
    for schedule in &schedules {
        let last = ticks(fx, &schedule.name).await.pop().unwrap();
        assert_eq!(
            (last.fire_at, last.origin),
            (noon + HOUR * 6, Origin::Scheduled)
        );
    }
}

/// Ticks and jobs that retention has deleted leave nothing that fires again.
pub(crate) async fn fire_nothing_again_after_retention(fx: &Fixture) {
    let schedules = vec![Schedule {
        catch_up: CatchUp::All { within: DAY * 365 },
        overlap: Overlap::Allow,
        ..Schedule::new("often", "*/30 * * * * *", Work::KIND, Json::empty_object())
    }];
    let mut first = scheduler(&fx.store, schedules.clone(), 0);
    first.round(Some(fx.now())).await.unwrap();
    fx.advance(HOUR);
    assert_eq!(first.round(Some(fx.now())).await.unwrap().fired, 120);
    for claimed in fx.claim(1000).await {
        fx.complete(claimed.lease()).await;
    }
    fx.advance(Duration::from_secs(1));
    let now = Some(fx.now());
    assert_eq!(fx.store.prune_ticks(Duration::ZERO, now).await.unwrap(), 20);
    let prune = Prune {
        completed: Duration::ZERO,
        cancelled: Duration::ZERO,
        dead: Duration::ZERO,
        limit: 1000,
        now,
    };
    assert_eq!(fx.store.prune(prune).await.unwrap(), 120);
    drop(first);
    fx.advance(TERM);
    let mut second = scheduler(&fx.other, schedules, 1);
    let round = second.round(Some(fx.now())).await.unwrap();
    assert!(round.leads);
    assert_eq!(round.fired, 0);
}

/// A schedule that cannot be leaves nothing behind, not even the good ones beside it.
pub(crate) async fn refuse_bad_schedules_with_the_reason_and_create_nothing(fx: &Fixture) {
    let good = timetable().remove(0);
    for (bad, reason) in [
        (
            Schedule {
                name: "z".into(),
                zone: "Europe/Atlantis".into(),
                ..good.clone()
            },
            "zone: ",
        ),
        (
            Schedule {
                name: "d".into(),
                cron: "0 0 30 2 *".into(),
                ..good.clone()
            },
            "cron: ",
        ),
        (
            Schedule {
                name: "k".into(),
                kind: "wrok".into(),
                ..good.clone()
            },
            "kind: is not known; known are work",
        ),
        (
            Schedule {
                name: "a".into(),
                args: Json::parse("[1,2]").unwrap(),
                ..good.clone()
            },
            "args: ",
        ),
    ] {
        let name = bad.name.clone();
        let made = Scheduler::new(client(&fx.store), vec![good.clone(), bad], "p", TERM);
        let refused = made.expect_err(reason).to_string();
        assert!(
            refused.starts_with(&format!("schedule {name}: {reason}")),
            "{refused}"
        );
    }
    assert_eq!(fx.store.schedules().await.unwrap(), []);
}
