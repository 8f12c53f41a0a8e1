//! A database with the platform's tables and a queue, and backups of it as PostgreSQL's tools make them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use metachat_jobs::backups::verify::{Verification, digests};
use metachat_jobs::backups::{
    BackupId, BackupOptions, Backups, Evidence, Kind, Level, Manifest, Transfer,
};
use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};
use metachat_jobs::platform::{ChannelType, Platform, Prepared};
use metachat_jobs::records::Records;
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::{NewJob, Store as _, Timestamp};

use crate::support;

pub(crate) const TARGET: &str = "main";
pub(crate) const PLACE: &str = "local";

const CONVERSATIONS: &str = r#"
    insert into conversations (id, "tenantId", "channelType", "externalId", "userId", "updatedAt")
    select t.id || n, t.id, 'webchat', 'external ' || n, 'user', current_timestamp
      from tenants t, generate_series(1, 20) n"#;
const MESSAGES: &str = r#"
    insert into messages (id, "tenantId", "conversationId", direction, "from", type, content)
    select c.id || '-' || n, "tenantId", c.id, 'inbound', 'user', 'text', jsonb_build_object('text', md5(n::text))
      from conversations c, generate_series(1, 50) n"#;

/// A place, the settings that name it, and the database that is backed up.
pub(crate) struct Rig {
    pub(crate) url: String,
    pub(crate) backups: Backups,
    /// Where the place's files are.
    pub(crate) place: PathBuf,
    _folder: tempfile::TempDir,
}

/// A variable of the test run.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no config to read it from"
)]
pub(crate) fn var(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run scripts/services up, eval its env"))
}

/// The settings that a target of this kind needs, and further ones.
pub(crate) fn flags(place: &Path, kind: Kind, further: &[(&str, &str)]) -> Vec<(String, String)> {
    let (place, bin, scratch) = (
        place.to_str().unwrap(),
        var("TEST_PG_BIN"),
        var("TEST_PG_SCRATCH"),
    );
    let run_as = format!("{}:{}", var("TEST_PG_UID"), var("TEST_PG_GID"));
    let own = [
        ("backups.places.local.kind", "folder"),
        ("backups.places.local.path", place),
        ("backups.targets.main.kind", kind.as_str()),
        ("backups.targets.main.place", PLACE),
        // Where nobody is: what is tried is the backup alone.
        (
            "backups.targets.main.url",
            "postgres://postgres@127.0.0.1:1/nothing",
        ),
        ("backups.tools.pg_bin", bin.as_str()),
        ("backups.scratch", scratch.as_str()),
        ("backups.run_as", run_as.as_str()),
        ("backups.nice", "0"),
    ];
    let flags = own.iter().chain(further);
    flags
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The same, read.
pub(crate) fn options(place: &Path, kind: Kind, further: &[(&str, &str)]) -> BackupOptions {
    let sources = Sources {
        flags: flags(place, kind, further),
        ..Sources::default()
    };
    Config::load(&sources).unwrap().backups().unwrap()
}

impl Rig {
    /// On a new database with some tenants, conversations and jobs in it.
    pub(crate) async fn new(url: String, further: &[(&str, &str)]) -> Self {
        fill(&url).await;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("backups");
        let options = options(&place, Kind::PostgresLogical, further);
        Self {
            url,
            backups: Backups::new(&options, json!({}))
                .unwrap()
                .with_probe(compose::probe),
            place,
            _folder: folder,
        }
    }

    /// A dump by these arguments, published as a backup after `change` had its way with the manifest.
    pub(crate) async fn backup(
        &self,
        args: &[&str],
        change: impl FnOnce(&mut Manifest),
    ) -> Manifest {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = manifest(Kind::PostgresLogical);
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        manifest.database = Some(
            self.url
                .rsplit('/')
                .next()
                .unwrap()
                .trim_end_matches('?')
                .to_owned(),
        );
        let mut tx = connection.begin().await.unwrap();
        manifest.rows = counts(&mut tx).await;
        manifest.details = digests(&mut tx).await.unwrap();
        tx.rollback().await.unwrap();
        let dump = folder.path().join("dump");
        let to = ["--format=directory", "--file", dump.to_str().unwrap()];
        let url = ["--dbname", self.url.as_str()];
        run("pg_dump", &[&url[..], &to, args].concat());
        let globals = folder.path().join("globals.sql");
        let to = ["--globals-only", "--file", globals.to_str().unwrap()];
        run("pg_dumpall", &[&url[..], &to].concat());
        change(&mut manifest);
        self.publish(manifest, folder.path()).await
    }

    /// Makes a backup of the files in a folder.
    pub(crate) async fn publish(&self, mut manifest: Manifest, folder: &Path) -> Manifest {
        let transfer = Transfer::new(CancellationToken::new(), 0);
        let repository = self.backups.repository(PLACE).unwrap();
        repository
            .upload(&mut manifest, folder, &transfer)
            .await
            .unwrap();
        repository.publish(&manifest, &transfer).await.unwrap()
    }

    /// Tries a backup.
    pub(crate) async fn verify(&self, id: &BackupId, level: Level) -> Evidence {
        verify(&self.backups, id, level).await
    }

    /// The folder of a backup in the place.
    pub(crate) fn home(&self, manifest: &Manifest) -> PathBuf {
        self.place.join(TARGET).join(manifest.id.as_str())
    }
}

/// Tries a backup of the target.
pub(crate) async fn verify(backups: &Backups, id: &BackupId, level: Level) -> Evidence {
    let verification = Verification {
        target: TARGET.to_owned(),
        backup: Some(id.clone()),
        place: None,
        level,
        job: Uuid::now_v7(),
        moment: None,
    };
    let never = CancellationToken::new();
    verification.run(backups, now, &never).await.unwrap()
}

/// A manifest that says nothing yet.
pub(crate) fn manifest(kind: Kind) -> Manifest {
    Manifest::begin(TARGET, kind, Uuid::new_v4(), now())
}

#[expect(clippy::disallowed_methods, reason = "a test has no clock of its own")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_micros(i64::try_from(since.unwrap().as_micros()).unwrap())
}

/// Runs a program of PostgreSQL.
pub(crate) fn run(program: &str, args: &[&str]) {
    let program = Path::new(&var("TEST_PG_BIN")).join(program);
    let told = Command::new(&program).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{}: {errors}", program.display());
}

/// Makes the tables, and puts something into them.
pub(crate) async fn fill(url: &str) {
    let store = PgStore::connect(url, &PgStoreOptions::default()).unwrap();
    store.migrate().await.unwrap();
    let db = support::postgres(url, &[]);
    Records::new(db.clone()).prepare().await.unwrap();
    let platform = Platform::new(db);
    assert_eq!(platform.prepare().await.unwrap(), Prepared::Ours);
    for tenant in ["acme", "globex"] {
        let mut tx = platform.begin(tenant).await.unwrap();
        platform
            .create_tenant(&mut tx, tenant, tenant, &json!({}))
            .await
            .unwrap();
        platform
            .create_channel(&mut tx, tenant, ChannelType::Webchat, &json!({}))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    for statement in [CONVERSATIONS, MESSAGES] {
        sqlx::raw_sql(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    for n in 0..20 {
        let args = windlass::Json::parse(format!(r#"{{"n":{n}}}"#)).unwrap();
        let mut job = NewJob::new("send_report", args);
        job.ordering_key = (n % 2 == 0).then(|| format!("line {}", n % 4));
        store.enqueue(&[job], None).await.unwrap();
    }
}

/// Rows by table, of those that hold rows themselves.
pub(crate) async fn counts(connection: &mut PgConnection) -> BTreeMap<String, u64> {
    let tables = "select n.nspname || '.' || c.relname, format('select count(*) from %I.%I', nspname, relname) \
                  from pg_class c join pg_namespace n on n.oid = relnamespace \
                  where relkind in ('r', 'm') and nspname in ('public', 'jobs')";
    let tables: Vec<(String, String)> = sqlx::query_as(tables)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    let mut counts = BTreeMap::new();
    for (table, statement) in tables {
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(statement))
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        counts.insert(table, rows.unsigned_abs());
    }
    counts
}
