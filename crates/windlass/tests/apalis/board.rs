//! apalis-board's API over our stores.

use apalis_board_api::framework::{ApiBuilder, RegisterRoute};
use apalis_core::backend::TaskSink;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::stores::{Place, backend, on_every_store, quick, task};

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    (status, value)
}

async fn get(router: &Router, path: &str) -> Value {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (status, value) = ask(router, request).await;
    assert_eq!(status, StatusCode::OK, "{path}: {value}");
    value
}

async fn its_api_lists_shows_and_pushes(place: &Place) {
    let mut mails = backend::<Value>(place, quick("mails"));
    let reports = backend::<Value>(place, quick("reports"));
    let (id, first) = task(json!({"to": "ada"}));
    mails.push_task(first).await.unwrap();
    mails.push(json!({"to": "grace"})).await.unwrap();
    let router = ApiBuilder::new(Router::new())
        .register("mails", mails)
        .register("reports", reports)
        .build();

    let queues = get(&router, "/queues").await;
    let names: Vec<_> = queues
        .as_array()
        .unwrap()
        .iter()
        .map(|q| &q["name"])
        .collect();
    assert_eq!(names, ["mails"]);
    let of = |stats: &Value, title: &str| -> Value {
        let stats = stats.as_array().unwrap();
        stats.iter().find(|stat| stat["title"] == title).unwrap()["value"].clone()
    };
    assert_eq!(of(&queues[0]["stats"], "Available"), "2");
    assert_eq!(of(&get(&router, "/overview").await, "Available"), "2");
    assert_eq!(
        of(&get(&router, "/queues/reports/stats").await, "Available"),
        "0"
    );
    assert_eq!(get(&router, "/workers").await, json!([]));

    let request = Request::put("/queues/mails/tasks")
        .header("content-type", "application/json")
        .header("x-task-idempotency-key", "welcome")
        .header("x-task-meta-source", "board")
        .body(Body::from(r#"{"to":"joan"}"#))
        .unwrap();
    let (status, answer) = ask(&router, request).await;
    assert_eq!(status, StatusCode::OK, "{answer}");

    let tasks = get(&router, "/queues/mails/tasks?status=Pending&page=1").await;
    let names: Vec<_> = tasks
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["args"]["to"])
        .collect();
    assert_eq!(names, ["joan", "grace", "ada"], "newest first");
    assert_eq!(tasks[0]["ctx"]["metadata"]["source"], "board");
    assert_eq!(tasks[0]["ctx"]["idempotency_key"], "welcome");
    let second = get(&router, "/queues/mails/tasks?page=2&page_size=2").await;
    assert_eq!(second[0]["args"]["to"], "ada");
    assert_eq!(
        get(&router, "/tasks?page=0")
            .await
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(get(&router, "/tasks?status=Done").await, json!([]));
    assert_eq!(get(&router, "/tasks?status=Queued").await, json!([]));

    let one = get(&router, &format!("/queues/mails/tasks/{id}")).await;
    assert_eq!(
        (&one["args"]["to"], &one["ctx"]["queue"]),
        (&json!("ada"), &json!("mails"))
    );
    let elsewhere = Request::get(format!("/queues/reports/tasks/{id}"));
    let (status, _) = ask(&router, elsewhere.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it is not of that queue");
}

on_every_store!(its_api_lists_shows_and_pushes);
