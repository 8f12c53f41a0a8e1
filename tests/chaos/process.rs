//! The program as a process that can be killed, stopped and read.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running `metachat-jobs`. Killed when dropped, so that no test leaves one behind.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the program in a role, with settings such as `("engine.lease_ms", "2000")`.
    pub(crate) fn start(role: &str, folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::spawn(None, role, folder, settings)
    }

    /// The same, with a file of settings besides.
    pub(crate) fn start_with(
        file: &Path,
        role: &str,
        folder: &Path,
        settings: &[(&str, &str)],
    ) -> Self {
        Self::spawn(Some(file), role, folder, settings)
    }

    fn spawn(file: Option<&Path>, role: &str, folder: &Path, settings: &[(&str, &str)]) -> Self {
        let log = folder.join(format!("{role}-{}.log", uuid::Uuid::now_v7().simple()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_metachat-jobs"));
        command.args(["run", "--role", role]);
        // Only what is said here counts: not what the machine that runs the tests happens to set.
        command.env_clear().current_dir(folder);
        if let Some(file) = file {
            command.arg("--config").arg(file);
        }
        for (key, value) in settings {
            command.args(["--set", &format!("{key}={value}")]);
        }
        let output = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// `kill -9`: no warning, no clean-up.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for it to end by itself; how it did.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// The most memory it had, in megabytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
        let kilobytes: u64 = peak
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        kilobytes / 1000
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// How often a text stands in its log.
    pub(crate) fn said(&self, text: &str) -> usize {
        std::fs::read_to_string(&self.log)
            .unwrap()
            .matches(text)
            .count()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
