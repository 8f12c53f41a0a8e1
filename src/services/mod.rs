//! The outside world, one module each: what we ask of it, how long we wait, what its refusals mean.
//!
//! Every call has a timeout and ends in one [`Error`], which says what the caller does next: wait,
//! or give up. Calls to one host share a circuit breaker and a limit, so that while it is down its
//! jobs wait instead of failing one by one, and it gets no more at once than it bears. Nothing here knows a job, a tenant's row or an HTTP route.

mod addresses;
mod breaker;
pub mod broker;
pub mod chunking;
pub mod documents;
mod error;
pub mod events;
pub mod extract;
pub mod files;
pub mod graph;
mod host;
mod http;
pub mod language;
mod limit;
pub mod mailer;
pub mod management;
pub mod models;
pub mod notifier;
pub mod socketio;
pub mod webhooks;

pub use error::Error;
