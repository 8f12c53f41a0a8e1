//! Rate limits: no header gets around them, processes count together, and Redis may go.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use metachat_jobs::api::{
    self, ApiState, RateLimitOptions, RateLimits, SecurityOptions, ServerOptions,
};
use metachat_jobs::telemetry;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use windlass::Client;
use windlass::store::memory::MemoryStore;

use super::{Api, KEY, kinds};

const ADDRESS: u32 = 3;
const AGENTS: u32 = 2;
const FAILURES: u32 = 5;
const TRIES: u32 = 24;

fn options() -> RateLimitOptions {
    RateLimitOptions {
        enabled: true,
        // Long enough for nothing to come back within a test.
        window_ms: 3_600_000,
        enqueue: 10,
        read: ADDRESS,
        status: ADDRESS,
        operate: ADDRESS,
        login: ADDRESS,
        failures: FAILURES,
        agents_per_address: AGENTS,
        redis_prefix: format!("test-{}:", uuid::Uuid::new_v4().simple()),
        redis_timeout_ms: 5000,
    }
}

fn client() -> Client {
    Client::new(Arc::new(MemoryStore::default())).with_catalogue(kinds())
}

fn limited(options: &RateLimitOptions, redis: &str) -> Api {
    let limits = RateLimits::new(options, &[], &redis.to_owned().into()).unwrap();
    Api::of(client(), Duration::from_secs(30), |state| {
        state.with_rate_limits(limits)
    })
}

/// An API behind a port, of whose peers loopback is a proxy or is not.
async fn served(loopback_is_a_proxy: bool) -> (SocketAddr, tokio_util::sync::DropGuard) {
    let security = SecurityOptions {
        admin_key: KEY.into(),
        platform: super::platform_access(),
    };
    let server = ServerOptions::default();
    let metrics = telemetry::recorder().unwrap().handle();
    let trusted = ["127.0.0.1/32".parse().unwrap()];
    let trusted = if loopback_is_a_proxy {
        &trusted[..]
    } else {
        &[]
    };
    let limits = RateLimits::new(&options(), trusted, &"".into()).unwrap();
    let state = ApiState::new(client(), &server, &security, metrics).unwrap();
    let app = api::app(state.with_rate_limits(limits));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = stop.clone();
    tokio::spawn(async move { api::serve(listener, app, &server, serving).await });
    (address, stop.drop_guard())
}

/// Sends these very bytes and reads the status.
async fn ask(address: SocketAddr, path: &str, headers: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The headers of the n-th request.
type Headers = fn(u32) -> String;

/// Who is one gets so many requests passed, whatever they write into which header.
#[tokio::test]
async fn no_header_gets_around_the_limits() {
    let whole = ADDRESS * AGENTS;
    let untrusted: &[(&str, Headers, u32)] = &[
        ("nothing", |_| String::new(), ADDRESS),
        (
            "spoofed X-Forwarded-For",
            |n| format!("X-Forwarded-For: 198.51.100.{n}\r\n"),
            ADDRESS,
        ),
        (
            "case",
            |n| format!("x-FORWARDED-for: 198.51.100.{n}\r\n"),
            ADDRESS,
        ),
        (
            "two lines",
            |n| format!("X-Forwarded-For: 1.1.1.{n}\r\nX-Forwarded-For: 2.2.2.{n}\r\n"),
            ADDRESS,
        ),
        (
            "X-Real-IP",
            |n| format!("X-Real-IP: 198.51.100.{n}\r\n"),
            ADDRESS,
        ),
        (
            "Forwarded",
            |n| format!("Forwarded: for=198.51.100.{n}\r\n"),
            ADDRESS,
        ),
        (
            "True-Client-IP",
            |n| format!("True-Client-IP: 198.51.100.{n}\r\n"),
            ADDRESS,
        ),
        (
            "CF-Connecting-IP",
            |n| format!("CF-Connecting-IP: 198.51.100.{n}\r\n"),
            ADDRESS,
        ),
        (
            "X-Client-IP",
            |n| format!("X-Client-IP: 198.51.100.{n}\r\n"),
            ADDRESS,
        ),
        (
            "Host",
            |n| format!("X-Forwarded-Host: h{n}\r\nX-Original-URL: /{n}\r\n"),
            ADDRESS,
        ),
        (
            "an invented key",
            |n| format!("x-api-key: invented-{n}\r\n"),
            ADDRESS,
        ),
        (
            "an invented admin key",
            |n| format!("x-admin-key: invented-{n}\r\n"),
            ADDRESS,
        ),
        (
            "an invented token",
            |n| format!("authorization: Bearer {n}\r\n"),
            ADDRESS,
        ),
        ("a cookie", |n| format!("cookie: session={n}\r\n"), ADDRESS),
        ("a tenant", |n| format!("x-tenant-id: t{n}\r\n"), ADDRESS),
        (
            "a request id",
            |n| format!("x-request-id: r{n}\r\n"),
            ADDRESS,
        ),
        (
            "many user agents",
            |n| format!("user-agent: a{n}\r\n"),
            whole,
        ),
        (
            "user agents on two lines",
            |n| format!("user-agent: a\r\nuser-agent: b{n}\r\n"),
            whole,
        ),
    ];
    let trusted: &[(&str, Headers, u32)] = &[
        (
            "by a proxy",
            |_| "X-Forwarded-For: 198.51.100.7\r\n".to_owned(),
            ADDRESS,
        ),
        (
            "prepended",
            |n| format!("X-Forwarded-For: 1.1.1.{n}, 198.51.100.7\r\n"),
            ADDRESS,
        ),
        (
            "prepended, a proxy's",
            |n| format!("X-Forwarded-For: 1.1.1.{n}, 127.0.0.1, 198.51.100.7\r\n"),
            ADDRESS,
        ),
        (
            "prepended lines",
            |n| format!("X-Forwarded-For: 1.1.1.{n}\r\nx-forwarded-for: 198.51.100.7\r\n"),
            ADDRESS,
        ),
        (
            "no address",
            |n| format!("X-Forwarded-For: 1.1.1.{n}, nonsense{n}\r\n"),
            ADDRESS,
        ),
        (
            "one IPv6 network",
            |n| format!("X-Forwarded-For: 2001:db8:1:2::{n:x}\r\n"),
            ADDRESS,
        ),
        (
            "one IPv6 network, with ports",
            |n| format!("X-Forwarded-For: [2001:db8:1:2:{n:x}::1]:{n}\r\n"),
            ADDRESS,
        ),
        (
            "mapped and bare",
            |n| {
                let mapped = if n % 2 == 0 { "::ffff:" } else { "" };
                format!("X-Forwarded-For: {mapped}198.51.100.7\r\n")
            },
            ADDRESS,
        ),
        (
            "besides, X-Real-IP",
            |n| format!("X-Forwarded-For: 198.51.100.7\r\nX-Real-IP: 1.1.1.{n}\r\n"),
            ADDRESS,
        ),
        (
            "besides, Forwarded",
            |n| format!("X-Forwarded-For: 198.51.100.7\r\nForwarded: for=1.1.1.{n}\r\n"),
            ADDRESS,
        ),
        (
            "only X-Real-IP",
            |n| format!("X-Real-IP: 1.1.1.{n}\r\n"),
            ADDRESS,
        ),
        (
            "only Forwarded",
            |n| format!("Forwarded: for=1.1.1.{n}\r\n"),
            ADDRESS,
        ),
    ];
    for (rows, by_proxy) in [(untrusted, false), (trusted, true)] {
        for (name, headers, allowed) in rows {
            let (address, _stop) = served(by_proxy).await;
            let mut passed = 0;
            for n in 1..=TRIES {
                match ask(address, "/health", &headers(n)).await {
                    200 => passed += 1,
                    status => assert_eq!(status, 429, "{name}"),
                }
            }
            assert_eq!(passed, *allowed, "{name}, by a proxy: {by_proxy}");
        }
    }
}

#[tokio::test]
async fn different_clients_of_a_proxy_are_limited_apart() {
    let (address, _stop) = served(true).await;
    for client in 1..=9 {
        let header = format!("X-Forwarded-For: 9.9.9.9, 198.51.100.{client}\r\n");
        assert_eq!(ask(address, "/health", &header).await, 200);
    }
}

#[tokio::test]
async fn no_path_gets_around_the_limits() {
    for paths in [
        ["/health", "/health?a=1", "/health?b", "/health#"],
        [
            "/v1/jobs",
            "/v1/queues",
            "/v1/jobs?limit=1",
            "/openapi.json?x",
        ],
        ["/nothing", "/nowhere", "/a/b/c", "//health"],
    ] {
        let (address, _stop) = served(false).await;
        let mut refused = 0;
        for _ in 0..4 {
            for path in paths {
                refused += u32::from(ask(address, path, "").await == 429);
            }
        }
        assert!(refused >= 16 - 2 * ADDRESS, "{paths:?}: {refused}");
    }
}

/// So that nobody makes this process compute one costly digest after another.
#[tokio::test]
async fn wrong_keys_are_limited_by_address_before_they_are_checked() {
    let (address, _stop) = served(false).await;
    for n in 0..FAILURES {
        let wrong = format!("x-admin-key: wrong-{n}\r\nuser-agent: {n}\r\n");
        assert_eq!(ask(address, "/v1/jobs", &wrong).await, 401);
    }
    let right = format!("x-admin-key: {KEY}\r\n");
    assert_eq!(ask(address, "/v1/jobs", "x-api-key: y\r\n").await, 429);
    assert_eq!(ask(address, "/v1/jobs", &right).await, 429, "not tried");
}

#[tokio::test]
async fn right_keys_are_not_counted_as_attempts() {
    let (address, _stop) = served(false).await;
    let right = format!("x-admin-key: {KEY}\r\n");
    assert_eq!(ask(address, "/v1/jobs", &right).await, 200);
    for n in 0..FAILURES {
        assert_eq!(
            ask(address, "/v1/jobs", &format!("x-admin-key: {n}\r\n")).await,
            401
        );
    }
    assert_eq!(ask(address, "/v1/jobs", &right).await, 200, "it is known");
}

#[tokio::test]
async fn what_is_refused_says_until_when_and_as_the_platform_says_it() {
    let api = limited(&options(), "");
    for left in (0..ADDRESS).rev() {
        let answer = api.get("/v1/queues").await;
        assert_eq!(answer.status, StatusCode::OK);
        let told = ["limit", "remaining", "reset", "policy"].map(|name| {
            let value = answer.header(&format!("ratelimit-{name}"));
            value.unwrap().to_owned()
        });
        let reset = (ADDRESS - left) * 1200;
        let expected = [
            "3".to_owned(),
            left.to_string(),
            reset.to_string(),
            "3;w=3600".to_owned(),
        ];
        assert_eq!(told, expected);
        assert_eq!(answer.header("retry-after"), None);
    }
    let answer = api.get("/v1/queues").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(answer.header("ratelimit-remaining"), Some("0"));
    let (body, retry) = (answer.json(), answer.header("retry-after").unwrap());
    let retry: u64 = retry.parse().unwrap();
    assert!((1190..=1200).contains(&retry), "{retry}");
    assert_eq!(body["type"], "/problems/rate-limited");
    assert_eq!(body["status"], 429);
    // The platform's: {success:false,error:<text>,code:'RATE_LIMIT_EXCEEDED',retryAfter}.
    assert_eq!(body["success"], false);
    assert_eq!(body["code"], "RATE_LIMIT_EXCEEDED");
    assert_eq!(body["retryAfter"], retry);
    assert!(
        body["error"].as_str().unwrap().contains("Too many"),
        "{body}"
    );
    // Another class of routes has a bucket of its own.
    let job = json!({"kind": "greet", "args": {"name": "x"}});
    assert_eq!(api.post("/v1/jobs", job).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn whether_it_lives_and_is_ready_is_answered_without_end() {
    let api = limited(&options(), "");
    for _ in 0..TRIES {
        assert_eq!(api.get("/health/live").await.status, StatusCode::OK);
        assert_eq!(api.get("/health/ready").await.status, StatusCode::OK);
    }
    for _ in 0..ADDRESS {
        assert_eq!(api.get("/health").await.status, StatusCode::OK);
    }
    let answer = api.get("/health").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
}

async fn enqueued(api: &Api) -> bool {
    let job = json!({"kind": "greet", "args": {"name": "x"}});
    let answer = api.call(Method::POST, "/v1/jobs", Some(job)).await;
    match answer.status {
        StatusCode::CREATED => true,
        StatusCode::TOO_MANY_REQUESTS => false,
        other => panic!("{other}: {}", answer.text),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_with_one_redis_count_together() {
    let (options, redis) = (options(), crate::import::redis::server());
    let (one, other) = (limited(&options, &redis), limited(&options, &redis));
    let calls = (0..TRIES).map(|n| enqueued(if n % 2 == 0 { &one } else { &other }));
    let passed = futures_util::future::join_all(calls).await;
    assert_eq!(passed.iter().filter(|passed| **passed).count(), 10);
    // And a key is not readable in Redis.
    let client = redis::Client::open(redis.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("{}*", options.redis_prefix))
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!(!keys.is_empty());
    assert!(
        keys.iter()
            .all(|key| !key.contains(KEY) && !key.contains("0.0.0.0")),
        "{keys:?}"
    );
    for key in keys {
        let left: i64 = redis::cmd("PTTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert!(
            (1..=3_600_000).contains(&left),
            "{key} goes by itself: {left}"
        );
        let () = redis::cmd("DEL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_redis_that_hangs_keeps_nobody_waiting_for_long() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redis = format!("redis://{}", silent.local_addr().unwrap());
    let options = RateLimitOptions {
        redis_timeout_ms: 200,
        ..options()
    };
    let api = limited(&options, &redis);
    let began = Instant::now();
    let mut passed = 0;
    for _ in 0..TRIES {
        passed += u32::from(enqueued(&api).await);
    }
    assert_eq!(passed, 10, "they are counted here meanwhile");
    let took = began.elapsed();
    assert!(took < Duration::from_millis(1500), "{took:?}: each waited");
}

/// A program of the test's own, killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn redis_at(port: u16, folder: &Path) -> Running {
    let child = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--port", &port.to_string()])
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn();
    Running(child.unwrap())
}

/// Asks until it is so.
async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let mut pulse = tokio::time::interval(Duration::from_millis(20));
    let asked = async {
        while !is_so().await {
            pulse.tick().await;
        }
    };
    let asked = tokio::time::timeout(Duration::from_secs(30), asked).await;
    assert!(asked.is_ok(), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_the_api_answers_on_says_so_and_counts_together_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let redis = redis_at(port, folder.path());
    let log = folder.path().join("log");
    let child = Command::new(env!("CARGO_BIN_EXE_metachat-jobs"))
        .env_clear()
        .current_dir(folder.path())
        .args(["run", "--role", "api", "--database", "sqlite:jobs.db"])
        .args(["--set", "server.port=0", "--set", "rate_limits.read=50"])
        .args(["--set", &format!("redis.url=redis://127.0.0.1:{port}")])
        .args(["--set", &format!("security.admin_key={KEY}")])
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&log).unwrap())
        .spawn();
    let program = Running(child.unwrap());
    let logged = |what: &str| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().filter(|line| line.contains(what)).count()
    };
    until("it listens", async || logged("listening") > 0).await;
    let text = std::fs::read_to_string(&log).unwrap();
    let line = text
        .lines()
        .find(|line| line.contains("listening"))
        .unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let address: SocketAddr = line["address"].as_str().unwrap().parse().unwrap();
    let right = format!("x-admin-key: {KEY}\r\n");
    let is_shared = async |shared: u8| {
        assert!(matches!(
            ask(address, "/v1/queues", &right).await,
            200 | 429
        ));
        metrics(address)
            .await
            .contains(&format!("http_rate_limits_shared {shared}\n"))
    };
    until("Redis counts", async || is_shared(1).await).await;

    drop(redis);
    until("each counts alone", async || is_shared(0).await).await;
    let mut refused = 0;
    for _ in 0..120 {
        refused += u32::from(ask(address, "/v1/queues", &right).await == 429);
    }
    assert!(refused >= 60, "limits hold without Redis: {refused}");
    assert_eq!(logged("out of reach; waiting for it"), 1, "it says so once");

    let _redis = redis_at(port, folder.path());
    until("Redis counts again", async || is_shared(1).await).await;
    assert_eq!(logged("it is back"), 1);
    let text = metrics(address).await;
    let counted =
        r#"http_rate_limit_exceeded_total{endpoint="/v1/queues",identity_type="admin_key"}"#;
    assert!(text.contains(counted), "{text}");
    drop(program);
    let all = std::fs::read_to_string(&log).unwrap();
    assert!(!all.contains(KEY));
}

async fn metrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.0\r\nx-admin-key: {KEY}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
