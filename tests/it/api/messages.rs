use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Api;

fn message() -> Value {
    json!({
        "id": "m-1",
        "conversationId": "acme:+49",
        "direction": "inbound",
        "from": "+49",
        "timestamp": "2026-01-31T12:00:00.000Z",
        "type": "text",
        "content": {"text": "hello"},
    })
}

fn request(message: &Value) -> Value {
    json!({"tenantId": "acme", "channel": "whatsapp", "message": message})
}

#[tokio::test]
async fn a_message_becomes_the_job_that_answers_it() {
    let api = Api::new();
    let headers = [("x-correlation-id", "conv-1")];
    let body = request(&message());
    let answer = api
        .call_with(Method::POST, "/v1/messages", &headers, Some(body))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);

    let job = api.job(answer.id()).await;
    assert_eq!(job.kind, "process_message");
    assert_eq!(job.tenant_id.as_deref(), Some("acme"));
    assert_eq!(job.correlation_id.as_deref(), Some("conv-1"));
    assert_eq!(job.ordering_key.as_deref(), Some("acme:+49"));
    let args: Value = job.args.decode().unwrap();
    assert_eq!(args, request(&message()));
}

#[tokio::test]
async fn an_envelope_is_taken_off() {
    let api = Api::new();
    let envelope = json!({"type": "message.received", "message": message()});
    let answer = api.post("/v1/messages", request(&envelope)).await;
    let args: Value = api.job(answer.id()).await.args.decode().unwrap();
    assert_eq!(args["message"], message());

    let wrong = json!({"type": "message.sent", "message": message()});
    let answer = api.post("/v1/messages", request(&wrong)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.json()["field"], "message.type");
}

#[tokio::test]
async fn a_repeated_message_with_a_key_is_one_job() {
    let api = Api::new();
    let key = [("idempotency-key", "m-1")];
    let call = async |body| {
        api.call_with(Method::POST, "/v1/messages", &key, Some(body))
            .await
    };
    let first = call(request(&message())).await;
    let again = call(request(&message())).await;
    assert_eq!((again.status, again.id()), (StatusCode::OK, first.id()));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(api.jobs().await.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_named_and_not_repeated() {
    let api = Api::new();
    let mut incomplete = message();
    incomplete.as_object_mut().unwrap().remove("conversationId");
    let mut mistyped = message();
    mistyped["id"] = json!(["hunter2"]);
    let mut elsewhere = request(&message());
    elsewhere["channel"] = json!("hunter2");
    let mut no_tenant = request(&message());
    no_tenant.as_object_mut().unwrap().remove("tenantId");
    let cases = [
        (
            request(&incomplete),
            "message",
            "missing field `conversationId`",
        ),
        (request(&mistyped), "message", "wrong type or form"),
        (elsewhere, "channel", "`whatsapp`, `messenger`, `webchat`"),
        (no_tenant, "tenantId", "is missing; add it"),
    ];
    for (body, field, remedy) in cases {
        let answer = api.post("/v1/messages", body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.json()["field"], field, "{}", answer.text);
        assert!(answer.text.contains(remedy), "{}", answer.text);
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
    }
    assert_eq!(api.jobs().await, []);
}
