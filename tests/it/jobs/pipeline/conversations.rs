use std::sync::Arc;

use metachat_jobs::platform::{ConversationStatus, Direction};
use serde_json::json;
use windlass::State;

use super::on_both;
use super::server::{ModelServer, Reply};
use super::sql;
use crate::jobs::rig::{Rig, TENANT, text};

on_both! {
    an_old_message_of_a_closed_conversation_is_kept_and_a_new_one_opens_it,
    a_human_who_takes_over_while_the_model_thinks_is_not_talked_over,
    a_keyword_calls_a_human_once_and_the_writer_is_told,
    media_are_described_to_the_model,
    a_message_that_comes_very_late_is_what_is_answered,
    quick_messages_are_answered_together,
}

async fn set_status(rig: &Rig, conversation: &str, status: &ConversationStatus) {
    let mut tx = rig.platform.begin(TENANT).await.unwrap();
    let set = rig
        .platform
        .set_conversation_status(&mut tx, TENANT, conversation, status);
    set.await.unwrap();
    tx.commit().await.unwrap();
}

async fn an_old_message_of_a_closed_conversation_is_kept_and_a_new_one_opens_it(rig: Arc<Rig>) {
    let first = rig.send(TENANT, "webchat", text("1", "ada", "hello")).await;
    let conversation = rig.result(first).await["conversationId"].clone();
    let conversation = conversation.as_str().unwrap();
    set_status(&rig, conversation, &ConversationStatus::Closed).await;

    let mut old = text("2", "ada", "I wrote this long ago");
    old["timestamp"] = json!("2020-01-01T00:00:00Z");
    let old = rig.result(rig.send(TENANT, "webchat", old).await).await;
    assert_eq!(
        (&old["reason"], &old["answered"]),
        (&json!("closed"), &json!(false))
    );
    assert_eq!(rig.conversation(conversation).await.len(), 3, "it is kept");

    let new = rig
        .send(TENANT, "webchat", text("3", "ada", "hello again"))
        .await;
    assert!(rig.result(new).await["outboundId"].is_string());
    let conversation = rig
        .platform
        .conversation(TENANT, conversation)
        .await
        .unwrap();
    assert_eq!(conversation.unwrap().status, ConversationStatus::Active);
}

async fn a_human_who_takes_over_while_the_model_thinks_is_not_talked_over(rig: Arc<Rig>) {
    let server = ModelServer::behind_a_gate([Reply::Say("I am a machine.")]).await;
    rig.configure(TENANT, &json!({"llm": server.llm("openai")}))
        .await;
    let job = rig.send(TENANT, "webchat", text("1", "ada", "hello")).await;
    rig.until(job, |_| server.asked().len() == 1).await;
    let id = sql::texts(&rig.platform, "select id from conversations").await;
    set_status(&rig, &id[0], &ConversationStatus::AssignedHuman).await;
    server.open();
    assert_eq!(rig.result(job).await["reason"], "assigned_human");
    assert_eq!(
        rig.conversation(&id[0]).await,
        [(Direction::Inbound, "hello".to_owned())]
    );
}

async fn a_keyword_calls_a_human_once_and_the_writer_is_told(rig: Arc<Rig>) {
    let settings = json!({
        "enableHumanHandoff": true, "humanHandoffKeywords": ["Agent", " "],
        "texts": {"handoff": "Somebody will be with you."},
    });
    rig.configure(TENANT, &settings).await;
    let mut picture = text("1", "ada", "");
    picture["type"] = json!("image");
    picture["content"] = json!({"media": {"url": "", "caption": "an AGENT, please"}});
    let result = rig.result(rig.send(TENANT, "webchat", picture).await).await;
    assert_eq!(result["reason"], "keyword");
    assert_eq!(rig.outbound(TENANT).await, ["Somebody will be with you."]);
    let delivery = result["deliveryJobId"].as_str().unwrap().parse().unwrap();
    assert_eq!(rig.finished(delivery).await.state, State::Completed);

    let next = rig
        .send(TENANT, "webchat", text("2", "ada", "agent?"))
        .await;
    assert_eq!(rig.result(next).await["reason"], "assigned_human");
    let handoffs = "select cast(data as text) from events where type = 'human_handoff.requested'";
    let events = sql::texts(&rig.platform, handoffs).await;
    assert_eq!(events.len(), 1);
    let event: serde_json::Value = serde_json::from_str(&events[0]).unwrap();
    let expected = json!({
        "conversationId": result["conversationId"], "messageId": result["inboundId"],
        "channel": "webchat", "reason": "keyword", "keywords": ["Agent", " "],
    });
    assert_eq!(event, expected);
    let escalated = "select cast(count(*) as bigint) from message_metrics where escalated";
    assert_eq!(sql::number(&rig.platform, escalated).await, 1);
}

async fn media_are_described_to_the_model(rig: Arc<Rig>) {
    let server = ModelServer::start([Reply::Say("Nice.")]).await;
    rig.configure(TENANT, &json!({"llm": server.llm("openai")}))
        .await;
    for n in 0..22 {
        let mut message = text(&n.to_string(), "ada", "");
        message["type"] = json!("document");
        message["content"] = json!({"media": {"url": "https://x", "filename": format!("{n}.pdf")}});
        let job = rig.send(TENANT, "webchat", message).await;
        rig.result(job).await;
    }
    let last = &server.asked()[21].body["messages"];
    let said: Vec<&str> = last.as_array().unwrap()[1..]
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(said.len(), 20, "the newest twenty");
    assert_eq!(said[19], "[document: 21.pdf]");
    assert_eq!(said[18], "Nice.");
    assert_eq!(said[17], "[document: 20.pdf]");
    assert!(!last.to_string().contains("https://x"));
}

async fn a_message_that_comes_very_late_is_what_is_answered(rig: Arc<Rig>) {
    let server = ModelServer::start([Reply::Say("Noted.")]).await;
    rig.configure(TENANT, &json!({"llm": server.llm("openai")}))
        .await;
    for n in 0..12 {
        let words = format!("word {n}");
        let job = rig
            .send(TENANT, "webchat", text(&words, "ada", &words))
            .await;
        rig.result(job).await;
    }
    // As one that was in quarantine, or in a queue, for long.
    let mut late = text("late", "ada", "Where is my parcel?");
    late["timestamp"] = json!("2020-01-01T00:00:00Z");
    let late = rig.send(TENANT, "webchat", late).await;
    assert!(rig.result(late).await["outboundId"].is_string());
    let asked = server.asked();
    let said = asked.last().unwrap().body["messages"].as_array().unwrap();
    assert_eq!(said.last().unwrap()["content"], "Where is my parcel?");
}

async fn quick_messages_are_answered_together(rig: Arc<Rig>) {
    let server = ModelServer::start([Reply::Say("All right.")]).await;
    let settings = json!({"messageDebounceMs": 1500, "llm": server.llm("openai")});
    rig.configure(TENANT, &settings).await;
    let mut jobs = Vec::new();
    for words in ["I want", "to return", "a parcel"] {
        jobs.push(rig.send(TENANT, "webchat", text(words, "ada", words)).await);
    }
    let mut answers = Vec::new();
    for job in jobs {
        let result = rig.result(job).await;
        answers.push(result["outboundId"].is_string());
        if !answers[answers.len() - 1] {
            assert_eq!(result["reason"], "answered_with_a_later_one");
        }
    }
    assert_eq!(answers, [false, false, true]);
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "one answer for the group");
    let said = asked[0].body["messages"].as_array().unwrap();
    let said: Vec<_> = said[1..]
        .iter()
        .map(|message| &message["content"])
        .collect();
    assert_eq!(said, ["I want", "to return", "a parcel"]);
    let inbound = "select cast(count(*) as bigint) from messages where direction = 'inbound'";
    assert_eq!(sql::number(&rig.platform, inbound).await, 3);
    assert_eq!(rig.outbound(TENANT).await, ["All right."]);

    // Alone, a message is answered after the window.
    let alone = rig
        .send(TENANT, "webchat", text("4", "ada", "Thanks"))
        .await;
    assert!(rig.result(alone).await["outboundId"].is_string());
}
