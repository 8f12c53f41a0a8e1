use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::metadata::MetadataStore;
use apalis_sqlite::{Config, SqliteStorage};
use metachat_jobs::cli::Exit;
use metachat_jobs::import::sqlite::Sqlite;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use windlass::State;

use super::{Here, Mail, mail, url};

/// A stock store of apalis-sqlite 1.0, and how to open it.
pub(super) struct Stock {
    folder: tempfile::TempDir,
    pub(super) pool: SqlitePool,
}

impl Stock {
    pub(super) async fn new() -> Self {
        let stock = Self::file().await;
        SqliteStorage::setup(&stock.pool).await.unwrap();
        stock
    }

    async fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("old.db"))
            .create_if_missing(true);
        let pool = SqlitePool::connect_with(options).await.unwrap();
        Self { folder, pool }
    }

    pub(super) fn url(&self) -> String {
        url(&self.folder.path().join("old.db"))
    }

    pub(super) fn storage<T>(&self) -> SqliteStorage<T> {
        SqliteStorage::new(&self.pool).with_config(Config::default().queue("mails"))
    }

    pub(super) fn source(&self) -> Sqlite {
        Sqlite::open(&self.url(), &[], false).unwrap()
    }

    async fn statuses(&self) -> Vec<(String, i64)> {
        let counted = "select status, count(*) from Jobs group by 1 order by 1";
        sqlx::query_as(counted).fetch_all(&self.pool).await.unwrap()
    }

    async fn execute(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_stock_store_is_moved_with_all_that_is_known_of_its_jobs() {
    let (here, stock) = (Here::new().await, Stock::new().await);
    let mut storage = stock.storage::<Mail>();
    storage
        .push_bulk((0..1200).map(mail).collect())
        .await
        .unwrap();
    let mut metadata = MetadataStore::default();
    metadata.insert("source", "web").unwrap();
    let careful = TaskBuilder::new(mail(5000))
        .run_after(Duration::from_hours(1))
        .priority(2)
        .max_attempts(7)
        .idempotency_key("welcome ada")
        .with_metadata(metadata)
        .build();
    storage.push_task(careful).await.unwrap();
    let mut strange = stock.storage::<String>();
    strange.push("hunter2".to_owned()).await.unwrap();
    // Of the first three, one failed twice, one is lost between fetch and lock, one runs.
    stock
        .execute("insert into Workers (id, worker_type, storage_name, last_seen) values ('w', 'mails', 's', 1)")
        .await;
    for (number, change) in [
        (0, "status = 'Failed', attempts = 2"),
        (1, "status = 'Queued'"),
        (2, "status = 'Running', lock_by = 'w', lock_at = 1"),
        (3, "status = 'Failed', attempts = 25"),
    ] {
        let change =
            format!("update Jobs set {change} where json_extract(job, '$.number') = {number}");
        sqlx::query(sqlx::AssertSqlSafe(change))
            .execute(&stock.pool)
            .await
            .unwrap();
    }

    let from = stock.url();
    let dry = [
        "--from",
        &from,
        "--map",
        "mails=mail",
        "--dry-run",
        "--json",
    ];
    let (exit, out, _) = here.jobctl(&dry).await;
    assert_eq!(exit, Exit::Failed, "a job would be left");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&answer["found"], &answer["imported"]),
        (&1200.into(), &1199.into())
    );
    assert_eq!(here.mails().await.len(), 0, "it only looked");

    let (exit, out, err) = here.jobctl(&["--from", &from, "--map", "mails=mail"]).await;
    assert_eq!(exit, Exit::Failed, "a job was left");
    assert!(
        out.starts_with("1200 found, 1199 imported (0 were here already)"),
        "{out}"
    );
    assert!(out.contains("its args are not valid"), "{out}");
    assert!(
        err.starts_with("500 of 1200 jobs\n1000 of 1200 jobs\n1200 of 1200 jobs\n"),
        "{err}"
    );
    assert!(!out.contains("hunter2") && !err.contains("hunter2"));

    let filter = windlass::model::Filter {
        tag: Some("source=web".into()),
        ..Default::default()
    };
    let page = windlass::model::Page::default();
    let found = windlass::Store::list(&*here.store, &filter, page, None)
        .await
        .unwrap()
        .jobs;
    let careful = &found[0];
    assert_eq!(
        (careful.state, careful.max_attempts, careful.priority),
        (State::Scheduled, 7, 3)
    );
    assert_eq!(careful.unique_key.as_deref(), Some("welcome ada"));
    assert_eq!(careful.tags, ["imported-from-apalis", "source=web"]);
    let wait = careful.run_at.since(careful.enqueued_at);
    assert!(
        wait > Duration::from_mins(58) && wait < Duration::from_mins(61),
        "{wait:?}"
    );
    let left = [
        ("Failed", 1),
        ("Killed", 1199),
        ("Pending", 1),
        ("Running", 1),
    ];
    let left = left.map(|(status, count)| (status.to_owned(), count));
    assert_eq!(stock.statuses().await, left);

    let (_, out, _) = here
        .jobctl(&["--from", &from, "--map", "mails=mail", "--json"])
        .await;
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&answer["found"], &answer["imported"]),
        (&1.into(), &0.into()),
        "the strange one"
    );

    let mut all = Sqlite::open(&from, &["mails".into()], true).unwrap();
    let report = here.import(&mut all).await;
    assert_eq!(
        (report.found, report.imported),
        (2, 1),
        "the running one too"
    );
    let failed = windlass::model::Filter {
        tag: Some("imported-from-apalis".into()),
        ..Default::default()
    };
    let page = windlass::model::Page {
        after: None,
        limit: 1000,
    };
    let jobs = windlass::Store::list(&*here.store, &failed, page, None)
        .await
        .unwrap()
        .jobs;
    let of = |number: u32| {
        jobs.iter()
            .find(|job| job.args.decode::<Mail>().unwrap().number == number)
    };
    if let Some(retried) = of(0) {
        assert_eq!(retried.max_attempts, 23, "the attempts it had left");
    }
    assert!(of(3).is_none(), "it had none left");
}

/// apalis-sql before 1.0: args as text, other names, fewer columns.
#[tokio::test]
async fn a_store_of_apalis_sql_is_moved() {
    let (here, stock) = (Here::new().await, Stock::file().await);
    stock
        .execute(
            "create table Jobs (job text not null, id text not null unique, job_type text not null, \
             status text not null default 'Pending', attempts integer not null default 0, \
             max_attempts integer not null default 25, run_at integer not null default 1, \
             last_error text, lock_at integer, lock_by text, done_at integer)",
        )
        .await;
    stock
        .execute(
            "insert into Jobs (job, id, job_type, attempts) \
             values ('{\"to\":\"ada\",\"number\":1}', '01J', 'mails', 3), ('{}', '02J', 'mails', 0), \
             ('{}', '03J', 'reports', 0)",
        )
        .await;
    let report = here.import(&mut stock.source()).await;
    assert_eq!((report.found, report.imported, report.left), (3, 1, 2));
    let reasons: Vec<&str> = report
        .named
        .iter()
        .map(|left| left.reason.as_str())
        .collect();
    assert!(reasons[0].contains("missing field"), "{reasons:?}");
    assert_eq!(
        reasons[1],
        "no kind is named reports; say which it is with --map 'reports=KIND'"
    );
    assert_eq!(here.mails().await[&1].max_attempts, 22);
}

#[tokio::test]
async fn what_was_asked_wrongly_is_said() {
    let here = Here::new().await;
    for (args, told) in [
        (
            &["--from", "mysql://u:hunter2@h/x"][..],
            "expected postgres://",
        ),
        (&["--from", "redis://:hunter2@h"], "--queue"),
        (&["--from", "sqlite:x.db", "--map", "a=b"], "known are mail"),
    ] {
        let (exit, out, err) = here.jobctl(args).await;
        assert_eq!(exit, Exit::Usage, "{err}");
        assert!(err.contains(told), "{err}");
        assert!(!(out + &err).contains("hunter2"));
    }
    let (exit, _, err) = here.jobctl(&["--from", "sqlite:/nowhere/old.db"]).await;
    assert_eq!(exit, Exit::Failed);
    assert!(err.contains("repeat the import"), "{err}");
}
