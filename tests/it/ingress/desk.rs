//! Operators and the quarantine: by the API and by `jobctl`, on the same database.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use clap::Parser as _;
use metachat_jobs::api::Quarantine;
use metachat_jobs::cli::{self, Cli, Exit, Printer};
use metachat_jobs::config::Sources;
use metachat_jobs::records::NewQuarantined;
use serde_json::{Value, json};
use uuid::Uuid;

use super::rig::{Rig, external_id, on_postgres, on_sqlite, text};
use crate::api::Api;
use crate::lines::Lines;

async fn set_aside(rig: &Rig, message: &Value) -> Uuid {
    let body = message.to_string().into_bytes();
    let new = NewQuarantined {
        tenant: Some(rig.tenant.clone()),
        source: rig.queue(),
        reason: "a reason".to_owned(),
        headers: json!({"x-last-error": "e"}),
        body_bytes: body.len() as u64,
        body,
    };
    rig.records.quarantine(&new).await.unwrap()
}

async fn by_the_api(rig: Arc<Rig>) {
    let api = Api::of(rig.client.clone(), Duration::from_secs(30), |state| {
        state.with_quarantine(Quarantine {
            records: rig.records.clone(),
            platform: rig.platform.clone(),
        })
    });
    // A page goes on though the message that the one before ended with is gone. Which comes first is not said:
    // they may be of one millisecond.
    let two = [json!({"from": "somebody"}), json!({"from": "another"})];
    let two = [
        set_aside(&rig, &two[0]).await,
        set_aside(&rig, &two[1]).await,
    ];
    let one = format!("/v1/quarantine?limit=1&tenant={}", rig.tenant);
    let page = api.get(&one).await.json();
    let shown =
        |page: &Value| -> Uuid { page["messages"][0]["id"].as_str().unwrap().parse().unwrap() };
    let first = shown(&page);
    assert!(rig.records.discard_quarantined(first).await.unwrap());
    let next = page["next"].as_str().unwrap();
    let page = api.get(&format!("{one}&cursor={next}")).await.json();
    let second = shown(&page);
    assert!(
        first != second && two.contains(&first) && two.contains(&second),
        "{page}"
    );
    assert!(rig.records.discard_quarantined(second).await.unwrap());

    let good = set_aside(&rig, &text("m-1", "u", "hunter2")).await;
    let bad = set_aside(&rig, &json!({"from": "hunter2"})).await;
    let wrong = api.get("/v1/quarantine?cursor=here").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{}", wrong.text);

    let mut pages = Vec::new();
    let mut path = one;
    loop {
        let page = api.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        assert!(!page.text.contains("hunter2"), "{}", page.text);
        let page = page.json();
        pages.push(page["messages"][0]["id"].as_str().unwrap().to_owned());
        match page["next"].as_str() {
            Some(next) => {
                path = format!("/v1/quarantine?limit=1&tenant={}&cursor={next}", rig.tenant);
            }
            None => break,
        }
    }
    let mut all = [good.to_string(), bad.to_string()];
    all.sort();
    pages.sort();
    assert_eq!(pages, all);
    let others = api.get("/v1/quarantine?tenant=other").await.json();
    assert_eq!(others["messages"], json!([]));
    assert_eq!(
        api.get("/v1/quarantine?limit=0").await.status,
        StatusCode::BAD_REQUEST
    );

    let path = |id: Uuid| format!("/v1/quarantine/{id}");
    let shown = api.get(&path(good)).await;
    assert!(!shown.text.contains("hunter2"), "{}", shown.text);
    assert_eq!(shown.json()["headers"], json!({"x-last-error": "e"}));
    let shown = api.get(&format!("{}?body=true", path(good))).await.json();
    assert!(shown["body"].as_str().unwrap().contains("hunter2"));

    let refused = api.post(&format!("{}/replay", path(bad)), json!({})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert!(refused.text.contains("message.type"), "{}", refused.text);
    let replayed = api.post(&format!("{}/replay", path(good)), json!({})).await;
    assert_eq!(replayed.status, StatusCode::ACCEPTED, "{}", replayed.text);
    let job = &rig.jobs().await[0];
    assert_eq!(replayed.json()["job_id"], job.id.to_string());
    assert_eq!(external_id(job), "m-1");
    for (method, status) in [
        (Method::DELETE, StatusCode::NO_CONTENT),
        (Method::DELETE, StatusCode::NOT_FOUND),
        (Method::GET, StatusCode::NOT_FOUND),
    ] {
        let answer = api.call(method, &path(bad), None).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    let again = api.post(&format!("{}/replay", path(good)), json!({})).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "{}", again.text);
    let audit = api.get("/v1/audit").await;
    for act in ["quarantine.replay", "quarantine.discard"] {
        assert_eq!(audit.text.matches(act).count(), 1, "{}", audit.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_replay_and_discard_by_the_api() {
    on_postgres(by_the_api).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_replay_and_discard_by_the_api_on_sqlite() {
    on_sqlite(by_the_api).await;
}

/// What a command answers with.
pub(super) async fn jobctl(url: &str, args: &[&str]) -> (Exit, String, String) {
    let words = ["jobctl", "--database", url].into_iter();
    let cli = Cli::try_parse_from(words.chain(args.iter().copied())).unwrap();
    let (out, err) = (Lines::default(), Lines::default());
    let mut printer = Printer::new(cli.json, out.clone(), err.clone());
    let mut sources = Sources::default();
    let server = super::rig::server();
    sources
        .environment
        .insert("RABBITMQ_URL".to_owned(), server);
    let exit = cli::run(
        cli,
        sources,
        metachat_jobs::compose::catalogue,
        &mut printer,
    )
    .await;
    (exit, out.text(), err.text())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_replay_and_discard_by_jobctl() {
    on_sqlite(async |rig| {
        let url = rig.url.clone();
        let good = set_aside(&rig, &text("m-1", "u", "hunter2"))
            .await
            .to_string();
        let bad = set_aside(&rig, &json!({"from": "hunter2"}))
            .await
            .to_string();
        let (exit, out, _) = jobctl(&url, &["quarantine", "list"]).await;
        assert_eq!(exit, Exit::Done);
        assert!(
            out.contains(&good) && out.contains(&bad) && !out.contains("hunter2"),
            "{out}"
        );
        let (_, out, _) = jobctl(&url, &["quarantine", "show", &good]).await;
        assert!(!out.contains("hunter2"), "{out}");
        let (_, out, _) = jobctl(&url, &["quarantine", "show", &good, "--body"]).await;
        assert!(out.contains("hunter2"), "{out}");
        let (exit, _, err) = jobctl(&url, &["quarantine", "replay", &bad]).await;
        assert_eq!(exit, Exit::Failed);
        assert!(
            err.contains("message.type") && err.contains("stays"),
            "{err}"
        );
        let (exit, out, _) = jobctl(&url, &["quarantine", "replay", &good]).await;
        assert_eq!(
            (exit, out.trim()),
            (Exit::Done, &*rig.jobs().await[0].id.to_string())
        );
        let discard = ["quarantine", "discard", &bad, "--reason", "not ours"];
        let (exit, _, _) = jobctl(&url, &discard).await;
        assert_eq!(exit, Exit::Done);
        let (_, out, _) = jobctl(&url, &["audit"]).await;
        assert!(
            out.contains("quarantine.discard") && out.contains("not ours"),
            "{out}"
        );
        let (exit, _, err) = jobctl(&url, &["quarantine", "discard", &bad]).await;
        assert_eq!(exit, Exit::NotFound);
        assert!(err.contains("jobctl quarantine list"), "{err}");
        let (exit, out, err) = jobctl(&url, &["rabbitmq", "replay", "--tenant", &rig.tenant]).await;
        assert_eq!(exit, Exit::Done, "{err}");
        assert!(out.contains("no dead-letter queues"), "{out}");
        let (exit, _, err) = jobctl(&url, &["rabbitmq", "replay", "--tenant", "nobody"]).await;
        assert_eq!(exit, Exit::NotFound);
        assert!(err.contains("nobody"), "{err}");
    })
    .await;
}
