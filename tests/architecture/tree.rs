//! The files of the repository, and what holds for any of them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A rule that is broken, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// From the repository's root.
    pub(crate) file: String,
    /// From 1; 0 for the whole file.
    pub(crate) line: usize,
    /// What is wrong, and which rule says so.
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// A text file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// From the repository's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Not ours, or not source: build output, tools' folders, data.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];

/// Every text file of the repository, in order.
pub(crate) fn files() -> Vec<File> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder that was just listed") {
        let path = entry
            .expect("an entry of a folder that was just listed")
            .path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if SKIPPED.contains(&name) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).expect("a path below the root");
            files.push(File {
                path: path.to_string_lossy().replace('\\', "/"),
                text,
            });
        }
    }
}

/// Whether it is a file of the repository that is no text.
pub(crate) fn is_picture(path: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    path.ends_with(".png") && root.join(path).is_file()
}

/// A file that may be longer than the others, and why.
pub(crate) type LongFile = (&'static str, &'static str);

/// No Rust file is longer than `most` lines; a test file may be `most_in_tests`, with a reason.
pub(crate) fn check_length(
    file: &File,
    most: usize,
    most_in_tests: usize,
    long: &[LongFile],
) -> Option<Violation> {
    let lines = file.text.lines().count();
    let limit = match long.iter().find(|(path, _)| *path == file.path) {
        Some(_) if is_test_code(&file.path) => most_in_tests,
        _ => most,
    };
    (lines > limit).then(|| Violation {
        file: file.path.clone(),
        line: limit,
        what: format!("{lines} lines are more than {limit}: split it by verb"),
    })
}

/// Tests, benches and examples by where they lie.
pub(crate) fn is_test_code(path: &str) -> bool {
    let mut folders = path.split('/');
    folders.any(|part| matches!(part, "tests" | "benches" | "examples" | "tests.rs"))
}

/// No path of the machine something was made on, and no mirror of a registry.
pub(crate) fn check_machine(file: &File) -> Vec<Violation> {
    // Put together here, so that this file does not name them.
    let homes = ["root", "work", "home", "Users"].map(|name| format!("/{name}/"));
    let mirrors =
        ["arti+factory", "jf+rog.io", "nex+us.", "replace-w+ith"].map(|name| name.replace('+', ""));
    let lines = file.text.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            let violation = |what| {
                Some(Violation {
                    file: file.path.clone(),
                    line: index + 1,
                    what,
                })
            };
            let path = homes.iter().find(|home| starts_a_path(line, home));
            if let Some(home) = path {
                return violation(format!("a path under {home} exists on one machine only"));
            }
            let lower = line.to_lowercase();
            let mirror = mirrors
                .iter()
                .find(|mirror| lower.contains(mirror.as_str()))?;
            violation(format!("names a registry of one network ({mirror})"))
        })
        .collect()
}

/// Whether the line holds this folder as the start of an absolute path, not inside a longer one or
/// a URL.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| {
            !c.is_alphanumeric() && !matches!(c, '.' | '_' | '-' | '/' | '}' | '~' | '*' | '$')
        })
    })
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn a_long_file_is_found() {
    let lines = "//\n".repeat(601);
    let found = check_length(&file("src/api/jobs.rs", &lines), 600, 900, &[]);
    assert_eq!(found.expect("too long").line, 600);
    assert_eq!(
        check_length(&file("src/api/jobs.rs", &"//\n".repeat(600)), 600, 900, &[]),
        None
    );
    // A reason helps a test file, up to its own bound, and no other file.
    let long = [("tests/it/api.rs", "why"), ("src/api/jobs.rs", "why")];
    assert_eq!(
        check_length(&file("tests/it/api.rs", &lines), 600, 900, &long),
        None
    );
    assert!(
        check_length(
            &file("tests/it/api.rs", &"//\n".repeat(901)),
            600,
            900,
            &long
        )
        .is_some()
    );
    assert!(check_length(&file("src/api/jobs.rs", &lines), 600, 900, &long).is_some());
}

#[test]
fn machine_paths_and_mirrors_are_found() {
    let home = format!("see /{}/someone/notes", "home");
    let mirror = format!(
        "index = \"https://{}.example/crates\"",
        "Artif_actory".replace('_', "")
    );
    for bad in [home.as_str(), mirror.as_str()] {
        assert_eq!(
            check_machine(&file("a.md", &format!("fine\n{bad}"))).len(),
            1,
            "{bad}"
        );
        assert_eq!(
            check_machine(&file("a.md", &format!("fine\n{bad}")))[0].line,
            2
        );
    }
    let good = format!("https://example.org/{}/x and $ROOT/{}/y", "home", "work");
    assert_eq!(check_machine(&file("a.md", &good)), []);
}
