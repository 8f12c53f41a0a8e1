//! Backups are tried out: what holds passes, and what was tampered with is told by its name.

mod alerts;
mod by_hand;
mod cluster;
mod kinds;
mod logical;
mod physical;
mod restoring;
pub(crate) mod rig;
mod tampering;
