//! The program itself, as a newcomer runs it.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) const KEY: &str = "a-key-for-this-test-only";
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metachat-jobs"));
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

#[test]
fn the_demo_answers_from_the_right_document_within_five_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let Output {
        status,
        stdout,
        stderr,
    } = program(folder.path())
        .args(["demo", "--once", "--dir", "data"])
        .output()
        .unwrap();
    let (said, complaints) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(status.success(), "{said}{complaints}");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert!(
        said.contains("[1] docs/adr/0006-rescue-by-lease-and-fence.md"),
        "{said}"
    );
    assert!(
        said.contains("process_message") && said.contains("deliver_message"),
        "{said}"
    );
    assert_eq!(complaints, "");
}

#[test]
fn a_database_out_of_reach_at_start_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path())
        .args([
            "run",
            "--database",
            "postgres://user:hunter2@127.0.0.1:1/jobs",
        ])
        .args([
            "--set",
            &format!("security.admin_key={KEY}"),
            "--set",
            "server.port=0",
        ])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        complaint.contains("database.url") && complaint.contains("check that it runs"),
        "{complaint}"
    );
    assert!(!complaint.contains("hunter2"), "{complaint}");
}

/// A running program, killed when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_link_signs_in_once_and_is_told_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let (said, complaints) = (folder.path().join("out"), folder.path().join("err"));
    let child = program(folder.path())
        .args(["demo", "--dir", ".", "--set", "log.level=debug"])
        .stdout(std::fs::File::create(&said).unwrap())
        .stderr(std::fs::File::create(&complaints).unwrap())
        .spawn()
        .unwrap();
    let running = Running(child);
    let mut pulse = tokio::time::interval(Duration::from_millis(10));
    let printed = async {
        loop {
            pulse.tick().await;
            let text = std::fs::read_to_string(&said).unwrap_or_default();
            let found = text.lines().find(|line| line.contains("/login?token="));
            if let (Some(link), true) = (found, text.contains("until Ctrl-C")) {
                return link.trim().to_owned();
            }
        }
    };
    let link = tokio::time::timeout(PATIENCE, printed).await.unwrap();
    assert!(link.starts_with("http://127.0.0.1:"), "{link}");

    drop(client());
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let first = browser.get(&link).send().await.unwrap();
    assert_eq!(first.status(), 303);
    let cookie = first.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let (origin, token) = link.split_once("/login?token=").unwrap();
    let who = browser
        .get(format!("{origin}/v1/session"))
        .header("cookie", cookie);
    let who: Value = who.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&who["name"], &who["role"]),
        (&json!("demo"), &json!("admin"))
    );
    assert_eq!(browser.get(&link).send().await.unwrap().status(), 401);
    let open = browser
        .get(format!("{origin}/v1/jobs"))
        .send()
        .await
        .unwrap();
    assert_eq!(open.status(), 401);

    drop(running);
    let all =
        std::fs::read_to_string(&said).unwrap() + &std::fs::read_to_string(&complaints).unwrap();
    assert_eq!(all.matches(token).count(), 1, "only where it was printed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_correlation_id_goes_through_api_job_and_delivery() {
    let folder = tempfile::tempdir().unwrap();
    // The demo leaves a database with a tenant in it.
    let made = program(folder.path())
        .args(["demo", "--once", "--dir", "."])
        .output()
        .unwrap();
    assert!(made.status.success());

    let log = folder.path().join("log");
    let child = program(folder.path())
        .args([
            "run",
            "--database",
            "sqlite:metachat-jobs.db",
            "--set",
            "server.port=0",
        ])
        .args(["--set", &format!("security.admin_key={KEY}")])
        .stdout(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let running = Running(child);
    let address = wait_for(&log, |line| line["message"] == "listening").await["address"].clone();

    let body = json!({
        "tenantId": "demo", "channel": "webchat",
        "message": {"id": "m-1", "from": "ada", "type": "text",
                    "content": {"text": "hunter2: what is a lease?"}},
    });
    let answer = client()
        .post(format!("http://{}/v1/messages", address.as_str().unwrap()))
        .header("x-admin-key", KEY)
        .header("x-correlation-id", "corr-42")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );

    for message in [
        "HTTP request completed",
        "message answered",
        "message delivered",
    ] {
        let line = wait_for(&log, |line| line["message"] == message).await;
        assert_eq!(line["correlationId"], "corr-42", "{line}");
    }
    drop(running);
    let all = std::fs::read_to_string(&log).unwrap();
    assert!(
        !all.contains("hunter2") && !all.contains(KEY),
        "neither words nor keys are logged"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_fires_in_the_running_program() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let child = program(folder.path())
        .args(["run", "--database", "sqlite:jobs.db"])
        .args(["--set", "server.port=0", "--set", "log.level=debug"])
        .args(["--set", &format!("security.admin_key={KEY}")])
        .args(["--set", "schedules.partitions_ahead.cron=* * * * * *"])
        .stdout(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let running = Running(child);
    let address = wait_for(&log, |line| line["message"] == "listening").await["address"].clone();
    wait_for(&log, |line| {
        line["message"] == "schedule fired" && line["schedule"] == "partitions_ahead"
    })
    .await;
    wait_for(&log, |line| {
        line["message"] == "attempt ended" && line["job.kind"] == "maintain_partitions"
    })
    .await;
    let shown: Value = client()
        .get(format!(
            "http://{}/v1/schedules/partitions_ahead",
            address.as_str().unwrap()
        ))
        .header("x-admin-key", KEY)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(shown["cron"], "* * * * * *");
    let fired = shown["last"].as_array().unwrap();
    assert!(!fired.is_empty(), "{shown}");
    assert!(
        fired.iter().all(|tick| tick["origin"] == "scheduled"),
        "{shown}"
    );
    drop(running);
}

#[test]
fn a_schedule_that_cannot_be_stops_the_start_with_the_reason() {
    for (setting, reason) in [
        ("schedules.partitions_ahead.cron=0 0 30 2 *", "never fires"),
        (
            "schedules.partitions_ahead.zone=Europe/Atlantis",
            "not a time zone",
        ),
        (
            "schedules.partition_ahead.enabled=false",
            "known are daily_analytics",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = program(folder.path())
            .args([
                "run",
                "--database",
                "sqlite:jobs.db",
                "--set",
                "server.port=0",
            ])
            .args([
                "--set",
                &format!("security.admin_key={KEY}"),
                "--set",
                setting,
            ])
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains(reason), "{complaint}");
        assert!(complaint.contains("schedules"), "{complaint}");
    }
}

pub(crate) fn client() -> reqwest::Client {
    // Which TLS it would use does not matter on loopback, but it insists on one.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::new()
}

/// Waits for a line of a JSON log.
pub(crate) async fn wait_for(log: &Path, what: impl Fn(&Value) -> bool) -> Value {
    let mut pulse = tokio::time::interval(Duration::from_millis(10));
    let found = async {
        loop {
            pulse.tick().await;
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            if let Some(line) = lines.into_iter().find(&what) {
                return line;
            }
        }
    };
    let text = || std::fs::read_to_string(log).unwrap_or_default();
    tokio::time::timeout(PATIENCE, found)
        .await
        .unwrap_or_else(|_| panic!("not logged: {}", text()))
}
