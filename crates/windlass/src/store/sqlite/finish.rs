//! How attempts end.
//!
//! The fence is checked once, in the transaction that then writes: nobody else can write between.

use std::collections::{HashMap, HashSet};

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};

use super::super::Error;
use super::at;
use super::outcomes::{Again, Attempt, Ended, Outcomes};
use super::rows::{self, Woken, encode, micros};
use crate::db;
use crate::model::{Finish, JobId, Json, Recorded, State, Timestamp, Verdict};

const FENCE: &str = include_str!("sql/fence.sql");

pub(super) async fn finish(
    db: &db::Sqlite,
    finishes: &[Finish],
    now: Option<Timestamp>,
) -> Result<(Vec<Recorded>, Woken), Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let answer = record(&mut tx, finishes, at(now)).await?;
    tx.commit().await?;
    Ok(answer)
}

pub(super) async fn finish_in(
    connection: &mut SqliteConnection,
    finish: &Finish,
    now: Option<Timestamp>,
) -> Result<(Recorded, Woken), Error> {
    let mut savepoint = connection.begin().await?;
    let (recorded, woken) = record(&mut savepoint, std::slice::from_ref(finish), at(now)).await?;
    savepoint.commit().await?;
    Ok((recorded[0], woken))
}

async fn record(
    connection: &mut SqliteConnection,
    finishes: &[Finish],
    now: Timestamp,
) -> Result<(Vec<Recorded>, Woken), Error> {
    let mut fence = Fence::check(connection, finishes).await?;
    let mut outcomes = Outcomes {
        keyed: fence.keyed,
        ..Outcomes::default()
    };
    let mut seen = HashSet::with_capacity(finishes.len());
    let mut recorded = Vec::with_capacity(finishes.len());
    for (place, finish) in finishes.iter().enumerate() {
        let again = !seen.insert(finish.lease);
        recorded.push(match (&finish.verdict, fence.running.remove(&place)) {
            _ if again || fence.lost.contains(&place) => Recorded::LeaseLost,
            (Verdict::Complete { result }, _) => {
                outcomes.ended.push(Ended {
                    result: result.as_ref().map(Json::as_str),
                    ..Ended::new(finish.lease.job, State::Completed)
                });
                Recorded::Yes
            }
            (_, Some(running)) => {
                outcomes.add(finish, running, now)?;
                Recorded::Yes
            }
            (_, None) => Recorded::LeaseLost,
        });
    }
    Ok((recorded, outcomes.write(connection, now).await?))
}

/// What the database says about a batch of leases, by their place in it.
#[derive(Debug, Default)]
struct Fence {
    lost: HashSet<usize>,
    /// Held ones whose attempt goes into their job's history.
    running: HashMap<usize, Running>,
    /// Whether any held job is in a line or has a unique key.
    keyed: bool,
}

#[derive(Debug)]
struct Running {
    attempt: Attempt,
    queue: String,
}

impl Fence {
    async fn check(connection: &mut SqliteConnection, finishes: &[Finish]) -> Result<Self, Error> {
        let is_complete = |finish: &Finish| matches!(finish.verdict, Verdict::Complete { .. });
        let leases: Vec<_> = finishes
            .iter()
            .map(|f| (f.lease.job, f.lease.claim_no, !is_complete(f)))
            .collect();
        let rows = sqlx::query(FENCE)
            .bind(encode(&leases)?)
            .fetch_all(connection)
            .await?;
        let mut fence = Self::default();
        for row in &rows {
            let place = rows::number(row, "place")?;
            if row.try_get("held")? {
                fence.keyed |= row.try_get::<bool, _>("keyed")?;
                fence.running.insert(place, running(row)?);
            } else {
                fence.lost.insert(place);
            }
        }
        Ok(fence)
    }
}

fn running(row: &SqliteRow) -> Result<Running, Error> {
    Ok(Running {
        attempt: rows::attempt(row)?,
        queue: row.try_get("queue")?,
    })
}

impl Outcomes<'_> {
    /// Everything but a completion.
    fn add(&mut self, finish: &Finish, running: Running, now: Timestamp) -> Result<(), Error> {
        let (id, number) = (finish.lease.job, running.attempt.number);
        let attempts = running
            .attempt
            .end(finish.outcome, finish.error.clone(), now)?;
        let mut again = |state, run_at: Option<Timestamp>, attempt, attempts| {
            self.again.push(Again {
                id,
                state,
                run_at: run_at.map(micros),
                attempt,
                crashes: None,
                attempts,
            });
        };
        match finish.verdict {
            Verdict::Retry { at } => again(State::Retryable, Some(at), number, attempts),
            Verdict::Snooze { until } => again(State::Scheduled, Some(until), number - 1, attempts),
            Verdict::Release => {
                again(State::Available, None, number - 1, attempts);
                self.woken.insert(running.queue);
            }
            Verdict::Cancel => self.end(id, State::Cancelled, attempts),
            Verdict::Dead => self.end(id, State::Dead, attempts),
            Verdict::Complete { .. } => {}
        }
        Ok(())
    }

    fn end(&mut self, id: JobId, state: State, attempts: String) {
        self.ended.push(Ended {
            attempts: Some(attempts),
            ..Ended::new(id, state)
        });
    }
}
