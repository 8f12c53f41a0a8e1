//! The repository's own files that these tests read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(super) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of a folder with this ending, sorted.
pub(super) fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no {ending} in {folder}");
    paths
}

pub(super) fn yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of rules, without their tests.
pub(super) fn rule_files() -> Vec<PathBuf> {
    let is_rules = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        !name.ends_with("_test.yml") && !name.contains("example")
    };
    let files = files("dashboards/alerts", ".yml");
    files.into_iter().filter(is_rules).collect()
}

/// Every rule of a file.
pub(super) fn rules(path: &Path) -> Vec<Value> {
    let file = yaml(path);
    let groups = file["groups"].as_array().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    rules.cloned().collect()
}

/// The names of metrics in an expression: words that are no function, operator, label or number.
pub(super) fn metrics_in(expression: &str) -> BTreeSet<String> {
    const WORDS: [&str; 12] = [
        "and",
        "or",
        "unless",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "bool",
        "offset",
        "atan2",
    ];
    const AGGREGATES: [&str; 6] = ["sum", "min", "max", "avg", "count", "topk"];
    let mut found = BTreeSet::new();
    let bytes: Vec<char> = expression.chars().collect();
    let (mut at, mut braces, mut quoted, mut labels) = (0, 0_u32, None, false);
    while at < bytes.len() {
        let c = bytes[at];
        if let Some(quote) = quoted {
            quoted = (c != quote).then_some(quote);
        } else if c == '"' || c == '\'' {
            quoted = Some(c);
        } else if c == '{' || c == '[' {
            braces += 1;
        } else if c == '}' || c == ']' {
            braces -= 1;
        } else if labels && c == ')' {
            labels = false;
        } else if (c.is_ascii_alphabetic() || c == '_') && braces == 0 {
            let start = at;
            while at < bytes.len()
                && (bytes[at].is_ascii_alphanumeric() || "_:".contains(bytes[at]))
            {
                at += 1;
            }
            let word: String = bytes[start..at].iter().collect();
            let next = bytes[at..].iter().find(|c| !c.is_whitespace());
            if next == Some(&'(') {
                labels = WORDS.contains(&&*word);
            } else if AGGREGATES.contains(&&*word) {
                // `sum by (le) (..)`.
            } else if !labels && !WORDS.contains(&&*word) {
                found.insert(word);
            }
            continue;
        } else if c.is_ascii_digit() {
            // `5m` and `1e6` are no names.
            while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == '.') {
                at += 1;
            }
            continue;
        }
        at += 1;
    }
    found
}

#[test]
fn metrics_are_told_from_the_other_words_of_an_expression() {
    let of = |expression: &str| metrics_in(expression).into_iter().collect::<Vec<_>>();
    assert_eq!(
        of(
            r#"histogram_quantile(0.95, sum by (le, kind) (rate(a_bucket{route!~"/x|b"}[5m]))) > 1e6"#
        ),
        ["a_bucket"]
    );
    assert_eq!(
        of(
            "sum without (state) (a{s='used'}) / on (i) group_left () b and time() - slo:c:d > 26 * 3600"
        ),
        ["a", "b", "slo:c:d"]
    );
}
