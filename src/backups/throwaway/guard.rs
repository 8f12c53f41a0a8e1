//! A program that does not outlive this process, however that ends.
//!
//! Between the two stands a shell that holds the other end of a pipe: when we close it, or are killed and
//! the system closes it, the shell ends the program.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::RunAs;

/// `$@` is the program. Its own input is empty; the shell's is the pipe.
const GUARD: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
trap 'kill -INT "$program"' INT
{ read -r _ <&3; kill -QUIT "$program"; } 2>/dev/null &
reader=$!
exec 3<&-
wait "$program"
status=$?
while kill -0 "$program" 2>/dev/null; do wait "$program"; status=$?; done
kill "$reader" 2>/dev/null
exit "$status"
"#;

/// How long a program may take to end once it is told to at once.
const STOP: Duration = Duration::from_secs(10);

/// The command that runs a program under guard.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", GUARD, "guard"]).arg(program);
    command
}

/// A running program and its guard.
#[derive(Debug)]
pub(super) struct Guarded {
    shell: Child,
}

impl Guarded {
    /// Starts it in a process group of its own, as another account if this process is root.
    pub(super) fn spawn(mut command: Command, run_as: RunAs, log: &Path) -> io::Result<Self> {
        let log = File::create(log)?;
        command
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .current_dir("/");
        if let Some(account) = run_as.needed() {
            command.uid(account.uid).gid(account.gid);
        }
        Ok(Self {
            shell: command.spawn()?,
        })
    }

    /// How it ended, if it did.
    pub(super) fn status(&mut self) -> Option<ExitStatus> {
        // An error means that there is nothing to wait for.
        self.shell.try_wait().unwrap_or_default()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.status().is_some()
    }

    /// Asks it to end in order: PostgreSQL's fast shutdown.
    pub(super) fn interrupt(&self) {
        if let Some(pid) = self.pid() {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::INT);
        }
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.shell.id()).ok()?)
    }
}

impl Drop for Guarded {
    /// Ends it and waits, so that its folder can be deleted.
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let began = Instant::now();
        while !self.has_ended() {
            if began.elapsed() >= STOP {
                if let Some(pid) = self.pid() {
                    let _ = kill_process_group(pid, Signal::KILL);
                }
                drop(self.shell.wait());
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
