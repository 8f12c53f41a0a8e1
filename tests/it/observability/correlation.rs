//! One id, and everything that it set off.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use metachat_jobs::api::Quarantine;
use metachat_jobs::jobs::ProcessMessage;
use metachat_jobs::operations::correlations::{CorrelationEntry, EntryKind, follow};
use metachat_jobs::records::NewQuarantined;
use metachat_jobs::services::models::ModelOptions;
use serde_json::json;
use windlass::JobId;

use crate::api::Api;
use crate::jobs::rig::{self, Rig, TENANT, text};

const ID: &str = "order/7@shop";

#[tokio::test]
async fn an_id_is_followed_on_postgres() {
    rig::on_postgres(ModelOptions::default(), followed).await;
}

#[tokio::test]
async fn an_id_is_followed_on_sqlite() {
    rig::on_sqlite(ModelOptions::default(), followed).await;
}

async fn ask(rig: &Rig, tenant: &str, id: &str) -> JobId {
    let message = text(id, "ada", "hunter2: what is a lease?");
    let job = ProcessMessage {
        tenant_id: tenant.to_owned(),
        channel: "webchat".to_owned(),
        message: serde_json::from_value(message).unwrap(),
    };
    let mut job = rig.client.prepare(&job).unwrap();
    job.correlation_id = Some(ID.to_owned());
    rig.client.insert(job).await.unwrap().id()
}

async fn of(rig: &Rig, tenant: Option<&str>) -> Vec<CorrelationEntry> {
    let followed = follow(&rig.client, &rig.records, &rig.platform, ID, tenant).await;
    let followed = followed.unwrap();
    assert!(!followed.truncated);
    followed.entries
}

async fn followed(rig: Arc<Rig>) {
    rig.create_tenant("other", &json!({})).await;
    let job = ask(&rig, TENANT, "m-1").await;
    let delivery = rig.result(job).await["deliveryJobId"].clone();
    let delivery: JobId = delivery.as_str().unwrap().parse().unwrap();
    rig.finished(delivery).await;
    let theirs = ask(&rig, "other", "m-2").await;
    rig.finished(theirs).await;
    for (tenant, header) in [(TENANT, ID), (TENANT, "another"), ("other", ID)] {
        let set_aside = NewQuarantined {
            tenant: Some(tenant.to_owned()),
            source: "a.queue".to_owned(),
            reason: "the body is not JSON".to_owned(),
            headers: json!({"correlationId": header}),
            body: vec![1],
            body_bytes: 1,
        };
        rig.records.quarantine(&set_aside).await.unwrap();
    }

    let entries = of(&rig, Some(TENANT)).await;
    assert!(entries.is_sorted_by_key(|entry| entry.at), "{entries:#?}");
    let count = |what, name: &str| {
        let of_it = |entry: &&CorrelationEntry| entry.what == what && entry.name == name;
        entries.iter().filter(of_it).count()
    };
    assert_eq!(count(EntryKind::Job, "process_message"), 1);
    assert_eq!(
        count(EntryKind::Job, "deliver_message"),
        1,
        "it inherits the id"
    );
    assert_eq!(count(EntryKind::Attempt, "process_message"), 1);
    assert_eq!(count(EntryKind::Attempt, "deliver_message"), 1);
    assert_eq!(count(EntryKind::Message, "inbound"), 1);
    assert_eq!(count(EntryKind::Message, "outbound"), 1);
    assert_eq!(count(EntryKind::Quarantine, "a.queue"), 1);
    assert!(
        entries
            .iter()
            .all(|entry| entry.tenant_id.as_deref() == Some(TENANT)),
        "nothing of another tenant: {entries:#?}"
    );
    let told = serde_json::to_string(&entries).unwrap();
    assert!(!told.contains("hunter2"), "nothing of what was written");

    let all = of(&rig, None).await;
    let jobs = |entries: &[CorrelationEntry]| {
        let jobs = entries.iter().filter(|entry| entry.what == EntryKind::Job);
        jobs.count()
    };
    assert!(jobs(&all) > jobs(&entries), "an operator sees all tenants'");
    assert!(of(&rig, Some("nobody")).await.is_empty());

    let desk = Quarantine {
        records: rig.records.clone(),
        platform: rig.platform.clone(),
    };
    let client = rig.client.clone();
    let api = Api::of(client, Duration::from_secs(30), |state| {
        state.with_quarantine(desk)
    });
    let answer = api.get("/v1/correlations/order%2F7@shop?tenant=acme").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let told = answer.json();
    assert_eq!(told["correlation_id"], ID);
    assert_eq!(told["entries"].as_array().unwrap().len(), entries.len());
    let answer = api
        .get("/v1/correlations/order%2F7@shop?tenant=nobody")
        .await;
    assert_eq!(answer.json()["entries"], json!([]));
}
