use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::house::House;

fn interrupt(child: &Child) {
    let id = i32::try_from(child.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::INT).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_command_prints_one_document_per_line_until_it_is_interrupted() {
    let house = House::new().await;
    for direct in [false, true] {
        let mut command = house.command(&["list", "--json", "--watch", "0.05"]);
        if direct {
            command.env("DATABASE_URL", "sqlite:jobs.db");
        } else {
            command.env("JOBCTL_PROFILE", "here");
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let jobs = |line: &str| {
            let document: Value = serde_json::from_str(line).unwrap();
            document["jobs"].as_array().unwrap().len()
        };
        let before = jobs(&lines.next().unwrap().unwrap());
        // Of one document there is one job.
        let job = format!(r#"{{"tenantId":"acme","documentId":"{direct}"}}"#);
        house.done(&["enqueue", "ingest_document", &job]);
        let seen = lines.find(|line| jobs(line.as_ref().unwrap()) == before + 1);
        assert!(seen.is_some());
        interrupt(&child);
        // What it was about to say is read, so that it can end.
        for line in lines {
            jobs(&line.unwrap());
        }
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_reads_is_watched() {
    let house = House::new().await;
    let told = house.run(&["pause", "--queue", "mail", "--watch"]);
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(
        told.err.contains("--watch repeats what only reads"),
        "{told:?}"
    );
    let told = house.run(&["list", "--watch", "0"]);
    assert_eq!(told.code, Some(2), "{told:?}");
}
