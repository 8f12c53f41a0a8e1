//! A worker process: this program again, in its other role.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use windlass::{Engine, EngineOptions, Registry};

use crate::database::Database;
use crate::flows::{Gather, Member};
use crate::limits::{Limited, LimitedToo, TEN};
use crate::ordering::Ordered;
use crate::orders::Linger;

pub(crate) const ROLE: &str = "worker";

/// The leases of these workers: what a kill leaves behind is rescued within one and a half of it.
const LEASE: Duration = Duration::from_secs(3);

/// A worker on a database. Killed when dropped, so that no case leaves one behind.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    url: String,
}

impl Worker {
    pub(crate) fn start(database: &Database) -> Self {
        Self {
            child: spawn(&database.url),
            url: database.url.clone(),
        }
    }

    /// `kill -9`, and a new process in its place; says which is no more.
    pub(crate) fn kill_and_restart(&mut self) -> u32 {
        let killed = self.child.id();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.url);
        killed
    }
}

fn spawn(url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([ROLE, url])
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What the process does: runs jobs of every kind until it is killed.
pub(crate) async fn work(url: &str) {
    let database = Database::open(url);
    let registry = Registry::new(database.db.clone())
        .register::<Ordered>()
        .register::<Linger>()
        .register::<Member>()
        .register::<Gather>()
        .register::<Limited>()
        .register::<LimitedToo>();
    let options = EngineOptions {
        queues: vec![("default".to_owned(), 20), (TEN.to_owned(), 10)],
        lease: LEASE,
        ..EngineOptions::default()
    };
    Engine::new(database.store, registry, options)
        .unwrap()
        .run(CancellationToken::new())
        .await;
}
