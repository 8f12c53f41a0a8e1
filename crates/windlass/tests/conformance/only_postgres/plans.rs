//! Every statement can be prepared, and the plans of the hot ones are the ones meant, on a database that
//! was never analysed and on one with a history.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};
use windlass::store::postgres::SESSION_SETTINGS;

use crate::backend::Postgres;
use crate::fixture::Backend;

/// The statements, by the names of their files.
fn statements() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/postgres/sql");
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// A connection with the settings of the store's own.
async fn engine(database: &Postgres) -> PgConnection {
    let mut connection = database.connection().await;
    for (name, value) in SESSION_SETTINGS {
        sqlx::query("select set_config($1, $2, false)")
            .bind(name)
            .bind(value)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection
}

async fn plan(connection: &mut PgConnection, statement: &str) -> String {
    // Safe: the statement is one of our own files.
    let explain = format!("explain (generic_plan, costs off) {statement}");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain))
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let today = today(connection).await;
    lines.join("\n").replace(&today, "today")
}

/// One partition, so that plans are the same every day; the digits in its name.
async fn only_today(connection: &mut PgConnection) {
    connection
        .execute(
            "do $$ begin while jobs.drop_partition(now() + interval '100 days') is not null loop end loop; end $$;
             select jobs.add_partitions(0)",
        )
        .await
        .unwrap();
}

async fn today(connection: &mut PgConnection) -> String {
    let partition =
        "select right(relname, 8) from pg_class where relname ~ '^completed_jobs_[0-9]{8}$'";
    sqlx::query_scalar(partition)
        .fetch_one(connection)
        .await
        .unwrap()
}

/// Sequential scans of tables that grow.
fn scans(plan: &str) -> Vec<&str> {
    plan.lines()
        .filter(|line| line.contains("Seq Scan on") && line.contains("jobs"))
        .collect()
}

const HOT: [&str; 23] = [
    "claim",
    "complete",
    "rescue",
    "expired",
    "list",
    "reach",
    "get",
    "heartbeat",
    "reschedule",
    "next_due",
    "look_back",
    "hand_on",
    "enqueue",
    "cells",
    "known_cells",
    "new_cells",
    "claim_governed",
    "running",
    "running_together",
    "adopt",
    "adopt_running",
    "ungovern",
    "governed_queues",
];

/// Those whose plans are kept to be looked at.
const SHOWN: [&str; 10] = [
    "claim",
    "complete",
    "rescue",
    "list",
    "cells",
    "known_cells",
    "new_cells",
    "claim_governed",
    "running",
    "running_together",
];

async fn check(connection: &mut PgConnection, when: &str) -> BTreeMap<&'static str, String> {
    let statements = statements();
    let mut plans = BTreeMap::new();
    for name in HOT {
        let plan = plan(connection, &statements[name]).await;
        assert_eq!(scans(&plan), [""; 0], "{name}, {when}:\n{plan}");
        plans.insert(name, plan);
    }
    plans
}

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let database = Postgres::open().await;
    let mut connection = engine(&database).await;
    let statements = statements();
    assert!(statements.len() > 40, "{}", statements.len());
    for (name, statement) in statements {
        // Safe: the statement is one of our own files.
        let prepared = connection
            .prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(statement)))
            .await;
        assert!(prepared.is_ok(), "{name}: {}", prepared.unwrap_err());
    }
    database.close().await;
}

#[tokio::test]
async fn hot_statements_scan_nothing_whatever_the_planner_knows() {
    let database = Postgres::open().await;
    let mut connection = engine(&database).await;
    only_today(&mut connection).await;
    let fresh = check(&mut connection, "never analysed").await;
    for name in SHOWN {
        insta::assert_snapshot!(format!("{name}_fresh"), fresh[name]);
    }

    connection
        .execute(include_str!("history.sql"))
        .await
        .unwrap();
    let grown = check(&mut connection, "grown, not analysed").await;
    for name in SHOWN {
        insta::assert_snapshot!(format!("{name}_grown"), grown[name]);
    }

    connection.execute("analyze").await.unwrap();
    let analysed = check(&mut connection, "analysed").await;
    for name in SHOWN {
        insta::assert_snapshot!(format!("{name}_analysed"), analysed[name]);
    }
    database.close().await;
}
