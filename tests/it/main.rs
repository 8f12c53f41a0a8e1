//! The product against real servers: `scripts/test`, or `scripts/services up` and `cargo test`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod backups;
mod browser;

mod cli;
mod clients;
mod config;
mod import;
mod ingress;
mod jobs;
mod lines;
mod log;
mod observability;
mod platform;
mod program;
mod records;
mod support;
mod trials;
mod upgrades;
