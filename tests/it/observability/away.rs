//! Nobody listens to traces and errors: nothing else happens.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::net::TcpListener;

use crate::program::{KEY, Running, client, program, wait_for};

/// Each part of what is still to be sent gets two seconds at the end.
const END: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_holds_up_neither_work_nor_the_end() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let made = program(folder.path())
        .args(["demo", "--once", "--dir", "."])
        .output()
        .unwrap();
    assert!(made.status.success());
    let log = folder.path().join("log");
    let settings = [
        "server.port=0".to_owned(),
        format!("security.admin_key={KEY}"),
        format!("telemetry.otlp_endpoint=http://{address}"),
        format!("telemetry.sentry_dsn=http://key@{address}/1"),
    ];
    let mut command = program(folder.path());
    command.args(["run", "--database", "sqlite:metachat-jobs.db"]);
    for setting in &settings {
        command.args(["--set", setting]);
    }
    let child = command
        .stdout(std::fs::File::create(&log).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let listening = wait_for(&log, |line| line["message"] == "listening").await;
    let url = format!(
        "http://{}/v1/messages",
        listening["address"].as_str().unwrap()
    );
    for n in 0..20 {
        let message = json!({
            "tenantId": "demo", "channel": "webchat", "correlationId": format!("c-{n}"),
            "message": {"id": format!("m-{n}"), "from": "ada", "type": "text",
                        "content": {"text": "what is a lease?"}},
        });
        let asked = client()
            .post(&url)
            .header("x-admin-key", KEY)
            .json(&message);
        assert!(asked.send().await.unwrap().status().is_success());
    }
    wait_for(&log, |line| {
        line["message"] == "message delivered" && line["correlationId"] == "c-19"
    })
    .await;

    let asked = Instant::now();
    let pid = Pid::from_child(&running.0);
    kill_process(pid, Signal::TERM).unwrap();
    let ended = tokio::task::spawn_blocking(move || running.0.wait().unwrap());
    let status = tokio::time::timeout(END, ended)
        .await
        .expect("it does not end")
        .unwrap();
    assert!(status.success(), "{status} after {:?}", asked.elapsed());
    drop(silent);
}
