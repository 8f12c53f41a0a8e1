//! No statement that runs for every job, or that a page waits for, may read the whole table.

use sqlx::Row;

use super::super::Store;
use super::SqliteStore;
use crate::db;

/// What SQLite says about how it would run a statement.
macro_rules! plans {
    ($($name:literal)+) => {
        &[$((
            $name,
            concat!("explain query plan ", include_str!(concat!("sql/", $name, ".sql"))),
        )),+]
    };
}

const BY_INDEX: &[(&str, &str)] = plans![
    "adopt" "adopt_running" "advance_steps" "await_signal" "blocked_steps" "cancel"
    "cancel_requests" "cancel_running" "cells" "checkpoint" "claim" "claim_due" "claim_governed"
    "complete" "complete_plain" "end_steps" "enqueue" "enqueue_lines" "enqueue_steps" "expired"
    "fence" "flow_parents" "flow_states" "flow_steps" "get" "governed_due" "governed_queues"
    "heartbeat" "known" "list" "next_due" "progress" "prune" "put_signal" "queue_stats" "queues"
    "release_steps" "replace" "requeue" "reschedule" "reset_steps" "revive_steps" "set_time" "running" "running_together"
    "step_children" "step_names" "sweep_signals" "unblock" "ungovern" "unique_expire"
    "unique_holder" "unique_release" "unique_retake" "wake_waiting"
];

/// Those whose order must come from an index: there may be a million jobs to choose from.
const IN_ORDER: &[(&str, &str)] = plans![
    "adopt" "cells" "claim" "claim_due" "claim_governed" "governed_due" "list"
];

/// Those that an index answers by itself: they count what runs for each claim.
const COVERED: &[(&str, &str)] = plans!["running_together"];

async fn plan(store: &SqliteStore, statement: &'static str) -> Vec<String> {
    let rows = sqlx::query(statement)
        .fetch_all(store.db.readers())
        .await
        .unwrap();
    rows.iter().map(|row| row.get("detail")).collect()
}

#[tokio::test]
async fn every_statement_finds_its_jobs_by_an_index_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = SqliteStore::new(db::Sqlite::new(path, &db::SqliteOptions::default()));
    store.migrate().await.unwrap();
    for &(name, statement) in BY_INDEX {
        let plan = plan(&store, statement).await;
        let scans = |line: &String| {
            (line.starts_with("SCAN jobs") || line.starts_with("SCAN steps"))
                && !line.contains(" USING ")
        };
        assert!(!plan.iter().any(scans), "{name}: {plan:#?}");
    }
    for &(name, statement) in COVERED {
        let plan = plan(&store, statement).await;
        let covered = |line: &String| line.contains(" USING COVERING INDEX jobs_lease");
        assert!(plan.iter().any(covered), "{name}: {plan:#?}");
    }
    for &(name, statement) in IN_ORDER {
        let plan = plan(&store, statement).await;
        let sorts = |line: &String| line.contains("TEMP B-TREE");
        assert!(!plan.iter().any(sorts), "{name}: {plan:#?}");
    }
}
