//! A PostgreSQL server of the case's own, which it may stop and start.

use std::path::PathBuf;
use std::process::Command;

use uuid::Uuid;

#[derive(Debug)]
pub(crate) struct Server {
    bin: PathBuf,
    data: PathBuf,
    port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        let bin = PathBuf::from(var("TEST_PG_BIN"));
        let folder = format!("windlass-{}", Uuid::new_v4().simple());
        let data = PathBuf::from(var("TEST_PG_SCRATCH")).join(folder);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let server = Self { bin, data, port };
        let cluster = ["-U", "postgres", "-A", "trust", "-D", server.data()];
        server.run("initdb", &cluster);
        server.up();
        server
    }

    pub(crate) fn url(&self) -> String {
        Self::url_by(self.port)
    }

    /// Its URL for those who reach it by another port. Without TLS, so that who stands between can read.
    pub(crate) fn url_by(port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable")
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn up(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=300",
            self.port
        );
        let log = self.data.join("server.log");
        let log = log.to_str().unwrap();
        let start = ["-D", self.data(), "-w", "-l", log, "-o", &options, "start"];
        self.run("pg_ctl", &start);
    }

    /// Like a crash: no checkpoint, connections cut.
    pub(crate) fn down(&self) {
        let stop = ["-D", self.data(), "-m", "immediate", "-w", "stop"];
        self.run("pg_ctl", &stop);
    }

    fn data(&self) -> &str {
        self.data.to_str().unwrap()
    }

    /// Its output goes to a file: the server inherits it, and a pipe would never end.
    fn run(&self, program: &str, args: &[&str]) {
        let said = self.data.with_extension("log");
        let log = std::fs::File::create(&said).unwrap();
        let status = Command::new(self.bin.join(program))
            .args(args)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status()
            .unwrap();
        let said = std::fs::read_to_string(said).unwrap();
        assert!(status.success(), "{program}: {said}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Best effort: a case that failed may have left it down.
        let stop = ["-D", self.data(), "-m", "immediate", "-w", "stop"];
        drop(Command::new(self.bin.join("pg_ctl")).args(stop).output());
        drop(std::fs::remove_dir_all(&self.data));
        drop(std::fs::remove_file(self.data.with_extension("log")));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no config to read it from"
)]
fn var(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run eval \"$(scripts/services env)\""))
}
