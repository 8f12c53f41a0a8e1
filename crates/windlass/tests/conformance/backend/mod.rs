//! The stores under test. Each is admitted by one `store_conformance!` line in `main.rs`.

mod memory;
mod sqlite;

pub(crate) use memory::Memory;
pub(crate) use sqlite::Sqlite;
