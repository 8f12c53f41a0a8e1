//! What the model is told: who it is, and what was said so far.

use serde_json::Value;

use super::confidence::strip;
use crate::platform::{Direction, Message, SelfAssessment, TenantSettings};
use crate::services::models::{Role, Turn};

/// Who the model is to be and how it is to speak.
pub(super) fn system(settings: &TenantSettings) -> String {
    let mut parts = vec![
        format!("You are the customer assistant of {}.", settings.brand_name),
        format!("Speak in a {} tone.", settings.tone),
    ];
    if !settings.locale.is_empty() {
        parts.push(format!(
            "Preferred languages: {}.",
            settings.locale.join(", ")
        ));
    }
    parts.extend(settings.llm.system_prompt.clone());
    if settings.escalation.enabled {
        parts.push(self_assessment(settings.escalation.strategy).to_owned());
    }
    parts.join("\n\n")
}

/// How the model is to tell how sure it is. The marker is taken out of what is sent.
fn self_assessment(strategy: SelfAssessment) -> &'static str {
    match strategy {
        SelfAssessment::ExplicitMarker => {
            "If you are less than sure of your answer, end it with one of [confidence: medium], \
             [confidence: low] or [confidence: very_low]; very_low means that a human should answer \
             instead. Add nothing if you are sure."
        }
        SelfAssessment::ChainOfThought => {
            "Before you answer, weigh silently what you know, what you assume and what is missing. Show \
             none of it. If anything is assumed or missing, end your answer with one of \
             [confidence: medium], [confidence: low] or [confidence: very_low]; very_low means that a \
             human should answer instead."
        }
        SelfAssessment::UncertaintyAcknowledgment => {
            "Where you are not sure, say so in plain words, and say what you are not sure of."
        }
    }
}

/// One message as the model reads it.
pub(super) fn turn(message: &Message) -> Turn {
    let words = message.text();
    let medium = medium(&message.kind, &message.content);
    let content = match (medium, words) {
        (None, Some(words)) if message.direction == Direction::Outbound => strip(words),
        (None, words) => words.unwrap_or_default().to_owned(),
        (Some(medium), None) => format!("[{medium}]"),
        (Some(medium), Some(words)) => format!("[{medium}] {words}"),
    };
    Turn {
        role: match message.direction {
            Direction::Inbound => Role::User,
            Direction::Outbound => Role::Assistant,
        },
        content,
    }
}

/// A few words for what is not text, instead of the channel's JSON.
fn medium(kind: &str, content: &Value) -> Option<String> {
    let text = |value: &Value| {
        let text = value.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let named = |name: Option<String>| match name {
        Some(name) => format!("{kind}: {name}"),
        None => kind.to_owned(),
    };
    match kind {
        "text" => None,
        "location" => {
            let place = &content["location"];
            let parts = [text(&place["name"]), text(&place["address"])];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            Some(named((!parts.is_empty()).then(|| parts.join(", "))))
        }
        _ => Some(named(text(&content["media"]["filename"]))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass::Timestamp;

    use super::*;
    use crate::platform::Private;

    fn said(direction: Direction, kind: &str, content: Value) -> String {
        let message = Message {
            id: "m".into(),
            conversation_id: "c".into(),
            external_id: None,
            direction,
            from: "ada".into(),
            kind: kind.into(),
            content: Private(content),
            metadata: Private(json!({})),
            at: Timestamp::from_micros(0),
        };
        turn(&message).content
    }

    #[test]
    fn media_are_described_and_not_shown_as_json() {
        let inbound = |kind, content| said(Direction::Inbound, kind, content);
        let media = json!({"url": "https://x/1", "mimeType": "image/png", "caption": "this one"});
        assert_eq!(inbound("text", json!({"text": "Hi"})), "Hi");
        assert_eq!(
            inbound("image", json!({"media": media})),
            "[image] this one"
        );
        assert_eq!(
            inbound("audio", json!({"media": {"url": "https://x/2"}})),
            "[audio]"
        );
        let file = json!({"media": {"url": "", "filename": "invoice.pdf"}});
        assert_eq!(inbound("document", file), "[document: invoice.pdf]");
        let place = json!({"location": {"latitude": 1, "longitude": 2, "name": "Home", "address": "Elm St"}});
        assert_eq!(inbound("location", place), "[location: Home, Elm St]");
        assert_eq!(inbound("sticker", json!({})), "[sticker]");
    }

    #[test]
    fn a_marker_in_an_old_answer_is_not_shown_again() {
        let answer = json!({"text": "At nine. [confidence: low]"});
        assert_eq!(
            said(Direction::Outbound, "text", answer.clone()),
            "At nine."
        );
        let quoted = "At nine. [confidence: low]";
        assert_eq!(said(Direction::Inbound, "text", answer), quoted);
    }

    #[test]
    fn the_model_is_told_to_judge_itself_only_where_somebody_listens() {
        let mut settings = TenantSettings::default();
        assert!(!system(&settings).contains("confidence"));
        settings.escalation.enabled = true;
        assert!(system(&settings).contains("[confidence: very_low]"));
        settings.escalation.strategy = SelfAssessment::UncertaintyAcknowledgment;
        assert!(!system(&settings).contains("[confidence"));
    }
}
