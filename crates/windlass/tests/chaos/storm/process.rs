//! A process of a storm: this program again, in one of its other roles.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

#[derive(Debug)]
pub(crate) struct Process {
    role: &'static str,
    url: String,
    folder: PathBuf,
    child: Child,
}

impl Process {
    pub(crate) fn start(role: &'static str, url: &str, folder: &Path) -> Self {
        Self {
            role,
            url: url.to_owned(),
            folder: folder.to_owned(),
            child: spawn(role, url, folder),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has come so far that it can be told to stop.
    pub(crate) fn listens(&self) -> bool {
        super::ledger::file_of(&self.folder, self.pid()).exists()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A new process in the place of one that has ended.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.role, &self.url, &self.folder);
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

fn spawn(role: &str, url: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([role, url, folder.to_str().unwrap()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; one that is stopped can be killed, too.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
