//! The doors by which chat messages come in, and how each becomes the job that answers it.
//!
//! A message is taken in once it is durable as a job, and only then is whoever brought it told so.

#[cfg(test)]
mod any_json;
mod inbound;
pub mod meta;
pub mod rabbitmq;

pub use inbound::Inbound;
