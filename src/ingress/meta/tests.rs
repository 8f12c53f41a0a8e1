use proptest::prelude::*;

use super::*;
use crate::ingress::any_json::any_json;

/// The names of Meta's fields, and kinds of messages.
const WORDS: &[&str] = &[
    "type",
    "text",
    "body",
    "from",
    "id",
    "mid",
    "timestamp",
    "image",
    "audio",
    "video",
    "document",
    "location",
    "contacts",
    "button",
    "interactive",
    "button_reply",
    "list_reply",
    "title",
    "payload",
    "attachments",
    "coordinates",
    "lat",
    "long",
    "url",
    "link",
    "file",
    "fallback",
    "name",
    "formatted_name",
    "message",
    "postback",
    "delivery",
    "is_echo",
    "sender",
    "wa_id",
    "profile",
];

/// A part of a webhook: an object with the fields that matter, any of them missing or odd.
fn event() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec!["text", "image", "location", "contacts", "interactive"]);
    let likely = (kind, any_json(WORDS), any_json(WORDS)).prop_map(|(kind, part, message)| {
        json!({"type": kind, kind: part, "from": "4915", "message": message, "timestamp": part})
    });
    prop_oneof![likely, any_json(WORDS)]
}

/// Each is whole, whatever it was made of.
fn check(received: &Received) -> Result<(), TestCaseError> {
    for message in &received.messages {
        for field in ["id", "externalId", "conversationId", "from", "type"] {
            prop_assert!(message[field].is_string(), "{}: {}", field, message);
        }
        prop_assert!(!message["id"].as_str().unwrap_or_default().is_empty());
        prop_assert_eq!(&message["direction"], "inbound");
        prop_assert!(message["content"].is_object(), "{}", message);
    }
    for name in received.ignored.keys() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        prop_assert!(name.len() <= 40 && name.chars().all(is_word), "{}", name);
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_message_of_whatsapp_is_whole_or_counted(
        events in prop::collection::vec(event(), 0..4),
        contacts in prop::collection::vec(any_json(WORDS), 0..2),
    ) {
        let value = json!({"messages": events, "contacts": contacts});
        let body = json!({"entry": [{"changes": [{"value": value}]}]}).to_string();
        let received = whatsapp("acme", body.as_bytes()).unwrap();
        check(&received)?;
        let ignored: usize = received.ignored.values().sum();
        prop_assert_eq!(received.messages.len() + ignored, events.len());
        prop_assert_eq!(whatsapp("acme", body.as_bytes()).unwrap(), received, "twice the same");
    }

    #[test]
    fn every_event_of_messenger_is_whole_or_counted(
        events in prop::collection::vec(event(), 0..4),
    ) {
        let body = json!({"entry": [{"messaging": events}]}).to_string();
        let received = messenger("acme", body.as_bytes()).unwrap();
        check(&received)?;
        let ignored: usize = received.ignored.values().sum();
        prop_assert!(received.messages.len() + ignored >= events.len(), "none is lost");
        prop_assert_eq!(messenger("acme", body.as_bytes()).unwrap(), received, "twice the same");
    }

    #[test]
    fn any_other_body_is_refused_without_a_word_of_it(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        value in any_json(WORDS),
    ) {
        for body in [bytes, value.to_string().into_bytes(), b"{\"entry\": \"hunter2\"}".to_vec()] {
            for read in [whatsapp("acme", &body), messenger("acme", &body)] {
                match read {
                    Ok(received) => check(&received)?,
                    Err(refused) => prop_assert!(!refused.to_string().contains("hunter2")),
                }
            }
        }
    }

    #[test]
    fn no_header_is_a_signature_by_chance(header in "\\PC{0,80}|sha256=[0-9a-f]{60,66}", body in "\\PC{0,20}") {
        prop_assert!(!is_signed(body.as_bytes(), &header, "app-secret"));
    }
}
