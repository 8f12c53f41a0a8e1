//! The same command again and again, until ctrl-c.

use std::pin::pin;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::desk::Desk;
use super::dry::Would;
use super::{Command, Exit, Failure, Printer};

/// What `--watch` without a number means.
pub(super) const EVERY: &str = "2";

pub(super) async fn run(
    desk: &Desk,
    command: Command,
    every: Duration,
    printer: &mut Printer,
) -> Result<(), Failure> {
    if !matches!(command.would(), Would::Read) {
        return Err(Failure::usage(
            "--watch repeats what only reads; this changes something",
        ));
    }
    let mut stop = pin!(tokio::signal::ctrl_c());
    let mut pulse = tokio::time::interval(every);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut stop => return Ok(()),
            _ = pulse.tick() => {}
        }
        printer.fresh()?;
        let done = tokio::select! {
            _ = &mut stop => return Ok(()),
            done = Box::pin(desk.run(command.clone(), printer)) => done,
        };
        match done {
            Ok(()) => printer.flush()?,
            // It may work the next time: a server that starts, a check that fails.
            Err(failure) if failure.exit() == Exit::Failed => {
                failure.report(printer);
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Seconds, and parts of them.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "expected seconds, such as 2 or 0.5")?;
    if !(0.05..=86_400.0).contains(&seconds) {
        return Err("expected 0.05 to 86400 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}
