use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use windlass::State;
use windlass::model::{AuditFilter, Conflict};

use super::Api;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn greet() -> Value {
    json!({"kind": "greet", "args": {"name": "Ada"}})
}

#[tokio::test]
async fn a_job_is_enqueued_with_everything_the_request_says() {
    let api = Api::new();
    let answer = api
        .call_with(
            Method::POST,
            "/v1/jobs",
            &[("x-correlation-id", "conv-7"), ("traceparent", TRACE)],
            Some(json!({
                "kind": "greet",
                "args": {"name": "Ada", },
                "queue": "slow",
                "priority": 2,
                "delay_ms": 60_000,
                "max_attempts": 3,
                "tags": ["a", "b"],
                "tenant_id": "acme",
                "ordering_key": "ada",
                "unique": {"key": "ada", "window_ms": 1000, "conflict": "replace"},
            })),
        )
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert_eq!(answer.json()["status"], "enqueued");
    let id = answer.id();
    assert_eq!(answer.header("location"), Some(&*format!("/v1/jobs/{id}")));

    let job = api.job(id).await;
    assert_eq!(job.args.as_str(), r#"{"name":"Ada"}"#);
    assert_eq!((job.queue.as_str(), job.priority), ("slow", 2));
    assert_eq!((job.state, job.max_attempts), (State::Scheduled, 3));
    assert_eq!(job.run_at.since(job.enqueued_at).as_secs(), 60);
    assert_eq!(job.tags, ["a", "b"]);
    assert_eq!(job.tenant_id.as_deref(), Some("acme"));
    assert_eq!(job.ordering_key.as_deref(), Some("ada"));
    assert_eq!(job.unique_key.as_deref(), Some("ada"));
    assert_eq!(job.correlation_id.as_deref(), Some("conv-7"));
    assert_eq!(job.trace_parent.as_deref(), Some(TRACE));
}

#[tokio::test]
async fn args_are_kept_to_the_letter() {
    let api = Api::new();
    let body = r#"{"kind":"greet","args":{ "name":"\u00c9 1.10" }}"#;
    let request = axum::http::Request::post("/v1/jobs")
        .header("x-admin-key", super::KEY)
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap();
    let answer = api.send(request).await;
    let job = api.job(answer.id()).await;
    assert_eq!(job.args.as_str(), r#"{ "name":"\u00c9 1.10" }"#);
}

#[tokio::test]
async fn ids_that_are_none_are_replaced_and_a_bad_trace_is_dropped() {
    let api = Api::new();
    let headers = [
        ("x-request-id", "<script>"),
        ("x-correlation-id", "has space"),
        ("traceparent", "00-0-0-0"),
    ];
    let answer = api
        .call_with(Method::POST, "/v1/jobs", &headers, Some(greet()))
        .await;
    let made = answer.header("x-request-id").unwrap();
    assert!(uuid::Uuid::parse_str(made).is_ok(), "{made}");
    assert_eq!(answer.header("x-correlation-id"), Some(made));
    let job = api.job(answer.id()).await;
    assert_eq!(job.correlation_id.as_deref(), Some(made));
    assert_eq!(job.trace_parent, None);

    let headers = [("x-request-id", "r-1"), ("x-correlation-id", "c-1")];
    let answer = api
        .call_with(Method::GET, "/health/live", &headers, None)
        .await;
    assert_eq!(answer.header("x-request-id"), Some("r-1"));
    assert_eq!(answer.header("x-correlation-id"), Some("c-1"));
}

#[tokio::test]
async fn a_repeated_request_with_a_key_gets_the_same_job() {
    let api = Api::new();
    let key = [("idempotency-key", "k-1")];
    let first = api
        .call_with(Method::POST, "/v1/jobs", &key, Some(greet()))
        .await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(first.header("idempotency-replayed"), None);

    // The same fields in another order are the same request.
    let reordered = json!({"args": {"name": "Ada"}, "kind": "greet"});
    let second = api
        .call_with(Method::POST, "/v1/jobs", &key, Some(reordered))
        .await;
    assert_eq!(second.status, StatusCode::OK);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(second.json()["status"], "duplicate");
    assert_eq!(second.id(), first.id());

    let other = json!({"kind": "greet", "args": {"name": "Bob"}});
    let mismatch = api
        .call_with(Method::POST, "/v1/jobs", &key, Some(other))
        .await;
    assert_eq!(mismatch.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(mismatch.json()["type"], "/problems/idempotency-mismatch");
    assert_eq!(mismatch.json()["job_id"], first.json()["id"]);
    assert_eq!(api.jobs().await.len(), 1);
}

#[tokio::test]
async fn a_batch_is_enqueued_in_order_and_once() {
    let api = Api::new();
    let batch = |names: &[&str]| {
        let jobs: Vec<Value> = names
            .iter()
            .map(|name| json!({"kind": "greet", "args": {"name": name}}))
            .collect();
        json!({ "jobs": jobs })
    };
    let key = [("idempotency-key", "b-1")];
    let call = async |body| {
        api.call_with(Method::POST, "/v1/jobs/batch", &key, Some(body))
            .await
    };

    let first = call(batch(&["a", "b"])).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let ids = |answer: &super::Answer| -> Vec<Value> {
        let jobs = answer.json()["jobs"].as_array().unwrap().clone();
        jobs.into_iter().map(|job| job["id"].clone()).collect()
    };
    let stored = api.jobs().await;
    let newest_first: Vec<_> = stored.iter().map(|job| json!(job.id)).collect();
    assert_eq!(
        ids(&first),
        newest_first.into_iter().rev().collect::<Vec<_>>()
    );

    let again = call(batch(&["a", "b"])).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(ids(&again), ids(&first));

    // A longer one under the same key is another request: none of it is written.
    for other in [batch(&["a", "b", "c"]), batch(&["a"])] {
        let refused = call(other).await;
        assert_eq!(refused.json()["type"], "/problems/idempotency-mismatch");
    }
    assert_eq!(api.jobs().await.len(), 2);
}

#[tokio::test]
async fn one_bad_job_refuses_the_whole_batch_by_its_place() {
    let api = Api::new();
    let mut bad = greet();
    bad["priority"] = json!(10);
    let answer = api
        .post("/v1/jobs/batch", json!({"jobs": [greet(), bad]}))
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.json()["field"], "jobs[1].priority");
    assert_eq!(api.jobs().await, []);
}

#[tokio::test]
async fn the_holder_of_a_unique_key_is_named() {
    let api = Api::new();
    let unique = |conflict: Conflict| {
        let mut job = greet();
        job["unique"] = json!({"key": "k", "conflict": conflict});
        job
    };
    let holder = api
        .post("/v1/jobs", unique(Conflict::ReturnExisting))
        .await
        .id();

    let same = api.post("/v1/jobs", unique(Conflict::ReturnExisting)).await;
    assert_eq!((same.status, same.id()), (StatusCode::OK, holder));
    assert_eq!(same.json()["status"], "duplicate");

    let replaced = api.post("/v1/jobs", unique(Conflict::Replace)).await;
    assert_eq!(replaced.json()["status"], "replaced");

    let rejected = api.post("/v1/jobs", unique(Conflict::Reject)).await;
    assert_eq!(rejected.status, StatusCode::CONFLICT);
    assert_eq!(rejected.json()["type"], "/problems/unique-key-held");
    assert_eq!(rejected.json()["job_id"], json!(holder));

    let batch = json!({"jobs": [unique(Conflict::Reject), greet()]});
    let batch = api.post("/v1/jobs/batch", batch).await;
    assert_eq!(batch.json()["jobs"][0]["status"], "rejected");
    assert_eq!(batch.json()["jobs"][1]["status"], "enqueued");
}

#[tokio::test]
async fn lists_are_filtered_and_paged_without_gap_or_overlap() {
    let api = Api::new();
    for n in 0..5 {
        let tenant = if n % 2 == 0 { "even" } else { "odd" };
        let job = json!({
            "kind": "greet", "args": {"name": "x"}, "tenant_id": tenant,
            "tags": [format!("t{n}")], "queue": format!("q{n}"), "correlation_id": format!("c{n}"),
        });
        api.post("/v1/jobs", job).await;
    }
    let count = async |query: &str| {
        let answer = api.get(&format!("/v1/jobs?{query}")).await;
        answer.json()["jobs"].as_array().unwrap().len()
    };
    assert_eq!(count("tenant=even").await, 3);
    assert_eq!(count("tag=t1").await, 1);
    assert_eq!(count("queue=q2").await, 1);
    assert_eq!(count("correlation=c3").await, 1);
    assert_eq!(count("kind=greet&state=available,running").await, 5);
    assert_eq!(count("state=dead").await, 0);

    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let page = api.get(&format!("/v1/jobs?limit=2{next}")).await.json();
        let jobs = page["jobs"].as_array().unwrap().clone();
        seen.extend(jobs.into_iter().map(|job| job["id"].clone()));
        match page["next"].as_str() {
            Some(cursor) => next = format!("&after={cursor}"),
            None => break,
        }
    }
    let all: Vec<_> = api.jobs().await.iter().map(|job| json!(job.id)).collect();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn a_full_last_page_has_no_next() {
    let api = Api::new();
    api.post("/v1/jobs", greet()).await;
    api.post("/v1/jobs", greet()).await;
    let page = api.get("/v1/jobs?limit=2").await.json();
    assert_eq!(page["jobs"].as_array().unwrap().len(), 2);
    assert_eq!(page["next"], Value::Null);
}

#[tokio::test]
async fn one_job_shows_its_attempts_and_its_args_only_on_request() {
    use windlass::model::{Finish, Lease};

    let api = Api::new();
    let id = api.post("/v1/jobs", greet()).await.id();
    api.claim().await;
    let lease = Lease {
        job: id,
        claim_no: api.job(id).await.claim_no,
    };
    let result = windlass::Json::parse(r#"{"greeted":1}"#).unwrap();
    let finish = Finish::complete(lease, Some(result));
    api.client.store().finish(&[finish], None).await.unwrap();

    let shown = api.get(&format!("/v1/jobs/{id}")).await.json();
    assert_eq!(shown["state"], "completed");
    assert_eq!(shown["result"], json!({"greeted": 1}));
    assert_eq!(shown["attempts"][0]["outcome"], "completed");
    assert_eq!(shown["attempts"][0]["worker"], "w");
    assert_eq!(shown.get("args"), None);

    let with_args = api.get(&format!("/v1/jobs/{id}?args=true")).await.json();
    assert_eq!(with_args["args"], json!({"name": "Ada"}));
}

#[tokio::test]
async fn what_people_wrote_is_shown_only_to_who_asks_for_it_and_is_recorded() {
    let api = Api::new();
    let message = json!({"kind": "process_message", "args": {"tenantId": "acme", "channel": "webchat",
        "message": {"id": "m", "conversationId": "c", "content": {"text": "hello"}}}});
    let id = api.post("/v1/jobs", message.clone()).await.id();
    let shown = api.get(&format!("/v1/jobs/{id}?args=true")).await.json();
    let mut hidden = message["args"].clone();
    hidden["message"]["content"] = json!("[redacted]");
    assert_eq!(shown["args"]["message"], hidden["message"]);
    assert_eq!(shown["args"]["tenantId"], "acme");
    let every = AuditFilter::default();
    let log = || api.client.store().audit(&every, None, 10);
    assert!(log().await.unwrap().is_empty());

    let shown = api
        .get(&format!("/v1/jobs/{id}?args=true&reveal=true"))
        .await
        .json();
    assert_eq!(shown["args"], message["args"]);
    let entries = log().await.unwrap();
    assert_eq!(entries.len(), 1);
    let audit = &entries[0].audit;
    assert_eq!((&*audit.actor, &*audit.action), ("admin", "job.reveal"));
    assert_eq!(
        (&*audit.subject, audit.tenant_id.as_deref()),
        (&*format!("job/{id}"), Some("acme"))
    );
}

#[tokio::test]
async fn of_a_kind_nobody_knows_only_the_shape_is_shown() {
    let api = Api::new();
    let args = windlass::Json::parse(r#"{"who":["Ada",1]}"#).unwrap();
    let job = windlass::NewJob::new("gone", args);
    api.client
        .store()
        .enqueue(std::slice::from_ref(&job), None)
        .await
        .unwrap();
    let shown = api
        .get(&format!("/v1/jobs/{}?args=true", job.id))
        .await
        .json();
    assert_eq!(shown["args"], json!({"who": ["[redacted]", "[redacted]"]}));
}

#[tokio::test]
async fn another_tenants_job_is_answered_as_if_it_were_not_there() {
    let api = Api::new();
    let mut job = greet();
    job["tenant_id"] = json!("acme");
    let id = api.post("/v1/jobs", job).await.id();

    assert_eq!(
        api.get(&format!("/v1/jobs/{id}?tenant=acme")).await.status,
        StatusCode::OK
    );
    let shown = api.get(&format!("/v1/jobs/{id}?tenant=evil")).await;
    assert_eq!(shown.status, StatusCode::NOT_FOUND);
    assert_eq!(shown.json()["type"], "/problems/job-not-found");
    for verb in ["cancel", "discard", "requeue", "snooze"] {
        let path = format!("/v1/jobs/{id}/{verb}?tenant=evil");
        let path = match verb {
            "snooze" => path + "&run_at=2126-01-31T12:00:00Z",
            _ => path,
        };
        let answer = api.call(Method::POST, &path, None).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{verb}");
    }
    assert_eq!(api.job(id).await.state, State::Available);
}

#[tokio::test]
async fn operators_cancel_discard_and_requeue() {
    let api = Api::new();
    let change = async |id, verb: &str| {
        let path = format!("/v1/jobs/{id}/{verb}");
        api.call(Method::POST, &path, None).await
    };

    let id = api.post("/v1/jobs", greet()).await.id();
    assert_eq!(change(id, "cancel").await.status, StatusCode::OK);
    assert_eq!(api.job(id).await.state, State::Cancelled);

    let refused = change(id, "discard").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.json()["type"], "/problems/wrong-state");
    assert_eq!(refused.json()["state"], "cancelled");

    assert_eq!(change(id, "requeue").await.status, StatusCode::OK);
    assert_eq!(api.job(id).await.state, State::Available);

    api.claim().await;
    let asked = change(id, "cancel").await;
    assert_eq!(asked.status, StatusCode::ACCEPTED);
    assert_eq!(asked.json()["status"], "asked");
    let refused = change(id, "discard").await.json();
    assert!(
        refused["detail"].as_str().unwrap().contains("cancel it"),
        "{refused}"
    );
    let refused = change(id, "requeue").await.json();
    assert_eq!(
        refused["detail"],
        "a running job cannot be requeued; look at its state first"
    );
}

#[tokio::test]
async fn operators_give_a_job_another_time() {
    let api = Api::new();
    let give = async |id, verb: &str, at: &str| {
        let path = format!("/v1/jobs/{id}/{verb}?run_at={at}&reason=later");
        api.call(Method::POST, &path, None).await
    };
    let time = "2126-01-31T12:00:00Z";
    let due = time.parse().unwrap();

    let id = api.post("/v1/jobs", greet()).await.id();
    assert_eq!(give(id, "snooze", time).await.status, StatusCode::OK);
    let job = api.job(id).await;
    assert_eq!((job.state, job.run_at), (State::Scheduled, due));

    let path = format!("/v1/jobs/{id}/discard");
    assert_eq!(
        api.call(Method::POST, &path, None).await.status,
        StatusCode::OK
    );
    let refused = give(id, "snooze", time).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.json()["state"], "dead");
    assert_eq!(give(id, "requeue", time).await.status, StatusCode::OK);
    let job = api.job(id).await;
    assert_eq!((job.state, job.run_at), (State::Scheduled, due));

    for (verb, wrong) in [
        ("requeue", "2001-01-31T12:00:00Z"),
        ("snooze", "2001-01-31T12:00:00Z"),
        ("snooze", "tomorrow"),
    ] {
        let refused = give(id, verb, wrong).await;
        assert!(refused.status.is_client_error(), "{}", refused.text);
        assert_eq!(refused.json()["field"], "run_at", "{}", refused.text);
    }
    let path = format!("/v1/jobs/{id}/snooze");
    let without = api.call(Method::POST, &path, None).await;
    assert!(without.status.is_client_error(), "{}", without.text);
    assert_eq!(api.job(id).await.run_at, due);
}
