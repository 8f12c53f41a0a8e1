use std::sync::Arc;

use metachat_jobs::platform::ConversationStatus;
use serde_json::{Value, json};

use super::on_both;
use super::server::{ModelServer, Reply};
use super::sql;
use crate::jobs::rig::{Rig, TENANT, text};

on_both! {
    an_answer_is_sent_disclaimed_reviewed_or_kept_back_as_sure_as_it_is,
    a_marker_is_neither_sent_nor_shown_to_the_model_again,
}

const HANDOFFS: &str =
    "select cast(data as text) from events where type = 'human_handoff.requested'";

async fn an_answer_is_sent_disclaimed_reviewed_or_kept_back_as_sure_as_it_is(rig: Arc<Rig>) {
    let cases = [
        (
            "We open in the morning.",
            "continue",
            "We open in the morning.",
            false,
        ),
        (
            "We open in the morning. [confidence: medium]",
            "send_with_disclaimer",
            "We open in the morning.\n\nPlease check.",
            false,
        ),
        (
            "We open in the morning. [confidence: low]",
            "suggest_review",
            "We open in the morning.\n\nPlease check.",
            true,
        ),
        (
            "We open in the morning. [confidence: very_low]",
            "immediate_escalation",
            "A human comes.",
            true,
        ),
    ];
    let server = ModelServer::start(cases.map(|(says, ..)| Reply::Say(says))).await;
    let settings = json!({
        "llm": server.llm("openai"), "texts": {"handoff": "A human comes."},
        "confidenceEscalation": {"enabled": true, "mode": "standard", "disclaimerText": "Please check."},
    });
    rig.configure(TENANT, &settings).await;
    let mut handoffs = 0;
    for (says, action, sent, escalates) in cases {
        let job = rig
            .send(TENANT, "webchat", text(action, action, "When?"))
            .await;
        let result = rig.result(job).await;
        assert_eq!(result["action"], action, "{says}");
        let conversation = result["conversationId"].as_str().unwrap();
        let said = rig.conversation(conversation).await;
        assert_eq!((said.len(), said[1].1.as_str()), (2, sent), "{says}");
        let status = rig.platform.conversation(TENANT, conversation).await;
        let status = status.unwrap().unwrap().status;
        assert_eq!(
            status == ConversationStatus::AssignedHuman,
            escalates,
            "{says}"
        );
        handoffs += usize::from(escalates);
        assert_eq!(
            sql::texts(&rig.platform, HANDOFFS).await.len(),
            handoffs,
            "{says}"
        );
    }
    let events = sql::texts(&rig.platform, HANDOFFS).await;
    let event: Value = serde_json::from_str(&events[0]).unwrap();
    assert_eq!(event["reason"], "low_confidence");
    let analysis = &event["confidenceAnalysis"];
    assert_eq!(analysis["signals"].as_array().unwrap().len(), 3);
    let escalated = "select cast(count(*) as bigint) from message_metrics where escalated";
    assert_eq!(sql::number(&rig.platform, escalated).await, 2);
    let scored =
        "select cast(count(*) as bigint) from message_metrics where confidence_score > 0.4";
    assert_eq!(sql::number(&rig.platform, scored).await, 4);
}

async fn a_marker_is_neither_sent_nor_shown_to_the_model_again(rig: Arc<Rig>) {
    // Also where nobody judges: a model may say it unasked.
    let server = ModelServer::start([Reply::Say("At nine. [confidence: medium]")]).await;
    rig.configure(TENANT, &json!({"llm": server.llm("openai")}))
        .await;
    for n in ["1", "2"] {
        let job = rig.send(TENANT, "webchat", text(n, "ada", "When?")).await;
        rig.result(job).await;
    }
    assert_eq!(rig.outbound(TENANT).await, ["At nine.", "At nine."]);
    let second = server.asked()[1].body.to_string();
    assert!(
        second.contains("At nine.") && !second.contains("confidence"),
        "{second}"
    );
}
