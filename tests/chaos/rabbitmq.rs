//! A RabbitMQ of the test's own, which it may stop, kill and start again.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::database::var;

/// The longest that a node may take to answer: it starts an Erlang machine and reads its queues.
const STARTS_WITHIN: Duration = Duration::from_secs(90);
/// The longest that one attempt to connect may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct RabbitMq {
    server: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    distribution: u16,
    epmd_port: u16,
    epmd: Child,
    node: Option<Child>,
}

impl RabbitMq {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// With its management plugin; the port that listens on.
    pub(crate) async fn start_managed() -> (Self, u16) {
        let port = free_port();
        let management = format!("management.tcp.port = {port}\nmanagement.tcp.ip = 127.0.0.1\n");
        (Self::start_with(&management).await, port)
    }

    async fn start_with(further: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let epmd_port = free_port();
        // Of its own: the machine's port mapper is none of the test's business.
        let epmd = Command::new("epmd")
            .args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"])
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let port = free_port();
        let config = format!("listeners.tcp.1 = 127.0.0.1:{port}\n{further}");
        std::fs::write(folder.path().join("rabbitmq.conf"), config).unwrap();
        let plugins = if further.is_empty() {
            "[]."
        } else {
            "[rabbitmq_management]."
        };
        std::fs::write(folder.path().join("plugins"), plugins).unwrap();
        let mut server = Self {
            server: PathBuf::from(var("TEST_RABBITMQ_SERVER")),
            port,
            distribution: free_port(),
            epmd_port,
            epmd,
            folder,
            node: None,
        };
        server.up().await;
        server
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address())
    }

    /// A folder with a `rabbitmqctl` that speaks to this node: Debian's own insists on a system account.
    pub(crate) fn tools(&self) -> PathBuf {
        let bin = self.folder.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let real = self.server.with_file_name("rabbitmqctl");
        let script = format!(
            "#!/bin/sh\nexport HOME={} ERL_EPMD_PORT={} RABBITMQ_NODENAME=chaos-{}@localhost\nexec {} \"$@\"\n",
            self.folder.path().display(),
            self.epmd_port,
            self.port,
            real.display()
        );
        let file = bin.join("rabbitmqctl");
        std::fs::write(&file, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&file, mode).unwrap();
        bin
    }

    /// Starts the node on the data it left, and waits until it takes connections.
    pub(crate) async fn up(&mut self) {
        let at = |name: &str| self.folder.path().join(name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(at("node.log"))
            .unwrap();
        let node = Command::new(&self.server)
            .env("HOME", self.folder.path())
            // Makes the script become the node: its process is the one that is killed.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("chaos-{}@localhost", self.port))
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", at("data"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_CONF_ENV_FILE", at("no-env.conf"))
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", at("no-advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.node = Some(node);
        let mut pulse = tokio::time::interval(Duration::from_millis(100));
        let answers = async {
            loop {
                pulse.tick().await;
                let properties = lapin::ConnectionProperties::default();
                let url = self.url();
                let asked = lapin::Connection::connect(&url, properties);
                // A node that is half up may take a connection and never answer it.
                if let Ok(Ok(connection)) = tokio::time::timeout(ANSWERS_WITHIN, asked).await {
                    return connection;
                }
            }
        };
        let Ok(connection) = tokio::time::timeout(STARTS_WITHIN, answers).await else {
            let log = std::fs::read_to_string(at("node.log")).unwrap();
            panic!("RabbitMQ does not start: {log}");
        };
        connection.close(200, "it is up".into()).await.unwrap();
    }

    /// As an operator stops it.
    pub(crate) fn stop(&mut self) {
        let node = self.node.as_mut().expect("it runs");
        let sent = Command::new("kill")
            .args(["-s", "TERM", &node.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        node.wait().unwrap();
        self.node = None;
    }

    /// As a loss of power stops it.
    pub(crate) fn kill(&mut self) {
        let mut node = self.node.take().expect("it runs");
        node.kill().unwrap();
        node.wait().unwrap();
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        // Best effort: a test that failed may have left either of them down.
        for child in self.node.iter_mut().chain([&mut self.epmd]) {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
