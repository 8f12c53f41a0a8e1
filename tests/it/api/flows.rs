//! `/v1/flows`, and messages for jobs.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use windlass::model::{Finish, FlowId};
use windlass::store::Claim;

use super::{Answer, Api};

fn greet(name: &str) -> Value {
    json!({"name": name, "kind": "greet", "args": {"name": "hunter2"}})
}

/// One step with further fields.
fn step(name: &str, mut more: Value) -> Value {
    let mut step = greet(name);
    let step_fields = step.as_object_mut().unwrap();
    step_fields.append(more.as_object_mut().unwrap());
    step
}

/// Two queries, their report, and an alarm if anything fails.
fn month() -> Value {
    json!({
        "name": "month",
        "tenant_id": "acme",
        "steps": [
            step("sales", json!({"priority": 0})),
            greet("costs"),
            step("report", json!({"after": ["sales", "costs"], "queue": "reports"})),
            step("alarm", json!({"after_failure": ["sales", "costs", "report"]})),
        ],
    })
}

async fn started(api: &Api, flow: Value) -> FlowId {
    let answer = api.post("/v1/flows", flow).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let answer = answer.json();
    assert_eq!(answer["status"], "started");
    answer["id"].as_str().unwrap().parse().unwrap()
}

async fn cancel_job(api: &Api, step: &Value) {
    let path = format!("/v1/jobs/{}/cancel", step["job_id"].as_str().unwrap());
    let answer = api.call(Method::POST, &path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

async fn complete_one(api: &Api) {
    let claim = Claim {
        queue: "default",
        worker: "w",
        limit: 1,
        lease: std::time::Duration::from_mins(1),
        now: None,
    };
    let store = api.client.store();
    let claimed = store.claim(claim).await.unwrap();
    let done = Finish::complete(claimed[0].lease(), None);
    store.finish(&[done], None).await.unwrap();
}

fn problem(answer: &Answer, status: StatusCode, kind: &str, field: &str) -> String {
    assert_eq!(answer.status, status, "{}", answer.text);
    let problem = answer.json();
    assert_eq!(problem["type"], format!("/problems/{kind}"), "{problem}");
    assert_eq!(problem["field"], field, "{problem}");
    assert!(!answer.text.contains("hunter2"), "{}", answer.text);
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_flow_is_started_and_shown() {
    let api = Api::new();
    let id = started(&api, month()).await;
    complete_one(&api).await;

    let shown = api.get(&format!("/v1/flows/{id}")).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    assert!(
        !shown.text.contains("hunter2"),
        "args are nobody's business"
    );
    let flow = shown.json();
    assert_eq!(flow["name"], "month");
    assert_eq!(flow["state"], "running");
    assert_eq!(flow["tenant_id"], "acme");
    assert_eq!(
        [&flow["total"], &flow["completed"], &flow["unfinished"]],
        [&json!(4), &json!(1), &json!(3)]
    );
    let steps = flow["steps"].as_array().unwrap();
    assert_eq!(steps[0]["ended_as"], "completed", "priority 0 went first");
    assert_eq!(steps[1]["state"], "available");
    assert_eq!(steps[2]["state"], "waiting");
    assert_eq!(steps[2]["parents"], json!(["sales", "costs"]));
    assert_eq!(steps[2]["reason"], "waits for 1 parent to complete");
    assert_eq!(steps[3]["runs_after"], "failure");
    assert_eq!(flow["next"], Value::Null);
    for job in api.jobs().await {
        assert_eq!(job.tenant_id.as_deref(), Some("acme"));
        assert!(job.correlation_id.is_some());
    }
    let report = steps[2]["job_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(api.job(report).await.queue, "reports");
}

#[tokio::test]
async fn steps_and_flows_come_in_pages() {
    let api = Api::new();
    let first = started(&api, month()).await;
    let second = started(&api, json!({"name": "other", "steps": [greet("only")]})).await;

    let page = api.get("/v1/flows?limit=1").await.json();
    assert_eq!(page["flows"][0]["id"], second.to_string());
    let next = page["next"].as_str().unwrap();
    let page = api.get(&format!("/v1/flows?limit=1&after={next}")).await;
    assert_eq!(page.json()["flows"][0]["id"], first.to_string());
    assert_eq!(page.json()["next"], Value::Null);
    let others = api.get("/v1/flows?name=other&finished=false").await.json();
    assert_eq!(others["flows"].as_array().unwrap().len(), 1);
    let none = api.get("/v1/flows?finished=true").await.json();
    assert_eq!(none["flows"], json!([]));

    let mut names = Vec::new();
    let mut path = format!("/v1/flows/{first}?limit=3");
    loop {
        let page = api.get(&path).await.json();
        let steps = page["steps"].as_array().unwrap();
        names.extend(steps.iter().map(|step| step["name"].clone()));
        let Some(next) = page["next"].as_u64() else {
            break;
        };
        path = format!("/v1/flows/{first}?limit=3&after={next}");
    }
    assert_eq!(names, ["sales", "costs", "report", "alarm"]);
    let behind = format!("/v1/flows/{first}?after=4294967295");
    assert_eq!(api.get(&behind).await.json()["steps"], json!([]));
    for path in [
        "/v1/flows?limit=0".to_owned(),
        format!("/v1/flows/{first}?limit=501"),
    ] {
        let refused = api.get(&path).await;
        let status = StatusCode::BAD_REQUEST;
        problem(&refused, status, "invalid-parameter", "limit");
    }
}

#[tokio::test]
async fn a_flow_that_cannot_be_started_names_step_and_field_and_leaves_nothing() {
    let api = Api::new();
    let message = |tenant: &str| {
        json!({"tenantId": tenant, "channel": "webchat",
            "message": {"id": "m", "conversationId": "c", "content": "hunter2"}})
    };
    let other = json!({"name": "b", "kind": "process_message", "args": message("other")});
    for (steps, kind, field, told) in [
        (json!([]), "invalid-field", "steps", "at least one"),
        (
            json!([
                step("a", json!({"after": ["b"]})),
                step("b", json!({"after": ["a"]}))
            ]),
            "invalid-field",
            "steps",
            "wait for each other",
        ),
        (
            json!([greet("a"), step("b", json!({"after": ["a", "hunter2"]}))]),
            "invalid-field",
            "steps[1].after[1]",
            "names no step",
        ),
        (
            json!([greet("a"), step("b", json!({"after_finished": ["a", "a"]}))]),
            "invalid-field",
            "steps[1].after_finished[1]",
            "twice",
        ),
        (
            json!([
                greet("a"),
                step("b", json!({"after": ["a"], "after_failure": ["a"]}))
            ]),
            "invalid-field",
            "steps[1].after_failure",
            "cannot stand beside after",
        ),
        (
            json!([greet("a"), greet("b"), greet("a")]),
            "invalid-field",
            "steps[2].name",
            "unique",
        ),
        (
            json!([greet("a"), greet("")]),
            "invalid-field",
            "steps[1].name",
            "1 to 128",
        ),
        (
            json!([greet("a"), {"name": "b", "kind": "hunter2"}]),
            "unknown-kind",
            "steps[1].kind",
            "known are",
        ),
        (
            json!([greet("a"), {"name": "b", "kind": "greet", "args": {"nme": "hunter2"}}]),
            "invalid-field",
            "steps[1].args",
            "",
        ),
        (
            json!([greet("a"), step("b", json!({"priority": 10}))]),
            "invalid-field",
            "steps[1].priority",
            "0 to 9",
        ),
        (
            json!([greet("a"), step("b", json!({"unique": {"key": "x"}}))]),
            "invalid-field",
            "steps[1].unique",
            "not known",
        ),
        (
            json!([greet("a"), other]),
            "invalid-field",
            "steps[1].args",
            "one tenant",
        ),
    ] {
        let flow = json!({"name": "month", "tenant_id": "acme", "steps": steps});
        let refused = api.post("/v1/flows", flow).await;
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let detail = problem(&refused, status, kind, field);
        assert!(detail.contains(told), "{detail}");
    }
    let nameless = api
        .post("/v1/flows", json!({"name": "", "steps": [greet("a")]}))
        .await;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    problem(&nameless, status, "invalid-field", "name");
    assert!(api.jobs().await.is_empty());
    assert_eq!(api.get("/v1/flows").await.json()["flows"], json!([]));
}

#[tokio::test]
async fn a_repeated_request_starts_one_flow() {
    let api = Api::new();
    let key = FlowId::new().to_string();
    let headers = [("idempotency-key", key.as_str())];
    let call = async |body| {
        api.call_with(Method::POST, "/v1/flows", &headers, Some(body))
            .await
    };
    let first = call(month()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    assert_eq!(first.json()["id"], key);
    assert_eq!(first.header("location"), Some(&*format!("/v1/flows/{key}")));
    let again = call(month()).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
    assert_eq!(again.json(), json!({"id": key, "status": "duplicate"}));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(api.jobs().await.len(), 4);

    let other = call(json!({"name": "other", "steps": [greet("a")]})).await;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    problem(&other, status, "idempotency-mismatch", "idempotency-key");
    let headers = [("idempotency-key", "4711")];
    let odd = api
        .call_with(Method::POST, "/v1/flows", &headers, Some(month()))
        .await;
    let status = StatusCode::BAD_REQUEST;
    problem(&odd, status, "invalid-parameter", "idempotency-key");
    assert_eq!(api.jobs().await.len(), 4);
}

#[tokio::test]
async fn a_flow_is_cancelled_and_retried_and_it_is_recorded() {
    let api = Api::new();
    let id = started(&api, month()).await;
    let path = format!("/v1/flows/{id}");
    let act = async |verb: &str| {
        let headers = [("x-actor", "Ada")];
        let path = format!("{path}/{verb}");
        api.call_with(Method::POST, &path, &headers, None).await
    };
    let early = act("retry").await;
    assert_eq!(early.status, StatusCode::CONFLICT, "{}", early.text);
    assert_eq!(early.json()["type"], "/problems/flow-not-retried");

    let cancelled = act("cancel?reason=wrong%20month&tenant=acme").await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.text);
    assert_eq!(cancelled.json(), json!({"id": id, "steps": 4}));
    assert_eq!(api.get(&path).await.json()["state"], "failed");
    let again = act("cancel").await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.json()["type"], "/problems/flow-finished");

    let unknown = act("retry?from=nothing").await;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    problem(&unknown, status, "invalid-parameter", "from");
    let retried = act("retry?from=sales&reason=right%20month").await;
    assert_eq!(retried.status, StatusCode::OK, "{}", retried.text);
    let all = act("retry").await;
    assert_eq!(all.status, StatusCode::OK, "{}", all.text);
    let flow = api.get(&path).await.json();
    assert_eq!(
        (&flow["state"], &flow["unfinished"]),
        (&json!("running"), &json!(4))
    );
    cancel_job(&api, &flow["steps"][1]).await;
    let flow = api.get(&path).await.json();
    assert_eq!(flow["steps"][2]["ended_as"], "cancelled");
    assert_eq!(flow["steps"][2]["reason"], "step \"costs\" was cancelled");

    let log = api
        .get(&format!("/v1/audit?subject=flow/{id}"))
        .await
        .json();
    let log = log["entries"].as_array().unwrap();
    let first = log.last().unwrap();
    assert_eq!(first["action"], "flow.cancel");
    assert_eq!(first["actor"], "admin (Ada)");
    assert_eq!(first["reason"], "wrong month");
    assert_eq!(first["tenant_id"], "acme");
    let from = json!({"from": "sales"});
    assert!(
        log.iter()
            .any(|line| line["after"] == from && line["reason"] == "right month")
    );
}

#[tokio::test]
async fn another_tenants_flow_is_as_if_it_were_not_there() {
    let api = Api::new();
    let id = started(&api, month()).await;
    let missing = FlowId::new();
    for (method, path) in [
        (Method::GET, format!("/v1/flows/{id}?tenant=other")),
        (Method::POST, format!("/v1/flows/{id}/cancel?tenant=other")),
        (
            Method::POST,
            format!("/v1/flows/{id}/retry?tenant=other&from=sales"),
        ),
        (Method::GET, format!("/v1/flows/{missing}")),
        (Method::POST, format!("/v1/flows/{missing}/cancel")),
        (Method::POST, format!("/v1/flows/{missing}/retry")),
    ] {
        let answer = api.call(method, &path, None).await;
        problem(&answer, StatusCode::NOT_FOUND, "flow-not-found", "id");
    }
    let odd = api.get("/v1/flows/one").await;
    problem(&odd, StatusCode::BAD_REQUEST, "invalid-parameter", "id");
    let others = api.get("/v1/flows?tenant=other").await.json();
    assert_eq!(others["flows"], json!([]));
    assert_eq!(
        api.get(&format!("/v1/flows/{id}")).await.json()["unfinished"],
        4
    );
    assert_eq!(api.get("/v1/audit").await.json()["entries"], json!([]));
}

#[tokio::test]
async fn a_job_gets_a_message_that_no_log_repeats() {
    let api = Api::new();
    let job = json!({"kind": "greet", "args": {"name": "x"}, "tenant_id": "acme"});
    let id = api.post("/v1/jobs", job).await.id();
    let path = format!("/v1/jobs/{id}/signals/approved");
    let left = api
        .post(
            &format!("{path}?tenant=acme&reason=she%20called"),
            json!({"by": "hunter2"}),
        )
        .await;
    assert_eq!(left.status, StatusCode::OK, "{}", left.text);
    assert_eq!(left.json(), json!({"id": id, "status": "done"}));
    let signal = api.client.store().signalled(id, "approved").await.unwrap();
    assert_eq!(signal.payload.unwrap().as_str(), r#"{"by":"hunter2"}"#);

    let log = api.get("/v1/audit?action=job.signal").await;
    assert!(!log.text.contains("hunter2"), "{}", log.text);
    let line = &log.json()["entries"][0];
    assert_eq!(line["subject"], format!("job/{id}"));
    assert_eq!(line["after"], json!({"signal": "approved"}));
    assert_eq!(line["reason"], "she called");

    let other = api.post(&format!("{path}?tenant=other"), json!(true)).await;
    problem(&other, StatusCode::NOT_FOUND, "job-not-found", "id");
    let odd = api.post("/v1/jobs/one/signals/approved", json!(true)).await;
    problem(&odd, StatusCode::BAD_REQUEST, "invalid-parameter", "id");
    let too_much = format!("/v1/jobs/{id}/signals/{}", "x".repeat(129));
    let refused = api.post(&too_much, json!(true)).await;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    problem(&refused, status, "invalid-field", "signal");
    let huge = api.post(&path, json!("x".repeat(1024 * 1024))).await;
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    problem(&huge, status, "too-large", "body");
    cancel_job(&api, &json!({"job_id": id})).await;
    let late = api.post(&path, json!(true)).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.text);
    assert_eq!(late.json()["state"], "cancelled");
    let log = api.get("/v1/audit?action=job.signal").await.json();
    assert_eq!(log["entries"].as_array().unwrap().len(), 1);
}
