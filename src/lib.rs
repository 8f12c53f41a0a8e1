//! The product.

pub mod platform;
pub mod services;
pub mod telemetry;
