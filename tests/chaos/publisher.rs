//! Who publishes: Python's `pika`, as different from what is tested as can be had; where no package
//! index can be reached, a plain lapin publisher that does the same.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use metachat_jobs::services::broker::topology::{self, Direction};
use serde_json::json;

/// The version that the test was written with.
const PIKA: &str = "pika==1.4.4";

/// Publishes messages, one conversation after the other taking its turn.
pub(crate) enum Publisher {
    Independent {
        child: Child,
        orders: ChildStdin,
        answers: BufReader<ChildStdout>,
    },
    Own(Box<Own>),
}

pub(crate) struct Own {
    url: String,
    tenants: usize,
    conversations: usize,
    published: usize,
    channel: Option<(Connection, Channel)>,
}

impl Publisher {
    #[expect(
        clippy::print_stderr,
        reason = "whoever reads the output must know what was shown"
    )]
    pub(crate) fn new(url: &str, folder: &Path, tenants: usize, conversations: usize) -> Self {
        let Some(python) = python(folder) else {
            eprintln!("no pika: the messages are published by lapin");
            return Self::Own(Box::new(Own {
                url: url.to_owned(),
                tenants,
                conversations,
                published: 0,
                channel: None,
            }));
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos/publisher.py");
        let mut child = Command::new(python)
            .args([
                script,
                url,
                &tenants.to_string(),
                &conversations.to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self::Independent {
            orders: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// Publishes the next messages; returns once the broker has confirmed each.
    pub(crate) async fn publish(mut self, count: usize) -> Self {
        match &mut self {
            Self::Independent { .. } => tokio::task::spawn_blocking(move || {
                let Self::Independent {
                    orders, answers, ..
                } = &mut self
                else {
                    unreachable!("it was just looked at")
                };
                writeln!(orders, "{count}").unwrap();
                let mut answer = String::new();
                answers.read_line(&mut answer).unwrap();
                assert!(!answer.is_empty(), "the publisher has ended");
                self
            })
            .await
            .unwrap(),
            Self::Own(own) => {
                for _ in 0..count {
                    own.next().await;
                }
                self
            }
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Self::Independent { child, .. } = self {
            // It may have ended already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Own {
    async fn next(&mut self) {
        let all = self.tenants * self.conversations;
        let (conversation, turn) = (self.published % all, self.published / all);
        let tenant = format!("t{}", conversation % self.tenants);
        let external = format!("{tenant}.c{conversation}.{turn}");
        let message = json!({
            "id": external, "externalId": external, "conversationId": format!("{tenant}:c{conversation}"),
            "from": format!("c{conversation}"), "type": "text", "content": {"text": external},
        });
        let body = json!({"type": "message.received", "message": message}).to_string();
        let mut pulse = tokio::time::interval(std::time::Duration::from_millis(200));
        while self.try_publish(&tenant, body.as_bytes()).await.is_err() {
            self.channel = None;
            pulse.tick().await;
        }
        self.published += 1;
    }

    async fn try_publish(&mut self, tenant: &str, body: &[u8]) -> lapin::Result<()> {
        if self.channel.is_none() {
            let properties = ConnectionProperties::default();
            let connection = Connection::connect(&self.url, properties).await?;
            let channel = connection.create_channel().await?;
            topology::declare_exchanges(&channel).await?;
            for tenant in 0..self.tenants {
                let key = topology::key(&format!("t{tenant}"), "webchat", Direction::Inbound);
                let _queue = topology::declare_work_queue(&channel, &key).await?;
            }
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            self.channel = Some((connection, channel));
        }
        let (_, channel) = self.channel.as_ref().expect("it was just made");
        let key = topology::key(tenant, "webchat", Direction::Inbound);
        let properties = BasicProperties::default().with_delivery_mode(2);
        let confirmed = channel
            .basic_publish(
                topology::ORCHESTRATOR.into(),
                key.as_str().into(),
                BasicPublishOptions::default(),
                body,
                properties,
            )
            .await?
            .await?;
        assert!(confirmed.is_ack(), "{confirmed:?}");
        Ok(())
    }
}

/// A Python that has `pika`: the machine's own, or one made for the test.
fn python(folder: &Path) -> Option<PathBuf> {
    let has = |python: &Path| {
        let asked = Command::new(python).args(["-c", "import pika"]).output();
        asked.is_ok_and(|asked| asked.status.success())
    };
    let machines = PathBuf::from("python3");
    if has(&machines) {
        return Some(machines);
    }
    let venv = folder.join("venv");
    let done = |command: &mut Command| command.output().is_ok_and(|done| done.status.success());
    let made = done(Command::new("python3").args(["-m", "venv"]).arg(&venv))
        && done(Command::new(venv.join("bin/pip")).args([
            "install",
            "--quiet",
            "--timeout",
            "20",
            PIKA,
        ]));
    let python = venv.join("bin/python");
    (made && has(&python)).then_some(python)
}
