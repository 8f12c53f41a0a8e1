//! The rules of the house that neither the compiler nor clippy can check. Each says file, line, what
//! is wrong and the rule; each check is itself shown to fail in `tests/architecture/`.

#![expect(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "the repository spells its extensions one way"
)]

#[path = "architecture/diagram.rs"]
mod diagram;
#[path = "architecture/docs.rs"]
mod docs;
#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/sql.rs"]
mod sql;
#[path = "architecture/tree.rs"]
mod tree;

use imports::{Room, Seam, Sources};
use sql::{Dialects, InCode, Only};
use tree::{LongFile, Violation};

const NO_SQL: (&str, &str) = ("sqlx", "it holds no SQL");
const NO_STORE: (&str, &str) = ("windlass::store", "which store it is concerns nobody here");
const POSTGRES: (&str, &str) = ("windlass::store::postgres", "it must not know this store");
const SQLITE: (&str, &str) = ("windlass::store::sqlite", "it must not know this store");
const MEMORY: (&str, &str) = ("windlass::store::memory", "it must not know this store");

/// Who may import whom: ARCHITECTURE.md, "Rooms".
const ROOMS: &[Room] = &[
    // The engine, which knows nothing of chat, HTTP or RabbitMQ.
    Room {
        place: "crates/windlass/src/model",
        may: &[],
        never: &[],
        // Cron expressions and time zones are pure data and functions too, from crates that keep them.
        crates: &[
            "std",
            "serde",
            "serde_json",
            "chrono",
            "chrono_tz",
            "croner",
            "thiserror",
            "uuid",
        ],
    },
    Room {
        place: "crates/windlass/src/db",
        may: &["windlass::model"],
        never: &[],
        crates: &[],
    },
    Room {
        place: "crates/windlass/src/store",
        may: &["windlass::model", "windlass::db"],
        never: &[],
        crates: &[],
    },
    Room {
        place: "crates/windlass/src/store/memory",
        may: &["windlass::model", "windlass::db", "windlass::store"],
        never: &[POSTGRES, SQLITE, NO_SQL],
        crates: &[],
    },
    Room {
        place: "crates/windlass/src/store/postgres",
        may: &["windlass::model", "windlass::db", "windlass::store"],
        never: &[MEMORY, SQLITE],
        crates: &[],
    },
    Room {
        place: "crates/windlass/src/store/sqlite",
        may: &["windlass::model", "windlass::db", "windlass::store"],
        never: &[MEMORY, POSTGRES],
        crates: &[],
    },
    Room {
        place: "crates/windlass/src/engine",
        may: &[
            "windlass::model",
            "windlass::db",
            "windlass::store",
            "windlass::telemetry",
        ],
        never: &[MEMORY, POSTGRES, SQLITE, NO_SQL],
        crates: &[],
    },
    Room {
        place: "crates/windlass/src/telemetry.rs",
        may: &["windlass::model", "windlass::store"],
        never: &[MEMORY, POSTGRES, SQLITE, NO_SQL],
        crates: &[],
    },
    Room {
        place: "crates/windlass/src/telemetry",
        may: &["windlass::model"],
        never: &[MEMORY, POSTGRES, SQLITE, NO_SQL],
        crates: &[],
    },
    Room {
        place: "crates/windlass/src/testing.rs",
        may: &["windlass::model", "windlass::store", "windlass::engine"],
        never: &[POSTGRES, SQLITE, NO_SQL],
        crates: &[],
    },
    Room {
        place: "crates/windlass/src/testing",
        may: &["windlass::model", "windlass::store", "windlass::engine"],
        never: &[POSTGRES, SQLITE, NO_SQL],
        crates: &[],
    },
    // The product, which composes it.
    Room {
        place: "src/services",
        may: &[
            "windlass::model",
            "windlass::telemetry",
            "metachat_jobs::telemetry",
        ],
        never: &[NO_SQL],
        crates: &[],
    },
    Room {
        place: "src/platform",
        may: &[
            "windlass::model",
            "windlass::db",
            "windlass::telemetry",
            "metachat_jobs::telemetry",
        ],
        never: &[],
        crates: &[],
    },
    Room {
        place: "src/records",
        may: &["windlass::model", "windlass::db", "windlass::telemetry"],
        never: &[],
        crates: &[],
    },
    Room {
        place: "src/backups",
        may: &[
            "windlass::model",
            "metachat_jobs::services",
            "metachat_jobs::telemetry",
        ],
        never: &[NO_STORE],
        crates: &[],
    },
    Room {
        place: "src/operations",
        may: &[
            "windlass::engine",
            "windlass::model",
            "windlass::store",
            "metachat_jobs::backups",
            "metachat_jobs::platform",
            "metachat_jobs::records",
        ],
        never: &[MEMORY, POSTGRES, SQLITE, NO_SQL],
        crates: &[],
    },
    Room {
        place: "src/jobs",
        may: &[
            "windlass::engine",
            "windlass::model",
            "windlass::db",
            "windlass::telemetry",
            "metachat_jobs::backups",
            "metachat_jobs::platform",
            "metachat_jobs::records",
            "metachat_jobs::services",
            "metachat_jobs::telemetry",
        ],
        never: &[NO_STORE, NO_SQL],
        crates: &[],
    },
    Room {
        place: "src/ingress",
        may: &[
            "windlass::engine",
            "windlass::model",
            "windlass::db",
            "metachat_jobs::platform",
            "metachat_jobs::records",
            "metachat_jobs::services",
            "metachat_jobs::telemetry",
        ],
        never: &[NO_STORE, NO_SQL],
        crates: &[],
    },
    Room {
        place: "src/api",
        may: &[
            "windlass::engine",
            "windlass::model",
            "windlass::store",
            "metachat_jobs::backups",
            "metachat_jobs::ingress",
            "metachat_jobs::operations",
            "metachat_jobs::platform",
            "metachat_jobs::records",
            "metachat_jobs::telemetry",
        ],
        never: &[MEMORY, POSTGRES, SQLITE, NO_SQL],
        crates: &[],
    },
    Room {
        place: "src/telemetry",
        may: &["windlass::model", "windlass::store", "windlass::telemetry"],
        never: &[MEMORY, POSTGRES, SQLITE, NO_SQL],
        crates: &[],
    },
    Room {
        place: "src/import",
        may: &["windlass::engine", "windlass::model"],
        never: &[NO_STORE],
        crates: &[],
    },
    // These put the others together.
    Room {
        place: "src/config",
        may: &[
            "windlass::engine",
            "metachat_jobs::api",
            "metachat_jobs::backups",
            "metachat_jobs::compose",
            "metachat_jobs::ingress",
            "metachat_jobs::jobs",
            "metachat_jobs::platform",
            "metachat_jobs::services",
            "metachat_jobs::telemetry",
        ],
        never: &[NO_SQL],
        crates: &[],
    },
    Room {
        place: "src/compose.rs",
        may: &["windlass", "metachat_jobs"],
        never: &[NO_SQL],
        crates: &[],
    },
    Room {
        place: "src/cli",
        may: &[
            "windlass::engine",
            "windlass::model",
            "windlass::store",
            "metachat_jobs::backups",
            "metachat_jobs::compose",
            "metachat_jobs::config",
            "metachat_jobs::import",
            "metachat_jobs::ingress",
            "metachat_jobs::operations",
            "metachat_jobs::platform",
            "metachat_jobs::records",
            "metachat_jobs::telemetry",
        ],
        never: &[MEMORY, POSTGRES, SQLITE, NO_SQL],
        crates: &[],
    },
    Room {
        place: "src/bin",
        may: &["windlass", "metachat_jobs"],
        never: &[NO_SQL],
        crates: &[],
    },
];

const SEAMS: &[Seam] = &[
    Seam {
        krate: "apalis",
        files: &["crates/windlass/src/engine/backend.rs"],
        why: "so that its worker can be exchanged in one place (docs/adr/0001)",
    },
    Seam {
        krate: "apalis_core",
        files: &[
            "crates/windlass/src/engine/backend.rs",
            "crates/windlass/src/engine/runtime.rs",
            "crates/windlass/src/engine/apalis",
        ],
        why: "so that its worker can be exchanged in one place, beside the room whose subject it is \
              (docs/adr/0001)",
    },
];

/// Lines of a file, and of a test file that has a reason to be longer.
const MOST_LINES: usize = 600;
const MOST_LINES_IN_TESTS: usize = 900;
const LONG_FILES: &[LongFile] = &[];

const DIALECTS: &[Dialects] = &[STORE, PLATFORM, RECORDS, IMPORT];

const RECORDS: Dialects = Dialects {
    place: "src/records",
    only: &[Only {
        dialect: "postgres",
        names: &["prepare_lock"],
        why: "SQLite has one writer",
    }],
};

const IMPORT: Dialects = Dialects {
    place: "src/import",
    only: &[],
};

const STORE: Dialects = Dialects {
    place: "crates/windlass/src/store",
    only: &[
        Only {
            dialect: "postgres",
            names: &[
                "create_schema",
                "lock_schema",
                "add_partitions",
                "drop_partition",
                "notify",
            ],
            why: "SQLite has no schemas, no partitions and nobody to notify",
        },
        Only {
            dialect: "postgres",
            names: &[
                "lock_job",
                "lock_finished",
                "lock_lines",
                "lock_settings",
                "lock_stuck_lines",
                "lock_flow",
                "lock_flows",
                "lock_flow_lines",
                "lock_steps",
                "lock_finished_steps",
            ],
            why: "SQLite has one writer: nothing changes between its reads and its writes",
        },
        Only {
            dialect: "postgres",
            names: &[
                "set_aside",
                "end_unstarted",
                "end_waiting",
                "rescue",
                "revive",
                "rewrite_finished",
                "request_cancel",
            ],
            why: "they move rows between two tables, or need their own lock; SQLite has one table (docs/adr/0002)",
        },
        Only {
            dialect: "sqlite",
            names: &["prune_edges", "prune_steps"],
            why: "PostgreSQL deletes a flow with all that belongs to it in one statement",
        },
        Only {
            dialect: "postgres",
            names: &[
                "planner_ours",
                "planner_callers",
                "enqueue_in",
                "complete_in",
            ],
            why: "in callers' transactions the planner is told what our sessions tell it, and round trips are saved",
        },
        Only {
            dialect: "postgres",
            names: &["backend", "forget_statements"],
            why: "SQLite has no poolers",
        },
        Only {
            dialect: "postgres",
            names: &["look_back", "known_cells", "new_cells"],
            why: "they begin at a remembered position or find what lies behind it; SQLite has no dead rows to avoid",
        },
        Only {
            dialect: "postgres",
            names: &[
                "enqueue_many",
                "enqueue_copy",
                "enqueue_ordered",
                "hand_on",
                "stuck_lines",
            ],
            why: "arrays, copy, and lines under their locks; SQLite has `enqueue`, `enqueue_lines` and `unblock`",
        },
        Only {
            dialect: "postgres",
            names: &["govern", "governed_names"],
            why: "claims of a queue wait for each other, and enqueues look which queues are governed; SQLite has one writer",
        },
        Only {
            dialect: "postgres",
            names: &["unique_put", "unique_sweep"],
            why: "keys are decided under row locks; SQLite decides them in `unique_take` and `unique_expire`",
        },
        Only {
            dialect: "sqlite",
            names: &["complete_plain"],
            why: "a batch without keys needs no look at its jobs first; PostgreSQL's `complete` says what it left",
        },
        Only {
            dialect: "sqlite",
            names: &[
                "cancel",
                "claim_due",
                "fence",
                "enqueue_lines",
                "unblock",
                "queue_stats",
                "governed_due",
                "forget_buckets",
                "unique_kept_by",
                "unique_retake",
            ],
            why: "it reads, decides in Rust under its one writer, and writes; PostgreSQL does it in one statement",
        },
    ],
};

const PLATFORM: Dialects = Dialects {
    place: "src/platform",
    only: &[
        Only {
            dialect: "postgres",
            names: &["enter", "hidden_tables", "oldest_transaction"],
            why: "SQLite has no row security, and no dead rows that a transaction could keep",
        },
        Only {
            dialect: "postgres",
            names: &[
                "embedding_btree",
                "embedding_type",
                "nearest_exact",
                "search_width",
                "vector_home",
            ],
            why: "SQLite has no vector type or index; it scans exactly (docs/adr/0004)",
        },
        Only {
            dialect: "postgres",
            names: &["prepare_lock"],
            why: "SQLite has one writer",
        },
        Only {
            dialect: "postgres",
            names: &[
                "table_health",
                "index_health",
                "begin_reindex",
                "drop_leftovers",
                "reindex",
                "end_reindex",
            ],
            why: "SQLite has no dead rows, and no index that is broken without its table",
        },
        Only {
            dialect: "postgres",
            names: &["row_security"],
            why: "SQLite has no row security",
        },
        Only {
            dialect: "postgres",
            names: &["partitioned", "name_month", "month_exists", "add_month"],
            why: "SQLite has no partitions",
        },
        Only {
            dialect: "sqlite",
            names: &["old_metrics"],
            why: "a statement that deletes cannot say what it left; PostgreSQL's `prune_metrics` does both",
        },
        Only {
            dialect: "sqlite",
            names: &["subscribed_webhooks", "conversation_was"],
            why: "a write is no part of a query, and shows what it wrote; PostgreSQL's write looks about itself",
        },
        Only {
            dialect: "sqlite",
            names: &["hit"],
            why: "the scan finds ids first; on PostgreSQL the search returns the whole hit",
        },
    ],
};

const MIGRATIONS: [&str; 3] = [
    "crates/windlass/migrations",
    "migrations",
    "migrations/records",
];

const SQL_IN_CODE: &[InCode] = &[(
    "begin immediate",
    "sqlx wants the words that begin a transaction; they are no statement of ours",
)];

#[test]
fn rooms_import_only_what_the_table_allows() {
    none(Sources::read(&tree::files()).check(ROOMS, SEAMS));
}

#[test]
fn no_file_is_too_long() {
    let files = tree::files();
    let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
    none(
        rust.filter_map(|file| {
            tree::check_length(file, MOST_LINES, MOST_LINES_IN_TESTS, LONG_FILES)
        }),
    );
}

#[test]
fn a_sql_file_is_one_commented_statement() {
    let files = tree::files();
    let (migrations, statements): (Vec<_>, Vec<_>) = files
        .iter()
        .filter(|file| file.path.ends_with(".sql") && !tree::is_test_code(&file.path))
        .partition(|file| file.path.contains("migrations/"));
    none(statements.into_iter().flat_map(sql::check_statement));
    none(migrations.into_iter().flat_map(sql::check_style));
}

#[test]
fn both_dialects_have_the_same_statements_and_migrations() {
    let files = tree::files();
    none(
        DIALECTS
            .iter()
            .flat_map(|room| sql::check_dialects(&files, room)),
    );
    none(
        MIGRATIONS
            .iter()
            .flat_map(|place| sql::check_migrations(&files, place)),
    );
}

#[test]
fn migrations_take_nothing_away_from_older_programs() {
    let files = tree::files();
    none(
        MIGRATIONS
            .iter()
            .flat_map(|place| sql::check_contracts(&files, place)),
    );
}

#[test]
fn every_statement_is_used_and_none_is_written_in_code() {
    let files = tree::files();
    let sources = Sources::read(&files);
    none(sql::check_use(&files, &sources));
    none(sql::check_code(&sources, SQL_IN_CODE));
}

#[test]
fn nothing_is_true_on_one_machine_only() {
    none(tree::files().iter().flat_map(tree::check_machine));
}

#[test]
fn the_state_diagram_is_the_state_machine() {
    let page = include_str!("../ARCHITECTURE.md");
    assert_eq!(diagram::of_the_diagram(page), diagram::of_the_code());
}

#[test]
fn pages_point_at_what_is_there() {
    let files = tree::files();
    let pages = files.iter().filter(|file| file.path.ends_with(".md"));
    none(pages.flat_map(|page| docs::check_links(page, &files)));
}

#[test]
fn every_defect_of_the_old_worker_is_answered_once() {
    let files = tree::files();
    let place = "docs/operations/replaces-node-worker.md";
    let page = files.iter().find(|file| file.path == place);
    none(docs::check_defects(page.expect(place), 80));
}

#[track_caller]
fn none(found: impl IntoIterator<Item = Violation>) {
    let lines: Vec<String> = found
        .into_iter()
        .map(|violation| violation.to_string())
        .collect();
    assert!(
        lines.is_empty(),
        "{} broken:\n{}",
        lines.len(),
        lines.join("\n")
    );
}
