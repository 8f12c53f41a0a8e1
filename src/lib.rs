//! The product.

pub mod api;
pub mod cli;
pub mod compose;
pub mod config;
pub mod platform;
pub mod services;
pub mod telemetry;
