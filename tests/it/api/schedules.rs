//! Schedules over HTTP.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use windlass::model::{AuditFilter, Schedule};
use windlass::{Json, State, Timestamp};

use super::{Answer, Api};

/// An API whose store has a schedule of midnight, declared so long ago.
async fn api_with_schedule(ago: Duration) -> (Api, Timestamp) {
    let api = Api::new();
    let now = api.client.now().await.unwrap();
    let args = Json::parse(r#"{"name":"hunter2"}"#).unwrap();
    let daily = Schedule {
        zone: "Europe/Berlin".into(),
        ..Schedule::new("daily_greeting", "0 0 * * *", "greet", args)
    };
    let store = api.client.store();
    store
        .declare_schedules(&[daily], Some(now.minus(ago)))
        .await
        .unwrap();
    (api, now)
}

fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text).unwrap_or_else(|_| panic!("{}", answer.text))
}

#[tokio::test]
async fn are_listed_with_their_next_fire_times_and_latest_ticks() {
    let (api, _) = api_with_schedule(Duration::ZERO).await;
    assert_eq!(
        api.post("/v1/schedules/daily_greeting/run", json!({}))
            .await
            .status,
        StatusCode::ACCEPTED
    );
    let listed = body(&api.get("/v1/schedules").await);
    let schedule = &listed["schedules"][0];
    assert_eq!(schedule["name"], "daily_greeting");
    assert_eq!(schedule["status"], "active");
    assert_eq!(schedule["description"], "At 00:00.");
    assert_eq!(schedule["late_ms"], 0);
    let next: Vec<&str> = schedule["next"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(next.len(), 5);
    for at in next {
        let time = at.split_once('T').unwrap().1;
        assert!(["00:00:00+01:00", "00:00:00+02:00"].contains(&time), "{at}");
    }
    assert_eq!(schedule["last"][0]["origin"], "run_now");
    assert_eq!(schedule["last"][0]["state"], "available");
    assert!(
        !listed.to_string().contains("hunter2"),
        "args are told to nobody"
    );

    let shown = body(&api.get("/v1/schedules/daily_greeting").await);
    assert_eq!(&shown["cron"], &schedule["cron"]);
    let ticks = body(&api.get("/v1/schedules/daily_greeting/ticks?limit=1").await);
    assert_eq!(ticks["ticks"][0], schedule["last"][0]);
}

#[tokio::test]
async fn an_expression_is_explained_or_refused_with_the_reason() {
    let api = Api::new();
    let asked = json!({"cron": "30 9 * * MON#1", "zone": "America/New_York"});
    let told = body(&api.post("/v1/schedules/preview", asked).await);
    assert_eq!(told["next"].as_array().unwrap().len(), 5);
    assert!(
        told["description"].as_str().unwrap().contains("Monday"),
        "{told}"
    );
    for (asked, field, reason) in [
        (json!({"cron": "0 0 30 2 *"}), "cron", "never fires"),
        (json!({"cron": "nonsense"}), "cron", "five fields"),
        (
            json!({"cron": "@daily", "zone": "Europe/Atlantis"}),
            "zone",
            "IANA",
        ),
        (json!({"zone": "UTC"}), "cron", "missing"),
    ] {
        let refused = api.post("/v1/schedules/preview", asked).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let problem = body(&refused);
        assert_eq!(problem["field"], field, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(reason),
            "{problem}"
        );
    }
    assert_eq!(
        body(&api.get("/v1/schedules").await)["schedules"],
        json!([])
    );
}

#[tokio::test]
async fn are_paused_with_a_note_and_go_on() {
    let (api, _) = api_with_schedule(Duration::ZERO).await;
    let at = |verb: &str| format!("/v1/schedules/daily_greeting/{verb}");
    let silent = api.post(&at("pause"), json!({"note": " "})).await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(body(&silent)["field"], "note");

    let paused = body(&api.post(&at("pause"), json!({"note": "flood"})).await);
    assert_eq!(
        (&paused["status"], &paused["paused_note"]),
        (&json!("paused"), &json!("flood"))
    );
    assert_eq!(paused["next"], json!([]));
    let resumed = body(&api.post(&at("resume"), json!({"reason": "dry"})).await);
    assert_eq!(
        (&resumed["status"], &resumed["paused_note"]),
        (&json!("active"), &Value::Null)
    );
    let again = api.post(&at("resume"), json!({})).await;
    assert_eq!(again.status, StatusCode::CONFLICT);

    let log = api
        .client
        .store()
        .audit(&AuditFilter::default(), None, 10)
        .await
        .unwrap();
    let told: Vec<_> = log
        .iter()
        .map(|entry| {
            (
                entry.audit.action.as_str(),
                entry.audit.subject.as_str(),
                entry.audit.reason.as_deref(),
            )
        })
        .collect();
    let subject = "schedule/daily_greeting";
    assert_eq!(
        told,
        [
            ("schedule.resume", subject, Some("dry")),
            ("schedule.pause", subject, Some("flood")),
        ]
    );
}

#[tokio::test]
async fn run_now_once_while_they_do_not_overlap() {
    let (api, _) = api_with_schedule(Duration::ZERO).await;
    let run = "/v1/schedules/daily_greeting/run";
    let made = api.post(run, json!({"reason": "asked for"})).await;
    assert_eq!(made.status, StatusCode::ACCEPTED);
    let id = body(&made)["job_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(api.job(id).await.state, State::Available);
    let busy = api.post(run, json!({})).await;
    assert_eq!(busy.status, StatusCode::CONFLICT);
    assert_eq!(body(&busy)["type"], "/problems/schedule-busy");
    assert_eq!(api.jobs().await.len(), 1);
}

#[tokio::test]
async fn are_backfilled_after_a_preview_and_nothing_twice() {
    let (api, now) = api_with_schedule(Duration::ZERO).await;
    let backfill = "/v1/schedules/daily_greeting/backfill";
    let range = |preview: bool| {
        let from = now.minus(Duration::from_hours(24 * 10));
        json!({"from": from, "until": now, "preview": preview})
    };
    let previewed = body(&api.post(backfill, range(true)).await);
    assert_eq!(previewed["count"], 10);
    assert_eq!(api.jobs().await.len(), 0, "a preview does nothing");
    let done = body(&api.post(backfill, range(false)).await);
    assert_eq!(done["count"], 10);
    assert_eq!(
        done["ticks"][0]["fire_at"],
        previewed["ticks"][0]["fire_at"]
    );
    assert_eq!(api.jobs().await.len(), 10);
    let again = body(&api.post(backfill, range(false)).await);
    assert_eq!(
        (&again["count"], &again["ticks"][0]["before"]),
        (&json!(0), &json!("fired"))
    );
    assert_eq!(api.jobs().await.len(), 10);

    let ahead = now + Duration::from_hours(24);
    for (range, field) in [
        (json!({"from": now, "until": ahead}), "until"),
        (
            json!({"from": now, "until": now.minus(Duration::from_hours(1))}),
            "until",
        ),
        (
            json!({"from": "2020-01-01T00:00:00Z", "until": now}),
            "until",
        ),
        (json!({"from": "yesterday", "until": now}), "from"),
    ] {
        let refused = api.post(backfill, range).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{}",
            refused.text
        );
        assert_eq!(body(&refused)["field"], field);
    }
}

#[tokio::test]
async fn that_are_not_there_are_not_found() {
    let api = Api::new();
    for (method, path, with) in [
        (Method::GET, "", None),
        (Method::GET, "/ticks", None),
        (Method::POST, "/pause", Some(json!({"note": "n"}))),
        (Method::POST, "/resume", Some(json!({}))),
        (Method::POST, "/run", Some(json!({}))),
        (
            Method::POST,
            "/backfill",
            Some(json!({"from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"})),
        ),
    ] {
        let answer = api
            .call(method, &format!("/v1/schedules/none{path}"), with)
            .await;
        assert_eq!(
            answer.status,
            StatusCode::NOT_FOUND,
            "{path}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn health_says_so_when_they_are_late() {
    let (api, _) = api_with_schedule(Duration::ZERO).await;
    let healthy = body(&api.get("/health").await);
    assert_eq!(healthy["status"], "healthy");
    assert_eq!(healthy["schedules_late_seconds"], Value::Null);

    // Three days in which nobody fired it.
    let (api, _) = api_with_schedule(Duration::from_hours(72)).await;
    let late = api.get("/health").await;
    assert_eq!(late.status, StatusCode::OK);
    let late = body(&late);
    assert_eq!(late["status"], "degraded");
    assert!(
        late["schedules_late_seconds"].as_u64().unwrap() >= 47 * 3600,
        "{late}"
    );
    let ready = body(&api.get("/health/ready").await);
    assert!(
        ready["warning"]
            .as_str()
            .unwrap()
            .contains("schedules are late"),
        "{ready}"
    );
}
