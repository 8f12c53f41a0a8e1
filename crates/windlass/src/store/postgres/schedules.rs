//! Schedules and their ticks.
//!
//! Whoever fires a tick locks its schedule first, before keys, lines and jobs: ticks of one schedule are
//! fired one after another, and who comes second sees what the first did.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::lane::{run, transaction};
use super::lines::Freed;
use super::{Error, PgStore, Session, control, keys, operate, rows, sql};
use crate::model::{
    Audit, Enqueued, Event, JobId, Origin, Overlap, Schedule, ScheduleRecord, Skip, State,
    TickOutcome, TickRecord, Timestamp,
};
use crate::store::schedules::{MAX_TICKS, TICKS_AT_ONCE, TICKS_KEPT};
use crate::store::{Fire, Fired, Schedules};

#[async_trait]
impl Schedules for PgStore {
    async fn declare_schedules(
        &self,
        schedules: &[Schedule],
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        transaction!(self.shared.leases, |connection| {
            declare(connection, schedules, now).await
        })
    }

    async fn keep_schedules(
        &self,
        names: &[String],
        retire_after: Duration,
        now: Option<Timestamp>,
    ) -> Result<Vec<String>, Error> {
        let now = now.map(rows::time);
        transaction!(self.shared.leases, |connection| {
            sqlx::query(sql::SCHEDULE_KEEP)
                .bind(names)
                .bind(now)
                .execute(&mut *connection)
                .await?;
            Ok(sqlx::query_scalar(sql::SCHEDULE_RETIRE)
                .bind(names)
                .bind(rows::micros(retire_after))
                .bind(now)
                .fetch_all(connection)
                .await?)
        })
    }

    async fn schedules(&self) -> Result<Vec<ScheduleRecord>, Error> {
        run!(self.shared.leases, |connection| {
            sqlx::query(sql::SCHEDULES)
                .fetch_all(connection)
                .await?
                .iter()
                .map(schedule)
                .collect()
        })
    }

    async fn pause_schedule(
        &self,
        name: &str,
        note: &str,
        audit: &Audit,
        now: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let now = now.map(rows::time);
        transaction!(self.shared.leases, |connection| {
            let paused = sqlx::query(sql::SCHEDULE_PAUSE)
                .bind(name)
                .bind(note)
                .bind(now)
                .execute(&mut *connection)
                .await?;
            if paused.rows_affected() == 0 {
                return Ok(false);
            }
            control::record(connection, audit, now).await?;
            Ok(true)
        })
    }

    async fn resume_schedule(
        &self,
        name: &str,
        audit: &Audit,
        now: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let now = now.map(rows::time);
        transaction!(self.shared.leases, |connection| {
            let resumed = sqlx::query(sql::SCHEDULE_RESUME)
                .bind(name)
                .bind(now)
                .execute(&mut *connection)
                .await?;
            if resumed.rows_affected() == 0 {
                return Ok(false);
            }
            control::record(connection, audit, now).await?;
            Ok(true)
        })
    }

    async fn fire(&self, fire: Fire<'_>) -> Result<Fired, Error> {
        let governed = &*self.shared.governed_names();
        let (fired, freed) = transaction!(self.shared.leases, |connection| {
            fire_in(connection, &fire, governed).await
        })?;
        self.shared.freed(&freed);
        if let Fired::Fired(_) = fired {
            let queues = BTreeSet::from([fire.job.queue.as_str()]);
            self.shared.enqueued(&queues, fire.now);
        }
        Ok(fired)
    }

    async fn pass_over(
        &self,
        schedule: &str,
        missed: &[Timestamp],
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        let Some(last) = missed.last() else {
            return Ok(());
        };
        transaction!(self.shared.leases, |connection| {
            let Some(record) = find(connection, schedule).await? else {
                return Ok(());
            };
            let new: Vec<rows::Time> = missed
                .iter()
                .filter(|at| **at > record.decided_until)
                .map(|at| rows::time(*at))
                .collect();
            sqlx::query(sql::TICK_MISS)
                .bind(schedule)
                .bind(new)
                .bind(now.map(rows::time))
                .execute(&mut *connection)
                .await?;
            decide(connection, schedule, *last).await
        })
    }

    async fn ticks(
        &self,
        schedule: &str,
        before: Option<Timestamp>,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<Vec<TickRecord>, Error> {
        run!(self.shared.reads, |connection| {
            sqlx::query(sql::TICKS)
                .bind(schedule)
                .bind(before.map(rows::time))
                .bind(i64::from(limit.clamp(1, MAX_TICKS)))
                .bind(now.map(rows::time))
                .fetch_all(connection)
                .await?
                .iter()
                .map(|row| tick(row, schedule))
                .collect()
        })
    }

    async fn prune_ticks(&self, keep: Duration, now: Option<Timestamp>) -> Result<u64, Error> {
        let now = match now {
            Some(now) => now,
            None => self.shared.now().await?,
        };
        let pruned = run!(self.shared.upkeep, |connection| {
            sqlx::query(sql::TICK_SETTLE)
                .bind(i64::from(TICKS_AT_ONCE))
                .execute(&mut *connection)
                .await?;
            Ok(sqlx::query(sql::TICK_PRUNE)
                .bind(rows::time(now.minus(keep)))
                .bind(i64::from(TICKS_KEPT))
                .bind(i64::from(TICKS_AT_ONCE))
                .execute(connection)
                .await?)
        })?;
        Ok(pruned.rows_affected())
    }
}

async fn declare(
    connection: &mut Session<'_>,
    schedules: &[Schedule],
    now: Option<Timestamp>,
) -> Result<(), Error> {
    let now = match now {
        Some(now) => now,
        None => {
            let row = sqlx::query(sql::NOW).fetch_one(&mut *connection).await?;
            rows::timestamp(&row, 0)?
        }
    };
    // Locked in one order, so that two programs that start at once do not wait for each other.
    let mut schedules: Vec<&Schedule> = schedules.iter().collect();
    schedules.sort_by(|a, b| a.name.cmp(&b.name));
    for schedule in schedules {
        let known = find(connection, &schedule.name).await?;
        let record = ScheduleRecord::declared(known.as_ref(), schedule, now);
        let definition =
            serde_json::to_string(schedule).map_err(|error| Error::Corrupt(error.to_string()))?;
        sqlx::query(sql::SCHEDULE_PUT)
            .bind(&schedule.name)
            .bind(definition)
            .bind(rows::time(record.decided_until))
            .bind(rows::time(record.declared_at))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn fire_in(
    connection: &mut Session<'_>,
    fire: &Fire<'_>,
    governed: &HashSet<String>,
) -> Result<(Fired, Vec<Freed>), Error> {
    let nothing = |fired| Ok((fired, Vec::new()));
    let now = fire.now.map(rows::time);
    let Some(record) = find(connection, fire.schedule).await? else {
        return nothing(Fired::Off);
    };
    if fire.origin.is_by_timetable() {
        if !record.is_active() {
            return nothing(Fired::Off);
        }
        if fire.fire_at <= record.decided_until {
            return nothing(Fired::Already);
        }
        decide(connection, fire.schedule, fire.fire_at).await?;
    }
    let there = sqlx::query_scalar::<_, String>(sql::TICK)
        .bind(fire.schedule)
        .bind(rows::time(fire.fire_at))
        .fetch_optional(&mut *connection)
        .await?;
    let was_left_out = |outcome: &str| outcome != TickOutcome::Fired.as_str();
    if there.is_some_and(|it| fire.origin != Origin::Backfill || !was_left_out(&it)) {
        return nothing(Fired::Already);
    }
    let unfinished = unfinished(connection, fire).await?;
    let (fired, job) = if fire.overlap == Overlap::Skip && !unfinished.is_empty() {
        (Fired::Skipped(Skip::Overlap), None)
    } else {
        let jobs = std::slice::from_ref(fire.job);
        let doubtful = jobs.iter().map(|job| job.id).collect();
        let answers = keys::enqueue(connection, jobs, &doubtful, governed, fire.now).await?;
        match answers.first() {
            Some(Enqueued::Inserted(id) | Enqueued::Replaced(id)) => (Fired::Fired(*id), Some(*id)),
            other => {
                let skipped = Fired::Skipped(Skip::Duplicate);
                (skipped, other.map(|other| other.id()))
            }
        }
    };
    let mut freed = Vec::new();
    if let (Overlap::CancelPrevious, Fired::Fired(_)) = (fire.overlap, fired) {
        for id in unfinished {
            let (_, more) = operate::end_in(connection, Event::Cancel, id, None, now).await?;
            freed.extend(more);
        }
    }
    sqlx::query(sql::TICK_PUT)
        .bind(fire.schedule)
        .bind(rows::time(fire.fire_at))
        .bind(fire.origin.as_str())
        .bind(fired.outcome().as_str())
        .bind(job.map(JobId::as_uuid))
        .bind(now)
        .execute(&mut *connection)
        .await?;
    if let Some(audit) = fire.audit {
        control::record(connection, audit, now).await?;
    }
    Ok((fired, freed))
}

async fn unfinished(connection: &mut Session<'_>, fire: &Fire<'_>) -> Result<Vec<JobId>, Error> {
    if matches!(fire.overlap, Overlap::Allow | Overlap::Queue) {
        return Ok(Vec::new());
    }
    sqlx::query(sql::TICK_UNFINISHED)
        .bind(fire.schedule)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| rows::id(row, 0))
        .collect()
}

async fn decide(
    connection: &mut Session<'_>,
    schedule: &str,
    until: Timestamp,
) -> Result<(), Error> {
    sqlx::query(sql::SCHEDULE_DECIDE)
        .bind(schedule)
        .bind(rows::time(until))
        .execute(connection)
        .await?;
    Ok(())
}

/// How a schedule stands, locked.
async fn find(connection: &mut Session<'_>, name: &str) -> Result<Option<ScheduleRecord>, Error> {
    let row = sqlx::query(sql::SCHEDULE)
        .bind(name)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(schedule).transpose()
}

/// The columns of `schedules.sql` and `schedule.sql`.
fn schedule(row: &PgRow) -> Result<ScheduleRecord, Error> {
    let definition: &str = row.try_get(1)?;
    let schedule = serde_json::from_str(definition)
        .map_err(|error| Error::Corrupt(format!("a schedule's definition: {error}")))?;
    Ok(ScheduleRecord {
        schedule,
        decided_until: rows::timestamp(row, 2)?,
        declared_at: rows::timestamp(row, 3)?,
        retired_at: rows::timestamp_or_none(row, 4)?,
        paused_at: rows::timestamp_or_none(row, 5)?,
        paused_note: row.try_get(6)?,
    })
}

/// The columns of `ticks.sql`.
fn tick(row: &PgRow, schedule: &str) -> Result<TickRecord, Error> {
    let corrupt = |word: &str| Error::Corrupt(format!("a tick holds the word {word}"));
    let (origin, outcome): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
    let state: Option<&str> = row.try_get(5)?;
    let state = state
        .map(|state| state.parse::<State>().map_err(|_| corrupt(state)))
        .transpose()?;
    let now = rows::timestamp(row, 7)?;
    Ok(TickRecord {
        schedule: schedule.to_owned(),
        fire_at: rows::timestamp(row, 0)?,
        origin: origin.parse().map_err(|_| corrupt(origin))?,
        outcome: outcome.parse().map_err(|_| corrupt(outcome))?,
        fired_at: rows::timestamp(row, 3)?,
        job_id: row.try_get::<Option<Uuid>, _>(4)?.map(JobId::from_uuid),
        state: match (state, rows::timestamp_or_none(row, 6)?) {
            (Some(state), Some(run_at)) => Some(state.at(run_at, now)),
            (state, _) => state,
        },
    })
}
