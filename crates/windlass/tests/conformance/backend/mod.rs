//! The stores under test. Each is admitted by one `store_conformance!` line in `main.rs`.

mod memory;
mod pgbouncer;
mod postgres;
mod sqlite;

pub(crate) use memory::Memory;
pub(crate) use pgbouncer::PgBouncer;
pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;
