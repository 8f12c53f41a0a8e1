//! A whole recovery at size: a PostgreSQL with the platform's tables, writes going on, and a worker whose jobs back
//! it up, verify and restore it; then it is lost, and comes back to its last second and to a moment before.
//!
//! Some megabytes in every run; two gigabytes with `CHAOS=full`, which then needs 8 GB of disk and prints how long
//! each step took.
#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "it measures, and tells gigabytes"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metachat_jobs::backups::restore::Restore;
use metachat_jobs::backups::{Backups, Level, Manifest};
use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};
use metachat_jobs::jobs::{ArchiveWal, CreateBackup, RestoreBackup, VerifyBackup};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use windlass::{Job, JobRecord, State, Timestamp};

use super::database::{Database, Server, is_full, now, var};
use super::process::Process;
use super::trials::{Scratch, soon_async as soon};

const LOGICAL: &str = "main";
const PHYSICAL: &str = "cluster";
/// How far a worker's memory may grow, in megabytes, whatever the size of what it backs up.
/// A debug build is a larger program; the bound is the release build's, measured by `benches/backups`.
const MEMORY: u64 = if cfg!(debug_assertions) { 192 } else { 100 };

const CONVERSATIONS: &str = r#"
    insert into conversations (id, "tenantId", "channelType", "externalId", "userId", "updatedAt")
    select t.id || n, t.id, 'webchat', 'external ' || n, 'user', current_timestamp
      from tenants t, generate_series(1, 1000) n"#;
/// Words of no meaning, a little over a kilobyte each, of which a third stand nowhere else.
const MESSAGES: &str = r#"
    insert into messages (id, "tenantId", "conversationId", direction, "from", type, content)
    select c.id || '-' || n, "tenantId", c.id, 'inbound', 'user', 'text', jsonb_build_object('text',
           (select string_agg(md5(case when part % 3 = 0 then c.id || n else '' end || part), ' ')
              from generate_series(1, 33) part))
      from conversations c, generate_series(1, $1) n"#;
/// What goes on being written: one transaction a tick, in order.
const TICK: &str = r#"
    with ticked as (insert into ticks values ($1, clock_timestamp()))
    insert into messages (id, "tenantId", "conversationId", direction, "from", type, content)
    select 'tick-' || $1, "tenantId", id, 'inbound', 'user', 'text', '{}' from conversations limit 1"#;
/// Of each table of the platform how many rows it has and a digest of them all, up to a tick.
const DIGEST: &str = r"
    select format('select count(*)::text || '':'' || coalesce(sum(hashtextextended(t::text, 0)), 0)
                     from %I.%I t where %s', nspname, relname,
                  case relname when 'messages' then $$id not like 'tick-%' or substr(id, 6)::bigint <= $$ || $1::text
                               when 'ticks' then 'n <= ' || $1::text else 'true' end),
           relname::text
      from pg_class c join pg_namespace n on n.oid = relnamespace
     where relkind = 'r' and nspname = 'public' order by relname";

/// What a test of this size works with.
struct Rig {
    server: Server,
    folder: tempfile::TempDir,
    scratch: Scratch,
    jobs: Database,
    backups: Backups,
    worker: Process,
    patience: Duration,
}

impl Rig {
    async fn new() -> Self {
        let server = Server::start_with(&["summarize_wal=on", "max_wal_size=256MB"]);
        Database::postgres(server.url()).await;
        fill(&server.url()).await;
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new();
        let jobs = Database::sqlite(folder.path()).await;
        let file = settings(folder.path(), &scratch, &server);
        let sources = Sources {
            file: Some(file.clone()),
            ..Sources::default()
        };
        let flags = [
            ("database.url", jobs.url.as_str()),
            ("security.admin_key", "a-key-for-this-test-only"),
            ("server.port", "0"),
        ];
        Self {
            backups: compose::backups(&Config::load(&sources).unwrap()).unwrap(),
            worker: Process::start_with(&file, "all", folder.path(), &flags),
            server,
            folder,
            scratch,
            jobs,
            patience: Duration::from_mins(if is_full() { 20 } else { 2 }),
        }
    }

    /// Has a job done, which must go well: its result, and how long it ran.
    async fn done(&self, what: &str, job: &impl Job) -> Value {
        let began = Instant::now();
        let id = self.jobs.client.enqueue(job).await.unwrap().id();
        let done = self
            .jobs
            .until(id, self.patience, |job| job.state.is_finished());
        let done = done.await;
        assert_eq!(
            done.state,
            State::Completed,
            "{done:?}\n{}",
            self.worker.log()
        );
        let took = began.elapsed().as_secs_f64();
        let gigabytes = size(&self.folder.path().join("local")) as f64 / 1e9;
        println!(
            "{what}: {took:.1} s; in the place {gigabytes:.2} GB; the worker's memory at its peak {} MB",
            self.worker.peak_memory()
        );
        serde_json::from_str(done.result.unwrap().as_str()).unwrap()
    }

    async fn newest(&self, target: &str) -> Manifest {
        let place = self.backups.repository("local").unwrap();
        place.list(target).await.unwrap().pop().unwrap().manifest
    }

    /// Makes room.
    async fn forget(&self, target: &str) {
        let id = self.newest(target).await.id;
        let place = self.backups.repository("local").unwrap();
        place.delete(target, &id).await.unwrap();
    }
}

fn restore(target: &str, to: &str) -> Restore {
    Restore {
        target: target.to_owned(),
        backup: None,
        place: None,
        to: to.to_owned(),
        table: None,
        to_time: None,
        overwrite: None,
    }
}

fn size(folder: &Path) -> u64 {
    metachat_jobs::backups::size_of(folder)
}

fn settings(folder: &Path, scratch: &Scratch, server: &Server) -> PathBuf {
    let here = folder.display();
    let file = folder.join("settings.toml");
    let text = format!(
        "[backups]\nscratch = \"{}\"\nrun_as = \"{}:{}\"\n[backups.tools]\npg_bin = \"{}\"\n\
         [backups.places.local]\nkind = \"folder\"\npath = \"{here}/local\"\n\
         [backups.targets.{LOGICAL}]\nkind = \"postgres_logical\"\nplace = \"local\"\nurl = \"{url}\"\n\
         [backups.targets.{PHYSICAL}]\nkind = \"postgres_physical\"\nplace = \"local\"\nurl = \"{url}\"\n\
         wal = {{ folder = \"{here}/wal\", partial_ms = 500 }}\n\
         [schedules.archive_{PHYSICAL}]\nenabled = false\n",
        scratch.path().display(),
        var("TEST_PG_UID"),
        var("TEST_PG_GID"),
        var("TEST_PG_BIN"),
        url = server.url()
    );
    std::fs::write(&file, text).unwrap();
    file
}

async fn fill(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection
        .execute("create table ticks (n bigint primary key, at timestamptz)")
        .await
        .unwrap();
    connection.execute(CONVERSATIONS).await.unwrap();
    let each = if is_full() { 1600 } else { 20 };
    let messages = sqlx::query(MESSAGES).bind(each);
    messages.execute(&mut connection).await.unwrap();
    connection.execute("analyze").await.unwrap();
    let size: i64 = sqlx::query_scalar("select pg_database_size(current_database())")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    println!("the database: {:.2} GB", size as f64 / 1e9);
    assert!(!is_full() || size >= 2_000_000_000, "{size}");
}

/// Counts and digests of the platform's tables, of what was written until a tick.
async fn digests(url: &str, tick: i64) -> Vec<(String, String)> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute("set timezone = 'UTC'").await.unwrap();
    let statements: Vec<(String, String)> = sqlx::query_as(DIGEST)
        .bind(tick)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let mut digests = Vec::new();
    for (statement, table) in statements {
        let digest = sqlx::query_scalar(AssertSqlSafe(statement));
        digests.push((table, digest.fetch_one(&mut connection).await.unwrap()));
    }
    digests
}

async fn last_tick(url: &str) -> (i64, Timestamp) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let (n, at): (i64, i64) = sqlx::query_as(
        "select n, (extract(epoch from at) * 1000000)::bigint from ticks order by n desc limit 1",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    (n, Timestamp::from_micros(at))
}

/// Writes for as long as there is a server.
#[derive(Clone, Default)]
struct Writer {
    /// The last tick whose commit was acknowledged.
    acknowledged: Arc<Mutex<i64>>,
    /// Held by whoever wants nothing to be written for a while.
    pause: Arc<tokio::sync::Mutex<()>>,
}

impl Writer {
    fn start(url: String) -> (Self, tokio::task::JoinHandle<()>) {
        let writer = Self::default();
        let own = writer.clone();
        let writing = tokio::spawn(async move {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let mut pulse = tokio::time::interval(Duration::from_millis(5));
            for tick in 1_i64.. {
                pulse.tick().await;
                let _turn = own.pause.lock().await;
                let written = sqlx::query(TICK).bind(tick).execute(&mut connection).await;
                if written.is_err() {
                    return;
                }
                *own.acknowledged.lock().unwrap() = tick;
            }
        });
        (writer, writing)
    }

    fn acknowledged(&self) -> i64 {
        *self.acknowledged.lock().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_written_to_comes_back_whole_and_to_its_last_second() {
    let rig = Rig::new().await;
    let live = rig.server.url();
    let (writer, writing) = Writer::start(live.clone());
    comes_back_from_a_dump(&rig, &live).await;
    let lost = comes_back_to_its_last_second(&rig, &live, &writer, writing).await;
    println!("{lost}");
    assert!(
        rig.worker.peak_memory() < MEMORY,
        "{} MB",
        rig.worker.peak_memory()
    );
    let left = rig.scratch.left();
    assert!(left.is_empty(), "{left:?}");
}

/// Backup, weekly verification and restore, by jobs, while it is written to.
async fn comes_back_from_a_dump(rig: &Rig, live: &str) {
    let target = LOGICAL.to_owned();
    let made = rig
        .done("create_backup, pg_dump", &CreateBackup { target })
        .await;
    assert_eq!(made["flags"], serde_json::json!([]), "{made}");
    let verify = VerifyBackup::newest(LOGICAL, Level::Contents);
    let verified = rig.done("verify_backup, V3", &verify).await;
    assert_eq!(verified["level"], 3, "{verified}");
    println!(
        "  of which the restore: {} s",
        verified["figures"]["restore_seconds"]
    );
    let job = RestoreBackup(restore(LOGICAL, "chat_restored"));
    let restored = rig.done("restore_backup, pg_dump", &job).await;
    assert!(restored["fenced"].as_u64().is_some(), "{restored}");

    let copy = rig.server.url_of("chat_restored");
    let (last, _) = last_tick(&copy).await;
    let manifest = rig.newest(LOGICAL).await;
    assert_eq!(
        Some(last.unsigned_abs()),
        manifest.rows.get("public.ticks").copied()
    );
    assert!(
        last_tick(live).await.0 > last,
        "nothing was written meanwhile"
    );
    let expected = digests(live, last).await;
    assert!(expected.len() > 10, "{expected:?}");
    assert_eq!(digests(&copy, last).await, expected);
    println!(
        "  equal: {} tables, {} rows",
        expected.len(),
        manifest.rows.values().sum::<u64>()
    );
    let mut connection = PgConnection::connect(live).await.unwrap();
    connection
        .execute("drop database chat_restored with (force)")
        .await
        .unwrap();
    rig.forget(LOGICAL).await;
}

/// Its log is archived; it is lost; it comes back to its last second, and to a moment before.
async fn comes_back_to_its_last_second(
    rig: &Rig,
    live: &str,
    writer: &Writer,
    writing: tokio::task::JoinHandle<()>,
) -> String {
    let target = PHYSICAL.to_owned();
    let archive = ArchiveWal {
        target: target.clone(),
    };
    let archiving = rig.jobs.client.enqueue(&archive).await.unwrap().id();
    let mut connection = PgConnection::connect(live).await.unwrap();
    let active = "select exists (select from pg_replication_slots where active)";
    soon("the log is archived", async || {
        sqlx::query_scalar(active)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    })
    .await;
    rig.done("create_backup, pg_basebackup", &CreateBackup { target })
        .await;
    let before = writer.acknowledged();
    soon("more is written", async || {
        writer.acknowledged() > before + 100
    })
    .await;
    let (moment, until) = {
        let _still = writer.pause.lock().await;
        let until = writer.acknowledged();
        // Clocks tell microseconds apart: nothing was committed in this one.
        (now(), until)
    };
    soon("more is written", async || {
        writer.acknowledged() > until + 100
    })
    .await;
    let expected = digests(live, until).await;
    let lost_at = now();
    rig.server.lose();
    writing.await.unwrap();
    let acknowledged = writer.acknowledged();
    // The loss ends nothing, and who is told to stop puts away all that has come.
    rig.jobs.client.cancel(archiving, None).await.unwrap();
    let stopped = |job: &JobRecord| job.state.is_finished();
    let archiving = rig.jobs.until(archiving, rig.patience, stopped).await;
    assert_eq!(archiving.state, State::Cancelled, "{}", rig.worker.log());

    let to = rig.scratch.path().join("last");
    let job = RestoreBackup(restore(PHYSICAL, to.to_str().unwrap()));
    rig.done("restore_backup, to the end of the log", &job)
        .await;
    let copy = Server::on(to);
    let (last, at) = last_tick(&copy.url()).await;
    assert!(
        lost_at.since(at) <= Duration::from_secs(1),
        "{last} of {acknowledged}, of {at}"
    );
    assert_eq!(digests(&copy.url(), until).await, expected);
    drop(copy);

    let to = rig.scratch.path().join("moment");
    let mut job = restore(PHYSICAL, to.to_str().unwrap());
    job.to_time = Some(moment);
    rig.done("restore_backup, to a moment", &RestoreBackup(job))
        .await;
    let copy = Server::on(to);
    assert_eq!(last_tick(&copy.url()).await.0, until, "the moment is exact");
    assert_eq!(digests(&copy.url(), until).await, expected);
    format!(
        "lost with the server: {} of {acknowledged} acknowledged transactions, the last {} ms",
        acknowledged - last,
        lost_at.since(at).as_millis()
    )
}
