//! `jobctl`: as a process, and where it needs kinds of its own, in this one.

mod commands;
mod completions;
mod delivery;
mod flows;
mod house;
mod keys;
mod process;
mod pty;
mod remote;
mod routes;
mod schedules;
mod top;
mod trace;
mod watch;
