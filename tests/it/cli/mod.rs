//! `jobctl`: as a process, and where it needs kinds of its own, in this one.

mod commands;
mod delivery;
mod flows;
mod keys;
mod process;
mod schedules;
mod trace;
