//! Each kind of target is copied whole, and the manifest says so.

use std::process::Command;

use metachat_jobs::backups::Kind;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use windlass::State;

use super::rig::{Rig, pg_bin, transfer, variable, why};
use crate::jobs::server::{Server, says};
use crate::support::with_postgres;

const DATABASE: &str = "
    create schema chat;
    create table chat.messages (id int primary key, body text not null);
    insert into chat.messages select n, repeat('m' || n, 20) from generate_series(1, 5000) n;
    create table public.\"Odd name\" (n int);
    insert into public.\"Odd name\" values (1), (2), (3);
    create table parts (at int) partition by range (at);
    create table parts_1 partition of parts for values from (0) to (10);
    create table parts_2 partition of parts for values from (10) to (20);
    insert into parts select n from generate_series(0, 14) n;
    create table nothing (n int);
";

async fn filled(url: &str) -> PgConnection {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(sqlx::raw_sql(DATABASE)).await.unwrap();
    connection
}

#[tokio::test]
async fn a_postgres_database_is_dumped_with_its_rows_counted_in_the_same_snapshot() {
    with_postgres(async |url| {
        let mut connection = filled(&url).await;
        let rig = Rig::new(&format!(
            "[backups.targets.main]\nkind = \"postgres_logical\"\nplace = \"local\"\nurl = \"{url}\"\nsql_gz = true\n"
        ))
        .await;
        // Rows that come and go while it is dumped are in both or in neither.
        let writing = {
            let url = url.clone();
            tokio::spawn(async move {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                for _ in 0..2000 {
                    let more = "insert into chat.messages select max(id) + 1, 'more' from chat.messages";
                    connection.execute(more).await.unwrap();
                }
            })
        };
        let backup = rig.created("main").await.manifest;
        writing.await.unwrap();
        assert_eq!(backup.kind, Kind::PostgresLogical);
        assert_eq!(backup.rows["public.Odd name"], 3);
        assert_eq!((backup.rows["public.parts_1"], backup.rows["public.parts_2"]), (10, 5));
        assert_eq!(backup.rows["public.nothing"], 0);
        assert!(!backup.rows.contains_key("public.parts"), "a parent holds no rows");
        let counted = backup.rows["chat.messages"];
        assert!((5000..7000).contains(&counted), "{counted}");
        for said in [&backup.server_version, &backup.client_version, &backup.snapshot, &backup.start_lsn,
            &backup.system_identifier, &backup.database] {
            assert!(said.as_ref().is_some_and(|it| !it.is_empty()), "{backup:?}");
        }
        assert_eq!(backup.details["role_passwords"], "included");

        // Stock tools restore it, with as many rows as were counted.
        let folder = rig.fetch("local", &backup).await;
        let restored = restore(&mut connection, &url, &folder.join("dump")).await;
        assert_eq!(restored, i64::try_from(counted).unwrap());
        let globals = std::fs::read_to_string(folder.join("globals.sql")).unwrap();
        assert!(globals.contains("CREATE ROLE"), "{globals}");
        let plain = backup.files.iter().find(|file| file.path.ends_with(".sql.gz")).unwrap();
        assert!(plain.path.starts_with("metachat_backup_"), "{}", plain.path);
        let unpacked = Command::new("gzip").args(["-dc"]).arg(folder.join(&plain.path)).output().unwrap();
        let text = String::from_utf8(unpacked.stdout).unwrap();
        assert!(text.contains("PostgreSQL database dump complete"), "its end is there");
        assert!(rig.left_in_scratch().is_empty(), "{:?}", rig.left_in_scratch());
    })
    .await;
}

/// Restores a dump with `pg_restore` into a database of its own; how many messages it has.
async fn restore(connection: &mut PgConnection, url: &str, dump: &std::path::Path) -> i64 {
    let name = format!("it_restored_{}", uuid::Uuid::new_v4().simple());
    let create = format!("create database {name}");
    connection
        .execute(sqlx::AssertSqlSafe(create))
        .await
        .unwrap();
    let mut other = url::Url::parse(url).unwrap();
    other.set_path(&name);
    let restored = Command::new(format!("{}/pg_restore", pg_bin()))
        .args(["--exit-on-error", "--dbname", other.as_str()])
        .arg(dump)
        .output()
        .unwrap();
    let count = async {
        let mut there = PgConnection::connect(other.as_str()).await.unwrap();
        let count = sqlx::query_scalar("select count(*) from chat.messages")
            .fetch_one(&mut there)
            .await;
        there.close().await.unwrap();
        count.unwrap()
    };
    let rows = if restored.status.success() {
        count.await
    } else {
        -1
    };
    let drop = format!("drop database {name}");
    connection.execute(sqlx::AssertSqlSafe(drop)).await.unwrap();
    assert!(
        restored.status.success(),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    rows
}

#[tokio::test]
async fn a_sqlite_file_is_copied_while_it_is_written_to() {
    let settings = "[backups.targets.jobs]\nkind = \"sqlite\"\nplace = \"local\"\n";
    let rig = Rig::new(settings).await;
    let backup = rig.created("jobs").await.manifest;
    // The job that made it was in the database by then.
    assert_eq!(backup.rows["main.jobs"], 1, "{:?}", backup.rows);
    assert_eq!(backup.database.as_deref(), Some("jobs.db"));
    let copy = rig.fetch("local", &backup).await.join("database.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(copy);
    let mut copied = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    let kind: String = sqlx::query_scalar("select kind from jobs")
        .fetch_one(&mut copied)
        .await
        .unwrap();
    assert_eq!(kind, "create_backup");
}

#[tokio::test]
async fn redis_is_copied_with_its_keys() {
    let url = variable("TEST_REDIS_URL");
    let key = format!("backup-test-{}", uuid::Uuid::new_v4());
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("SET")
        .arg(&key)
        .arg("a value")
        .query_async(&mut connection)
        .await
        .unwrap();
    let rig = Rig::new(&format!(
        "[backups.targets.cache]\nkind = \"redis\"\nplace = \"local\"\nurl = \"{url}\"\n"
    ))
    .await;
    let backup = rig.created("cache").await.manifest;
    let file = rig.fetch("local", &backup).await.join("dump.rdb");
    let checked = Command::new("redis-check-rdb").arg(&file).output().unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
    let rdb = std::fs::read(&file).unwrap();
    assert!(rdb.windows(key.len()).any(|part| part == key.as_bytes()));
    assert!(backup.server_version.is_some() && backup.client_version.is_some());
    let () = redis::cmd("DEL")
        .arg(&key)
        .query_async(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn rabbitmqs_definitions_are_asked_of_its_management_plugin() {
    let definitions = json!({
        "rabbitmq_version": "3.13.1", "vhosts": [{"name": "/"}], "users": [{"name": "a"}, {"name": "b"}],
        "queues": [], "exchanges": [], "bindings": [], "policies": [],
    });
    let server = Server::start().await;
    server.will([
        says(200, definitions.clone()),
        says(401, json!({})),
        says(200, json!({"vhosts": []})),
    ]);
    let rig = Rig::new(&format!(
        "[backups.targets.broker]\nkind = \"rabbitmq\"\nplace = \"local\"\nurl = \"http://ops:p%40ss@127.0.0.1:{}\"\n",
        server.port
    ))
    .await;
    let backup = rig.created("broker").await.manifest;
    assert_eq!(
        (backup.rows["users"], backup.server_version.as_deref()),
        (2, Some("3.13.1"))
    );
    assert_eq!(backup.details["exported_by"], "management API");
    let file = rig.fetch("local", &backup).await.join("definitions.json");
    let copied: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(copied, definitions);
    let seen = server.seen();
    assert_eq!(seen[0].target, "/api/definitions");
    // ops:p@ss
    assert_eq!(seen[0].header("authorization"), Some("Basic b3BzOnBAc3M="));
    // Neither a refusal nor half of it is a backup.
    for expected in ["401", "has no users"] {
        let job = rig.create("broker").await;
        let told = why(&job);
        assert!(told.contains(expected) && !told.contains("p@ss"), "{told}");
        rig.client
            .operator("test", None)
            .discard(job.id, None)
            .await
            .unwrap();
    }
    assert_eq!(rig.list("local", "broker").await.len(), 1);
}

#[tokio::test]
async fn documents_and_settings_are_copied_and_no_secret_is_among_them() {
    let rig = Rig::new(
        "[backups.targets.documents]\nkind = \"folder\"\nplace = \"local\"\nminimum_bytes = 1\n\
         [backups.targets.settings]\nkind = \"configuration\"\nplace = \"local\"\n\
         [security]\nadmin_key = \"hunter2-hunter2-hunter2\"\n\
         [sealing]\nkeys = [\"k7:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"]\n",
    )
    .await;
    std::fs::create_dir_all(rig.path("documents/acme")).unwrap();
    std::fs::write(
        rig.path("documents/acme/Öffnungszeiten (neu).txt"),
        "9 to 5",
    )
    .unwrap();
    let documents = rig.created("documents").await.manifest;
    let folder = rig.fetch("local", &documents).await;
    let text = std::fs::read_to_string(folder.join("acme/Öffnungszeiten (neu).txt")).unwrap();
    assert_eq!(text, "9 to 5");

    let settings = rig.created("settings").await.manifest;
    let file = rig
        .fetch("local", &settings)
        .await
        .join("configuration.json");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(
        !text.contains("hunter2") && !text.contains("MDEyMzQ1"),
        "{text}"
    );
    let about: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(about["keys"]["sealing"][0], "k7");
    let settings = about["settings"].as_array().unwrap();
    assert!(
        settings
            .iter()
            .any(|it| it["key"] == "backups.targets.documents.kind")
    );
}

#[tokio::test]
async fn a_target_is_backed_up_once_at_a_time_and_every_day() {
    let rig =
        Rig::new("[backups.targets.settings]\nkind = \"configuration\"\nplace = \"local\"\n").await;
    let first = rig.ask("settings").await;
    assert_eq!(rig.ask("settings").await, first, "one is waiting already");
    rig.drain().await;
    let job = rig.client.get(first, None).await.unwrap().unwrap();
    assert_eq!(job.state, State::Completed);
    assert_ne!(rig.ask("settings").await, first);
    let options = metachat_jobs::compose::engine_options(&rig.config).unwrap();
    let schedule = options
        .schedules
        .iter()
        .find(|it| it.name == "backup_settings")
        .unwrap();
    assert_eq!(
        (schedule.cron.as_str(), schedule.kind.as_str()),
        ("0 2 * * *", "create_backup")
    );
    let place = rig.backups().repository("local").unwrap();
    let backup = &rig.list("local", "settings").await[0];
    place.check(&backup.manifest, &transfer()).await.unwrap();
}
