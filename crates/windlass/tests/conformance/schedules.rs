//! Schedules and their ticks: each once, whatever else happens.

use std::sync::Arc;
use std::time::Duration;

use windlass::model::{
    Audit, AuditFilter, CatchUp, Origin, Overlap, RunAt, Schedule, ScheduleRecord, Skip, State,
    TickOutcome, TickRecord, Unique, Verdict,
};
use windlass::store::{Fire, Fired, Prune};
use windlass::{Json, NewJob, Timestamp};

use crate::fixture::{Fixture, at_once, job, job_with};

const NAME: &str = "hourly";
const HOUR: Duration = Duration::from_hours(1);

fn schedule() -> Schedule {
    Schedule {
        catch_up: CatchUp::All { within: HOUR * 48 },
        ..Schedule::new(NAME, "0 * * * *", "work", Json::empty_object())
    }
}

async fn declare(fx: &Fixture, schedules: &[Schedule]) {
    let declared = fx.store.declare_schedules(schedules, Some(fx.now()));
    declared.await.unwrap();
}

async fn record(fx: &Fixture) -> ScheduleRecord {
    let all = fx.other.schedules().await.unwrap();
    let mut named = all
        .into_iter()
        .filter(|record| record.schedule.name == NAME);
    named.next().expect("the schedule is there")
}

fn fire_of<'a>(fx: &Fixture, fire_at: Timestamp, job: &'a NewJob) -> Fire<'a> {
    Fire {
        schedule: NAME,
        fire_at,
        origin: Origin::Scheduled,
        overlap: Overlap::Allow,
        job,
        audit: None,
        now: Some(fx.now()),
    }
}

async fn fire(fx: &Fixture, overlap: Overlap, job: &NewJob) -> Fired {
    let fire = Fire {
        overlap,
        ..fire_of(fx, fx.now(), job)
    };
    fx.store.fire(fire).await.unwrap()
}

async fn ticks(fx: &Fixture) -> Vec<TickRecord> {
    let ticks = fx.other.ticks(NAME, None, 1000, Some(fx.now()));
    ticks.await.unwrap()
}

/// An hour later, with a schedule that is due.
async fn due(fx: &Fixture) {
    declare(fx, &[schedule()]).await;
    fx.advance(HOUR);
}

fn lined() -> NewJob {
    job_with(|job| job.ordering_key = Some(schedule().ordering_key()))
}

pub(crate) async fn are_kept_as_declared_and_count_from_then(fx: &Fixture) {
    let odd = Schedule {
        zone: "Europe/Berlin".into(),
        args: Json::parse(r#"{"n":1e400,"s":"\u0000"}"#).unwrap(),
        fire_at_arg: Some("at".into()),
        queue: Some("slow".into()),
        priority: Some(9),
        tenant_id: Some("acme".into()),
        overlap: Overlap::CancelPrevious,
        jitter: Duration::from_millis(1500),
        enabled: false,
        ..schedule()
    };
    let other = Schedule {
        name: "another".into(),
        catch_up: CatchUp::None,
        ..schedule()
    };
    let start = fx.now();
    declare(fx, &[odd.clone(), other.clone()]).await;
    let records = fx.other.schedules().await.unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!((&records[0].schedule, &records[1].schedule), (&other, &odd));
    assert!(records.iter().all(|record| record.decided_until == start));

    fx.advance(HOUR);
    let changed = Schedule {
        cron: "30 * * * *".into(),
        ..other.clone()
    };
    declare(fx, &[odd, changed.clone()]).await;
    let records = fx.other.schedules().await.unwrap();
    assert_eq!(records[0].schedule, changed);
    assert_eq!(
        records[0].decided_until,
        fx.now(),
        "another timetable owes nothing"
    );
    assert_eq!(records[1].decided_until, start, "a restart changes nothing");
    assert_eq!(records[1].declared_at, fx.now());
}

pub(crate) async fn make_a_tick_and_its_job_together_and_once(fx: &Fixture) {
    due(fx).await;
    let (at, job) = (fx.now(), job());
    let fired = fx.store.fire(fire_of(fx, at, &job)).await.unwrap();
    assert_eq!(fired, Fired::Fired(job.id));
    assert_eq!(fx.state(job.id).await, State::Available);
    assert_eq!(record(fx).await.decided_until, at);

    fx.advance(HOUR / 2);
    let second = crate::fixture::job();
    for store in [&fx.store, &fx.other] {
        let again = store.fire(fire_of(fx, at, &second)).await.unwrap();
        assert_eq!(again, Fired::Already);
    }
    assert_eq!(fx.store.get(second.id, None, None).await.unwrap(), None);
    let ticks = ticks(fx).await;
    assert_eq!(
        ticks,
        [TickRecord {
            schedule: NAME.into(),
            fire_at: at,
            origin: Origin::Scheduled,
            outcome: TickOutcome::Fired,
            fired_at: at,
            job_id: Some(job.id),
            state: Some(State::Available),
        }]
    );
}

pub(crate) async fn fire_once_though_twenty_fire_at_once(fx: &Fixture) {
    declare(fx, &[schedule()]).await;
    for _ in 0..5 {
        fx.advance(HOUR);
        let (now, before) = (fx.now(), ticks(fx).await.len());
        let answers = at_once(20, |number| {
            let store = Arc::clone(if number % 2 == 0 {
                &fx.store
            } else {
                &fx.other
            });
            let job = job();
            async move {
                let fire = Fire {
                    schedule: NAME,
                    fire_at: now,
                    origin: Origin::Scheduled,
                    overlap: Overlap::Allow,
                    job: &job,
                    audit: None,
                    now: Some(now),
                };
                store.fire(fire).await.unwrap()
            }
        })
        .await;
        let fired = answers.iter().filter(|it| matches!(it, Fired::Fired(_)));
        assert_eq!(fired.count(), 1, "{answers:?}");
        assert_eq!(
            answers.iter().filter(|it| **it == Fired::Already).count(),
            19
        );
        assert_eq!(ticks(fx).await.len(), before + 1);
    }
    assert_eq!(fx.claim_ids().await.len(), 5);
}

pub(crate) async fn fire_nothing_that_is_decided(fx: &Fixture) {
    due(fx).await;
    let now = fx.now();
    let missed = [now.minus(HOUR / 2), now.minus(HOUR / 4)];
    fx.store.pass_over(NAME, &missed, Some(now)).await.unwrap();
    assert_eq!(record(fx).await.decided_until, missed[1]);
    let job = job();
    for at in [missed[0], missed[1], now.minus(HOUR / 3)] {
        let fired = fx.other.fire(fire_of(fx, at, &job)).await.unwrap();
        assert_eq!(fired, Fired::Already, "{at}");
    }
    // Someone slower changes nothing, and writes nothing twice.
    fx.other
        .pass_over(NAME, &missed[..1], Some(now))
        .await
        .unwrap();
    fx.other.pass_over(NAME, &[], Some(now)).await.unwrap();
    fx.other
        .pass_over("none", &missed, Some(now))
        .await
        .unwrap();
    assert_eq!(record(fx).await.decided_until, missed[1]);
    let outcomes: Vec<_> = ticks(fx)
        .await
        .iter()
        .map(|t| (t.fire_at, t.outcome))
        .collect();
    let left_out = TickOutcome::Skipped(Skip::Missed);
    assert_eq!(outcomes, [(missed[1], left_out), (missed[0], left_out)]);
    assert_eq!(fire(fx, Overlap::Allow, &job).await, Fired::Fired(job.id));
}

pub(crate) async fn stop_and_go_on_as_operators_say(fx: &Fixture) {
    due(fx).await;
    let by = |action: &str| Audit::new("ana", action, "schedule/hourly").because("flood");
    let paused = |name: &'static str, note: &'static str| async move {
        let audit = by("schedule.pause");
        let paused = fx.store.pause_schedule(name, note, &audit, Some(fx.now()));
        paused.await.unwrap()
    };
    assert!(!paused("none", "flood").await);
    assert!(paused(NAME, "flood").await);
    let since = fx.now();
    assert_eq!(fire(fx, Overlap::Allow, &job()).await, Fired::Off);
    // An operator may run it all the same, and that is recorded with it.
    let wanted = job();
    let audit = by("schedule.run");
    let run = Fire {
        origin: Origin::RunNow,
        audit: Some(&audit),
        ..fire_of(fx, fx.now(), &wanted)
    };
    assert_eq!(fx.other.fire(run).await.unwrap(), Fired::Fired(wanted.id));
    assert_eq!(
        record(fx).await.decided_until,
        since.minus(HOUR),
        "it decides nothing"
    );

    fx.advance(HOUR);
    assert!(paused(NAME, "still wet").await);
    declare(fx, &[schedule()]).await;
    let kept = record(fx).await;
    assert_eq!(
        (kept.paused_at, kept.paused_note.as_deref()),
        (Some(since), Some("still wet"))
    );

    let resume = || async {
        let audit = by("schedule.resume");
        let resumed = fx.other.resume_schedule(NAME, &audit, Some(fx.now()));
        resumed.await.unwrap()
    };
    assert!(resume().await);
    assert!(!resume().await);
    let resumed = record(fx).await;
    assert_eq!((resumed.paused_at, resumed.paused_note), (None, None));
    assert_eq!(resumed.decided_until, fx.now(), "nothing is made up for");
    assert_eq!(fire(fx, Overlap::Allow, &job()).await, Fired::Already);
    fx.advance(HOUR);
    assert!(matches!(
        fire(fx, Overlap::Allow, &job()).await,
        Fired::Fired(_)
    ));

    let log = fx
        .store
        .audit(&AuditFilter::default(), None, 100)
        .await
        .unwrap();
    let actions: Vec<_> = log
        .iter()
        .map(|entry| entry.audit.action.as_str())
        .collect();
    let expected = [
        "schedule.resume",
        "schedule.pause",
        "schedule.run",
        "schedule.pause",
    ];
    assert_eq!(actions, expected, "what did nothing is not there");
}

pub(crate) async fn retire_when_no_program_has_them(fx: &Fixture) {
    let other = Schedule {
        name: "other".into(),
        ..schedule()
    };
    declare(fx, &[schedule(), other]).await;
    let keep = |names: &'static [&'static str]| async move {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let kept = fx.store.keep_schedules(&names, HOUR, Some(fx.now()));
        kept.await.unwrap()
    };
    fx.advance(HOUR);
    assert_eq!(keep(&[NAME]).await, Vec::<String>::new());
    fx.advance(Duration::from_micros(1));
    assert_eq!(keep(&[NAME]).await, ["other"]);
    assert_eq!(keep(&[NAME]).await, Vec::<String>::new());
    let of_other = |records: Vec<ScheduleRecord>| records[1].retired_at;
    assert_eq!(
        of_other(fx.other.schedules().await.unwrap()),
        Some(fx.now())
    );
    assert_eq!(record(fx).await.retired_at, None);

    fx.advance(HOUR * 2);
    assert_eq!(keep(&["other"]).await, [NAME]);
    assert_eq!(fire(fx, Overlap::Allow, &job()).await, Fired::Off);
    declare(fx, &[schedule()]).await;
    assert_eq!(record(fx).await.retired_at, None);
    fx.advance(HOUR);
    assert!(matches!(
        fire(fx, Overlap::Allow, &job()).await,
        Fired::Fired(_)
    ));
}

pub(crate) async fn skip_while_an_earlier_job_is_unfinished(fx: &Fixture) {
    due(fx).await;
    let first = job();
    assert_eq!(
        fire(fx, Overlap::Skip, &first).await,
        Fired::Fired(first.id)
    );
    fx.advance(HOUR);
    let claimed = fx.claim_one().await;
    let left_out = Fired::Skipped(Skip::Overlap);
    assert_eq!(fire(fx, Overlap::Skip, &job()).await, left_out);
    fx.complete(claimed.lease()).await;
    fx.advance(HOUR);
    let third = job();
    assert_eq!(
        fire(fx, Overlap::Skip, &third).await,
        Fired::Fired(third.id)
    );
    let told: Vec<_> = ticks(fx)
        .await
        .iter()
        .map(|t| (t.outcome, t.state))
        .collect();
    assert_eq!(
        told,
        [
            (TickOutcome::Fired, Some(State::Available)),
            (TickOutcome::Skipped(Skip::Overlap), None),
            (TickOutcome::Fired, Some(State::Completed)),
        ]
    );
}

pub(crate) async fn let_jobs_overlap_or_wait(fx: &Fixture) {
    due(fx).await;
    let (first, second) = (lined(), lined());
    fire(fx, Overlap::Queue, &first).await;
    fx.advance(HOUR);
    assert_eq!(
        fire(fx, Overlap::Queue, &second).await,
        Fired::Fired(second.id)
    );
    assert_eq!(fx.state(second.id).await, State::Waiting);
    fx.advance(HOUR);
    let third = job();
    assert_eq!(
        fire(fx, Overlap::Allow, &third).await,
        Fired::Fired(third.id)
    );
    assert_eq!(fx.claim_ids().await, [first.id, third.id]);
}

pub(crate) async fn cancel_the_previous_and_run_after_it(fx: &Fixture) {
    due(fx).await;
    let (first, second, third) = (lined(), lined(), lined());
    fire(fx, Overlap::CancelPrevious, &first).await;
    fx.advance(HOUR);
    // One that waits is gone at once.
    assert_eq!(
        fire(fx, Overlap::CancelPrevious, &second).await,
        Fired::Fired(second.id)
    );
    assert_eq!(fx.state(first.id).await, State::Cancelled);
    assert_eq!(fx.state(second.id).await, State::Available);
    // One that runs is asked, and the next waits until it has ended.
    let running = fx.claim_one().await;
    assert_eq!(running.id, second.id);
    fx.advance(HOUR);
    assert_eq!(
        fire(fx, Overlap::CancelPrevious, &third).await,
        Fired::Fired(third.id)
    );
    assert!(fx.get(second.id).await.cancel_requested_at.is_some());
    assert_eq!(fx.state(third.id).await, State::Waiting);
    fx.end(running.lease(), Verdict::Cancel).await;
    assert_eq!(fx.claim_ids().await, [third.id]);
}

pub(crate) async fn say_which_job_stands_for_a_duplicate(fx: &Fixture) {
    due(fx).await;
    let only_one = || {
        job_with(|job| {
            job.unique = Some(Unique {
                key: "one".into(),
                window: None,
                conflict: windlass::model::Conflict::ReturnExisting,
            });
        })
    };
    let holder = only_one();
    fx.add(holder.clone()).await;
    let left_out = Fired::Skipped(Skip::Duplicate);
    assert_eq!(fire(fx, Overlap::Allow, &only_one()).await, left_out);
    let ticks = ticks(fx).await;
    assert_eq!(ticks[0].job_id, Some(holder.id));
    assert_eq!(ticks[0].outcome, TickOutcome::Skipped(Skip::Duplicate));
    assert_eq!(fx.claim_ids().await, [holder.id]);
}

pub(crate) async fn backfill_what_was_left_out_and_nothing_twice(fx: &Fixture) {
    due(fx).await;
    let (now, first) = (fx.now(), job());
    let missed = [now.minus(HOUR / 2)];
    fx.store.pass_over(NAME, &missed, Some(now)).await.unwrap();
    fire(fx, Overlap::Allow, &first).await;
    let backfill = |fire_at: Timestamp| async move {
        let job = job();
        let fire = Fire {
            origin: Origin::Backfill,
            ..fire_of(fx, fire_at, &job)
        };
        fx.other.fire(fire).await.unwrap()
    };
    let long_ago = now.minus(HOUR * 24 * 400);
    assert!(matches!(backfill(missed[0]).await, Fired::Fired(_)));
    assert!(matches!(backfill(long_ago).await, Fired::Fired(_)));
    for at in [missed[0], now, long_ago] {
        assert_eq!(backfill(at).await, Fired::Already);
    }
    assert_eq!(record(fx).await.decided_until, now);
    let told: Vec<_> = ticks(fx)
        .await
        .iter()
        .map(|t| (t.fire_at, t.origin))
        .collect();
    assert_eq!(
        told,
        [
            (now, Origin::Scheduled),
            (missed[0], Origin::Backfill),
            (long_ago, Origin::Backfill)
        ]
    );
}

pub(crate) async fn tell_their_ticks_page_by_page(fx: &Fixture) {
    due(fx).await;
    let start = fx.now();
    for _ in 0..5 {
        fire(
            fx,
            Overlap::Allow,
            &job_with(|job| job.run_at = RunAt::In(HOUR * 2)),
        )
        .await;
        fx.advance(HOUR);
    }
    let page = |before: Option<Timestamp>, limit: u32| async move {
        let ticks = fx.store.ticks(NAME, before, limit, Some(fx.now()));
        ticks.await.unwrap()
    };
    let newest = page(None, 2).await;
    assert_eq!(newest[0].fire_at, start + HOUR * 4);
    // Seen as of now: what waits only for a time gone by is available.
    assert_eq!(newest[0].state, Some(State::Scheduled));
    assert_eq!(newest.len(), 2);
    let rest = page(Some(newest[1].fire_at), 1000).await;
    assert_eq!(rest.len(), 3);
    assert_eq!(rest[0].state, Some(State::Available));
    assert_eq!(rest[2].fire_at, start);
    assert_eq!(fx.store.ticks("none", None, 10, None).await.unwrap(), []);
}

pub(crate) async fn remember_how_jobs_ended_when_those_are_gone(fx: &Fixture) {
    due(fx).await;
    for verdict in [Verdict::Complete { result: None }, Verdict::Dead] {
        let job = job();
        fire(fx, Overlap::Allow, &job).await;
        let claimed = fx.claim_one().await;
        fx.end(claimed.lease(), verdict).await;
        fx.advance(HOUR);
    }
    let open = job();
    fire(fx, Overlap::Allow, &open).await;
    fx.advance(HOUR * 24);
    let keep = HOUR * 24 * 30;
    assert_eq!(fx.store.prune_ticks(keep, Some(fx.now())).await.unwrap(), 0);
    let prune = Prune {
        completed: HOUR,
        cancelled: HOUR,
        dead: HOUR,
        limit: 100,
        now: Some(fx.now()),
    };
    assert_eq!(fx.store.prune(prune).await.unwrap(), 2);
    let states: Vec<_> = ticks(fx).await.iter().map(|tick| tick.state).collect();
    let expected = [State::Available, State::Dead, State::Completed];
    assert_eq!(states, expected.map(Some));
}

pub(crate) async fn forget_old_ticks_but_fire_none_again(fx: &Fixture) {
    declare(fx, &[schedule()]).await;
    let first = fx.now() + HOUR;
    let mut jobs = Vec::new();
    for _ in 0..110 {
        fx.advance(HOUR);
        let job = job();
        fire(fx, Overlap::Allow, &job).await;
        jobs.push(job.id);
    }
    fx.advance(HOUR * 24 * 31);
    let keep = HOUR * 24 * 30;
    // Open ones stay, however old.
    assert_eq!(fx.store.prune_ticks(keep, Some(fx.now())).await.unwrap(), 0);
    for claimed in fx.claim(1000).await {
        fx.complete(claimed.lease()).await;
    }
    let long = HOUR * 24 * 365;
    assert_eq!(fx.store.prune_ticks(long, Some(fx.now())).await.unwrap(), 0);
    assert_eq!(
        fx.store.prune_ticks(keep, Some(fx.now())).await.unwrap(),
        10
    );
    let left = ticks(fx).await;
    assert_eq!(left.len(), 100);
    assert_eq!(left[99].fire_at, first + HOUR * 10);
    let job = job();
    let again = fx.store.fire(fire_of(fx, first, &job)).await.unwrap();
    assert_eq!(again, Fired::Already);
}
