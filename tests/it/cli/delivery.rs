//! What `jobctl` shows of messages and events on their way out, and decides of them.

use metachat_jobs::cli::Exit;
use metachat_jobs::records::{NewOutgoing, Records, SendState, Sent};
use serde_json::json;
use windlass::JobId;
use windlass::db::{Db, Sqlite, SqliteOptions};

use super::commands::Desk;

/// A part of a message whose reply was lost, of a job that retention has deleted.
async fn lost(records: &Records, message: &str) -> String {
    let job = JobId::new();
    let new = NewOutgoing {
        job,
        tenant: "acme",
        conversation: "c1",
        message,
        channel: "whatsapp",
        parts: 1,
    };
    let part = records.open_outbox(&new).await.unwrap().remove(0);
    let request = uuid::Uuid::now_v7();
    assert!(records.begin_send(&part, request, job).await.unwrap());
    let sent = Sent {
        state: SendState::Unknown,
        provider_id: None,
        error: Some("the connection was lost"),
    };
    assert!(records.end_send(&part, request, &sent).await.unwrap());
    part.id.to_string()
}

#[tokio::test]
async fn the_outbox_is_listed_and_decided_on() {
    let desk = Desk::new().await;
    let records = Records::new(Db::Sqlite(Sqlite::new(
        desk.file(),
        &SqliteOptions::default(),
    )));
    let (first, second) = (lost(&records, "m1").await, lost(&records, "m2").await);

    let listed = desk.run(&["outbox", "list", "--state", "unknown"]).await;
    assert_eq!(listed.exit, Exit::Done, "{}", listed.err);
    assert!(listed.out.contains(&first) && listed.out.contains("the connection was lost"));
    let nobodys = desk.json(&["outbox", "list", "--tenant", "other"]).await;
    assert_eq!(nobodys, json!([]));

    let others = desk
        .run(&["outbox", "mark-sent", &first, "--tenant", "other"])
        .await;
    assert_eq!(others.exit, Exit::NotFound, "{}", others.err);
    let marked = ["outbox", "mark-sent", &first, "--provider-id", "wamid.1"];
    let marked = desk.json(&marked).await;
    assert_eq!(
        (&marked[0]["state"], &marked[0]["provider_id"]),
        (&json!("sent"), &json!("wamid.1"))
    );
    let twice = desk.run(&["outbox", "resend", &first]).await;
    assert_eq!(twice.exit, Exit::Failed);
    assert!(twice.err.contains("not sent twice"), "{}", twice.err);

    let resent = desk
        .json(&["outbox", "resend", &second, "--reason", "not there"])
        .await;
    assert_eq!(resent[0]["state"], "pending");
    // Each goes on by a new job, as the old one is gone.
    let jobs = desk.json(&["list", "--kind", "deliver_message"]).await;
    let jobs = jobs.to_string();
    assert!(jobs.contains("\"available\""), "{jobs}");
    let audit = desk.json(&["audit", "--action", "outbox.resend"]).await;
    assert_eq!(audit[0]["reason"], "not there");
}

#[tokio::test]
async fn a_webhook_that_was_told_nothing_has_no_deliveries() {
    let desk = Desk::new().await;
    assert_eq!(
        desk.json(&["webhooks", "deliveries", "w1"]).await,
        json!([])
    );
    let id = "0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d";
    let told = desk.run(&["webhooks", "replay", id]).await;
    assert_eq!(told.exit, Exit::NotFound, "{}", told.err);
}
