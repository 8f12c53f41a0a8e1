//! Scripts that complete command lines, made from the parser itself.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Failure, Printer};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which shell's: bash, zsh or fish
    #[arg(value_parser = shell)]
    shell: Shell,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "jobctl", &mut script);
    printer.raw(&script)?;
    Ok(())
}

/// Of the shells that clap can write for, those that are tested here.
fn shell(text: &str) -> Result<Shell, String> {
    match text {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err("expected bash, zsh or fish".to_owned()),
    }
}
