//! Schedules and their ticks.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::super::schedules::{MAX_TICKS, TICKS_AT_ONCE, TICKS_KEPT};
use super::super::{Error, Fire, Fired, Schedules};
use super::rows::{self, Woken, decode, encode, micros};
use super::{SqliteStore, at, control, enqueue, operate, timed};
use crate::db;
use crate::model::{
    Audit, Enqueued, JobId, Origin, Overlap, Schedule, ScheduleRecord, Skip, State, TickOutcome,
    TickRecord, Timestamp,
};

const SCHEDULES: &str = include_str!("sql/schedules.sql");
const SCHEDULE: &str = include_str!("sql/schedule.sql");
const SCHEDULE_PUT: &str = include_str!("sql/schedule_put.sql");
const SCHEDULE_KEEP: &str = include_str!("sql/schedule_keep.sql");
const SCHEDULE_RETIRE: &str = include_str!("sql/schedule_retire.sql");
const SCHEDULE_PAUSE: &str = include_str!("sql/schedule_pause.sql");
const SCHEDULE_RESUME: &str = include_str!("sql/schedule_resume.sql");
const SCHEDULE_DECIDE: &str = include_str!("sql/schedule_decide.sql");
const TICK: &str = include_str!("sql/tick.sql");
const TICK_UNFINISHED: &str = include_str!("sql/tick_unfinished.sql");
const TICK_PUT: &str = include_str!("sql/tick_put.sql");
const TICK_MISS: &str = include_str!("sql/tick_miss.sql");
const TICKS: &str = include_str!("sql/ticks.sql");
const TICK_SETTLE: &str = include_str!("sql/tick_settle.sql");
const TICK_PRUNE: &str = include_str!("sql/tick_prune.sql");

#[async_trait]
impl Schedules for SqliteStore {
    async fn declare_schedules(
        &self,
        schedules: &[Schedule],
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        timed(declare(&self.db, schedules, at(now))).await
    }

    async fn keep_schedules(
        &self,
        names: &[String],
        retire_after: Duration,
        now: Option<Timestamp>,
    ) -> Result<Vec<String>, Error> {
        timed(keep(&self.db, names, retire_after, at(now))).await
    }

    async fn schedules(&self) -> Result<Vec<ScheduleRecord>, Error> {
        timed(async {
            let rows = sqlx::query(SCHEDULES).fetch_all(self.db.readers()).await?;
            rows.iter().map(schedule).collect()
        })
        .await
    }

    async fn pause_schedule(
        &self,
        name: &str,
        note: &str,
        audit: &Audit,
        now: Option<Timestamp>,
    ) -> Result<bool, Error> {
        timed(async {
            let mut tx = self.db.writer().begin_with("begin immediate").await?;
            let now = at(now);
            let paused = sqlx::query(SCHEDULE_PAUSE)
                .bind(name)
                .bind(note)
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
            if paused.rows_affected() == 0 {
                return Ok(false);
            }
            control::record(&mut tx, audit, now).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn resume_schedule(
        &self,
        name: &str,
        audit: &Audit,
        now: Option<Timestamp>,
    ) -> Result<bool, Error> {
        timed(async {
            let mut tx = self.db.writer().begin_with("begin immediate").await?;
            let now = at(now);
            let resumed = sqlx::query(SCHEDULE_RESUME)
                .bind(name)
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
            if resumed.rows_affected() == 0 {
                return Ok(false);
            }
            control::record(&mut tx, audit, now).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn fire(&self, fire: Fire<'_>) -> Result<Fired, Error> {
        let (fired, woken) = timed(async {
            let mut tx = self.db.writer().begin_with("begin immediate").await?;
            let done = fire_in(&mut tx, &fire, at(fire.now)).await?;
            tx.commit().await?;
            Ok(done)
        })
        .await?;
        self.wake(woken);
        Ok(fired)
    }

    async fn pass_over(
        &self,
        schedule: &str,
        missed: &[Timestamp],
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        timed(pass_over(&self.db, schedule, missed, at(now))).await
    }

    async fn ticks(
        &self,
        schedule: &str,
        before: Option<Timestamp>,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<Vec<TickRecord>, Error> {
        timed(async {
            let rows = sqlx::query(TICKS)
                .bind(schedule)
                .bind(before.map_or(i64::MAX, micros))
                .bind(limit.clamp(1, MAX_TICKS))
                .fetch_all(self.db.readers())
                .await?;
            let now = at(now);
            rows.iter().map(|row| tick(row, schedule, now)).collect()
        })
        .await
    }

    async fn prune_ticks(&self, keep: Duration, now: Option<Timestamp>) -> Result<u64, Error> {
        timed(async {
            sqlx::query(TICK_SETTLE)
                .bind(TICKS_AT_ONCE)
                .execute(self.db.writer())
                .await?;
            let pruned = sqlx::query(TICK_PRUNE)
                .bind(micros(at(now).minus(keep)))
                .bind(TICKS_KEPT)
                .bind(TICKS_AT_ONCE)
                .execute(self.db.writer())
                .await?;
            Ok(pruned.rows_affected())
        })
        .await
    }
}

async fn declare(db: &db::Sqlite, schedules: &[Schedule], now: Timestamp) -> Result<(), Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    for schedule in schedules {
        let known = find(&mut tx, &schedule.name).await?;
        let record = ScheduleRecord::declared(known.as_ref(), schedule, now);
        sqlx::query(SCHEDULE_PUT)
            .bind(schedule.name.as_str())
            .bind(encode(schedule)?)
            .bind(micros(record.decided_until))
            .bind(micros(record.declared_at))
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn keep(
    db: &db::Sqlite,
    names: &[String],
    retire_after: Duration,
    now: Timestamp,
) -> Result<Vec<String>, Error> {
    let names = encode(names)?;
    let mut tx = db.writer().begin_with("begin immediate").await?;
    sqlx::query(SCHEDULE_KEEP)
        .bind(names.as_str())
        .bind(micros(now))
        .execute(&mut *tx)
        .await?;
    let retired = sqlx::query_scalar(SCHEDULE_RETIRE)
        .bind(names)
        .bind(micros(now.minus(retire_after)))
        .bind(micros(now))
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(retired)
}

async fn fire_in(
    connection: &mut SqliteConnection,
    fire: &Fire<'_>,
    now: Timestamp,
) -> Result<(Fired, Woken), Error> {
    let nothing = |fired| Ok((fired, Woken::new()));
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
    let there = sqlx::query_scalar::<_, String>(TICK)
        .bind(fire.schedule)
        .bind(micros(fire.fire_at))
        .fetch_optional(&mut *connection)
        .await?;
    let was_left_out = |outcome: &str| outcome != TickOutcome::Fired.as_str();
    if there.is_some_and(|it| fire.origin != Origin::Backfill || !was_left_out(&it)) {
        return nothing(Fired::Already);
    }
    let unfinished = unfinished(connection, fire).await?;
    let mut woken = Woken::new();
    let (fired, job) = if fire.overlap == Overlap::Skip && !unfinished.is_empty() {
        (Fired::Skipped(Skip::Overlap), None)
    } else {
        let jobs = std::slice::from_ref(fire.job);
        let (answers, queues) = enqueue::enqueue_in(connection, jobs, Some(now)).await?;
        woken.extend(queues);
        match answers.first() {
            Some(Enqueued::Inserted(id) | Enqueued::Replaced(id)) => (Fired::Fired(*id), Some(*id)),
            other => {
                let skipped = Fired::Skipped(Skip::Duplicate);
                (skipped, other.map(|other| other.id()))
            }
        }
    };
    if let (Overlap::CancelPrevious, Fired::Fired(_)) = (fire.overlap, fired) {
        for id in unfinished {
            let (_, queues) = operate::cancel_in(connection, id, None, now).await?;
            woken.extend(queues);
        }
    }
    put(connection, fire, fired, job, now).await?;
    if let Some(audit) = fire.audit {
        control::record(connection, audit, now).await?;
    }
    Ok((fired, woken))
}

async fn unfinished(
    connection: &mut SqliteConnection,
    fire: &Fire<'_>,
) -> Result<Vec<JobId>, Error> {
    if matches!(fire.overlap, Overlap::Allow | Overlap::Queue) {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(TICK_UNFINISHED)
        .bind(fire.schedule)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| rows::id(row, "job_id")).collect()
}

async fn put(
    connection: &mut SqliteConnection,
    fire: &Fire<'_>,
    fired: Fired,
    job: Option<JobId>,
    now: Timestamp,
) -> Result<(), Error> {
    sqlx::query(TICK_PUT)
        .bind(fire.schedule)
        .bind(micros(fire.fire_at))
        .bind(fire.origin.as_str())
        .bind(fired.outcome().as_str())
        .bind(job.map(JobId::as_uuid))
        .bind(micros(now))
        .execute(connection)
        .await?;
    Ok(())
}

async fn decide(
    connection: &mut SqliteConnection,
    schedule: &str,
    until: Timestamp,
) -> Result<(), Error> {
    sqlx::query(SCHEDULE_DECIDE)
        .bind(schedule)
        .bind(micros(until))
        .execute(connection)
        .await?;
    Ok(())
}

async fn pass_over(
    db: &db::Sqlite,
    schedule: &str,
    missed: &[Timestamp],
    now: Timestamp,
) -> Result<(), Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    if let (Some(last), Some(record)) = (missed.last(), find(&mut tx, schedule).await?) {
        let new: Vec<i64> = missed
            .iter()
            .filter(|at| **at > record.decided_until)
            .map(|at| micros(*at))
            .collect();
        sqlx::query(TICK_MISS)
            .bind(schedule)
            .bind(encode(&new)?)
            .bind(micros(now))
            .execute(&mut *tx)
            .await?;
        decide(&mut tx, schedule, *last).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn find(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<ScheduleRecord>, Error> {
    let row = sqlx::query(SCHEDULE)
        .bind(name)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(schedule).transpose()
}

fn schedule(row: &SqliteRow) -> Result<ScheduleRecord, Error> {
    let instant = |column: &str| -> Result<Option<Timestamp>, Error> {
        let micros: Option<i64> = row.try_get(column)?;
        Ok(micros.map(Timestamp::from_micros))
    };
    Ok(ScheduleRecord {
        schedule: decode(row.try_get("definition")?)?,
        decided_until: rows::timestamp(row, "decided_until")?,
        declared_at: rows::timestamp(row, "declared_at")?,
        retired_at: instant("retired_at")?,
        paused_at: instant("paused_at")?,
        paused_note: row.try_get("paused_note")?,
    })
}

fn tick(row: &SqliteRow, schedule: &str, now: Timestamp) -> Result<TickRecord, Error> {
    let corrupt = |word: &str| Error::Corrupt(format!("a tick holds the word {word}"));
    let (origin, outcome): (&str, &str) = (row.try_get("origin")?, row.try_get("outcome")?);
    let job: Option<uuid::Uuid> = row.try_get("job_id")?;
    let run_at: Option<i64> = row.try_get("run_at")?;
    let state: Option<&str> = row.try_get("state")?;
    let state = state
        .map(|state| state.parse::<State>().map_err(|_| corrupt(state)))
        .transpose()?;
    Ok(TickRecord {
        schedule: schedule.to_owned(),
        fire_at: rows::timestamp(row, "fire_at")?,
        origin: origin.parse().map_err(|_| corrupt(origin))?,
        outcome: outcome.parse().map_err(|_| corrupt(outcome))?,
        fired_at: rows::timestamp(row, "fired_at")?,
        job_id: job.map(JobId::from_uuid),
        state: match (state, run_at.map(Timestamp::from_micros)) {
            (Some(state), Some(run_at)) => Some(state.at(run_at, now)),
            (state, _) => state,
        },
    })
}
