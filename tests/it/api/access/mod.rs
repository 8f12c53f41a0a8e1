//! Who may do what.

mod keys;
mod platform;
mod rig;
mod sessions;
mod streams;
mod tenants;
