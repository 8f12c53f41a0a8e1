//! The stores under test. Each is admitted by one `store_conformance!` line in `main.rs`.

mod memory;

pub(crate) use memory::Memory;
