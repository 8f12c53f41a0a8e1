//! Runs the programs that copy and restore.
//!
//! Each runs in a process group of its own, under a guard: a line of shell that holds one end of a pipe whose
//! other end is here. When this process is gone, however it went, the pipe ends and the guard kills the whole
//! group: nothing goes on dumping for nobody. (`PR_SET_PDEATHSIG` ends one process and not its workers, hangs
//! on the thread that started it, and needs unsafe code.)

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdin};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Error;

/// The guard. `$1` is how much lower the priority is, the rest is the command.
const GUARD: &str = r#"
nice=$1
shift
if [ "$nice" -gt 0 ]; then
    if command -v ionice >/dev/null 2>&1; then set -- ionice -c 2 -n 7 "$@"; fi
    set -- nice -n "$nice" "$@"
fi
exec 3<&0 </dev/null
"$@" 3<&- &
tool=$!
(read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$tool"
status=$?
kill -KILL "$watch" 2>/dev/null
exit "$status"
"#;
/// How much of what a program tells is kept: the end of it.
const TOLD: usize = 4096;
/// What a shell says of a program that is not there, and of one that may not run.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;
/// What would lead PostgreSQL's tools elsewhere than to where they are sent.
const ELSEWHERE: [&str; 10] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSERVICE",
    "PGOPTIONS",
    "PGDATA",
];

/// A program to be run.
#[derive(Debug)]
pub struct Tool {
    program: PathBuf,
    setting: &'static str,
    args: Vec<OsString>,
    secrets: Vec<(&'static str, SecretString)>,
    environment: Vec<(&'static str, OsString)>,
    output: Option<PathBuf>,
    folder: Option<PathBuf>,
    nice: u8,
}

/// What a program told.
#[derive(Debug)]
pub struct Told {
    /// On its standard output; empty if that went to a file.
    pub output: Vec<u8>,
    /// The end of what it told on its standard error.
    pub errors: String,
}

impl Tool {
    /// A program, by its path, or by its name for one in `PATH`; and the setting that names its folder.
    pub fn new(program: impl Into<PathBuf>, setting: &'static str) -> Self {
        Self {
            program: program.into(),
            setting,
            args: Vec::new(),
            secrets: Vec::new(),
            environment: Vec::new(),
            output: None,
            folder: None,
            nice: 0,
        }
    }

    /// An argument: never a secret, since everybody on the machine sees it.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Further ones.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// A secret, by a variable of the environment; what the program tells is cleaned of it.
    #[must_use]
    pub fn secret(mut self, name: &'static str, value: SecretString) -> Self {
        self.secrets.push((name, value));
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Where its standard output goes: a new file for its owner alone.
    #[must_use]
    pub fn output(mut self, file: impl Into<PathBuf>) -> Self {
        self.output = Some(file.into());
        self
    }

    /// The folder it runs in.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// How much lower its priority is, 0 to 19; also for the disk, where the system can.
    #[must_use]
    pub const fn nice(mut self, nice: u8) -> Self {
        self.nice = nice;
        self
    }

    /// Its name.
    pub fn name(&self) -> String {
        let name = self.program.file_name().unwrap_or(self.program.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Runs it to its end, which must be a good one. What it started is gone afterwards, however it went.
    pub async fn run(self, timeout: Duration, cancel: &CancellationToken) -> Result<Told, Error> {
        let mut running = self.start()?;
        let ended = tokio::select! {
            status = running.wait() => Ok(status?),
            () = cancel.cancelled() => Err(Error::Cancelled { what: running.name.clone() }),
            () = tokio::time::sleep(timeout) => {
                Err(Error::TimedOut { what: running.name.clone(), after: timeout })
            }
        };
        match ended {
            Ok(status) => running.told(status).await,
            Err(error) => {
                running.kill().await;
                Err(error)
            }
        }
    }

    /// Starts it, to be looked after by the caller. Dropping it kills it.
    pub fn start(self) -> Result<Running, Error> {
        let name = self.name();
        let output = match &self.output {
            Some(file) => Stdio::from(private_file(file)?),
            None => Stdio::piped(),
        };
        let mut command = tokio::process::Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(GUARD)
            .arg("guard")
            .arg(self.nice.to_string())
            .arg(&self.program)
            .args(&self.args)
            .env("LC_ALL", "C")
            .env("PGCONNECT_TIMEOUT", "10")
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::piped())
            .process_group(0);
        for name in ELSEWHERE {
            command.env_remove(name);
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        for (name, value) in &self.secrets {
            command.env(name, value.expose_secret());
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command
            .spawn()
            .map_err(Error::io(format!("starting {name}")))?;
        let group = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Running {
            lifeline: child.stdin.take(),
            output: child.stdout.take().map(|from| tokio::spawn(all_of(from))),
            errors: child.stderr.take().map(|from| tokio::spawn(end_of(from))),
            child,
            group,
            name,
            program: self.program,
            setting: self.setting,
            secrets: self.secrets.into_iter().map(|(_, secret)| secret).collect(),
        })
    }
}

/// A program that runs. Dropping it kills it and all it started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Its process group; none once all of it is gone.
    group: Option<Pid>,
    /// What the guard watches. Taken out of `child`, whose `wait` would close it.
    lifeline: Option<ChildStdin>,
    output: Option<JoinHandle<Vec<u8>>>,
    errors: Option<JoinHandle<String>>,
    name: String,
    program: PathBuf,
    setting: &'static str,
    secrets: Vec<SecretString>,
}

impl Running {
    /// Waits for its end, however it comes.
    pub async fn wait(&mut self) -> Result<ExitStatus, Error> {
        let ended = self.child.wait().await;
        let status = ended.map_err(Error::io(format!("waiting for {}", self.name)))?;
        // If the guard was killed, what it guarded may still be there.
        self.kill_group();
        self.group = None;
        Ok(status)
    }

    /// What it told, once it has ended; an error unless it ended well.
    pub async fn told(&mut self, status: ExitStatus) -> Result<Told, Error> {
        // Of a reader that did not come to its end nothing was told; how the program ended is known all the same.
        let errors = match self.errors.take() {
            Some(reading) => reading.await.unwrap_or_default(),
            None => String::new(),
        };
        let output = match self.output.take() {
            Some(reading) => reading.await.unwrap_or_default(),
            None => Vec::new(),
        };
        let errors = self.cleaned(errors);
        if status.success() {
            return Ok(Told { output, errors });
        }
        if matches!(status.code(), Some(NOT_FOUND | NOT_EXECUTABLE)) {
            return Err(self.missing());
        }
        Err(Error::ToolFailed {
            tool: self.name.clone(),
            status: described(status),
            message: errors,
        })
    }

    /// Kills it and all it started, and waits until it is gone.
    pub async fn kill(mut self) {
        drop(self.lifeline.take());
        self.kill_group();
        // It was killed: how it ended is known, and that is all there is to learn.
        let _ = self.child.wait().await;
        self.group = None;
    }

    /// Sends a signal to all of it.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // The one failure there is: nobody is left.
            let _ = kill_process_group(group, signal);
        }
    }

    /// The process id of the guard, which is also the id of the group.
    pub fn group(&self) -> Option<u32> {
        self.group
            .and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
    }

    fn kill_group(&self) {
        self.signal(Signal::KILL);
    }

    fn cleaned(&self, told: String) -> String {
        let secrets = self.secrets.iter().map(ExposeSecret::expose_secret);
        let told = secrets
            .filter(|secret| !secret.is_empty())
            .fold(told, |told, secret| told.replace(secret, "(secret)"));
        told.trim().to_owned()
    }

    fn missing(&self) -> Error {
        let looked = if self.program.components().count() > 1 {
            format!("at {}", self.program.display())
        } else {
            "in PATH".to_owned()
        };
        Error::ToolMissing {
            tool: self.name.clone(),
            looked,
            setting: self.setting,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
    }
}

fn described(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        // The guard says it of what it guarded as shells do.
        (Some(code @ 129..=192), _) => format!("killed by signal {}", code - 128),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn private_file(file: &Path) -> Result<std::fs::File, Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(file)
        .map_err(Error::io(format!("making {}", file.display())))
}

async fn all_of(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut all = Vec::new();
    // A pipe breaks when the program is killed; what came before still counts.
    let _ = from.read_to_end(&mut all).await;
    all
}

/// Reads to the end, so that the program never waits for us, and keeps the last of it.
async fn end_of(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > 2 * TOLD {
            kept.drain(..kept.len() - TOLD);
        }
    }
    let from = kept.len().saturating_sub(TOLD);
    String::from_utf8_lossy(&kept[from..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn shell(script: &str) -> Tool {
        Tool::new("/bin/sh", "backups.tools.pg_bin").args(["-c", script])
    }

    #[tokio::test]
    async fn a_program_says_what_it_did_and_no_secret() {
        let never = CancellationToken::new();
        let told = shell("echo out; echo \"err $SECRET\" >&2").secret("SECRET", "hunter2".into());
        let told = told.nice(1).run(LONG, &never).await.unwrap();
        assert_eq!(
            (told.output.as_slice(), told.errors.as_str()),
            (&b"out\n"[..], "err (secret)")
        );
        let failed = shell("echo no >&2; exit 3")
            .run(LONG, &never)
            .await
            .unwrap_err();
        assert_eq!(failed.to_string(), "sh failed (exit code 3): no");
        let killed = shell("kill -KILL $$").run(LONG, &never).await.unwrap_err();
        assert!(
            killed.to_string().contains("(killed by signal 9)"),
            "{killed}"
        );
    }

    #[tokio::test]
    async fn a_missing_program_names_the_remedy() {
        let never = CancellationToken::new();
        let tool = Tool::new("/nowhere/pg_dump", "backups.tools.pg_bin");
        let missing = tool.run(LONG, &never).await.unwrap_err();
        let told = missing.to_string();
        assert!(
            told.contains("pg_dump was not found (at /nowhere/pg_dump)"),
            "{told}"
        );
        assert!(told.ends_with("set backups.tools.pg_bin"), "{told}");
    }

    /// Whether a process is there and no zombie.
    fn lives(pid: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
            !stat
                .rsplit(") ")
                .next()
                .unwrap_or_default()
                .starts_with('Z')
        })
    }

    async fn until(condition: impl Fn() -> bool) {
        let waited = async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, waited).await.unwrap();
    }

    /// A program with a child, both deaf and stopped, and the pids of both.
    async fn stubborn(folder: &Path) -> (Running, Vec<String>) {
        let file = folder.join("pids");
        let script = format!(
            "trap '' TERM INT; sleep 1000 & echo $! > {0}.new; echo $$ >> {0}.new; mv {0}.new {0}; kill -STOP $$",
            file.display()
        );
        let running = shell(&script).start().unwrap();
        until(|| file.exists()).await;
        let pids = std::fs::read_to_string(&file).unwrap();
        (running, pids.lines().map(str::to_owned).collect())
    }

    #[tokio::test]
    async fn whatever_it_started_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (running, pids) = stubborn(folder.path()).await;
        assert!(pids.iter().all(|pid| lives(pid)));
        running.kill().await;
        until(|| !pids.iter().any(|pid| lives(pid))).await;
    }

    #[tokio::test]
    async fn it_goes_when_the_one_who_waits_for_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (mut running, pids) = stubborn(folder.path()).await;
        // What the system does to the pipe of a process that was killed.
        drop(running.lifeline.take());
        until(|| !pids.iter().any(|pid| lives(pid))).await;
    }

    #[tokio::test]
    async fn time_runs_out_and_orders_come() {
        let never = CancellationToken::new();
        let late = shell("kill -STOP $$")
            .run(Duration::from_millis(50), &never)
            .await
            .unwrap_err();
        assert!(matches!(late, Error::TimedOut { .. }), "{late}");
        never.cancel();
        let cancelled = shell("sleep 1000").run(LONG, &never).await.unwrap_err();
        assert!(matches!(cancelled, Error::Cancelled { .. }), "{cancelled}");
    }
}
