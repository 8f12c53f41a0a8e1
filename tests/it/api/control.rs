use axum::http::{Method, StatusCode};
use serde_json::json;
use windlass::model::{Timestamp, WorkerRecord};

use super::Api;

#[tokio::test]
async fn queues_kinds_and_tenants_are_paused_and_resumed() {
    let api = Api::new();
    let pause = json!({"queue": "mail", "tenant_id": "acme", "reason": "the provider is down",
        "until": "9000-01-01T00:00:00Z"});
    let headers = [("x-actor", "Ada\u{1f980}\tL.")];
    let put = api.call_with(
        Method::PUT,
        "/v1/pauses",
        &headers[..0],
        Some(pause.clone()),
    );
    let paused = put.await;
    assert_eq!(paused.status, StatusCode::OK, "{}", paused.text);
    let paused = paused.json();
    assert_eq!(paused["by"], "admin");
    assert_eq!(paused["until"], "9000-01-01T00:00:00.000000Z");
    let put = api.call_with(Method::PUT, "/v1/pauses", &headers, Some(pause));
    assert_eq!(put.await.json()["by"], "admin (Ada\u{1f980}L.)");
    let list = api.get("/v1/pauses").await.json();
    assert_eq!(
        list["pauses"].as_array().unwrap().len(),
        1,
        "of one thing there is one pause"
    );
    assert_eq!(list["pauses"][0]["reason"], "the provider is down");

    let other = api
        .call(Method::DELETE, "/v1/pauses?queue=mail", None)
        .await;
    assert_eq!(other.status, StatusCode::NOT_FOUND, "{}", other.text);
    let path = "/v1/pauses?queue=mail&tenant_id=acme&reason=it%20is%20back";
    let resumed = api.call(Method::DELETE, path, None).await;
    assert_eq!(resumed.status, StatusCode::NO_CONTENT, "{}", resumed.text);
    assert_eq!(api.get("/v1/pauses").await.json()["pauses"], json!([]));

    let log = api.get("/v1/audit?action=pause.end").await.json();
    assert_eq!(log["entries"][0]["actor"], "admin");
    assert_eq!(log["entries"][0]["reason"], "it is back");
    assert_eq!(log["entries"][0]["before"]["queue"], "mail");
}

#[tokio::test]
async fn an_order_that_cannot_work_names_its_field() {
    let api = Api::new();
    for (method, path, body, field) in [
        (Method::PUT, "/v1/pauses", json!({}), "queue"),
        (Method::PUT, "/v1/pauses", json!({"queue": "a b"}), "queue"),
        (
            Method::PUT,
            "/v1/pauses",
            json!({"kind": "x", "until": "1999-01-01T00:00:00Z"}),
            "until",
        ),
        (
            Method::PUT,
            "/v1/pauses",
            json!({"queues": "mail"}),
            "queues",
        ),
        (
            Method::PUT,
            "/v1/queues/mail/slots",
            json!({"slots": 0}),
            "slots",
        ),
        (
            Method::PUT,
            "/v1/queues/mail/slots",
            json!({"slots": 100_001}),
            "slots",
        ),
        (
            Method::POST,
            "/v1/jobs/bulk",
            json!({"operation": "discard", "filter": {}}),
            "filter",
        ),
        (
            Method::POST,
            "/v1/jobs/bulk",
            json!({"operation": "eat", "filter": {}}),
            "operation",
        ),
        (
            Method::POST,
            "/v1/jobs/bulk/preview",
            json!({"filter": {"kinds": 1}}),
            "filter.kinds",
        ),
    ] {
        let answer = api.call(method.clone(), path, Some(body.clone())).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{path} {body}: {}",
            answer.text
        );
        assert_eq!(answer.json()["field"], field, "{}", answer.text);
    }
    let store = api.client.store();
    assert_eq!(store.settings(None).await.unwrap(), []);
    assert!(api.jobs().await.is_empty());
    assert_eq!(api.get("/v1/audit").await.json()["entries"], json!([]));
}

#[tokio::test]
async fn slots_and_drains_are_orders_for_every_process() {
    let api = Api::new();
    let slots = json!({"slots": 3, "reason": "slow provider"});
    let set = api
        .call(Method::PUT, "/v1/queues/mail/slots", Some(slots))
        .await;
    assert_eq!(
        (set.status, set.json()),
        (StatusCode::OK, json!({"slots": 3}))
    );
    assert_eq!(api.client.slots().await.unwrap()[0].1.slots, 3);
    let reset = api
        .call(Method::DELETE, "/v1/queues/mail/slots", None)
        .await;
    assert_eq!(reset.status, StatusCode::NO_CONTENT);
    assert_eq!(api.client.slots().await.unwrap(), []);

    let nobody = api.call(Method::POST, "/v1/workers/w-1/drain", None).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    let worker = WorkerRecord {
        id: "w-1".into(),
        host: "h".into(),
        pid: 7,
        version: "1".into(),
        queues: vec!["default".into()],
        slots: 4,
        running: 1,
        started_at: Timestamp::EPOCH,
        beat_at: Timestamp::EPOCH,
        draining: false,
    };
    api.client.store().beat_worker(&worker, None).await.unwrap();
    let drained = api
        .call(Method::POST, "/v1/workers/w-1/drain?reason=kernel", None)
        .await;
    assert_eq!(drained.status, StatusCode::NO_CONTENT, "{}", drained.text);
    let undrained = api
        .call(Method::POST, "/v1/workers/w-1/undrain", None)
        .await;
    assert_eq!(undrained.status, StatusCode::NO_CONTENT);
    let undrained = api
        .call(Method::POST, "/v1/workers/w-1/undrain", None)
        .await;
    assert_eq!(undrained.status, StatusCode::NOT_FOUND);

    let log = api.get("/v1/audit?limit=3").await.json();
    let told: Vec<_> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["action"].as_str().unwrap(),
                entry["subject"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("worker.undrain", "worker/w-1"),
        ("worker.drain", "worker/w-1"),
        ("queue.slots", "queue/mail"),
    ];
    assert_eq!(told, expected);
    let next = log["next"].as_i64().unwrap();
    let older = api
        .get(&format!("/v1/audit?limit=3&cursor={next}"))
        .await
        .json();
    assert_eq!(older["entries"].as_array().unwrap().len(), 1);
    assert_eq!(older["next"], json!(null));
    let wrong = api.get("/v1/audit?limit=0").await;
    assert_eq!(
        (wrong.status, &wrong.json()["field"]),
        (StatusCode::BAD_REQUEST, &json!("limit"))
    );
}

#[tokio::test]
async fn whatever_is_done_to_a_job_is_recorded() {
    let api = Api::new();
    let job = json!({"kind": "greet", "args": {"name": "Ada"}, "tenant_id": "acme",
        "correlation_id": "c-1"});
    let id = api.post("/v1/jobs", job).await.id();
    let path = |verb: &str| format!("/v1/jobs/{id}/{verb}");
    let unfinished = api.post(&path("rerun"), json!({})).await;
    assert_eq!(
        unfinished.status,
        StatusCode::CONFLICT,
        "{}",
        unfinished.text
    );
    api.call(
        Method::POST,
        &format!("{}?reason=mistake", path("discard")),
        None,
    )
    .await;
    let wrong = api
        .post(&path("rerun"), json!({"args": {"nam": "Eve"}}))
        .await;
    assert_eq!(
        wrong.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        wrong.text
    );
    let args = json!({"args": {"name": "Eve"}, "reason": "wrong name"});
    let stranger = api
        .post(&format!("{}?tenant=other", path("rerun")), args.clone())
        .await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);
    let again = api.post(&path("rerun"), args).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.text);
    let copy = api.job(again.id()).await;
    assert_eq!(copy.args.as_str(), r#"{"name":"Eve"}"#);
    assert_eq!(copy.tenant_id.as_deref(), Some("acme"));
    assert_eq!(copy.correlation_id.as_deref(), Some("c-1"));
    let in_place = json!({"args": {"name": "Bob"}, "in_place": true});
    let same = api.post(&path("rerun"), in_place).await;
    assert_eq!(
        (same.status, same.id()),
        (StatusCode::OK, id),
        "{}",
        same.text
    );
    assert_eq!(api.job(id).await.args.as_str(), r#"{"name":"Bob"}"#);
    api.call(Method::POST, &path("cancel"), None).await;

    let log = api.get(&format!("/v1/audit?subject=job/{id}")).await;
    assert!(
        !log.text.contains("Eve") && !log.text.contains("Bob"),
        "args in the audit log"
    );
    let log = log.json();
    let told: Vec<_> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|entry| {
            (
                entry["action"].as_str().unwrap(),
                entry["before"]["state"].as_str(),
            )
        })
        .collect();
    let expected = [
        ("job.discard", Some("available")),
        ("job.rerun", None),
        ("job.requeue", Some("dead")),
        ("job.cancel", Some("available")),
    ];
    assert_eq!(told, expected);
    assert_eq!(log["entries"][3]["reason"], "mistake");
    assert_eq!(log["entries"][3]["tenant_id"], "acme");
    assert_eq!(log["entries"][2]["after"]["job"], again.id().to_string());
}

#[tokio::test]
async fn many_jobs_are_counted_first_and_changed_in_the_background() {
    let api = Api::new();
    for name in ["a", "b", "c"] {
        api.post("/v1/jobs", json!({"kind": "greet", "args": {"name": name}}))
            .await;
    }
    let filter = json!({"kind": "greet", "states": ["available"]});
    let count = api
        .post("/v1/jobs/bulk/preview", json!({"filter": filter}))
        .await;
    assert_eq!(count.json(), json!({"jobs": 3, "at_least": false}));
    let bulk = json!({"operation": "discard", "filter": filter, "reason": "spam"});
    let started = api.post("/v1/jobs/bulk", bulk).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{}", started.text);
    let job = api.job(started.id()).await;
    assert_eq!(
        (job.kind.as_str(), job.queue.as_str()),
        ("windlass.bulk", "windlass")
    );
    let forged = json!({"kind": "windlass.bulk", "args": {"operation": "discard", "filter": {}}});
    let forged = api.post("/v1/jobs", forged).await;
    assert_eq!(
        forged.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "it is no kind of anyone's"
    );
    let log = api.get("/v1/audit?action=jobs.discard").await.json();
    assert_eq!(log["entries"][0]["after"]["filter"]["kind"], "greet");
    assert_eq!(log["entries"][0]["reason"], "spam");
}
