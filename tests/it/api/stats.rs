//! What happened and what fails, as the dashboard asks for it.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use windlass::model::{AttemptError, AttemptOutcome, Counted, Finish, Measure, Recorded, Verdict};
use windlass::store::Claim;

use super::{Api, Greet};

async fn answer(api: &Api, path: &str) -> Value {
    let answer = api.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

fn counted(measure: Measure, n: u64) -> Counted {
    Counted {
        queue: "mail".into(),
        measure,
        n,
    }
}

/// Enqueues a job and has it fail for good.
async fn dead(api: &Api, name: &str, error: &str) {
    let greet = Greet {
        name: name.to_owned(),
    };
    api.client.enqueue(&greet).await.unwrap();
    let claim = Claim {
        queue: "default",
        worker: "w",
        limit: 1,
        lease: std::time::Duration::from_mins(1),
        now: None,
    };
    let store = api.client.store();
    let claimed = store.claim(claim).await.unwrap();
    let finish = Finish {
        lease: claimed[0].lease(),
        verdict: Verdict::Dead,
        outcome: AttemptOutcome::Failed,
        error: Some(AttemptError::new(error)),
    };
    let recorded = store.finish(&[finish], None).await.unwrap();
    assert_eq!(recorded, [Recorded::Yes]);
}

#[tokio::test]
async fn stats_tell_what_was_counted_per_queue_and_step() {
    let api = Api::new();
    assert_eq!(answer(&api, "/v1/stats").await["points"], json!([]));
    let counts = [
        counted(Measure::Enqueued, 3),
        counted(Measure::Completed, 2),
        counted(Measure::Waited(0), 2),
    ];
    api.client.store().tally(&counts, None).await.unwrap();
    for path in ["/v1/stats", "/v1/stats?range=2592000&step=3600"] {
        let stats = answer(&api, path).await;
        let [point] = &stats["points"].as_array().unwrap()[..] else {
            panic!("{stats}");
        };
        assert_eq!(point["queue"], "mail");
        assert_eq!(
            (&point["enqueued"], &point["completed"]),
            (&json!(3), &json!(2))
        );
        let bounds = stats["wait_bounds_ms"].as_array().unwrap();
        let waits = point["waits"].as_array().unwrap();
        assert_eq!((waits.len(), &waits[0]), (bounds.len() + 1, &json!(2)));
    }
    for (status, field, path) in [
        (400, "range", "/v1/stats?range=59"),
        (400, "range", "/v1/stats?range=2678401"),
        (400, "step", "/v1/stats?step=0"),
        (400, "step", "/v1/stats?step=90"),
        (400, "step", "/v1/stats?step=2678460"),
        (422, "step", "/v1/stats?range=604800&step=60"),
        (422, "step", "/v1/stats?range=172800&step=60"),
    ] {
        let refused = api.get(path).await;
        assert_eq!(refused.status, status, "{path}");
        let problem: Value = serde_json::from_str(&refused.text).unwrap();
        assert_eq!(problem["field"], field, "{path}");
    }
}

#[tokio::test]
async fn errors_are_grouped_by_what_they_say() {
    let api = Api::new();
    assert_eq!(answer(&api, "/v1/errors").await["groups"], json!([]));
    for (name, error) in [
        ("a", "mailbox 17 is full"),
        ("b", "mailbox 18 is full"),
        ("c", "no such host"),
    ] {
        dead(&api, name, error).await;
    }
    let errors = answer(&api, "/v1/errors?kind=greet").await;
    let groups = errors["groups"].as_array().unwrap();
    assert_eq!(
        (groups.len(), &errors["sampled"]),
        (2, &json!(3)),
        "{errors}"
    );
    assert_eq!(groups[0]["dead"], 2);
    assert_eq!(groups[0]["jobs"].as_array().unwrap().len(), 2);
    assert_eq!(groups[0]["kinds"], json!(["greet"]));
    assert_eq!(groups[1]["message"], "no such host");
    let hours = groups[0]["per_hour"].as_array().unwrap();
    assert_eq!((hours.len(), &hours[23]), (24, &json!(2)));
    assert_eq!(answer(&api, "/v1/errors?kind=other").await["sampled"], 0);
}

#[tokio::test]
async fn an_error_that_is_muted_comes_last_until_the_mute_ends() {
    let api = Api::new();
    for (name, error) in [("a", "full"), ("b", "full"), ("c", "no such host")] {
        dead(&api, name, error).await;
    }
    let groups = async || answer(&api, "/v1/errors").await["groups"].clone();
    let before = groups().await;
    let fingerprint = before[0]["fingerprint"].as_str().unwrap();
    let mute = format!("/v1/errors/{fingerprint}/mute");
    let wish = json!({"reason": "known", "until": "2100-01-01T00:00:00Z"});
    let muted = api.call(Method::PUT, &mute, Some(wish)).await;
    assert_eq!(muted.status, 200, "{}", muted.text);
    let told = muted.json();
    assert_eq!(
        (&told["reason"], &told["by"], &told["until"]),
        (
            &json!("known"),
            &json!("admin"),
            &json!("2100-01-01T00:00:00.000000Z")
        )
    );
    let after = groups().await;
    assert_eq!(after[1]["fingerprint"], fingerprint);
    assert_eq!(
        (&after[0]["muted"], &after[1]["muted"]),
        (&Value::Null, &told)
    );

    assert_eq!(api.call(Method::DELETE, &mute, None).await.status, 204);
    assert_eq!(groups().await, before);
    let again = api.call(Method::DELETE, &mute, None).await;
    assert_eq!(again.status, 404);
    let log = answer(&api, "/v1/audit").await;
    let actions: Vec<&Value> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["action"])
        .collect();
    assert_eq!(actions, ["error.unmute", "error.mute"]);
}

#[tokio::test]
async fn a_mute_that_cannot_be_is_refused_with_its_field() {
    let api = Api::new();
    for (field, path, wish) in [
        ("fingerprint", "/v1/errors/nothing/mute", json!({})),
        (
            "until",
            "/v1/errors/0a/mute",
            json!({"until": "2000-01-01T00:00:00Z"}),
        ),
    ] {
        let refused = api.call(Method::PUT, path, Some(wish)).await;
        assert_eq!(refused.status, 422, "{path}");
        assert_eq!(refused.json()["field"], field, "{path}");
    }
    assert_eq!(answer(&api, "/v1/audit").await["entries"], json!([]));
}

#[tokio::test]
async fn the_system_tells_its_schema_and_that_a_store_in_memory_has_no_tables() {
    let api = Api::new();
    let system = answer(&api, "/v1/system").await;
    assert_eq!(
        (&system["store"], &system["tables"], &system["version"]),
        (
            &json!("memory"),
            &json!([]),
            &json!(env!("CARGO_PKG_VERSION"))
        )
    );
    assert_eq!(system["schema"]["missing"], json!([]));
    assert!(system["answered_in_ms"].is_f64(), "{system}");
}
