//! A PostgreSQL of the test's own, which it may copy, kill and lose.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::rig::var;

pub(crate) struct Cluster {
    data: PathBuf,
    pub(crate) port: u16,
    /// Ends it with the test, however the test ends: what it waits for closes with our process.
    _guard: Child,
}

impl Cluster {
    /// With these settings.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let name = format!("trial-{}", uuid::Uuid::new_v4().simple());
        let cluster = Self::at(Path::new(&var("TEST_PG_SCRATCH")).join(name));
        cluster.run(
            "initdb",
            &["-U", "postgres", "-A", "trust", "-D", cluster.data()],
        );
        cluster.up(settings);
        cluster
    }

    /// On a data folder that is there already.
    pub(crate) fn on(data: PathBuf) -> Self {
        let cluster = Self::at(data);
        cluster.up(&[]);
        cluster
    }

    fn at(data: PathBuf) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let guard = Command::new("sh")
            .args([
                "-c",
                "read -r _; \"$0\" -D \"$1\" -m immediate stop; rm -rf \"$1\"",
            ])
            .args([&Path::new(&var("TEST_PG_BIN")).join("pg_ctl"), &data])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            data,
            port,
            _guard: guard,
        }
    }

    fn up(&self, settings: &[&str]) {
        let port = self.port;
        let mut options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c shared_buffers=64MB"
        );
        for setting in settings {
            options.push_str(" -c ");
            options.push_str(setting);
        }
        let log = self.data.join("server.log");
        let log = log.to_str().unwrap();
        let start = ["-D", self.data(), "-w", "-l", log, "-o", &options, "start"];
        self.run("pg_ctl", &start);
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) {
        let pid = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        let killed = Command::new("kill").args(["-9", pid]).status().unwrap();
        assert!(killed.success());
    }

    fn data(&self) -> &str {
        self.data.to_str().unwrap()
    }

    fn run(&self, program: &str, args: &[&str]) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let status = Command::new(Path::new(&var("TEST_PG_BIN")).join(program))
            .args(args)
            .stdout(log.reopen().unwrap())
            .stderr(log.reopen().unwrap())
            .status()
            .unwrap();
        let said = std::fs::read_to_string(log.path()).unwrap();
        assert!(status.success(), "{program} in {}: {said}", self.data());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Best effort: a test may have killed it.
        let stop = ["-D", self.data(), "-m", "immediate", "-w", "stop"];
        let program = Path::new(&var("TEST_PG_BIN")).join("pg_ctl");
        drop(Command::new(program).args(stop).output());
        drop(std::fs::remove_dir_all(&self.data));
    }
}
