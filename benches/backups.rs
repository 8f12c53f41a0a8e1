//! What a backup by a job costs over `pg_dump` by hand, and the memory it takes.
//!
//! ```sh
//! eval "$(scripts/services env)"
//! cargo bench --bench backups             # 500 MB of messages
//! cargo bench --bench backups -- 2000     # as many megabytes as are asked for
//! ```
//!
//! Both dump the same database on `TEST_DATABASE_URL` in the same way; by hand that is all, the job also counts
//! the rows, hashes, encrypts, writes into the place, reads all of it back and publishes.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on has failed; it prints, and has no config to read from"
)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use metachat_jobs::backups::size_of;
use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};
use metachat_jobs::jobs::CreateBackup;
use sqlx::migrate::MigrateDatabase;
use sqlx::{Connection, Executor, PgConnection};
use windlass::{Client, State};

/// Rounds of each, the fastest of which counts: the machine does other things too.
const ROUNDS: usize = 3;
/// Texts of a chat: words, which compress as words do.
const FILL: &str = "
    create table messages (id bigint primary key, tenant text, body text, at timestamptz);
    insert into messages
    select n, 'tenant-' || n % 50,
        (select string_agg(substr(md5((n * part)::text), 1, 3 + part % 5), ' ') from generate_series(1, 60) part),
        timestamptz '2026-01-01' + n * interval '1 second'
    from generate_series(1, MEGABYTES * 2400) n;
    create table more as select * from messages where id % 2 = 0;
    analyze;
";

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let megabytes: u64 = arguments.next().map_or(500, |text| text.parse().unwrap());
    let url = fresh_url();
    sqlx::Postgres::create_database(&url).await.unwrap();
    let measured = tokio::spawn(measure(url.clone(), megabytes)).await;
    sqlx::Postgres::force_drop_database(&url).await.unwrap();
    measured.unwrap();
}

async fn measure(url: String, megabytes: u64) {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let fill = FILL.replace("MEGABYTES", &(megabytes / 2).to_string());
    connection
        .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(fill)))
        .await
        .unwrap();
    let size: i64 = sqlx::query_scalar("select pg_database_size(current_database())")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bin = std::env::var("TEST_PG_BIN").unwrap();
    let identity = age::x25519::Identity::generate();
    println!("a database of {} MB", size / 1_000_000);
    let mut by_hand = Duration::MAX;
    for round in 0..ROUNDS {
        let to = folder.path().join(format!("by-hand-{round}"));
        by_hand = by_hand.min(dump(&bin, &url, &to));
        if round == 0 {
            println!("the dump: {} MB", size_of(&to) / 1_000_000);
        }
        std::fs::remove_dir_all(&to).unwrap();
    }
    println!("pg_dump by hand: {:.2} s", by_hand.as_secs_f64());
    let before = peak_memory();
    for (name, recipients) in [
        ("plain", String::new()),
        ("encrypted", identity.to_public().to_string()),
    ] {
        let job = backup(&folder.path().join(name), &bin, &url, &recipients).await;
        let share = 100.0 * (job.as_secs_f64() / by_hand.as_secs_f64() - 1.0);
        println!(
            "create_backup, {name}: {:.2} s ({share:+.0} %); memory of this process at its peak so far: {} MB \
             ({before} MB before the first backup)",
            job.as_secs_f64(),
            peak_memory()
        );
    }
}

fn dump(bin: &str, url: &str, to: &Path) -> Duration {
    let began = Instant::now();
    let dumped = Command::new(format!("{bin}/pg_dump"))
        .args(["--format=directory", "--jobs=2", "--dbname", url, "--file"])
        .arg(to)
        .status()
        .unwrap();
    assert!(dumped.success());
    began.elapsed()
}

/// The fastest of some backups.
async fn backup(folder: &Path, bin: &str, url: &str, recipients: &str) -> Duration {
    std::fs::create_dir(folder).unwrap();
    let here = folder.display();
    let file = folder.join("settings.toml");
    let text = format!(
        "[database]\nurl = \"sqlite:{here}/jobs.db\"\n\
         [backups]\nscratch = \"{here}/scratch\"\nrecipients = \"{recipients}\"\nnice = 0\n\
         [backups.tools]\npg_bin = \"{bin}\"\n\
         [backups.places.local]\nkind = \"folder\"\npath = \"{here}/local\"\n\
         [backups.targets.main]\nkind = \"postgres_logical\"\nplace = \"local\"\nurl = \"{url}\"\nparallel = 2\n"
    );
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    let config = Config::load(&sources).unwrap();
    let database = compose::open(&config.database).unwrap();
    compose::prepare(&database, &config.database).await.unwrap();
    let services = compose::services(&config, &database).unwrap();
    let client = Client::new(database.store.clone())
        .with_catalogue(compose::catalogue(&config, &database).unwrap());
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let job = CreateBackup {
            target: "main".to_owned(),
        };
        let id = client.enqueue(&job).await.unwrap().id();
        let registry = compose::registry(&config, services.clone()).unwrap();
        windlass::testing::drain(&client, registry).await.unwrap();
        let job = client.get(id, None).await.unwrap().unwrap();
        assert_eq!(job.state, State::Completed, "{job:?}");
        // Of the job alone: its first trial follows it.
        let result: serde_json::Value = serde_json::from_str(job.result.unwrap().as_str()).unwrap();
        fastest = fastest.min(Duration::from_secs_f64(result["seconds"].as_f64().unwrap()));
    }
    fastest
}

/// The most memory that this process had, in megabytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes / 1000
}

fn fresh_url() -> String {
    let server = std::env::var("TEST_DATABASE_URL").unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&format!("bench_{}", uuid::Uuid::new_v4().simple()));
    url.to_string()
}
