//! Backups are tried out: what holds passes, and what was tampered with is told by its name.

mod by_hand;
mod cluster;
mod logical;
mod physical;
mod restoring;
mod rig;
mod tampering;
