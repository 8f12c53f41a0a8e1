//! The restore with stock tools, by the very lines that the runbook shows.

use std::process::Command;

use age::secrecy::ExposeSecret as _;
use metachat_jobs::backups::Kind;
use sqlx::{Connection as _, PgConnection};

use super::cluster::Cluster;
use super::rig::{Rig, counts, var};
use crate::support;

const PAGE: &str = include_str!("../../../docs/operations/disaster-recovery.md");

/// The commands under the heading.
fn commands() -> &'static str {
    let section = PAGE
        .split("## A restore with stock tools only")
        .nth(1)
        .unwrap();
    let block = section.split("```sh\n").nth(1).unwrap();
    block.split("```").next().unwrap()
}

#[tokio::test]
async fn a_restore_needs_stock_tools_only() {
    let identity = age::x25519::Identity::generate();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.txt");
    let secret = identity.to_string();
    std::fs::write(&key, secret.expose_secret()).unwrap();
    let public = identity.to_public().to_string();
    // Another server, as after a disaster.
    let other = Cluster::start(&[]);
    let (host, port) = ("127.0.0.1".to_owned(), other.port.to_string());
    support::with_postgres(async move |url| {
        let sealed = [("backups.recipients", public.as_str())];
        let rig = Rig::new(url, &sealed).await;
        let backup = rig.backup(&[], |_| {}).await;
        assert_eq!(backup.kind, Kind::PostgresLogical);
        let path = format!("{}:{}", var("TEST_PG_BIN"), var("PATH"));
        let told = Command::new("bash")
            .args(["-euo", "pipefail", "-c", commands()])
            .env("PATH", path)
            .env("BACKUP", rig.home(&backup))
            .env("KEY", &key)
            .env("TO", "chat_restored")
            .env("PGHOST", &host)
            .env("PGPORT", &port)
            .env("PGUSER", "postgres")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{errors}");
        let restored = format!("postgres://postgres@{host}:{port}/chat_restored");
        let mut connection = PgConnection::connect(&restored).await.unwrap();
        assert_eq!(counts(&mut connection).await, backup.rows);
        connection.close().await.unwrap();
    })
    .await;
    drop(other);
}
