//! What handlers write down as it happens, each process in a file of its own beside the engine's data:
//! neither a dead database nor `kill -9` takes any of it back.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use windlass::{JobId, Timestamp};

#[derive(Debug)]
pub(crate) struct Ledger(Mutex<File>);

/// An attempt that began to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) pid: u32,
    pub(crate) job: JobId,
    pub(crate) claim_no: i64,
    pub(crate) at: Timestamp,
    /// Whether its handler also came to its end.
    pub(crate) ended: bool,
}

impl Ledger {
    pub(crate) fn open(folder: &Path) -> Self {
        let file = file_of(folder, std::process::id());
        let file = OpenOptions::new().create(true).append(true).open(file);
        Self(Mutex::new(file.unwrap()))
    }

    pub(crate) fn start(&self, job: JobId, claim_no: i64) {
        self.write(&format!(
            "start {job} {claim_no} {}\n",
            wall_clock().as_micros()
        ));
    }

    pub(crate) fn end(&self, job: JobId, claim_no: i64) {
        self.write(&format!("end {job} {claim_no} 0\n"));
    }

    /// One write, so that no line is ever half there.
    fn write(&self, line: &str) {
        self.0.lock().unwrap().write_all(line.as_bytes()).unwrap();
    }
}

pub(crate) fn file_of(folder: &Path, pid: u32) -> PathBuf {
    folder.join(format!("{pid}.ledger"))
}

/// All that any process wrote, in the order of the clock.
pub(crate) fn read(folder: &Path) -> Vec<Start> {
    let mut starts: Vec<Start> = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "ledger")
        {
            continue;
        }
        let pid = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let (job, claim_no) = (words[1].parse().unwrap(), words[2].parse().unwrap());
            if words[0] == "start" {
                let at = Timestamp::from_micros(words[3].parse().unwrap());
                let ended = false;
                starts.push(Start {
                    pid,
                    job,
                    claim_no,
                    at,
                    ended,
                });
            } else {
                let same = |start: &&mut Start| {
                    start.pid == pid && start.job == job && start.claim_no == claim_no
                };
                starts.iter_mut().rev().find(same).unwrap().ended = true;
            }
        }
    }
    starts.sort_by_key(|start| start.at);
    starts
}

#[expect(
    clippy::disallowed_methods,
    reason = "a ledger has no store to ask for the time"
)]
pub(crate) fn wall_clock() -> Timestamp {
    Timestamp::from_datetime(chrono::Utc::now())
}
