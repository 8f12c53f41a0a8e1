//! Each alert is raised by what it is for and by nothing near it, and says what to do.

use std::collections::BTreeMap;
use std::process::Command;

use super::files::{files, read, root, rule_files, rules, yaml};

fn tool(program: &str, package: &str, args: &[&str]) {
    let told = Command::new(program)
        .args(args)
        .current_dir(root().join("dashboards/alerts"))
        .output()
        .unwrap_or_else(|_| {
            panic!("{program} (Debian's {package}) is not installed: `scripts/services up` does so")
        });
    let (out, err) = (
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(told.status.success(), "{program} {args:?}: {out}{err}");
}

#[test]
fn every_alert_is_raised_by_what_it_is_for() {
    for path in rule_files() {
        tool(
            "promtool",
            "prometheus",
            &["check", "rules", path.to_str().unwrap()],
        );
    }
    for path in files("dashboards/alerts", "_test.yml") {
        tool(
            "promtool",
            "prometheus",
            &["test", "rules", path.to_str().unwrap()],
        );
    }
}

#[test]
fn the_example_for_alertmanager_is_valid_and_holds_no_secret() {
    tool(
        "amtool",
        "prometheus-alertmanager",
        &["check-config", "alertmanager.example.yml"],
    );
    let text = read("dashboards/alerts/alertmanager.example.yml");
    for receiver in ["slack_configs", "pagerduty_configs", "email_configs"] {
        assert!(text.contains(receiver), "{receiver}");
    }
    for secret in [
        "api_url:",
        "routing_key:",
        "service_key:",
        "auth_password:",
        "hooks.slack.com",
    ] {
        assert!(
            !text.contains(secret),
            "{secret} belongs in a file of its own"
        );
    }
}

#[test]
fn every_alert_has_a_test_that_raises_it_and_one_that_does_not() {
    let mut tried: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for path in files("dashboards/alerts", "_test.yml") {
        let file = yaml(&path);
        for test in file["tests"].as_array().unwrap() {
            for case in test["alert_rule_test"].as_array().into_iter().flatten() {
                let raised = case["exp_alerts"]
                    .as_array()
                    .is_some_and(|alerts| !alerts.is_empty());
                let name = case["alertname"].as_str().unwrap().to_owned();
                let (is, is_not) = tried.entry(name).or_default();
                *(if raised { is } else { is_not }) = true;
            }
        }
    }
    for path in rule_files() {
        for rule in rules(&path) {
            let Some(alert) = rule["alert"].as_str() else {
                continue;
            };
            assert_eq!(
                tried.get(alert),
                Some(&(true, true)),
                "{alert}: raised, and not raised"
            );
        }
    }
}

#[test]
fn every_alert_says_what_to_do() {
    let page = read("docs/operations/alerts.md");
    let headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let mut alerts = Vec::new();
    for path in rule_files() {
        for rule in rules(&path) {
            let Some(alert) = rule["alert"].as_str() else {
                continue;
            };
            let anchor = format!("docs/operations/alerts.md#{}", alert.to_lowercase());
            assert_eq!(rule["annotations"]["runbook_url"], anchor, "{alert}");
            let severity = rule["labels"]["severity"].as_str().unwrap();
            assert!(
                ["critical", "warning"].contains(&severity),
                "{alert}: {severity}"
            );
            assert!(
                headings.contains(&alert),
                "{alert} has no heading in docs/operations/alerts.md"
            );
            alerts.push(alert.to_owned());
        }
    }
    for heading in headings {
        assert!(
            alerts.iter().any(|alert| alert == heading),
            "{heading} is no alert"
        );
    }
    assert!(alerts.len() > 40, "{}", alerts.len());
}
