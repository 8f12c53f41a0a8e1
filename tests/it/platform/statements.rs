//! The SQL files themselves. That each of them works is shown by the other cases, which run them all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What only PostgreSQL has: row security, several processes, approximate indexes.
const POSTGRES_ONLY: [&str; 8] = [
    "embedding_btree",
    "embedding_type",
    "enter",
    "hidden_tables",
    "nearest_exact",
    "prepare_lock",
    "search_width",
    "vector_home",
];

/// SQLite compares vectors in Rust and then reads the best.
const SQLITE_ONLY: [&str; 1] = ["hit"];

fn folder(dialect: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/platform/{dialect}/sql"))
}

fn names(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn without(mut names: BTreeSet<String>, only: &[&str]) -> BTreeSet<String> {
    for name in only {
        assert!(names.remove(*name), "{name} is listed here but is no file");
    }
    names
}

#[test]
fn both_dialects_have_the_same_statements() {
    let postgres = without(names(&folder("postgres")), &POSTGRES_ONLY);
    let sqlite = without(names(&folder("sqlite")), &SQLITE_ONLY);
    assert_eq!(postgres, sqlite);
}

#[test]
fn both_dialects_have_the_same_migrations() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    assert_eq!(names(&root.join("postgres")), names(&root.join("sqlite")));
}

#[test]
fn each_statement_says_what_it_does_and_for_whom() {
    for dialect in ["postgres", "sqlite"] {
        for name in names(&folder(dialect)) {
            let text = fs::read_to_string(folder(dialect).join(format!("{name}.sql"))).unwrap();
            let first = text.lines().next().unwrap();
            assert!(first.starts_with("-- "), "{dialect}/{name}: {first}");
            let comment: Vec<_> = text.lines().take_while(|l| l.starts_with("-- ")).collect();
            assert!(comment.join(" ").contains("Called "), "{dialect}/{name}");
        }
    }
}
