//! windlass: a durable job engine.
pub mod db;
pub mod model;
pub mod store;

pub use model::{JobId, JobRecord, Json, NewJob, State, Timestamp};
pub use store::Store;
