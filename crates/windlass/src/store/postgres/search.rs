//! Searches for jobs, newest first. What one takes is bounded, however rare what it looks for.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use super::{Error, Session, rows, sql};
use crate::model::{Filter, JobId, Page, State, Timestamp};

/// A search first looks at so many jobs of each table, which mostly fill a page,
pub(super) const A_FEW: u32 = 5_000;
/// and then at so many.
pub(super) const MANY: u32 = 100_000;

pub(super) struct Search<'f> {
    filter: &'f Filter,
    states: Vec<&'static str>,
    before: Uuid,
    pub(super) limit: u32,
    now: Option<Timestamp>,
}

impl<'f> Search<'f> {
    pub(super) fn new(filter: &'f Filter, page: Page, limit: u32, now: Option<Timestamp>) -> Self {
        Self {
            filter,
            states: filter.states.iter().map(|state| state.as_str()).collect(),
            before: page.after.map_or(Uuid::max(), |cursor| cursor.0.as_uuid()),
            limit,
            now,
        }
    }

    /// How far back it comes that looks at so many jobs; none: to the end.
    pub(super) async fn reach(
        &self,
        look: u32,
        connection: &mut Session<'_>,
    ) -> Result<Option<JobId>, Error> {
        if *self.filter == Filter::default() {
            return Ok(None); // every job it looks at is one that it finds
        }
        let row = sqlx::query(sql::REACH)
            .bind(i64::from(look.max(self.limit)))
            .bind(self.before)
            .bind(self.states())
            .bind(&self.filter.tenant_id)
            .bind(&self.filter.correlation_id)
            .bind(self.unfinished())
            .fetch_optional(connection)
            .await?;
        row.map(|row| rows::id(&row, 0)).transpose()
    }

    pub(super) fn find(&self, reached: Option<JobId>) -> Query<'_, sqlx::Postgres, PgArguments> {
        sqlx::query(sql::LIST)
            .bind(i64::from(self.limit))
            .bind(self.before)
            .bind(self.states())
            .bind(&self.filter.kind)
            .bind(&self.filter.queue)
            .bind(&self.filter.tenant_id)
            .bind(&self.filter.correlation_id)
            .bind(&self.filter.tag)
            .bind(self.now.map(rows::time))
            .bind(reached.map_or(Uuid::nil(), JobId::as_uuid))
            .bind(self.unfinished())
    }

    fn states(&self) -> Option<&[&'static str]> {
        Some(&*self.states).filter(|states| !states.is_empty())
    }

    /// Which of the unfinished jobs to look at.
    fn unfinished(&self) -> Option<&'static str> {
        let only = |some: fn(State) -> bool| {
            let states = &self.filter.states;
            !states.is_empty() && states.iter().copied().all(some)
        };
        if only(State::is_finished) {
            None
        } else if only(|state| state == State::Running) {
            Some("running")
        } else if self.filter.tenant_id.is_some() || self.filter.correlation_id.is_some() {
            Some("of one")
        } else if only(|state| {
            matches!(state, State::Scheduled | State::Retryable | State::Waiting)
        }) {
            Some("set back")
        } else {
            Some("all")
        }
    }
}
