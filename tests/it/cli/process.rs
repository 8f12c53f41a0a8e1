use std::path::Path;
use std::process::{Command, Output};

fn jobctl(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jobctl"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_shell_gets_to_see_how_it_went() {
    let folder = tempfile::tempdir().unwrap();
    let job = "0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d";
    for (args, code) in [
        (&["migrate"][..], 0),
        (&["queues", "--json"], 0),
        (&["list", "--set", "server.prot=1"], 2),
        (&["list", "--limit", "0"], 2),
        (&["show", job], 3),
        (&["list", "--database", "sqlite:missing/jobs.db"], 1),
    ] {
        let output = jobctl(folder.path(), args);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {err}");
        assert_eq!(err.is_empty(), code == 0, "{args:?}: {err}");
    }
}

#[test]
fn an_unreachable_database_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let output = jobctl(
        folder.path(),
        &["doctor", "--database", "sqlite:missing/jobs.db"],
    );
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("FAIL  disk"), "{out}");
    assert!(out.contains("make the folder"), "{out}");
    assert!(out.contains("FAIL  database"), "{out}");
    assert!(out.contains("DATABASE_URL"), "{out}");

    let daemon = Command::new(env!("CARGO_BIN_EXE_metachat-jobs"))
        .args(["run", "--role", "api"])
        .env_clear()
        .env("DATABASE_URL", "sqlite:missing/jobs.db")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let err = text(&daemon.stderr);
    assert_eq!(daemon.status.code(), Some(1));
    assert!(err.contains("setting database.url"), "{err}");
    assert!(err.contains("jobctl doctor"), "{err}");
}

#[test]
fn an_unreachable_server_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u:hunter2@{}/x", gone.local_addr().unwrap());
    drop(gone);
    let run = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        let command = command.args(args).current_dir(folder.path()).env_clear();
        command.env("DATABASE_URL", &url).output().unwrap()
    };
    let jobctl = run(env!("CARGO_BIN_EXE_jobctl"), &["list"]);
    let daemon = run(
        env!("CARGO_BIN_EXE_metachat-jobs"),
        &["run", "--role", "api"],
    );
    for output in [jobctl, daemon] {
        let told = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("DATABASE_URL"), "{told}");
        assert!(told.contains("jobctl doctor"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn the_daemon_does_not_serve_without_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Command::new(env!("CARGO_BIN_EXE_metachat-jobs"))
        .args(["run", "--role", "api", "--set", "server.port=0"])
        .env_clear()
        .current_dir(folder.path())
        .output()
        .unwrap();
    let err = text(&daemon.stderr);
    assert_eq!(daemon.status.code(), Some(1));
    assert!(err.contains("security.admin_key"), "{err}");
}
