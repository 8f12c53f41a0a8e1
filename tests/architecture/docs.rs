//! What the pages point at is there: files, and the tests that are named.

use std::path::{Component, PathBuf};

use crate::tree::{File, Violation, is_test_code};

/// Every relative link of a page leads to a file or folder; one whose text is the name of a test, as
/// `` [`name`](tests/file.rs) ``, to a file with a function of that name.
pub(crate) fn check_links(page: &File, files: &[File]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        for (text, target) in links(line) {
            let violation = |what| Violation {
                file: page.path.clone(),
                line: index + 1,
                what,
            };
            let path = resolve(&page.path, target);
            let prefix = format!("{path}/");
            let Some(file) = files.iter().find(|file| file.path == path) else {
                if files.iter().all(|file| !file.path.starts_with(&prefix)) {
                    found.push(violation(format!("links to {path}, which is not there")));
                }
                continue;
            };
            let name = text.trim_matches('`');
            let is_test = is_test_code(&path)
                && !path.contains("examples/")
                && text.starts_with('`')
                && path.ends_with(".rs")
                && !name.contains(['.', '/', ':', ' ']);
            if is_test && !file.text.contains(&format!("fn {name}(")) {
                found.push(violation(format!(
                    "names {name}, and {path} has no such function"
                )));
            }
        }
    }
    found
}

/// Text and target of the links to files of the repository.
fn links(line: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("](") {
        let Some(start) = line[..at].rfind('[') else {
            continue;
        };
        let rest = &line[at + 2..];
        let Some(end) = rest.find(')') else { continue };
        let target = rest[..end].split('#').next().unwrap_or_default();
        let elsewhere = target.contains("://")
            || target.contains("::")
            || target.is_empty()
            || !target.contains(['.', '/']);
        if !elsewhere {
            found.push((&line[start + 1..at], target));
        }
    }
    found
}

/// A link's target from the repository's root.
fn resolve(page: &str, target: &str) -> String {
    let mut path = PathBuf::from(page);
    path.pop();
    for part in PathBuf::from(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path.to_string_lossy().replace('\\', "/")
}

#[test]
fn broken_links_and_unknown_tests_are_found() {
    let file = |path: &str, text: &str| File {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let files = [
        file("tests/it/a.rs", "async fn it_holds() {}"),
        file("docs/adr/0001-x.md", ""),
    ];
    let good = "[`it_holds`](../tests/it/a.rs), [all](../tests), [x](adr/0001-x.md#why) [y](https://example.org/z) [`C`](engine::Context)";
    assert_eq!(check_links(&file("docs/guide.md", good), &files), []);
    let bad = "fine\n[`it_does_not`](../tests/it/a.rs) and [gone](adr/0009-gone.md)";
    let found = check_links(&file("docs/guide.md", bad), &files);
    assert_eq!(found.len(), 2);
    assert!(found[0].what.contains("it_does_not") && found[0].line == 2);
    assert!(found[1].what.contains("docs/adr/0009-gone.md"));
}
