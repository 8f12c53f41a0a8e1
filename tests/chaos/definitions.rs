//! What is declared in a real RabbitMQ is exported by its own program and by its management plugin, and another
//! RabbitMQ takes it in.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use metachat_jobs::backups::{Level, Transfer};
use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};
use metachat_jobs::jobs::{CreateBackup, VerifyBackup};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use windlass::{Job, State};

use super::database::Database;
use super::process::Process;
use super::rabbitmq::RabbitMq;

const PATIENCE: Duration = Duration::from_mins(2);
const QUEUE: &str = "messages.inbound.copied";

async fn declare(url: &str) {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(QUEUE.into(), durable, FieldTable::default())
        .await
        .unwrap();
    let bind = QueueBindOptions::default();
    let key = "a.key".into();
    channel
        .queue_bind(
            QUEUE.into(),
            "amq.topic".into(),
            key,
            bind,
            FieldTable::default(),
        )
        .await
        .unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

fn ctl(bin: &Path, args: &[&str]) -> String {
    let told = Command::new(bin.join("rabbitmqctl"))
        .args(args)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{args:?}: {errors}");
    String::from_utf8(told.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_of_a_real_broker_are_copied_both_ways_and_taken_in_by_another() {
    let (broker, management) = RabbitMq::start_managed().await;
    declare(&broker.url()).await;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::sqlite(folder.path()).await;
    let here = folder.path().display();
    let file = folder.path().join("settings.toml");
    let text = format!(
        "[backups]\nscratch = \"{here}/scratch\"\n[backups.tools]\nrabbitmq_bin = \"{}\"\n\
         [backups.places.local]\nkind = \"folder\"\npath = \"{here}/local\"\n\
         [backups.targets.by_program]\nkind = \"rabbitmq\"\nplace = \"local\"\n\
         [backups.targets.by_plugin]\nkind = \"rabbitmq\"\nplace = \"local\"\n\
         url = \"http://guest:guest@127.0.0.1:{management}\"\n",
        broker.tools().display()
    );
    std::fs::write(&file, text).unwrap();
    let flags = [
        ("database.url", database.url.as_str()),
        ("security.admin_key", "a-key-for-this-test-only"),
        ("server.port", "0"),
    ];
    let worker = Process::start_with(&file, "all", folder.path(), &flags);
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    let backups = compose::backups(&Config::load(&sources).unwrap()).unwrap();
    let place = backups.repository("local").unwrap();
    let other = RabbitMq::start().await;
    for (target, how) in [
        ("by_program", "rabbitmqctl"),
        ("by_plugin", "management API"),
    ] {
        let name = target.to_owned();
        done(&database, &worker, &CreateBackup { target: name }).await;
        let verify = VerifyBackup::newest(target, Level::Started);
        done(&database, &worker, &verify).await;
        let backup = place.list(target).await.unwrap().pop().unwrap();
        assert_eq!(backup.manifest.details["exported_by"], how);
        assert!(backup.verified(Level::Structure).is_some());
        let to = folder.path().join(format!("fetched-{target}"));
        let transfer = Transfer::new(CancellationToken::new(), 0);
        place
            .fetch(target, &backup.manifest.id, &to, &transfer)
            .await
            .unwrap();
        let copied = to.join("definitions.json");
        let text = std::fs::read_to_string(&copied).unwrap();
        let definitions: Value = serde_json::from_str(&text).unwrap();
        let queues = definitions["queues"].as_array().unwrap();
        assert!(queues.iter().any(|it| it["name"] == QUEUE), "{how}: {text}");
        // As after a disaster.
        let bin = other.tools();
        ctl(&bin, &["import_definitions", copied.to_str().unwrap()]);
        let there = ctl(&bin, &["list_queues", "--quiet", "name"]);
        assert!(there.contains(QUEUE), "{how}: {there}");
        let bound = ctl(&bin, &["list_bindings", "--quiet", "routing_key"]);
        assert!(bound.contains("a.key"), "{how}: {bound}");
        ctl(&bin, &["delete_queue", QUEUE]);
    }
}

/// Has the worker do a job, which must go well.
async fn done(database: &Database, worker: &Process, job: &impl Job) {
    let id = database.client.enqueue(job).await.unwrap().id();
    let job = database.until(id, PATIENCE, |job| job.state.is_finished());
    let job = job.await;
    assert_eq!(job.state, State::Completed, "{job:?}\n{}", worker.log());
}
