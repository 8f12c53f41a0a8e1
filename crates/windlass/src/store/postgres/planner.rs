//! The planner's settings in callers' transactions, whose connections do not have ours.
//!
//! Without them each statement would be planned anew each time, through every day of the finished jobs:
//! longer than it runs. And a table that was never analysed would be read from end to end.

use sqlx::Row;

use super::{Error, Session, sql};

/// What the caller's planner was told.
#[derive(Debug)]
pub(super) struct Callers([String; 5]);

/// Tells the planner what our statements need, until it is [put back](restore) or the transaction ends.
pub(super) async fn ours(connection: &mut Session<'_>) -> Result<Callers, Error> {
    let row = sqlx::query(sql::PLANNER_OURS).fetch_one(connection).await?;
    let mut callers = <[String; 5]>::default();
    for (n, setting) in callers.iter_mut().enumerate() {
        *setting = row.try_get(n)?;
    }
    Ok(Callers(callers))
}

/// Tells the planner again what the caller told it.
pub(super) async fn restore(connection: &mut Session<'_>, callers: Callers) -> Result<(), Error> {
    let mut query = sqlx::query(sql::PLANNER_CALLERS);
    for setting in callers.0 {
        query = query.bind(setting);
    }
    query.execute(connection).await?;
    Ok(())
}
