//! Secrets and message bodies appear in no log line, metric or answer.

use axum::http::Method;
use metachat_jobs::telemetry;
use serde_json::json;

use super::{Api, KEY};
use crate::lines::Lines;

const BODY: &str = "hunter2-is-what-a-person-wrote";

#[tokio::test]
async fn neither_the_key_nor_what_people_wrote_is_told() {
    let lines = Lines::default();
    let log = lines.log("trace");
    let recorder = telemetry::recorder().unwrap();
    let _counting = metrics::set_default_local_recorder(&recorder);
    let _logging = tracing::dispatcher::set_default(&log);

    let api = Api::new();
    let mut answers = Vec::new();
    let job = json!({"kind": "greet", "args": {"name": BODY}});
    let wrong = json!({"kind": "greet", "args": {"name": [BODY]}, "priority": BODY});
    let message = json!({"tenantId": "t", "channel": "webchat", "message":
        {"id": "m", "conversationId": "c", "content": {"text": BODY}}});
    let created = api.post("/v1/jobs", job.clone()).await;
    let id = created.id();
    answers.push(created.text);
    for (path, body) in [
        ("/v1/jobs", &job),
        ("/v1/jobs", &wrong),
        ("/v1/jobs/batch", &json!({"jobs": [job, wrong]})),
        ("/v1/messages", &message),
    ] {
        answers.push(api.post(path, body.clone()).await.text);
    }
    for path in [
        "/v1/jobs",
        "/v1/queues",
        "/v1/workers",
        "/metrics",
        "/health",
    ] {
        answers.push(api.get(path).await.text);
    }
    answers.push(api.get(&format!("/v1/jobs/{id}")).await.text);
    let cancel = format!("/v1/jobs/{id}/cancel");
    answers.push(api.call(Method::POST, &cancel, None).await.text);
    answers.push(recorder.handle().render());
    answers.push(format!("{:?}", api.metrics));

    let logged = lines.text();
    assert!(logged.contains("HTTP request completed"), "{logged}");
    for told in answers.iter().chain([&logged]) {
        assert!(!told.contains(BODY), "what a person wrote is in: {told}");
        assert!(!told.contains(KEY), "the key is in: {told}");
    }
}

#[tokio::test]
async fn a_request_is_logged_with_the_platforms_fields() {
    let lines = Lines::default();
    let log = lines.log("info");
    let _logging = tracing::dispatcher::set_default(&log);

    let headers = [("x-request-id", "r-1"), ("x-correlation-id", "c-1")];
    Api::new()
        .call_with(Method::GET, "/v1/jobs?limit=1", &headers, None)
        .await;
    let line = lines.objects().pop().unwrap();
    assert_eq!(line["message"], "HTTP request completed");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["method"], "GET");
    assert_eq!(line["route"], "/v1/jobs");
    assert_eq!(line["statusCode"], 200);
    assert!(line["durationMs"].is_number());
    assert_eq!(line["requestId"], "r-1");
    assert_eq!(line["correlationId"], "c-1");
}
