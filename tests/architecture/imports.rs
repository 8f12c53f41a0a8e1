//! Which room may import which.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Path, Reexports, Source};
use crate::tree::{File, Violation, is_test_code};

/// A room of the house, and what it may know.
#[derive(Debug)]
pub(crate) struct Room {
    /// Its folder or file, from the repository's root.
    pub(crate) place: &'static str,
    /// The rooms it may import besides itself, as paths from the crate's name on.
    pub(crate) may: &'static [&'static str],
    /// What it may not import although `may` or another crate would allow it, each with the reason.
    pub(crate) never: &'static [(&'static str, &'static str)],
    /// If not empty, the only crates it may import.
    pub(crate) crates: &'static [&'static str],
}

/// A crate that only a few files may name.
#[derive(Debug)]
pub(crate) struct Seam {
    pub(crate) krate: &'static str,
    pub(crate) files: &'static [&'static str],
    pub(crate) why: &'static str,
}

/// The crates of the workspace: name in code, and where their source is.
const CRATES: [(&str, &str); 2] = [
    ("windlass", "crates/windlass/src"),
    ("metachat_jobs", "src"),
];

/// Every production source of the workspace, read.
#[derive(Debug)]
pub(crate) struct Sources {
    files: Vec<(String, Source)>,
    reexports: BTreeMap<&'static str, Reexports>,
}

impl Sources {
    /// Reads every file under a crate's `src`, without tests.
    pub(crate) fn read(files: &[File]) -> Self {
        let mut read = Vec::new();
        let mut tests = BTreeSet::new();
        for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
            let Some(module) = module_of(&file.path) else {
                continue;
            };
            let source = Source::read(&module, &file.text);
            let folder = folder_of_modules(&file.path);
            for name in &source.test_modules {
                tests.insert(format!("{folder}/{name}"));
            }
            read.push((file.path.clone(), source));
        }
        read.retain(|(path, _)| {
            let stem = path.trim_end_matches(".rs").trim_end_matches("/mod");
            !is_test_code(path)
                && !tests
                    .iter()
                    .any(|test| stem == test || stem.starts_with(&format!("{test}/")))
        });
        let reexports = CRATES
            .into_iter()
            .filter_map(|(name, place)| {
                let root = format!("{place}/lib.rs");
                let (_, source) = read.iter().find(|(path, _)| *path == root)?;
                Some((name, source.reexports()))
            })
            .collect();
        Self {
            files: read,
            reexports,
        }
    }

    /// Path and content of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.files
            .iter()
            .map(|(path, source)| (path.as_str(), source))
    }

    /// `windlass::Job` is `windlass::engine::Job`: a re-export hides no room.
    fn unhide(&self, path: &Path) -> Vec<String> {
        let [krate, name, rest @ ..] = path.segments.as_slice() else {
            return path.segments.clone();
        };
        match self
            .reexports
            .get(krate.as_str())
            .and_then(|names| names.get(name))
        {
            Some(full) => [full.as_slice(), rest].concat(),
            None => path.segments.clone(),
        }
    }

    /// Every import that the table of rooms does not allow, and every file that is in no room.
    pub(crate) fn check(&self, rooms: &[Room], seams: &[Seam]) -> Vec<Violation> {
        let mut found = Vec::new();
        for (file, source) in self.iter() {
            if !is_root(file) && room_of(rooms, file).is_none() {
                found.push(Violation {
                    file: file.to_owned(),
                    line: 0,
                    what: "is in no room of the import table; give it one".to_owned(),
                });
            }
            for path in &source.paths {
                let full = self.unhide(path);
                let broken = room_of(rooms, file)
                    .and_then(|room| room.forbids(&full, path.imported))
                    .or_else(|| seams.iter().find_map(|seam| seam.forbids(file, &full)));
                found.extend(broken.map(|rule| Violation {
                    file: file.to_owned(),
                    line: path.line,
                    what: format!("imports {}: {rule}", full.join("::")),
                }));
            }
        }
        found
    }
}

impl Room {
    /// The rule that this path breaks.
    fn forbids(&self, path: &[String], imported: bool) -> Option<String> {
        if let Some((_, why)) = self
            .never
            .iter()
            .find(|(never, _)| starts_with(path, never))
        {
            return Some(format!("{} must not, {why}", self.place));
        }
        let krate = path.first()?;
        let own = self.own();
        if CRATES.iter().any(|(name, _)| name == krate) {
            let allowed = path.len() == 1
                || own.is_some_and(|own| starts_with(path, &own))
                || self.may.iter().any(|may| starts_with(path, may));
            return (!allowed)
                .then(|| format!("{} may import only [{}]", self.place, self.may.join(", ")));
        }
        let is_crate = imported && krate.starts_with(|c: char| c.is_lowercase());
        let outside = is_crate && !self.crates.is_empty() && !self.crates.contains(&krate.as_str());
        outside.then(|| {
            format!(
                "{} may use only the crates [{}]",
                self.place,
                self.crates.join(", ")
            )
        })
    }

    /// The room's own path.
    fn own(&self) -> Option<String> {
        let as_file = if self.place.ends_with(".rs") {
            self.place.to_owned()
        } else {
            format!("{}/mod.rs", self.place)
        };
        Some(module_of(&as_file)?.join("::"))
    }
}

impl Seam {
    fn forbids(&self, file: &str, path: &[String]) -> Option<String> {
        // A folder admits all that is in it.
        let admits = |place: &&str| {
            let rest = file.strip_prefix(*place);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let elsewhere =
            path.first().is_some_and(|krate| krate == self.krate) && !self.files.iter().any(admits);
        elsewhere.then(|| format!("only [{}] may, {}", self.files.join(", "), self.why))
    }
}

/// The innermost room of a file.
fn room_of<'a>(rooms: &'a [Room], file: &str) -> Option<&'a Room> {
    let holds = |room: &&Room| file == room.place || file.starts_with(&format!("{}/", room.place));
    rooms
        .iter()
        .filter(holds)
        .max_by_key(|room| room.place.len())
}

fn is_root(file: &str) -> bool {
    CRATES
        .iter()
        .any(|(_, place)| file == format!("{place}/lib.rs"))
}

fn starts_with(path: &[String], prefix: &str) -> bool {
    let mut segments = path.iter();
    prefix
        .split("::")
        .all(|part| segments.next().is_some_and(|segment| segment == part))
}

/// `crates/windlass/src/store/memory/mod.rs` is `windlass::store::memory`.
fn module_of(path: &str) -> Option<Vec<&str>> {
    let (krate, rest) = CRATES
        .iter()
        .find_map(|(name, place)| Some((*name, path.strip_prefix(place)?.strip_prefix('/')?)))?;
    let rest = rest.strip_suffix(".rs")?;
    let names = rest
        .split('/')
        .filter(|name| !matches!(*name, "lib" | "mod" | "main"));
    Some(std::iter::once(krate).chain(names).collect())
}

/// Where the modules that this file declares are.
fn folder_of_modules(path: &str) -> &str {
    let stem = path.trim_end_matches(".rs");
    ["/mod", "/lib", "/main"]
        .iter()
        .find_map(|root| stem.strip_suffix(root))
        .unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMS: [Room; 3] = [
        Room {
            place: "crates/windlass/src/model",
            may: &[],
            never: &[],
            crates: &["std", "serde"],
        },
        Room {
            place: "crates/windlass/src/engine",
            may: &["windlass::model", "windlass::store"],
            never: &[
                ("windlass::store::memory", "it would know a store"),
                ("sqlx", "it holds no SQL"),
            ],
            crates: &[],
        },
        Room {
            place: "src/jobs",
            may: &["windlass::engine"],
            never: &[],
            crates: &[],
        },
    ];
    const SEAMS: [Seam; 1] = [Seam {
        krate: "apalis",
        files: &[
            "crates/windlass/src/engine/backend.rs",
            "crates/windlass/src/engine/stock",
        ],
        why: "one seam",
    }];

    fn check(path: &str, text: &str) -> Vec<String> {
        let root = "pub mod engine; pub mod model; pub use engine::Job; pub use model::State;";
        let files = [("crates/windlass/src/lib.rs", root), (path, text)].map(|(path, text)| File {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        Sources::read(&files)
            .check(&ROOMS, &SEAMS)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn an_import_outside_the_table_is_named_with_its_place_and_rule() {
        let found = check(
            "crates/windlass/src/model/job.rs",
            "use std::fmt;\nuse crate::engine::Client;",
        );
        assert_eq!(
            found,
            [
                "crates/windlass/src/model/job.rs:2: imports windlass::engine::Client: \
              crates/windlass/src/model may import only []"
            ]
        );
    }

    #[test]
    fn a_seam_may_be_a_folder_and_not_one_of_a_longer_name() {
        let uses = "use apalis::layers::X;";
        let at = |path: &str| check(&format!("crates/windlass/src/engine/{path}"), uses).len();
        assert_eq!((at("stock/sink.rs"), at("stock/mod.rs")), (0, 0));
        assert_eq!((at("stocks/sink.rs"), at("stock.rs")), (1, 1));
    }

    #[test]
    fn allowed_imports_pass() {
        assert_eq!(
            check(
                "crates/windlass/src/model/job.rs",
                "use super::State; use serde::Serialize;"
            ),
            [""; 0]
        );
        assert_eq!(
            check(
                "crates/windlass/src/engine/x.rs",
                "use crate::store::Store; use apalis_core::x;"
            ),
            [""; 0]
        );
        assert_eq!(
            check(
                "crates/windlass/src/engine/backend.rs",
                "use apalis::layers::X;"
            ),
            [""; 0]
        );
        assert_eq!(
            check("src/jobs/hello.rs", "use windlass::{Job, engine::Client};"),
            [""; 0]
        );
    }

    #[test]
    fn each_kind_of_rule_is_enforced() {
        let cases = [
            (
                "crates/windlass/src/model/job.rs",
                "use tokio::time;",
                "only the crates",
            ),
            (
                "crates/windlass/src/engine/x.rs",
                "fn f() { crate::store::memory::new() }",
                "know a store",
            ),
            (
                "crates/windlass/src/engine/x.rs",
                "fn f() { sqlx::query(Q) }",
                "no SQL",
            ),
            (
                "crates/windlass/src/engine/x.rs",
                "use apalis::layers::X;",
                "one seam",
            ),
            (
                "crates/windlass/src/engine/sub/x.rs",
                "use super::super::super::db::Tx;",
                "may import only",
            ),
            (
                "src/jobs/hello.rs",
                "use windlass::State;",
                "imports windlass::model::State",
            ),
            (
                "src/jobs/hello.rs",
                "use crate::api::router;",
                "metachat_jobs::api::router",
            ),
            ("src/attic/mod.rs", "", "in no room"),
        ];
        for (path, text, rule) in cases {
            let found = check(path, text);
            assert_eq!(found.len(), 1, "{path} {text}: {found:?}");
            assert!(found[0].contains(rule), "{} does not say {rule}", found[0]);
        }
    }

    #[test]
    fn test_modules_are_free() {
        let files = [
            (
                "crates/windlass/src/model/job.rs",
                "#[cfg(test)] mod tests;",
            ),
            (
                "crates/windlass/src/model/job/tests.rs",
                "use crate::engine::Client;",
            ),
            (
                "crates/windlass/src/model/mod.rs",
                "#[cfg(test)] mod checks;",
            ),
            (
                "crates/windlass/src/model/checks.rs",
                "use crate::engine::Client;",
            ),
        ]
        .map(|(path, text)| File {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        assert_eq!(Sources::read(&files).check(&ROOMS, &SEAMS), []);
    }
}
