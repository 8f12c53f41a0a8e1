//! The outside world, one module each: what we ask of it, how long we wait, what its refusals mean.
//!
//! Every call has a timeout and ends in one [`Error`], which says what the caller does next: wait,
//! or give up. Calls to one host share a circuit breaker, so that while it is down its jobs wait
//! instead of failing one by one. Nothing here knows a job, a tenant's row or an HTTP route.

mod breaker;
pub mod chunking;
pub mod documents;
mod error;
pub mod events;
pub mod extract;
pub mod files;
mod http;
pub mod language;
pub mod models;

pub use error::Error;
