//! How fast the engine is, with its default options, beside its peers on the same server.
//!
//! `cargo bench -p windlass --all-features --bench engine -- [postgres|sqlite|all] [--quick]
//! [--full] [--limits] [--runs N] [--peers PROGRAM]`; `benches/run` starts a server, builds the peers and calls it.
//! `docs/benchmarks.md` says what each figure means and what it was.
//!
//! The program starts itself again for each role, see `support/roles.rs`.
#![expect(clippy::print_stdout, reason = "a program whose output is its figures")]

mod databases;
mod figures;
mod machine;
mod ours;
mod plan;
mod table;

#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use databases::Kind;
use ours::Ours;
use plan::Plan;
use support::roles::{self, Role};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [subject, url, role @ ..] = args.as_slice()
        && let Some(role) = Role::from_args(role)?
    {
        return roles::play(Ours::open(url, subject)?, role).await;
    }
    measure(&plan(args)?).await
}

async fn measure(plan: &Plan) -> anyhow::Result<()> {
    machine::describe(plan).await?;
    let results = figures::measure(plan).await?;
    println!("{}", table::render(plan, &results));
    Ok(())
}

fn plan(args: Vec<String>) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "all" => plan.kinds = vec![Kind::Postgres, Kind::Sqlite],
            "postgres" => plan.kinds = vec![Kind::Postgres],
            "sqlite" => plan.kinds = vec![Kind::Sqlite],
            "--quick" => plan.quick(),
            "--full" => plan.history = true,
            "--limits" => plan.limits = true,
            "--runs" => plan.runs = args.next().context("--runs needs a number")?.parse()?,
            "--peers" => {
                plan.peers = Some(PathBuf::from(args.next().context("--peers needs a path")?));
            }
            "--bench" => {} // what cargo adds
            other => bail!(
                "what is {other}? [postgres|sqlite|all] [--quick|--full] [--limits] [--runs N] [--peers PROGRAM]"
            ),
        }
    }
    Ok(plan)
}
