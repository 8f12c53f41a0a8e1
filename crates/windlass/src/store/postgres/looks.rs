//! Looks into the cells of a governed queue: what there is to take, and of whose.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::cells::Start;
use super::rows::{self, Time};
use super::{Error, Session, sql};
use crate::model::{Cell, Head, Look, Sweep, Timestamp};

/// Most cells in a look from the beginning or for new ones.
const MOST: u32 = 256;

/// Stands after every tenant.
const LAST: &str = "\u{10FFFF}";

/// What was seen.
pub(super) struct Looked {
    pub(super) wide: Vec<Head>,
    pub(super) deep: Option<Vec<Head>>,
}

impl Looked {
    /// All that was seen, in order.
    pub(super) fn heads(&self) -> Vec<Head> {
        let mut heads = self.wide.clone();
        heads.extend(self.deep.iter().flatten().cloned());
        heads.sort_by(|a, b| a.cell.cmp(&b.cell));
        heads.dedup_by(|a, b| a.cell == b.cell);
        heads
    }
}

/// Looks where `start` says, and if it knows nothing, where the sweep goes on.
pub(super) async fn look(
    connection: &mut Session<'_>,
    queue: &str,
    sweep: &Sweep,
    start: &Start,
    now: Timestamp,
    depth: u32,
) -> Result<Looked, Error> {
    if let Some(known) = &start.known {
        let mut wide = count(connection, queue, known, now, depth).await?;
        if start.widely {
            let new = between(connection, queue, known).await?;
            wide.extend(count(connection, queue, &new, now, depth).await?);
        }
        return Ok(Looked { wide, deep: None });
    }
    let wide = search(connection, queue, &sweep.wide(), now, depth).await?;
    let deep = match sweep.deep(&wide) {
        Some(look) => Some(search(connection, queue, &look, now, depth).await?),
        None => None,
    };
    Ok(Looked { wide, deep })
}

/// The first job of each cell, wherever it stands.
pub(super) async fn first_jobs(
    connection: &mut Session<'_>,
    queue: &str,
) -> Result<Vec<Head>, Error> {
    let all = Look {
        after: None,
        of_tenant: u32::MAX,
        most: MOST,
    };
    search(connection, queue, &all, Timestamp::EPOCH, 1).await
}

/// What there is in known cells, from their places on.
async fn count(
    connection: &mut Session<'_>,
    queue: &str,
    cells: &[(Cell, Timestamp)],
    now: Timestamp,
    depth: u32,
) -> Result<Vec<Head>, Error> {
    if cells.is_empty() {
        return Ok(Vec::new());
    }
    let from: Vec<Time> = cells.iter().map(|(_, from)| rows::time(*from)).collect();
    let columns = Columns::new(cells.iter().map(|(cell, _)| cell));
    let found = sqlx::query(sql::KNOWN_CELLS)
        .bind(queue)
        .bind(columns.tenants)
        .bind(columns.kinds)
        .bind(columns.keys)
        .bind(columns.priorities)
        .bind(from)
        .bind(rows::time(now))
        .bind(i64::from(depth))
        .fetch_all(connection)
        .await?;
    let heads = found.iter().map(|row| {
        let nth: i64 = row.try_get(0)?;
        let known = usize::try_from(nth - 1).ok().and_then(|at| cells.get(at));
        let (cell, _) = known.ok_or_else(|| Error::Corrupt(format!("there is no cell {nth}")))?;
        head(cell.clone(), row, 1, depth)
    });
    heads.collect()
}

/// Cells between known ones.
async fn between(
    connection: &mut Session<'_>,
    queue: &str,
    known: &[(Cell, Timestamp)],
) -> Result<Vec<(Cell, Timestamp)>, Error> {
    let last = Cell {
        tenant: LAST.to_owned(),
        ..Cell::default()
    };
    let cells = known.iter().map(|(cell, _)| cell);
    let ends = Columns::new(cells.clone().chain([&last]));
    let mut starts = Columns::new(cells);
    starts.insert_first();
    sqlx::query(sql::NEW_CELLS)
        .bind(queue)
        .bind(starts.tenants)
        .bind(starts.kinds)
        .bind(starts.keys)
        .bind(starts.priorities)
        .bind(ends.tenants)
        .bind(ends.kinds)
        .bind(ends.keys)
        .bind(ends.priorities)
        .bind(i64::from(MOST))
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok((cell(row)?, rows::timestamp(row, 4)?)))
        .collect()
}

/// Steps from cell to cell.
async fn search(
    connection: &mut Session<'_>,
    queue: &str,
    look: &Look,
    now: Timestamp,
    depth: u32,
) -> Result<Vec<Head>, Error> {
    let after = look.after.as_ref();
    sqlx::query(sql::CELLS)
        .bind(queue)
        .bind(after.map_or("", |cell| &cell.tenant))
        .bind(after.map_or("", |cell| &cell.kind))
        .bind(after.map_or("", |cell| &cell.key))
        .bind(after.map_or(-1, |cell| i16::from(cell.priority)))
        .bind(i64::from(look.of_tenant))
        .bind(i64::from(look.most))
        .bind(rows::time(now))
        .bind(i64::from(depth))
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| head(cell(row)?, row, 4, depth))
        .collect()
}

/// Cells as a statement takes them.
#[derive(Default)]
struct Columns<'a> {
    tenants: Vec<&'a str>,
    kinds: Vec<&'a str>,
    keys: Vec<&'a str>,
    priorities: Vec<i16>,
}

impl<'a> Columns<'a> {
    fn new(cells: impl Iterator<Item = &'a Cell>) -> Self {
        let mut columns = Self::default();
        for cell in cells {
            columns.tenants.push(&cell.tenant);
            columns.kinds.push(&cell.kind);
            columns.keys.push(&cell.key);
            columns.priorities.push(cell.priority.into());
        }
        columns
    }

    /// Puts one before every cell in front.
    fn insert_first(&mut self) {
        self.tenants.insert(0, "");
        self.kinds.insert(0, "");
        self.keys.insert(0, "");
        self.priorities.insert(0, -1);
    }
}

fn cell(row: &PgRow) -> Result<Cell, Error> {
    Ok(Cell {
        tenant: row.try_get(0)?,
        kind: row.try_get(1)?,
        key: row.try_get(2)?,
        priority: rows::short(row, 3)?,
    })
}

/// A cell with its first job's time, how many are due and when the next will be: columns from `at` on.
fn head(cell: Cell, row: &PgRow, at: usize, depth: u32) -> Result<Head, Error> {
    let due = rows::long(row, at + 1)?;
    Ok(Head {
        cell,
        run_at: rows::timestamp(row, at)?,
        due,
        deep: due >= depth,
        later: rows::timestamp_or_none(row, at + 2)?,
    })
}
