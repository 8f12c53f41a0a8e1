use axum::http::{Method, StatusCode};
use serde_json::json;
use windlass::model::AuditFilter;

use super::Api;
use crate::support::startable_at_one_per_key;

const PATH: &str = "/v1/queues/mail/policy";

#[tokio::test]
async fn a_policy_is_set_shown_and_cleared_and_recorded() {
    let api = Api::new();
    assert_eq!(api.get(PATH).await.status, StatusCode::NOT_FOUND);
    let policy = json!({"concurrency": 3, "fair": {"weights": {"acme": 2}}});
    let headers = [("x-actor", "ada"), ("x-reason", "the provider is slow")];
    let set = api
        .call_with(Method::PUT, PATH, &headers, Some(policy.clone()))
        .await;
    assert_eq!(set.status, StatusCode::OK);
    assert_eq!(set.json()["policy"], policy);
    let shown = api.get(PATH).await;
    assert_eq!(shown.json(), set.json());
    let version = shown.json()["version"].as_i64().unwrap();
    let tag = format!("\"{version}\"");
    assert_eq!(shown.header("etag"), Some(tag.as_str()));

    api.post(
        "/v1/jobs",
        json!({"kind": "greet", "args": {"name": "x"}, "queue": "mail"}),
    )
    .await;
    let queues = api.get("/v1/queues").await.json();
    assert_eq!(queues["queues"][0]["policy"]["policy"], policy);

    let cleared = api.call(Method::DELETE, PATH, None).await;
    assert_eq!(cleared.status, StatusCode::NO_CONTENT);
    let again = api.call(Method::DELETE, PATH, None).await;
    assert_eq!(again.json()["type"], "/problems/no-policy");

    let store = api.client.store();
    let audit = store
        .audit(&AuditFilter::default(), None, 10)
        .await
        .unwrap();
    let [clear, set] = &audit[..] else {
        panic!("{audit:?}")
    };
    assert_eq!(
        (set.audit.action.as_str(), set.audit.actor.as_str()),
        ("policy.set", "admin (ada)")
    );
    assert_eq!(set.audit.subject, "queue/mail");
    assert_eq!(set.audit.reason.as_deref(), Some("the provider is slow"));
    assert_eq!(
        (clear.audit.action.as_str(), clear.audit.actor.as_str()),
        ("policy.clear", "admin")
    );
    assert!(clear.audit.before.is_some() && clear.audit.after.is_none());
}

#[tokio::test]
async fn a_policy_that_cannot_be_is_refused_with_the_reason() {
    let api = Api::new();
    for (policy, field, remedy) in [
        (json!({"concurrency": 0}), "concurrency", "use at least 1"),
        (
            json!({"rate": {"jobs": 5, "per_ms": 0}}),
            "rate.per_ms",
            "use 1 to",
        ),
        (
            json!({"kinds": {"mail": {}}}),
            "kinds.mail",
            "limits nothing",
        ),
        (
            json!({"fair": {"weights": {"a": 0}}}),
            "fair.weights.a",
            "use 1 to 1000",
        ),
        (json!({"ageing_ms": 0}), "ageing_ms", "at least 1"),
        (json!({}), "policy", "limits nothing"),
        (json!({"concurency": 1}), "concurency", "not known"),
        (json!({"concurrency": "two"}), "concurrency", ""),
    ] {
        let refused = api.call(Method::PUT, PATH, Some(policy.clone())).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{policy}");
        let problem = refused.json();
        assert_eq!(problem["field"], field, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(remedy),
            "{problem}"
        );
    }
    assert_eq!(api.get(PATH).await.status, StatusCode::NOT_FOUND);
    let odd = api
        .call(
            Method::PUT,
            "/v1/queues/two%20words/policy",
            Some(json!({"concurrency": 1})),
        )
        .await;
    assert_eq!(odd.json()["field"], "queue");
}

#[tokio::test]
async fn a_policy_that_has_changed_meanwhile_is_not_overwritten() {
    let api = Api::new();
    let put = async |policy, tag: &str| {
        let headers = [("if-match", tag)];
        api.call_with(Method::PUT, PATH, &headers, Some(policy))
            .await
    };
    let first = put(json!({"concurrency": 1}), "\"0\"").await;
    assert_eq!(first.status, StatusCode::OK);
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!(
        put(json!({"concurrency": 2}), &tag).await.status,
        StatusCode::OK
    );
    let late = put(json!({"concurrency": 3}), &tag).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(late.json()["type"], "/problems/changed-meanwhile");
    assert_eq!(api.get(PATH).await.json()["policy"]["concurrency"], 2);
    let odd = put(json!({"concurrency": 3}), "\"x\"").await;
    assert_eq!(odd.json()["field"], "if-match");
    let nothing = put(json!({"concurrency": 3}), "").await;
    assert_eq!(nothing.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn a_request_says_what_limits_count_its_job_by() {
    let api = Api::new();
    let job = |key: &str| json!({"kind": "greet", "args": {"name": "x"}, "tenant_id": "acme", "limit_key": key});
    for key in ["account 1", "account 1", "account 2"] {
        let made = api.post("/v1/jobs", job(key)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    }
    let refused = api.post("/v1/jobs", job("")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.json()["field"], "limit_key");
    let jobs = startable_at_one_per_key(&**api.client.store()).await;
    assert_eq!(jobs, 2, "one of each account");
}
