//! The operator's tool: see [`metachat_jobs::cli`].

use std::process::ExitCode;

use clap::Parser as _;
use metachat_jobs::cli::{self, Cli, Printer};
use metachat_jobs::compose;
use metachat_jobs::config::Sources;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut printer = Printer::standard(cli.json);
    cli::run(
        cli,
        Sources::from_process(),
        compose::catalogue,
        &mut printer,
    )
    .await
    .into()
}
