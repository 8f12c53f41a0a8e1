//! Backups of real servers, made by real programs, put into real places.

mod copies;
mod create;
mod failures;
mod full_disk;
mod log;
mod mail;
mod operate;
pub(crate) mod rig;
mod s3;
