//! Boards and rules name only what there is, and the example stack can be read.

use std::collections::BTreeSet;

use serde_json::Value;

use super::files::{files, metrics_in, root, rule_files, rules, yaml};
use super::metrics::documented;

/// What others export: the servers' exporters, Prometheus itself.
const OTHERS: [&str; 8] = [
    "pg_",
    "redis_",
    "rabbitmq_queue_",
    "rabbitmq_alarms_",
    "rabbitmq_process_",
    "node_",
    "up",
    "scrape_",
];

/// What may be named: documented metrics, with the parts of histograms, and what rules record.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for (name, said) in documented() {
        if said.is_histogram() {
            for part in ["_bucket", "_sum", "_count"] {
                known.insert(format!("{name}{part}"));
            }
        } else {
            known.insert(name);
        }
    }
    for path in rule_files() {
        let recorded = rules(&path);
        let recorded = recorded.iter().filter_map(|rule| rule["record"].as_str());
        known.extend(recorded.map(ToOwned::to_owned));
    }
    known
}

fn check(known: &BTreeSet<String>, expression: &str, place: &str) -> usize {
    let named = metrics_in(expression);
    for name in &named {
        let others = OTHERS.iter().any(|prefix| name.starts_with(prefix));
        assert!(
            others || known.contains(name),
            "{place} names {name}, which nobody exports"
        );
    }
    named.len()
}

fn targets(board: &Value, found: &mut Vec<(String, Value)>) {
    for panel in board["panels"].as_array().into_iter().flatten() {
        let title = panel["title"].as_str().unwrap().to_owned();
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push((title.clone(), target.clone()));
        }
        targets(panel, found);
    }
}

#[test]
fn boards_name_only_metrics_that_are_exported() {
    let known = known();
    let mut names = 0;
    for path in files("dashboards/grafana", ".json") {
        let text = std::fs::read_to_string(&path).unwrap();
        let board: Value = serde_json::from_str(&text).unwrap();
        let mut found = Vec::new();
        targets(&board, &mut found);
        assert!(!found.is_empty(), "{}", path.display());
        for (title, target) in found {
            if target["datasource"]["type"] == "prometheus" {
                let place = format!("{}, {title}", path.display());
                names += check(&known, target["expr"].as_str().unwrap(), &place);
            }
        }
    }
    assert!(names > 100, "{names}");
}

#[test]
fn rules_name_only_metrics_that_are_exported() {
    let known = known();
    for path in rule_files() {
        for rule in rules(&path) {
            let name = rule["alert"].as_str().or(rule["record"].as_str()).unwrap();
            let place = format!("{}, {name}", path.display());
            assert!(
                check(&known, rule["expr"].as_str().unwrap(), &place) > 0,
                "{place}"
            );
        }
    }
}

#[test]
fn every_board_has_a_place_of_its_own() {
    let mut uids = BTreeSet::new();
    for path in files("dashboards/grafana", ".json") {
        let board: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert!(
            uids.insert(board["uid"].as_str().unwrap().to_owned()),
            "{}",
            path.display()
        );
        let mut taken = BTreeSet::new();
        for panel in board["panels"].as_array().unwrap() {
            let at = &panel["gridPos"];
            let number = |name: &str| at[name].as_u64().unwrap();
            for x in number("x")..number("x") + number("w") {
                for y in number("y")..number("y") + number("h") {
                    assert!(
                        x < 24 && taken.insert((x, y)),
                        "{} of {}",
                        panel["title"],
                        path.display()
                    );
                }
            }
        }
    }
    assert_eq!(uids.len(), 6);
}

#[test]
fn the_example_stack_can_be_read_and_finds_its_files() {
    let folder = "deploy/observability";
    for path in files(folder, ".yml") {
        assert!(yaml(&path).is_object(), "{}", path.display());
    }
    let compose = yaml(&root().join(folder).join("compose.yml"));
    let services = compose["services"].as_object().unwrap();
    for name in [
        "prometheus",
        "alertmanager",
        "grafana",
        "loki",
        "tempo",
        "alloy",
    ] {
        let service = &services[name];
        let image = service["image"].as_str().unwrap();
        assert!(
            image.contains(':') && !image.ends_with(":latest"),
            "{name}: {image}"
        );
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let from = volume.as_str().unwrap().split(':').next().unwrap();
            if from.starts_with('.') {
                let file = root().join(folder).join(from);
                assert!(file.exists(), "{name} mounts {from}, which is not there");
            }
        }
    }
    let prometheus = yaml(&root().join(folder).join("prometheus.yml"));
    let jobs = prometheus["scrape_configs"].as_array().unwrap();
    assert!(
        jobs.iter().any(|job| job["job_name"] == "metachat-jobs"),
        "{jobs:?}"
    );
}
