use std::sync::Arc;

use metachat_jobs::platform::{ConversationStatus, Direction};
use metachat_jobs::services::models::{ChatKind, ModelOptions};
use serde_json::{Value, json};
use windlass::State;
use windlass::model::{AttemptOutcome, Enqueued, Filter, Page};

use super::rig::{Rig, TENANT, on_postgres, on_sqlite, text};

macro_rules! on_both {
    ($($name:ident: $models:expr),* $(,)?) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_postgres($models, super::$name).await; })* }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_sqlite($models, super::$name).await; })* }
    };
}

on_both! {
    a_question_is_answered_from_the_right_document: super::ModelOptions::default(),
    a_message_that_comes_twice_is_answered_once: super::ModelOptions::default(),
    messages_of_one_conversation_are_answered_in_order: super::ModelOptions::default(),
    what_a_tenant_makes_impossible_is_set_aside_with_its_reason: super::ModelOptions::default(),
    a_conversation_with_a_human_is_left_to_the_human: super::ModelOptions::default(),
    a_model_that_is_down_uses_no_attempt: super::unreachable_model(),
    a_tenant_never_sees_anothers_documents: super::ModelOptions::default(),
}

/// Nothing listens on port 1.
fn unreachable_model() -> ModelOptions {
    let mut options = ModelOptions {
        model: ChatKind::Ollama,
        ..ModelOptions::default()
    };
    "http://127.0.0.1:1".clone_into(&mut options.ollama.base_url);
    options
}

async fn a_question_is_answered_from_the_right_document(rig: Arc<Rig>) {
    for (name, words) in [
        (
            "opening-hours.md",
            "# Opening hours\n\nThe shop opens at nine and closes at six, on Saturdays at noon.",
        ),
        (
            "returns.md",
            "# Returns\n\nA parcel may be returned within thirty days, free of charge, with its receipt.",
        ),
        (
            "garden.md",
            "# Garden\n\nTomatoes want sun, water in the morning and a stake to climb.",
        ),
    ] {
        let (job, _) = rig.add_document(name, words).await;
        assert_eq!(rig.finished(job).await.state, State::Completed);
    }
    let question = "Within how many days may I return a parcel?";
    let job = rig
        .send(TENANT, "webchat", text("m1", "ada", question))
        .await;
    let result = rig.result(job).await;
    assert_eq!(result["sources"][0]["name"], "returns.md");

    let said = rig
        .conversation(result["conversationId"].as_str().unwrap())
        .await;
    assert_eq!(said.len(), 2);
    assert_eq!(said[0], (Direction::Inbound, question.to_owned()));
    assert!(
        said[1].1.contains("thirty days") && said[1].1.contains("returns.md"),
        "{}",
        said[1].1
    );

    let delivery = result["deliveryJobId"].as_str().unwrap().parse().unwrap();
    assert!(rig.result(delivery).await["eventId"].is_string());
}

async fn a_message_that_comes_twice_is_answered_once(rig: Arc<Rig>) {
    let first = rig
        .send(TENANT, "webchat", text("same", "ada", "hello"))
        .await;
    let result = rig.result(first).await;
    let again: metachat_jobs::jobs::ProcessMessage = serde_json::from_value(json!({
        "tenantId": TENANT, "channel": "webchat",
        "message": {"type": "message.received", "message": text("same", "ada", "hello")},
    }))
    .unwrap();
    assert_eq!(
        rig.client.enqueue(&again).await.unwrap(),
        Enqueued::Duplicate(first)
    );
    let said = rig
        .conversation(result["conversationId"].as_str().unwrap())
        .await;
    assert_eq!(said.len(), 2);
}

async fn messages_of_one_conversation_are_answered_in_order(rig: Arc<Rig>) {
    let mut jobs = Vec::new();
    for n in 0..20 {
        for person in ["ada", "grace"] {
            let id = format!("{person}-{n}");
            jobs.push(
                rig.send(TENANT, "webchat", text(&id, person, &format!("words {n}")))
                    .await,
            );
        }
    }
    let mut done = Vec::new();
    for job in &jobs {
        done.push(rig.finished(*job).await);
    }
    for person in 0..2 {
        let line: Vec<_> = done.iter().skip(person).step_by(2).collect();
        for pair in line.windows(2) {
            assert!(
                pair[0].finished_at <= pair[1].claimed_at,
                "one at a time, in order"
            );
        }
    }
    let last: Value = done[39].result.clone().unwrap().decode().unwrap();
    let said = rig
        .conversation(last["conversationId"].as_str().unwrap())
        .await;
    let inbound: Vec<_> = said
        .iter()
        .filter(|(way, _)| *way == Direction::Inbound)
        .collect();
    assert_eq!((inbound.len(), said.len()), (20, 40));
    assert!(
        inbound
            .iter()
            .enumerate()
            .all(|(n, (_, words))| *words == format!("words {n}"))
    );
}

async fn what_a_tenant_makes_impossible_is_set_aside_with_its_reason(rig: Arc<Rig>) {
    let why = async |tenant: &str, channel: &str| {
        let job = rig.send(tenant, channel, text("m", "ada", "hello")).await;
        let job = rig.finished(job).await;
        let error = job
            .attempts
            .last()
            .and_then(|attempt| attempt.error.clone());
        (
            job.state,
            error.map(|error| error.message).unwrap_or_default(),
        )
    };
    let (state, reason) = why("nobody", "webchat").await;
    assert_eq!(state, State::Dead);
    assert!(reason.contains("tenantId"), "{reason}");
    let (state, reason) = why(TENANT, "pigeon").await;
    assert_eq!(state, State::Dead);
    assert!(
        reason.contains("channel: expected whatsapp, messenger or webchat"),
        "{reason}"
    );

    // A channel that cannot be delivered to yet is answered, and its delivery set aside, visibly.
    let job = rig
        .send(TENANT, "whatsapp", text("w", "ada", "hello"))
        .await;
    let delivery = rig.result(job).await["deliveryJobId"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let delivery = rig.finished(delivery).await;
    assert_eq!(delivery.state, State::Dead);
    assert!(
        delivery.attempts[0]
            .error
            .as_ref()
            .unwrap()
            .message
            .contains("whatsapp")
    );
}

async fn a_conversation_with_a_human_is_left_to_the_human(rig: Arc<Rig>) {
    let job = rig.send(TENANT, "webchat", text("1", "ada", "hello")).await;
    let conversation = rig.result(job).await["conversationId"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut tx = rig.platform.begin(TENANT).await.unwrap();
    rig.platform
        .set_conversation_status(
            &mut tx,
            TENANT,
            &conversation,
            &ConversationStatus::AssignedHuman,
        )
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let job = rig
        .send(TENANT, "webchat", text("2", "ada", "is a human there?"))
        .await;
    assert_eq!(rig.result(job).await["reason"], "assigned_human");
    let said = rig.conversation(&conversation).await;
    assert_eq!(
        said.last().unwrap(),
        &(Direction::Inbound, "is a human there?".to_owned())
    );
    assert_eq!(said.len(), 3, "the message is kept, the machine is silent");
}

async fn a_model_that_is_down_uses_no_attempt(rig: Arc<Rig>) {
    let job = rig
        .send(TENANT, "webchat", text("1", "ada", "a secret question"))
        .await;
    let job = rig.until(job, |job| !job.attempts.is_empty()).await;
    assert_eq!((job.state, job.attempt), (State::Scheduled, 0));
    assert_eq!(job.attempts[0].outcome, AttemptOutcome::Snoozed);
    let error = format!("{:?}", job.attempts[0].error);
    assert!(
        error.contains("unavailable") && !error.contains("secret"),
        "{error}"
    );
}

async fn a_tenant_never_sees_anothers_documents(rig: Arc<Rig>) {
    let (job, _) = rig
        .add_document("secret.md", "The launch code of the rocket is umbrella.")
        .await;
    rig.finished(job).await;
    rig.create_tenant("rival", &json!({})).await;
    let question = "What is the launch code of the rocket?";
    let job = rig
        .send("rival", "webchat", text("1", "eve", question))
        .await;
    let result = rig.result(job).await;
    assert_eq!(result["sources"], json!([]));
    let filter = Filter {
        tenant_id: Some("rival".into()),
        ..Filter::default()
    };
    let jobs = rig.client.list(&filter, Page::default()).await.unwrap();
    assert!(!jobs.is_empty());
    assert!(
        jobs.iter()
            .all(|job| job.tenant_id.as_deref() == Some("rival"))
    );
}
