//! Stock apalis over our stores: handlers, layers, schedules, flows and the board, as their users write
//! them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod board;
mod cron;
mod ends;
mod holds;
mod outage;
mod stores;
mod workflow;
