//! The program's metrics, by four accounts of them that must agree: what it describes, the constants of its
//! telemetry, what a running process answers, and the page for operators.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metachat_jobs::telemetry;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::files::{files, read};
use crate::program::{KEY, Running, client, wait_for};

/// What a metric is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    kind: String,
    unit: String,
    labels: BTreeSet<String>,
    meaning: String,
}

impl Said {
    pub(super) fn is_histogram(&self) -> bool {
        self.kind == "histogram"
    }
}

/// Kind, unit and meaning.
type Description = (&'static str, String, String);

/// Remembers what is described.
#[derive(Debug, Clone, Default)]
struct Described(Arc<Mutex<BTreeMap<String, Description>>>);

impl Described {
    fn note(&self, name: &KeyName, kind: &'static str, unit: Option<Unit>, meaning: &str) {
        let unit = unit.map_or("count", |unit| unit.as_str()).to_owned();
        let said = (kind, unit, meaning.to_owned());
        let before = self
            .0
            .lock()
            .unwrap()
            .insert(name.as_str().to_owned(), said);
        assert!(before.is_none(), "{} is described twice", name.as_str());
    }
}

impl Recorder for Described {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.note(&name, "counter", unit, &meaning);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.note(&name, "gauge", unit, &meaning);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.note(&name, "histogram", unit, &meaning);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// What the page says of each.
pub(super) fn documented() -> BTreeMap<String, Said> {
    let page = read("docs/operations/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, unit, labels, meaning] = cells[..] else {
            panic!("not a row of five cells: {row}")
        };
        let labels = labels
            .split(',')
            .map(str::trim)
            .filter(|label| !label.is_empty());
        let said = Said {
            kind: kind.to_owned(),
            unit: unit.to_owned(),
            labels: labels.map(ToOwned::to_owned).collect(),
            meaning: meaning.to_owned(),
        };
        (name.trim_matches('`').to_owned(), said)
    })
    .collect()
}

#[test]
fn every_metric_is_documented_as_it_is_and_no_other() {
    let described = Described::default();
    metrics::with_local_recorder(&described, telemetry::describe);
    let described = described.0.lock().unwrap().clone();
    let documented = documented();
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(
        names(described.keys().collect()),
        names(documented.keys().collect()),
        "docs/operations/metrics.md, against what the program describes"
    );
    // The process's own come from a crate, in words of its own.
    for (name, (kind, unit, meaning)) in described {
        let said = &documented[&name];
        assert_eq!(said.kind, kind, "{name}");
        if !name.starts_with("process_") {
            assert_eq!((&said.unit, &said.meaning), (&unit, &meaning), "{name}");
        }
    }
}

#[test]
fn every_constant_of_telemetry_is_a_documented_metric() {
    let documented = documented();
    let mut sources = files("src/telemetry", ".rs");
    sources.extend(files("crates/windlass/src", "telemetry.rs"));
    let mut constants = 0;
    for path in sources {
        let source = std::fs::read_to_string(&path).unwrap();
        let flat = source.replace("\n    ", " ");
        for line in flat.lines().filter(|line| line.starts_with("pub const ")) {
            let Some((_, name)) = line.split_once(": &str = \"") else {
                continue;
            };
            let name = name.split('"').next().unwrap();
            // Names of events have a dot; the fold of unknown kinds is a label's value.
            if name.contains('.') || name == windlass::telemetry::UNKNOWN_KIND {
                continue;
            }
            constants += 1;
            assert!(
                documented.contains_key(name),
                "{name} of {}",
                path.display()
            );
        }
    }
    assert!(constants > 60, "{constants} constants were found");
}

/// Name and labels of each sample, histograms by their own name.
fn samples(text: &str, documented: &BTreeMap<String, Said>) -> Vec<(String, BTreeSet<String>)> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let series = line.rsplit_once(' ').unwrap().0;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| {
                let name = name.strip_suffix(part)?;
                documented
                    .get(name)
                    .filter(|said| said.kind == "histogram")
                    .map(|_| name)
            });
            let labels = labels.trim_end_matches('}').split("\",");
            let labels = labels
                .filter_map(|label| label.split_once('='))
                .map(|(label, _)| label);
            let labels = labels.filter(|label| *label != "le").map(ToOwned::to_owned);
            (histogram.unwrap_or(name).to_owned(), labels.collect())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_process_answers_with_documented_metrics_and_labels_only() {
    let folder = tempfile::tempdir().unwrap();
    let made = crate::program::program(folder.path())
        .args(["demo", "--once", "--dir", "."])
        .output()
        .unwrap();
    assert!(made.status.success());
    let log = folder.path().join("log");
    let mut command: Command = crate::program::program(folder.path());
    let child = command
        .args([
            "run",
            "--database",
            "sqlite:metachat-jobs.db",
            "--set",
            "server.port=0",
        ])
        .args(["--set", &format!("security.admin_key={KEY}")])
        .stdout(std::fs::File::create(&log).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running(child);
    let address = wait_for(&log, |line| line["message"] == "listening").await["address"].clone();
    let address = format!("http://{}", address.as_str().unwrap());
    let question = serde_json::json!({
        "tenantId": "demo", "channel": "webchat",
        "message": {"id": "m-1", "from": "ada", "type": "text", "content": {"text": "what is a lease?"}},
    });
    let asked = client()
        .post(format!("{address}/v1/messages"))
        .header("x-admin-key", KEY)
        .json(&question)
        .send()
        .await
        .unwrap();
    assert!(asked.status().is_success());
    wait_for(&log, |line| line["message"] == "message delivered").await;

    let documented = documented();
    let wanted = [
        "http_requests_total",
        "http_request_duration_seconds",
        "messages_processed_total",
        "rag_queries_total",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "jobs_enqueued_total",
        "jobs_attempts_total",
        "jobs_run_duration_seconds",
        "jobs_claim_duration_seconds",
        "jobs_oldest_available_age_seconds",
        "database_pool_connections",
    ];
    let mut pulse = tokio::time::interval(Duration::from_millis(100));
    let mut missing = Vec::new();
    let scrape = async {
        loop {
            pulse.tick().await;
            let request = client().get(format!("{address}/metrics")).bearer_auth(KEY);
            let text = request.send().await.unwrap().text().await.unwrap();
            let samples = samples(&text, &documented);
            let there = |name: &str| samples.iter().any(|(sample, _)| sample == name);
            missing = wanted.into_iter().filter(|name| !there(name)).collect();
            if missing.is_empty() {
                return samples;
            }
        }
    };
    let scraped = tokio::time::timeout(Duration::from_secs(30), scrape).await;
    let samples = scraped.unwrap_or_else(|_| panic!("{missing:?} are not there"));
    for (name, labels) in samples {
        let said = documented.get(&name);
        let said = said.unwrap_or_else(|| panic!("{name} is exported and not documented"));
        assert_eq!(labels, said.labels, "{name}");
    }
    drop(running);
}
