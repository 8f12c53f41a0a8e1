//! What the pages point at is there: files, and the tests that are named.

use std::path::{Component, PathBuf};

use crate::tree::{File, Violation, is_picture, is_test_code};

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
                let is_folder = files.iter().any(|file| file.path.starts_with(&prefix));
                if !is_folder && !is_picture(&path) {
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

/// Each of the `count` defects of the platform's old worker has one row of the page's table, in order, and
/// each row names its test or says where the answer is.
pub(crate) fn check_defects(page: &File, count: usize) -> Vec<Violation> {
    let violation = |line, what| Violation {
        file: page.path.clone(),
        line,
        what,
    };
    let mut found = Vec::new();
    let mut expected = 1..=count;
    for (index, line) in page.text.lines().enumerate() {
        let Some(row) = line.strip_prefix("| B-") else {
            continue;
        };
        let cells: Vec<&str> = row.trim_end_matches('|').split(" | ").collect();
        let number = cells[0].split(' ').next().unwrap_or_default();
        match expected.next() {
            Some(next) if number == format!("{next:02}") => {}
            Some(next) => {
                found.push(violation(
                    index + 1,
                    format!("is B-{number} where B-{next:02} belongs"),
                ));
                return found;
            }
            None => found.push(violation(index + 1, format!("B-{number} is one too many"))),
        }
        if cells.len() != 3 || links(line).is_empty() {
            let what = format!("B-{number} has no answer, or no test that shows it");
            found.push(violation(index + 1, what));
        }
    }
    let missing = expected.map(|next| violation(0, format!("B-{next:02} is missing")));
    found.extend(missing);
    found
}

#[test]
fn missing_doubled_and_unanswered_defects_are_found() {
    let check = |text: &str| {
        let page = File {
            path: "page.md".to_owned(),
            text: text.to_owned(),
        };
        let found = check_defects(&page, 2).into_iter();
        found.map(|it| (it.line, it.what)).collect::<Vec<_>>()
    };
    let one = "| B-01 it breaks | it does not | [`t`](t.rs) |\n";
    let two = "| B-02 it breaks | it does not | [`t`](t.rs) |\n";
    assert_eq!(check(&format!("# a\n\n{one}{two}")), []);
    assert_eq!(check(one), [(0, "B-02 is missing".to_owned())]);
    let twice = check(&format!("{one}{one}"));
    assert_eq!(twice, [(2, "is B-01 where B-02 belongs".to_owned())]);
    let more = check(&format!("{one}{two}{}", two.replace("02", "03")));
    assert_eq!(more, [(3, "B-03 is one too many".to_owned())]);
    let silent = check(&format!("{one}| B-02 it breaks | it does not | - |\n"));
    let expected = "B-02 has no answer, or no test that shows it".to_owned();
    assert_eq!(silent, [(2, expected)]);
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
