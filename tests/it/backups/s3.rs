//! A place that speaks S3: whole, or not there; and beyond anybody's reach if the bucket says so.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use windlass::State;

use super::rig::{Rig, transfer};

/// The version that the test was written with.
const MOTO: &str = "moto[server]==5.2.1";

/// An S3 server of the test's own, gone with it.
struct S3 {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: String,
}

impl S3 {
    fn start(folder: &Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/backups/s3.py");
        let mut child = Command::new(python(folder))
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut address = String::new();
        answers.read_line(&mut address).unwrap();
        assert!(
            address.starts_with("http://"),
            "the S3 server did not start: {address}"
        );
        Self {
            child,
            orders,
            answers,
            address: address.trim().to_owned(),
        }
    }

    fn ask(&mut self, order: &str) -> Value {
        writeln!(self.orders, "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A Python that has `moto`: the machine's own, or one made for the test.
fn python(folder: &Path) -> PathBuf {
    let has = |python: &Path| {
        let asked = Command::new(python)
            .args(["-c", "import moto.server, boto3, flask"])
            .output();
        asked.is_ok_and(|asked| asked.status.success())
    };
    let own = PathBuf::from("python3");
    if has(&own) {
        return own;
    }
    let made = folder.join("python");
    let venv = Command::new(&own).args(["-m", "venv"]).arg(&made).status();
    assert!(
        venv.is_ok_and(|it| it.success()),
        "python3 with venv is needed for a local S3"
    );
    let pip = Command::new(made.join("bin/pip"))
        .args(["install", "--quiet", MOTO])
        .status();
    assert!(
        pip.is_ok_and(|it| it.success()),
        "{MOTO} could not be installed"
    );
    made.join("bin/python")
}

/// A target whose documents, of about so many bytes, go to a bucket.
async fn rig(bucket: &str, address: &str, bytes: u32) -> Rig {
    let rig = Rig::new(&format!(
        "[backups.places.s3]\nkind = \"s3\"\nbucket = \"{bucket}\"\nprefix = \"some/where\"\n\
         endpoint = \"{address}\"\nallow_http = true\naccess_key_id = \"key\"\nsecret_access_key = \"secret\"\n\
         [backups.targets.documents]\nkind = \"folder\"\nplace = \"s3\"\n"
    ))
    .await;
    std::fs::create_dir_all(rig.path("documents")).unwrap();
    let long: Vec<u8> = (0..bytes).map(|n| (n % 251) as u8).collect();
    std::fs::write(rig.path("documents/long"), long).unwrap();
    std::fs::write(rig.path("documents/short"), "short").unwrap();
    rig
}

#[tokio::test]
async fn a_bucket_holds_backups_that_nobody_can_delete_before_their_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut s3 = S3::start(folder.path());
    // One file in several parts, one in a single request.
    let rig = rig("locked", &s3.address, 20_000_000).await;
    let job = rig.create("documents").await;
    assert_eq!(job.state, State::Completed, "{}", super::rig::why(&job));
    let backup = rig.list("s3", "documents").await.pop().unwrap().manifest;
    let fetched = rig.fetch("s3", &backup).await;
    assert_eq!(
        std::fs::read(fetched.join("long")).unwrap(),
        std::fs::read(rig.path("documents/long")).unwrap()
    );

    let tried = s3.ask("delete_versions locked");
    assert_eq!(tried["gone"], 0, "{tried}");
    // The files, their sums and the manifest; and what came of the first trial, if that was faster than we.
    let refused = tried["refused"].as_array().unwrap();
    assert!(matches!(refused.len(), 4 | 5), "{tried}");
    for reason in refused {
        assert!(reason.as_str().unwrap().starts_with("Access"), "{tried}");
    }
    // Even whoever has our key only hides it.
    let place = rig.backups().repository("s3").unwrap();
    place.delete("documents", &backup.id).await.unwrap();
    assert!(rig.list("s3", "documents").await.is_empty());
    let markers = s3.ask("undelete locked")["markers"].as_u64().unwrap();
    assert!(matches!(markers, 4 | 5), "{markers}");
    assert_eq!(rig.list("s3", "documents").await[0].manifest, backup);
    place.check(&backup, &transfer()).await.unwrap();
}

/// A way to a server that breaks after so many bytes, until it is mended.
struct Way {
    address: String,
    left: Arc<AtomicI64>,
}

impl Way {
    async fn to(server: &str, bytes: i64) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let left = Arc::new(AtomicI64::new(bytes));
        let budget = Arc::clone(&left);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, budget) = (server.clone(), Arc::clone(&budget));
                tokio::spawn(async move {
                    if let Ok(upstream) = TcpStream::connect(server).await {
                        carry(client, upstream, &budget).await;
                    }
                });
            }
        });
        Self { address, left }
    }

    fn mend(&self) {
        self.left.store(i64::MAX, Ordering::SeqCst);
    }
}

/// Carries bytes both ways until the budget of those sent is used up.
async fn carry(client: TcpStream, upstream: TcpStream, budget: &AtomicI64) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let there = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            let read_bytes = i64::try_from(read).unwrap();
            if budget.fetch_sub(read_bytes, Ordering::SeqCst) < read_bytes {
                return;
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let back = async {
        // However it ends: that is what is tested.
        drop(tokio::io::copy(&mut from_server, &mut to_client).await);
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

#[tokio::test]
async fn a_bucket_that_fails_in_the_middle_holds_no_backup_and_the_next_run_clears_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut s3 = S3::start(folder.path());
    let way = Way::to(&s3.address, 12_000_000).await;
    let rig = rig("plain", &way.address, 20_000_000).await;
    let failed = rig.create("documents").await;
    assert_eq!(failed.state, State::Retryable, "{failed:?}");
    let told = super::rig::why(&failed);
    assert!(
        told.contains("place s3: writing some/where/documents/"),
        "{told}"
    );
    assert!(!told.contains("secret"), "{told}");
    way.mend();
    assert!(rig.list("s3", "documents").await.is_empty());
    assert!(rig.left_in_scratch().is_empty());

    rig.client
        .operator("test", None)
        .requeue(failed.id, None)
        .await
        .unwrap();
    rig.drain().await;
    let place = rig.backups().repository("s3").unwrap();
    let holdings = place.holdings("documents").await.unwrap();
    assert_eq!((holdings.backups.len(), holdings.leftovers.len()), (1, 0));
    place
        .check(&holdings.backups[0].manifest, &transfer())
        .await
        .unwrap();
    // What the broken connection kept from being given up, the bucket's own rule for such removes.
    let left = s3.ask("unfinished plain")["uploads"].as_i64().unwrap();
    assert!(left <= 1, "{left}");
}
