//! The operator's tool: see [`metachat_jobs::cli`].

use std::process::ExitCode;

use clap::Parser as _;
use metachat_jobs::cli::{self, Cli, Printer};
use metachat_jobs::config::Sources;
use windlass::engine::Catalogue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut printer = Printer::standard(cli.json);
    // No jobs are written yet; each will be known here through its registry.
    cli::run(
        cli,
        Sources::from_process(),
        Catalogue::default(),
        &mut printer,
    )
    .await
    .into()
}
