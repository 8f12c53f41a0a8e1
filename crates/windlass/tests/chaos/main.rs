//! The engine's promises across processes: real workers, `kill -9`, one database.
//!
//! The test program starts itself again for each worker, so it has a `main` of its own. Sizes are those
//! of a normal run; `CHAOS=full` takes the ones that the promises are stated for.
#![expect(clippy::unwrap_used, reason = "a case that cannot go on has failed")]

mod database;
mod flows;
mod limits;
mod ordering;
mod orders;
mod pressure;
mod proxy;
mod server;
mod storm;
mod worker;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [role, url] = args.as_slice()
        && role == worker::ROLE
    {
        block_on(worker::work(url));
        return ExitCode::SUCCESS;
    }
    if let [role, url, folder] = args.as_slice()
        && storm::is_role(role)
    {
        block_on(storm::run(role, url, folder.as_ref()));
        return ExitCode::SUCCESS;
    }
    /// Trials named `module::function`.
    macro_rules! trials {
        ($($module:ident::$case:ident),+ $(,)?) => {
            vec![$(Trial::test(
                concat!(stringify!($module), "::", stringify!($case)),
                || {
                    block_on($module::$case());
                    Ok(())
                },
            )),+]
        };
    }
    let trials = trials![
        orders::orders_reach_every_process_within_a_second_on_postgres,
        orders::orders_reach_every_process_within_a_second_on_sqlite,
        flows::a_fan_out_comes_together_once_on_postgres,
        flows::a_fan_out_comes_together_once_on_sqlite,
        limits::every_limit_holds_under_eight_processes_and_kill_9,
        limits::a_hundred_a_second_are_six_thousand_in_a_minute,
        limits::three_tenants_get_their_shares_of_three_processes,
        limits::a_single_job_does_not_wait_for_anothers_million,
        ordering::every_key_runs_strictly_in_order_on_postgres,
        ordering::every_key_runs_strictly_in_order_on_sqlite,
        pressure::a_held_transaction_slows_nothing_down,
        pressure::overlapping_readers_slow_nothing_down,
        pressure::half_as_much_again_is_done_later,
        pressure::killed_backends_cost_calls_and_no_jobs,
        pressure::without_connections_work_waits_and_goes_on,
        pressure::a_database_that_was_never_analysed_is_as_fast,
        storm::every_promise_is_kept_in_a_storm_on_postgres,
        storm::every_promise_is_kept_in_a_storm_on_sqlite,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn block_on(case: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(case);
}

/// The size that the promise is stated for, or that of a normal run.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no config to read it from"
)]
fn size<T>(normal: T, full: T) -> T {
    match std::env::var("CHAOS").as_deref() {
        Ok("full") => full,
        _ => normal,
    }
}
