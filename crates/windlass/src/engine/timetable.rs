//! The schedules of a program, checked against its kinds, and the jobs that their ticks make.

use std::collections::BTreeSet;

use super::client::{Client, EnqueueError};
use crate::model::{
    InvalidJob, InvalidSchedule, NewJob, Origin, Overlap, RunAt, Schedule, Timestamp, jitter,
};

/// A schedule that cannot be: which, and why. Nothing has been written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schedule {schedule}: {fault}")]
pub struct InvalidTimetable {
    /// Its name.
    pub schedule: String,
    /// The field, what is wrong with it, what would be right.
    #[source]
    pub fault: InvalidSchedule,
}

/// Checks every schedule: its name, expression, zone and policies, and that its kind takes its args.
pub(super) fn check(schedules: &[Schedule], client: &Client) -> Result<(), InvalidTimetable> {
    let mut names = BTreeSet::new();
    for schedule in schedules {
        let invalid = |fault| InvalidTimetable {
            schedule: schedule.name.clone(),
            fault,
        };
        schedule.validate().map_err(invalid)?;
        if !names.insert(&schedule.name) {
            let problem = "another schedule has this name; its history would be mixed up";
            return Err(invalid(InvalidSchedule::new("name", problem)));
        }
        job(schedule, Timestamp::EPOCH, Origin::Scheduled, client).map_err(invalid)?;
    }
    Ok(())
}

/// The job of one tick, as it is to be stored; or why there can be none.
pub(super) fn job(
    schedule: &Schedule,
    fire_at: Timestamp,
    origin: Origin,
    client: &Client,
) -> Result<NewJob, InvalidSchedule> {
    let args = schedule.args_at(fire_at)?;
    let mut job = client.prepare_raw(&schedule.kind, args).map_err(fault)?;
    job.queue = schedule.queue.clone().unwrap_or(job.queue);
    job.priority = schedule.priority.unwrap_or(job.priority);
    job.tenant_id = job.tenant_id.or_else(|| schedule.tenant_id.clone());
    if schedule.tenant_id.is_some() && job.tenant_id != schedule.tenant_id {
        let problem = "is another one than the args say; leave it out";
        return Err(InvalidSchedule::new("tenant_id", problem));
    }
    // All but `allow` run one at a time, whatever else was fired: backfills and cancelled ones too.
    if schedule.overlap != Overlap::Allow {
        if job.ordering_key.is_some() && schedule.overlap == Overlap::Queue {
            let problem = "jobs with these args have an ordering key of their own and cannot be queued \
                           by their schedule; use skip, allow or cancel_previous";
            return Err(InvalidSchedule::new("overlap", problem));
        }
        job.ordering_key
            .get_or_insert_with(|| schedule.ordering_key());
    }
    if origin.is_by_timetable() {
        let late = jitter(&schedule.name, fire_at, schedule.jitter);
        job.run_at = RunAt::At(fire_at + late);
    }
    job.tags.push(schedule.ordering_key());
    job.correlation_id
        .get_or_insert_with(|| format!("{}@{fire_at}", schedule.ordering_key()));
    client.stored(job).map_err(fault)
}

fn fault(error: EnqueueError) -> InvalidSchedule {
    match error {
        EnqueueError::Invalid(InvalidJob { field, problem }) => {
            InvalidSchedule::new(field, problem)
        }
        EnqueueError::UnknownKind { known } => {
            InvalidSchedule::new("kind", format!("is not known; known are {known}"))
        }
        other => InvalidSchedule::new("kind", other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::engine::{Context, Job, JobOptions, Outcome, Registry};
    use crate::model::{CatchUp, Json};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Report {
        day: Option<Timestamp>,
        copies: u8,
    }

    impl Job for Report {
        const KIND: &'static str = "report";
        type Services = ();

        fn options() -> JobOptions {
            JobOptions {
                queue: "reports",
                priority: 7,
                ..JobOptions::default()
            }
        }

        async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> {
            Ok(Outcome::complete())
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Ordered {}

    impl Job for Ordered {
        const KIND: &'static str = "ordered";
        type Services = ();

        fn ordering_key(&self) -> Option<String> {
            Some("own".into())
        }

        async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> {
            Ok(Outcome::complete())
        }
    }

    fn client() -> Client {
        crate::testing::client(&Registry::new(()).register::<Report>().register::<Ordered>())
    }

    fn report() -> Schedule {
        let args = Json::parse(r#"{"copies":2}"#).unwrap();
        Schedule::new("daily_report", "@daily", "report", args)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_tick_makes_a_job_as_its_kind_and_schedule_want_it() {
        let fire_at = at("2026-01-02T00:00:00Z");
        let made = job(&report(), fire_at, Origin::Scheduled, &client()).unwrap();
        assert_eq!((made.queue.as_str(), made.priority), ("reports", 7));
        assert_eq!(made.run_at, RunAt::At(fire_at));
        assert_eq!(made.ordering_key.as_deref(), Some("schedule:daily_report"));
        assert_eq!(made.tags, ["schedule:daily_report"]);
        assert_eq!(made.args.as_str(), r#"{"copies":2}"#);

        let schedule = Schedule {
            queue: Some("slow".into()),
            priority: Some(9),
            tenant_id: Some("acme".into()),
            fire_at_arg: Some("day".into()),
            overlap: Overlap::Allow,
            jitter: Duration::from_mins(1),
            ..report()
        };
        let made = job(&schedule, fire_at, Origin::CatchUp, &client()).unwrap();
        assert_eq!((made.queue.as_str(), made.priority), ("slow", 9));
        assert_eq!(made.tenant_id.as_deref(), Some("acme"));
        assert_eq!(made.ordering_key, None);
        assert_eq!(made.args.decode::<Report>().unwrap().day, Some(fire_at));
        let late = jitter("daily_report", fire_at, schedule.jitter);
        assert!(!late.is_zero());
        assert_eq!(made.run_at, RunAt::At(fire_at + late));
        let now = job(&schedule, fire_at, Origin::RunNow, &client()).unwrap();
        assert_eq!(now.run_at, RunAt::Now);
    }

    #[test]
    fn bad_schedules_are_refused_with_the_reason() {
        let bad = |change: fn(&mut Schedule)| {
            let mut schedule = report();
            change(&mut schedule);
            check(&[report_2(), schedule], &client())
                .expect_err("it is bad")
                .to_string()
        };
        for (refused, field, reason) in [
            (bad(|s| s.name = "a b".into()), "name", "letters, digits"),
            (
                bad(|s| s.name = "second".into()),
                "name",
                "another schedule",
            ),
            (bad(|s| s.cron = "0 0 30 2 *".into()), "cron", "never fires"),
            (bad(|s| s.cron = "often".into()), "cron", "five fields"),
            (bad(|s| s.zone = "Mars/Olympus".into()), "zone", "IANA name"),
            (
                bad(|s| s.kind = "raport".into()),
                "kind",
                "known are ordered, report",
            ),
            (
                bad(|s| s.args = Json::empty_object()),
                "args",
                "missing field `copies`",
            ),
            (
                bad(|s| s.args = Json::parse("7").unwrap()),
                "args",
                "wrong type",
            ),
            (
                bad(|s| s.fire_at_arg = Some("when".into())),
                "args",
                "unknown field `when`",
            ),
            (bad(|s| s.priority = Some(10)), "priority", "0 (first) to 9"),
            (bad(|s| s.queue = Some(String::new())), "queue", "1 to 128"),
            (
                bad(|s| s.jitter = Duration::from_hours(25)),
                "jitter",
                "longer than a day",
            ),
            (
                bad(|s| {
                    s.catch_up = CatchUp::All {
                        within: Duration::from_secs(5),
                    }
                }),
                "catch_up",
                "makes up for nothing",
            ),
            (
                bad(|s| {
                    s.kind = "ordered".into();
                    s.overlap = Overlap::Queue;
                }),
                "overlap",
                "ordering key of their own",
            ),
        ] {
            assert!(
                refused.contains(&format!(": {field}: ")),
                "{field}: {refused}"
            );
            assert!(refused.contains(reason), "{reason}: {refused}");
        }
    }

    fn report_2() -> Schedule {
        Schedule {
            name: "second".into(),
            ..report()
        }
    }
}
