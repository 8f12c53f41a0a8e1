//! A real server, and `jobctl` as a process beside it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::program::{KEY, Running, program, wait_for};

pub(super) const JOB: [&str; 3] = [
    "enqueue",
    "ingest_document",
    r#"{"tenantId":"acme","documentId":"d-1"}"#,
];

/// The API alone: no job runs, so that only commands change anything.
pub(super) struct House {
    pub(super) server: Option<Running>,
    pub(super) url: String,
    folder: tempfile::TempDir,
}

/// How a command went.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl House {
    pub(super) async fn new() -> Self {
        Self::with_role("api").await
    }

    pub(super) async fn with_role(role: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let child = program(folder.path())
            .args(["run", "--role", role, "--database", "sqlite:jobs.db"])
            .args(["--set", "server.port=0"])
            .args(["--set", &format!("security.admin_key={KEY}")])
            .args(["--set", "rate_limits.enabled=false"])
            .stdout(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let running = Running(child);
        let line = wait_for(&log, |line| line["message"] == "listening").await;
        let house = Self {
            url: format!("http://{}", line["address"].as_str().unwrap()),
            server: Some(running),
            folder,
        };
        house.profiles(&format!(
            "[profiles.here]\nurl = \"{}\"\nkey.env = \"KEY_OF_HERE\"\n",
            house.url
        ));
        house
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn profiles(&self, text: &str) -> PathBuf {
        let folder = self.path().join("config/metachat-jobs");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("jobctl.toml");
        std::fs::write(&file, text).unwrap();
        mode(&file, 0o644);
        file
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobctl"));
        command
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("KEY_OF_HERE", KEY);
        command
    }

    /// Beside the server, and straight on its database.
    pub(super) fn direct(&self, args: &[&str]) -> Told {
        let mut command = self.command(args);
        told(command.env("DATABASE_URL", "sqlite:jobs.db"))
    }

    pub(super) fn run(&self, args: &[&str]) -> Told {
        told(self.command(args).env("JOBCTL_PROFILE", "here"))
    }

    pub(super) fn done(&self, args: &[&str]) -> String {
        let told = self.run(args);
        assert_eq!(told.code, Some(0), "{args:?}: {told:?}");
        told.out.trim().to_owned()
    }

    pub(super) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[args, &["--json"]].concat())).unwrap()
    }
}

pub(super) fn told(command: &mut Command) -> Told {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let told = Told {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    };
    // Whatever a test asks for: the key is nowhere.
    assert!(!format!("{told:?}").contains(KEY), "{told:?}");
    told
}

pub(super) fn mode(file: &Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}
