use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::CommandFactory as _;
use metachat_jobs::cli::Cli;

fn script(shell: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    // Whatever the settings are like: this is asked for before there are any.
    let output = Command::new(env!("CARGO_BIN_EXE_jobctl"))
        .args(["completions", shell])
        .current_dir(folder.path())
        .env_clear()
        .env("METACHAT_JOBS__SERVER__PROT", "1")
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no config to read it from"
)]
/// Shells that are not installed are not asked; bash always is.
fn installed(shell: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(shell).is_file())
}

fn run(shell: &str, arguments: &[&str], text: &str, home: &Path) -> String {
    let mut child = Command::new(shell)
        .args(arguments)
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{shell}: {err}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_shell_takes_its_script_which_names_every_command() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = script(shell);
        for command in Cli::command().get_subcommands() {
            assert!(
                script.contains(command.get_name()),
                "{shell}: {}",
                command.get_name()
            );
        }
        if shell == "bash" || installed(shell) {
            run(shell, &["-n"], &script, home.path());
        }
    }
}

#[test]
fn bash_completes_commands_by_it() {
    let home = tempfile::tempdir().unwrap();
    let asked = "\nCOMP_WORDS=(jobctl sched); COMP_CWORD=1; _jobctl jobctl sched jobctl; \
                 echo \"${COMPREPLY[@]}\"\n";
    let told = run("bash", &["-s"], &(script("bash") + asked), home.path());
    assert_eq!(told.trim(), "schedules");
}

#[test]
fn other_shells_are_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_jobctl"))
        .args(["completions", "tcsh"])
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(err.contains("expected bash, zsh or fish"), "{err}");
}
