//! The product: see `ARCHITECTURE.md` for the rooms and who may import whom.

pub mod api;
pub mod backups;
pub mod cli;
pub mod compose;
pub mod config;
pub mod import;
pub mod ingress;
pub mod jobs;
pub mod operations;
pub mod platform;
pub mod records;
pub mod services;
pub mod telemetry;
