//! The promises under real faults: real processes, `kill -9`, `SIGSTOP`, a database that goes away.
//!
//! Each test runs the program itself on a database of its own and looks at what is left.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod backups;
mod database;
mod definitions;
mod failures;
mod kills;
mod messages;
mod model;
mod outage;
mod outbox;
mod process;
mod publisher;
mod quorum;
mod rabbitmq;
mod recovery;
mod trials;
mod zombie;
