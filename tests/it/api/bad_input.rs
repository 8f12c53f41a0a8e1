//! Whatever is wrong with a request: a clear answer that names the field and the remedy, repeats
//! nothing of what was sent, and leaves nothing behind.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Api, KEY};

/// A request, and what it is answered with.
struct Case {
    what: &'static str,
    request: Request<Body>,
    status: u16,
    kind: &'static str,
    field: Option<&'static str>,
    remedy: &'static str,
}

fn request(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("x-admin-key", KEY)
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    request(Method::POST, path, body)
}

fn get(path: &str) -> Request<Body> {
    request(Method::GET, path, Body::empty())
}

/// A good job with one thing changed.
fn job(field: &str, value: Value) -> Request<Body> {
    let mut job = json!({"kind": "greet", "args": {"name": "hunter2"}});
    job[field] = value;
    post("/v1/jobs", job.to_string())
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

fn without(mut request: Request<Body>, name: &str) -> Request<Body> {
    request.headers_mut().remove(name);
    request
}

#[expect(clippy::unreadable_literal, reason = "a table")]
#[rustfmt::skip] // one fault, one line
fn cases() -> Vec<Case> {
    let case = |what, request, status, kind, field, remedy| Case {
        what,
        request,
        status,
        kind,
        field,
        remedy,
    };
    let good = || job("priority", json!(5));
    let huge = json!({"name": "h".repeat(1024 * 1024)});
    vec![
        case("malformed JSON", post("/v1/jobs", "{\"kind\": hunter2}"), 400, "malformed-json", Some("body"), "line 1, column 10; send one JSON object"),
        case("an empty body", post("/v1/jobs", ""), 400, "malformed-json", Some("body"), "send one JSON object"),
        case("two bodies", post("/v1/jobs", "{\"kind\":\"greet\"} {}"), 400, "malformed-json", Some("body"), "send one JSON object"),
        case("bytes that are no text", post("/v1/jobs", &b"{\"kind\":\"\xff\"}"[..]), 400, "malformed-json", Some("body"), "send one JSON object"),
        case("not an object", post("/v1/jobs", "7"), 422, "invalid-field", Some("body"), "expected an object"),
        case("a list of the fields", request(Method::PUT, "/v1/errors/0/mute", " [null, null]"), 422, "invalid-field", Some("body"), "expected an object"),
        case("bottomless nesting", post("/v1/jobs", format!("{{\"kind\":\"greet\",\"args\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000))), 422, "invalid-field", Some("args"), "nested more than 127 levels"),
        case("not declared as JSON", without(good(), "content-type"), 415, "not-json", Some("content-type"), "application/json"),
        case("no kind", post("/v1/jobs", "{}"), 422, "invalid-field", Some("kind"), "is missing; add it"),
        case("an unknown kind", job("kind", json!("hunter2")), 422, "unknown-kind", Some("kind"), "known are deliver_message, greet, process_message"),
        case("args without a field", job("args", json!({})), 422, "invalid-field", Some("args"), "missing field `name`"),
        case("args with an unknown field", job("args", json!({"name": "x", "nam": 1})), 422, "invalid-field", Some("args"), "unknown field `nam`"),
        case("args of the wrong type", job("args", json!({"name": ["hunter2"]})), 422, "invalid-field", Some("args"), "wrong type or form"),
        case("oversize args", job("args", huge), 413, "too-large", Some("args"), "the limit of 1048576; store the data elsewhere"),
        case("an oversize body", post("/v1/jobs", vec![b' '; 5 * 1024 * 1024]), 413, "too-large", Some("body"), "server.request_body_limit_bytes"),
        case("priority 10", job("priority", json!(10)), 422, "invalid-field", Some("priority"), "use 0 to 9"),
        case("priority -1", job("priority", json!(-1)), 422, "invalid-field", Some("priority"), "use 0 to 9"),
        case("a priority in words", job("priority", json!("hunter2")), 422, "invalid-field", Some("priority"), "expected i64"),
        case("a priority in halves", job("priority", json!(1.5)), 422, "invalid-field", Some("priority"), "expected i64"),
        case("a negative delay", job("delay_ms", json!(-1)), 422, "invalid-field", Some("delay_ms"), "-1 is out of range; use 0 to"),
        case("an endless delay", job("delay_ms", json!(9223372036854775807_i64)), 422, "invalid-field", Some("delay_ms"), "out of range"),
        case("no attempts", job("max_attempts", json!(0)), 422, "invalid-field", Some("max_attempts"), "use 1 to 1000"),
        case("too many attempts", job("max_attempts", json!(70_000)), 422, "invalid-field", Some("max_attempts"), "use 1 to 1000"),
        case("a time that is none", job("run_at", json!("hunter2")), 422, "invalid-field", Some("run_at"), "expected an RFC 3339 time such as"),
        case("a time and a delay", post("/v1/jobs", json!({"kind": "greet", "args": {"name": "x"}, "run_at": "2026-01-31T12:00:00Z", "delay_ms": 1}).to_string()), 422, "invalid-field", Some("delay_ms"), "send one of the two"),
        case("an unknown field", job("priorty", json!(1)), 422, "invalid-field", Some("priorty"), "known are `kind`, `args`, `queue`, `priority`"),
        case("a field given twice", post("/v1/jobs", "{\"kind\":\"greet\",\"kind\":\"hunter2\"}"), 422, "invalid-field", Some("kind"), "keep one"),
        case("a queue with a space", job("queue", json!("hunter2 x")), 422, "invalid-field", Some("queue"), "letters, digits and"),
        case("an endless tag", job("tags", json!(["hunter2".repeat(100)])), 422, "invalid-field", Some("tags"), "1 to 128 bytes"),
        case("too many tags", job("tags", json!(vec!["t"; 33])), 422, "invalid-field", Some("tags"), "use fewer"),
        case("a tag with NUL", job("tags", json!(["hunter2\u{0}"])), 422, "invalid-field", Some("tags"), "take them out"),
        case("an empty tenant", job("tenant_id", json!("")), 422, "invalid-field", Some("tenant_id"), "1 to 512 bytes"),
        case("an empty unique key", job("unique", json!({"key": ""})), 422, "invalid-field", Some("unique.key"), "1 to 512 bytes"),
        case("a unique window of nothing", job("unique", json!({"key": "k", "window_ms": 0})), 422, "invalid-field", Some("unique.window_ms"), "use 1 to"),
        case("an unknown conflict", job("unique", json!({"key": "k", "conflict": "hunter2"})), 422, "invalid-field", Some("unique.conflict"), "`return_existing`, `replace`, `reject`"),
        case("an unknown field further down", job("unique", json!({"key": "k", "windw": 1})), 422, "invalid-field", Some("unique.windw"), "known are `key`, `window_ms`, `conflict`"),
        case("args of another tenant", post("/v1/jobs", json!({"kind": "process_message", "tenant_id": "hunter2", "args": {"tenantId": "acme", "channel": "webchat", "message": {"id": "m", "conversationId": "c", "content": {}}}}).to_string()), 422, "invalid-field", Some("tenant_id"), "let the two agree"),
        case("an empty batch", post("/v1/jobs/batch", "{\"jobs\":[]}"), 422, "invalid-field", Some("jobs"), "at least one job"),
        case("a bad job in a batch", post("/v1/jobs/batch", "{\"jobs\":[{\"kind\":\"greet\",\"args\":{\"name\":\"x\"}},{\"kind\":\"hunter2\"}]}"), 422, "unknown-kind", Some("jobs[1].kind"), "known are deliver_message, greet"),
        case("a mistyped job in a batch", post("/v1/jobs/batch", "{\"jobs\":[{\"kind\":7}]}"), 422, "invalid-field", Some("jobs[0].kind"), "expected a string"),
        case("an empty idempotency key", with(good(), "idempotency-key", ""), 400, "invalid-parameter", Some("idempotency-key"), "1 to 255 printable"),
        case("an endless idempotency key", with(good(), "idempotency-key", &"k".repeat(256)), 400, "invalid-parameter", Some("idempotency-key"), "1 to 255 printable"),
        case("an id that is none", get("/v1/jobs/hunter2"), 400, "invalid-parameter", Some("id"), "is a UUID such as"),
        case("an id that is not there", get("/v1/jobs/0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d"), 404, "job-not-found", Some("id"), "deleted by retention"),
        case("a state that is none", get("/v1/jobs?state=available,hunter2"), 400, "invalid-parameter", Some("state"), "known are scheduled, available"),
        case("a cursor that is none", get("/v1/jobs?after=hunter2"), 400, "invalid-parameter", Some("after"), "the last page's `next`"),
        case("a limit of 0", get("/v1/jobs?limit=0"), 400, "invalid-parameter", Some("limit"), "use 1 to 500"),
        case("a limit of many", get("/v1/jobs?limit=501"), 400, "invalid-parameter", Some("limit"), "use 1 to 500"),
        case("a limit in words", get("/v1/jobs?limit=hunter2"), 400, "invalid-parameter", Some("limit"), "/openapi.json"),
        case("an unknown parameter", get("/v1/jobs?stat=dead"), 400, "invalid-parameter", Some("stat"), "known are `state`, `kind`"),
        case("an unknown parameter of an action", post("/v1/jobs/0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d/cancel?tenat=x", ""), 400, "invalid-parameter", Some("tenat"), "`tenant`"),
        case("no key", without(good(), "x-admin-key"), 401, "unauthorised", Some("x-admin-key"), "authorization: Bearer"),
        case("a wrong key", with(good(), "x-admin-key", "hunter2"), 401, "unauthorised", Some("x-admin-key"), "security.admin_key"),
        case("no such route", get("/v2/hunter2"), 404, "no-such-route", None, "/openapi.json"),
        case("no such method", request(Method::DELETE, "/v1/jobs", Body::empty()), 405, "method-not-allowed", None, "the header `allow`"),
    ]
}

#[tokio::test]
async fn every_fault_is_answered_by_its_field_and_remedy_and_leaves_nothing() {
    for case in cases() {
        let api = Api::new();
        let answer = api.send(case.request).await;
        let what = case.what;
        let problem = told(&answer, what);
        assert_eq!(answer.status.as_u16(), case.status, "{what}: {problem}");
        assert_eq!(problem["status"], case.status, "{what}");
        assert_eq!(
            problem["type"],
            format!("/problems/{}", case.kind),
            "{what}: {problem}"
        );
        if let Some(field) = case.field {
            assert_eq!(problem["field"], field, "{what}: {problem}");
        }
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(case.remedy), "{what}: {problem}");
        assert!(
            !answer.text.contains("hunter2"),
            "{what} is repeated: {problem}"
        );
        assert_eq!(api.jobs().await, [], "{what} was written");
    }
}

fn told(answer: &Answer, what: &str) -> Value {
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{what}"
    );
    let problem = answer.json();
    assert!(problem["title"].as_str().is_some_and(|t| !t.is_empty()));
    problem
}

#[tokio::test]
async fn prometheus_may_send_the_key_as_a_bearer() {
    let api = Api::new();
    let request = |authorization: &str| {
        Request::get("/metrics")
            .header("authorization", authorization)
            .body(Body::empty())
            .unwrap()
    };
    let right = api.send(request(&format!("Bearer {KEY}"))).await;
    assert_eq!(right.status, StatusCode::OK);
    for wrong in ["Bearer hunter2", &format!("Basic {KEY}"), KEY, "Bearer"] {
        let answer = api.send(request(wrong)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{wrong}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}

/// Whatever the route: a path, a query and a body that cannot be read are answered as all else is.
#[tokio::test]
async fn every_route_answers_what_it_cannot_read_with_a_problem() {
    let api = Api::new();
    let description = api.get("/openapi.json").await.json();
    let (mut paths, mut bodies, mut queries) = (0, 0, 0);
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let what = format!("{method} {path}");
            let ask = async |path: &str, body: Vec<u8>| {
                api.send(request(method.clone(), path, body)).await
            };
            if path.contains('{') {
                let answer = ask(&filled(path, "%FF"), b"{}".to_vec()).await;
                is(&answer, 400, "invalid-parameter", &what);
                paths += 1;
            }
            let good = filled(path, "0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d");
            if !operation["requestBody"].is_null() {
                let large = ask(&good, vec![b' '; 4 * 1024 * 1024 + 1]).await;
                is(&large, 413, "too-large", &what);
                let broken = ask(&good, b"{".to_vec()).await;
                is(&broken, 400, "malformed-json", &what);
                let undeclared = request(method.clone(), &good, "{}");
                let undeclared = api.send(without(undeclared, "content-type")).await;
                is(&undeclared, 415, "not-json", &what);
                bodies += 1;
            }
            let answer = ask(&format!("{good}?hunter2=%FF"), b"{}".to_vec()).await;
            if answer.status.is_client_error() {
                told(&answer, &what);
                queries += 1;
            }
        }
    }
    assert!(
        paths > 20 && bodies > 8 && queries > 10,
        "{paths} {bodies} {queries}"
    );
    let asset = api.get("/assets/%FF/index.js").await;
    is(&asset, 400, "invalid-parameter", "an asset");
}

/// A path with this in each of its places.
fn filled(path: &str, value: &str) -> String {
    let place = |part: &str| if part.starts_with('{') { value } else { part }.to_owned();
    path.split('/').map(place).collect::<Vec<_>>().join("/")
}

fn is(answer: &Answer, status: u16, kind: &str, what: &str) {
    assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text);
    let problem = told(answer, what);
    assert_eq!(problem["type"], format!("/problems/{kind}"), "{what}");
}
