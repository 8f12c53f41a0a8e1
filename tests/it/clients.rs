//! The API as others use it: a client generated from its description, and requests generated from it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::program::{KEY, Running, client, program, wait_for};

/// How many requests of each sort are made of an operation, if `SCHEMATHESIS_EXAMPLES` does not ask for more:
/// all of them take half a minute.
const EXAMPLES: &str = "20";
/// All operations but the stream of events, which never ends: [`crate::api`] and the TypeScript client listen to it.
const OPERATIONS: u64 = 66;
const REQUESTS: u64 = 3000;

/// A running program, and where it is.
struct Server {
    _running: Running,
    url: String,
}

/// The API alone: no job runs, so that only requests change anything.
async fn serve(folder: &Path) -> Server {
    let log = folder.join("log");
    let child = program(folder)
        .args(["run", "--role", "api", "--database", "sqlite:jobs.db"])
        .args(["--set", "server.port=0"])
        .args(["--set", &format!("security.admin_key={KEY}")])
        .args(["--set", "rate_limits.enabled=false"])
        .stdout(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let running = Running(child);
    let line = wait_for(&log, |line| line["message"] == "listening").await;
    Server {
        _running: running,
        url: format!("http://{}", line["address"].as_str().unwrap()),
    }
}

impl Server {
    /// What a path says.
    async fn text(&self, path: &str) -> String {
        let asked = client().get(format!("{}{path}", self.url));
        let answer = asked.header("x-admin-key", KEY).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// The id of what is made so.
    async fn made(&self, path: &str, body: &Value) -> String {
        let asked = client().post(format!("{}{path}", self.url)).json(body);
        let answer = asked.header("x-admin-key", KEY).send().await.unwrap();
        let status = answer.status();
        let said: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{said}");
        said["id"].as_str().unwrap().to_owned()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no config to read it from"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What scripts/services has installed.
fn tool(name: &str) -> PathBuf {
    let path = variable(name);
    let hint = "run scripts/services up, eval its env";
    PathBuf::from(path.unwrap_or_else(|| panic!("{name} is not set: {hint}")))
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(path)
}

/// Runs it, while the server's pipes and connections go on.
async fn output(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_generated_client_works_against_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path()).await;
    let copy = folder.path().join("client");
    for file in [
        "package.json",
        "tsconfig.json",
        "src/index.ts",
        "test/client.test.mjs",
    ] {
        let to = copy.join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(source("typescript").join(file), to).unwrap();
    }
    let packages = copy.join("node_modules");
    std::os::unix::fs::symlink(tool("TEST_NODE_MODULES"), packages).unwrap();

    let description = folder.path().join("openapi.json");
    std::fs::write(&description, server.text("/openapi.json").await).unwrap();
    for script in ["generate", "build", "test"] {
        let mut npm = Command::new("npm");
        npm.args(["run", "--silent", script])
            .current_dir(&copy)
            .env("npm_config_update_notifier", "false")
            .env("OPENAPI", &description)
            .env("METACHAT_JOBS_URL", &server.url)
            .env("METACHAT_JOBS_KEY", KEY);
        let output = output(npm).await;
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said}\n{complained}");
        if script == "test" {
            assert!(said.contains("# pass 2"), "{said}");
        }
    }
}

/// Jobs and flows, and beside the settings a list of each, so that requests find some of them.
async fn fill(server: &Server, folder: &Path) {
    let (mut jobs, mut flows) = (String::new(), String::new());
    for n in 0..40 {
        let message = json!({
            "tenantId": "acme", "channel": "webchat",
            "message": {"id": format!("m-{n}"), "from": "ada", "type": "text", "content": {"text": "hello"}},
        });
        let id = server.made("/v1/messages", &message).await;
        writeln!(jobs, "\"{id}\"").unwrap();
        let step =
            json!({"name": "a", "kind": "prune_embeddings", "args": {"unusedDays": 30, "most": 1}});
        let flow = json!({"name": "prune", "steps": [step]});
        let id = server.made("/v1/flows", &flow).await;
        writeln!(flows, "\"{id}\"").unwrap();
    }
    std::fs::write(folder.join("jobs"), jobs).unwrap();
    std::fs::write(folder.join("flows"), flows).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_generated_request_is_answered_otherwise_than_described() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path()).await;
    fill(&server, folder.path()).await;
    let settings = "schemathesis.toml";
    std::fs::copy(
        source("schemathesis").join(settings),
        folder.path().join(settings),
    )
    .unwrap();
    let examples = variable("SCHEMATHESIS_EXAMPLES").unwrap_or_else(|| EXAMPLES.to_owned());
    let mut schemathesis = Command::new(tool("TEST_SCHEMATHESIS"));
    schemathesis
        .args(["--config-file", settings, "run"])
        .arg(format!("{}/openapi.json", server.url))
        .args(["--header", &format!("x-admin-key: {KEY}")])
        .args(["--checks", "all", "--max-examples", &examples])
        .args(["--seed", "1", "--exclude-path", "/v1/events"])
        .args(["--report", "json", "--report-json-path", "report.json"])
        .arg("--no-color")
        .current_dir(folder.path())
        // It generates otherwise there.
        .env_remove("CI");
    let output = output(schemathesis).await;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");

    let report = std::fs::read(folder.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["failures"], json!([]), "{said}");
    assert_eq!(report["errors"], json!([]), "{said}");
    let tested = &report["operations"]["tested"];
    assert!(tested.as_u64().unwrap() >= OPERATIONS, "{tested}");
    let generated = &report["test_cases"]["generated"];
    assert!(generated.as_u64().unwrap() >= REQUESTS, "{generated}");
    // What an id or a tag leads to was reached, and not only that it is not there.
    let missing = report["warnings"]["missing_test_data"].to_string();
    for found in [
        "GET /v1/jobs/{id}\"",
        "GET /v1/flows/{id}\"",
        "POST /v1/jobs/{id}/cancel",
    ] {
        assert!(!missing.contains(found), "{missing}");
    }
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}
