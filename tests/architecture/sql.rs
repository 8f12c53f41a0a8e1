//! SQL is in files: one statement each, the same names in both dialects, none unused.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::Sources;
use crate::tree::{File, Violation, is_test_code};

/// A room that speaks both dialects.
#[derive(Debug)]
pub(crate) struct Dialects {
    /// The folder that holds `postgres/sql` and `sqlite/sql`.
    pub(crate) place: &'static str,
    /// Statements that only one of them has.
    pub(crate) only: &'static [Only],
}

/// Statements of one dialect, and why the other has none.
#[derive(Debug)]
pub(crate) struct Only {
    pub(crate) dialect: &'static str,
    pub(crate) names: &'static [&'static str],
    pub(crate) why: &'static str,
}

const BOTH: [&str; 2] = ["postgres", "sqlite"];

/// A statement file says first what it is for, holds one statement, and shouts nowhere.
pub(crate) fn check_statement(file: &File) -> Vec<Violation> {
    let violation = |line, what: String| Violation {
        file: file.path.clone(),
        line,
        what,
    };
    let mut found = check_style(file);
    let bare = strip(&file.text);
    let statements = bare
        .split(';')
        .filter(|part| !part.trim().is_empty())
        .count();
    if statements != 1 {
        found.push(violation(
            0,
            format!("holds {statements} statements; one file, one statement"),
        ));
    }
    found
}

/// What also holds for a migration, which may have many statements.
pub(crate) fn check_style(file: &File) -> Vec<Violation> {
    let violation = |line, what: String| Violation {
        file: file.path.clone(),
        line,
        what,
    };
    let mut found = Vec::new();
    if !file.text.starts_with("-- ") {
        found.push(violation(
            1,
            "the first line is not a comment that says what it is for".to_owned(),
        ));
    }
    for (index, line) in strip(&file.text).lines().enumerate() {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let loud = words
            .filter(|word| word.len() > 1 && word.chars().all(|c| c.is_uppercase() || c == '_'));
        for word in loud {
            found.push(violation(
                index + 1,
                format!("{word} is upper case; SQL is written in lower case"),
            ));
        }
    }
    found
}

/// The text without comments and quoted parts; lines stay lines.
fn strip(sql: &str) -> String {
    let mut bare = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => after(rest, 2, "*/"),
            '\'' => after(rest, 1, "'"),
            '"' => after(rest, 1, "\""),
            '$' => match dollar_tag(rest) {
                Some(tag) => after(rest, tag.len(), tag),
                None => 1,
            },
            _ => {
                bare.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        bare.extend(rest[..end].chars().filter(|c| *c == '\n'));
        rest = &rest[end..];
    }
    bare
}

/// Where the part that is closed by `close` ends.
fn after(text: &str, from: usize, close: &str) -> usize {
    text[from..]
        .find(close)
        .map_or(text.len(), |at| from + at + close.len())
}

/// `$$` or `$body$`, which open a quoted function body; not `$1`.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 2;
    let name = &text[1..end - 1];
    let is_tag = name.chars().all(|c| c.is_alphabetic() || c == '_');
    is_tag.then(|| &text[..end])
}

/// Both dialects have the same statements, but for what is listed; and the list is true.
pub(crate) fn check_dialects(files: &[File], room: &Dialects) -> Vec<Violation> {
    let names = BOTH.map(|dialect| names_in(files, &format!("{}/{dialect}/sql", room.place)));
    let mut found = Vec::new();
    for (at, dialect) in BOTH.into_iter().enumerate() {
        let (here, other) = (&names[at], &names[1 - at]);
        let listed: BTreeMap<&str, &str> = room
            .only
            .iter()
            .filter(|only| only.dialect == dialect)
            .flat_map(|only| only.names.iter().map(|name| (*name, only.why)))
            .collect();
        let violation = |name: &str, what: String| Violation {
            file: format!("{}/{dialect}/sql/{name}.sql", room.place),
            line: 0,
            what,
        };
        for name in here
            .difference(other)
            .filter(|name| !listed.contains_key(name.as_str()))
        {
            let what = format!(
                "{} has no such statement, and no reason is listed",
                BOTH[1 - at]
            );
            found.push(violation(name, what));
        }
        for (name, why) in &listed {
            if !here.contains(*name) || other.contains(*name) {
                found.push(violation(
                    name,
                    format!("is listed as {dialect}'s alone ({why}), and is not"),
                ));
            }
        }
    }
    found
}

/// Both dialects have migrations of the same numbers and names.
pub(crate) fn check_migrations(files: &[File], place: &str) -> Vec<Violation> {
    let [postgres, sqlite] = BOTH.map(|dialect| names_in(files, &format!("{place}/{dialect}")));
    let lone = postgres.symmetric_difference(&sqlite);
    lone.map(|name| Violation {
        file: format!("{place}/*/{name}.sql"),
        line: 0,
        what: "only one dialect has this migration".to_owned(),
    })
    .collect()
}

/// What older programs need goes only in a migration that is named for it.
pub(crate) fn check_contracts(files: &[File], place: &str) -> Vec<Violation> {
    let folder = format!("{place}/");
    let migrations = files.iter().filter_map(|file| {
        let name = file.path.strip_prefix(&folder)?.rsplit('/').next()?;
        Some((file, name.strip_suffix(".sql")?))
    });
    let mut found = Vec::new();
    for (file, name) in migrations {
        let contract = name
            .split_once("_contract_")
            .and_then(|(_, rest)| rest.split('_').next()?.parse::<i64>().ok());
        if contract.is_some() {
            continue;
        }
        for (index, line) in strip(&file.text).lines().enumerate() {
            let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
            let takes = [
                "drop column",
                "drop table",
                "drop view",
                "rename column",
                "rename to",
                "drop function",
            ];
            if takes.iter().any(|taken| words.contains(taken)) {
                found.push(Violation {
                    file: file.path.clone(),
                    line: index + 1,
                    what: "takes away what an older program may need; name it NNNN_contract_MMMM_what.sql, \
                           MMMM being the oldest migration a program must know from then on"
                        .to_owned(),
                });
            }
        }
    }
    found
}

fn names_in(files: &[File], folder: &str) -> BTreeSet<String> {
    let names = files.iter().filter_map(|file| {
        let name = file
            .path
            .strip_prefix(folder)?
            .strip_prefix('/')?
            .strip_suffix(".sql")?;
        Some(name.to_owned())
    });
    names.collect()
}

/// Every statement file is included by the code next to it, and every inclusion names a file next
/// to it.
pub(crate) fn check_use(files: &[File], sources: &Sources) -> Vec<Violation> {
    let mut included = BTreeSet::new();
    let mut found = Vec::new();
    for (path, source) in sources.iter() {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let uses_concat = source
            .texts
            .iter()
            .any(|text| text.included && text.value == "sql/");
        for text in &source.texts {
            if text.included && text.value.ends_with(".sql") && text.value.len() > 4 {
                included.insert(format!("{folder}/{}", text.value));
                if !text.value.starts_with("sql/") {
                    let what = format!(
                        "includes {}: a statement lies in sql/ next to its code",
                        text.value
                    );
                    found.push(Violation {
                        file: path.to_owned(),
                        line: text.line,
                        what,
                    });
                }
            } else if uses_concat && !text.included {
                // `include_str!(concat!("sql/", $name, ".sql"))` in a macro: the names are its arguments.
                included.insert(format!("{folder}/sql/{}.sql", text.value));
            }
        }
    }
    let statements = files.iter().filter(|file| {
        file.path.ends_with(".sql") && file.path.contains("/sql/") && !is_test_code(&file.path)
    });
    let orphans = statements.filter(|file| !included.contains(&file.path));
    found.extend(orphans.map(|file| Violation {
        file: file.path.clone(),
        line: 0,
        what: "no code next to it includes it".to_owned(),
    }));
    found
}

/// A text in code that is SQL all the same, and why.
pub(crate) type InCode = (&'static str, &'static str);

/// No SQL is written in code, but for the texts that are listed with a reason; and the list is true.
pub(crate) fn check_code(sources: &Sources, allowed: &[InCode]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut unused: BTreeSet<&str> = allowed.iter().map(|(text, _)| *text).collect();
    for (path, source) in sources.iter() {
        for text in source
            .texts
            .iter()
            .filter(|text| looks_like_sql(&text.value))
        {
            unused.remove(text.value.as_str());
            if allowed.iter().all(|(listed, _)| *listed != text.value) {
                let what = format!(
                    "SQL in code ({:.40}); it belongs in a .sql file",
                    text.value
                );
                found.push(Violation {
                    file: path.to_owned(),
                    line: text.line,
                    what,
                });
            }
        }
    }
    found.extend(unused.into_iter().map(|text| Violation {
        file: "tests/architecture.rs".to_owned(),
        line: 0,
        what: format!("lists \"{text}\" as SQL in code, and there is none"),
    }));
    found
}

/// Whether a text starts like a statement. Prose starts with the same verbs, so the second or a
/// later word must fit too.
fn looks_like_sql(text: &str) -> bool {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let has = |word: &str| words.contains(&word);
    match words.as_slice() {
        ["select", _, ..] => {
            has("from")
                || words[1].starts_with(|c: char| !c.is_alphabetic())
                || words[1].contains('(')
        }
        ["insert" | "replace", "into", _, ..] | ["delete", "from", _, ..] => true,
        ["update", _, ..] => has("set"),
        ["with", _, ..] => {
            words
                .iter()
                .any(|word| *word == "as" || word.starts_with("as("))
                && lower.contains('(')
        }
        ["create" | "alter" | "drop" | "truncate", what, _, ..] => matches!(
            *what,
            "table"
                | "index"
                | "unique"
                | "schema"
                | "extension"
                | "database"
                | "function"
                | "or"
                | "role"
                | "type"
                | "view"
                | "trigger"
        ),
        ["copy", _, ..] => lower.contains('(') || has("from"),
        ["begin", "immediate" | "exclusive" | "transaction"]
        | ["pragma" | "listen" | "unlisten" | "notify", _] => true,
        ["set", "local" | "session", ..]
        | ["explain", ..]
        | ["vacuum", "into" | "analyze" | "full", ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn problems(text: &str) -> Vec<String> {
        check_statement(&file("sql/x.sql", text))
            .into_iter()
            .map(|v| v.what)
            .collect()
    }

    #[test]
    fn one_commented_lower_case_statement_passes() {
        let good = "-- Counts \"; DELETE\". Caller: x.rs.\nselect \"createdAt\", 'A; B' -- OLD;\n  from t\n where a = $1 and b = $2;\n";
        assert_eq!(problems(good), [""; 0]);
        assert_eq!(
            problems("-- Makes a function.\ncreate function f() as $$ begin; NULL; end $$\n"),
            [""; 0]
        );
    }

    #[test]
    fn each_fault_of_a_statement_file_is_found() {
        assert!(problems("select 1")[0].contains("first line"));
        assert!(problems("-- Two.\nselect 1;\nselect 2;")[0].contains("2 statements"));
        assert!(problems("-- None.\n")[0].contains("0 statements"));
        assert!(problems("-- Loud.\nSELECT 1")[0].contains("SELECT"));
        assert_eq!(
            check_statement(&file("sql/x.sql", "-- a\nselect 1\nFROM t"))[0].line,
            3
        );
    }

    #[test]
    fn a_statement_of_one_dialect_needs_a_reason() {
        let files = [
            file("store/postgres/sql/claim.sql", ""),
            file("store/sqlite/sql/claim.sql", ""),
            file("store/postgres/sql/notify.sql", ""),
        ];
        let room = |only| Dialects {
            place: "store",
            only,
        };
        let found = check_dialects(&files, &room(&[]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].file, "store/postgres/sql/notify.sql");
        let listed = &[Only {
            dialect: "postgres",
            names: &["notify"],
            why: "SQLite has no channels",
        }];
        assert_eq!(check_dialects(&files, &room(listed)), []);
        let stale = &[
            Only {
                dialect: "postgres",
                names: &["notify"],
                why: "",
            },
            Only {
                dialect: "sqlite",
                names: &["claim", "gone"],
                why: "",
            },
        ];
        assert_eq!(check_dialects(&files, &room(stale)).len(), 2);
    }

    #[test]
    fn a_migration_of_one_dialect_is_found() {
        let mut files = vec![
            file("migrations/postgres/0001_a.sql", ""),
            file("migrations/sqlite/0001_a.sql", ""),
        ];
        assert_eq!(check_migrations(&files, "migrations"), []);
        files.push(file("migrations/sqlite/0002_b.sql", ""));
        assert_eq!(
            check_migrations(&files, "migrations")[0].file,
            "migrations/*/0002_b.sql"
        );
    }

    #[test]
    fn what_takes_away_is_a_contract() {
        let drop = "alter table a drop column b;";
        let files = [
            file(
                "migrations/postgres/0002_b.sql",
                "-- drop column is a word\nalter table a add column c int;",
            ),
            file("migrations/postgres/0007_contract_0005_b.sql", drop),
            file("migrations/postgres/0008_c.sql", drop),
            file("migrations/postgres/0009_contract_b.sql", drop),
            file("elsewhere/0010_d.sql", drop),
        ];
        let found = check_contracts(&files, "migrations");
        let places: Vec<_> = found
            .iter()
            .map(|found| (&*found.file, found.line))
            .collect();
        assert_eq!(
            places,
            [
                ("migrations/postgres/0008_c.sql", 1),
                ("migrations/postgres/0009_contract_b.sql", 1)
            ]
        );
    }

    #[test]
    fn orphans_and_strays_are_found() {
        let files = [
            file("src/platform/sqlite/sql/used.sql", ""),
            file("src/platform/sqlite/sql/named.sql", ""),
            file("src/platform/sqlite/sql/orphan.sql", ""),
            file(
                "src/platform/sqlite/a.rs",
                r#"const A: &str = include_str!("sql/used.sql");"#,
            ),
            file(
                "src/platform/sqlite/b.rs",
                r#"macro_rules! m { ($f:literal) => { include_str!(concat!("sql/", $f, ".sql")) } } const B: &str = m!("named");"#,
            ),
            file(
                "src/platform/sqlite/c.rs",
                r#"const C: &str = include_str!("../postgres/sql/used.sql");"#,
            ),
        ];
        let found = check_use(&files, &Sources::read(&files));
        let named: Vec<&str> = found.iter().map(|v| v.file.as_str()).collect();
        assert_eq!(
            named,
            [
                "src/platform/sqlite/c.rs",
                "src/platform/sqlite/sql/orphan.sql"
            ]
        );
    }

    #[test]
    fn sql_in_code_is_found_and_prose_is_not() {
        let sql = [
            "select 1",
            "SELECT a FROM b",
            "insert into t values (1)",
            "update t set a = 1",
            "delete from t",
            "with x as (select 1) table x",
            "create table t (a)",
            "pragma user_version",
            "begin immediate",
        ];
        for text in sql {
            assert!(looks_like_sql(text), "{text}");
        }
        let prose = [
            "select a queue",
            "update the program",
            "create a file",
            "with care",
            "set aside",
            "delete it",
            "drop",
        ];
        for text in prose {
            assert!(!looks_like_sql(text), "{text}");
        }
        let code = [file(
            "src/api/x.rs",
            r#"fn f() { g("delete from jobs") }
            #[cfg(test)] mod tests { const Q: &str = "select 1"; }"#,
        )];
        let sources = Sources::read(&code);
        assert_eq!(check_code(&sources, &[]).len(), 1);
        assert_eq!(check_code(&sources, &[("delete from jobs", "why")]), []);
        assert_eq!(
            check_code(&sources, &[("delete from jobs", ""), ("select 1", "")]).len(),
            1
        );
    }
}
