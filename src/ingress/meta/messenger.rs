use serde::Deserialize;
use serde_json::{Value, json};

use super::{Content, Incoming, Media, Received, Unreadable, derived_id, parse, text};

/// Attachments of one message that become messages; the page's own app sends far fewer.
const MOST_ATTACHMENTS: usize = 64;

#[derive(Deserialize)]
struct Webhook {
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    messaging: Vec<Value>,
}

/// The messages in a webhook of Messenger. Each further attachment of one is a message of its own.
pub fn messages(tenant: &str, body: &[u8]) -> Result<Received, Unreadable> {
    let webhook: Webhook = parse(body, "Messenger")?;
    let mut received = Received::default();
    for event in webhook.entry.iter().flat_map(|entry| &entry.messaging) {
        match contents(event) {
            Ok(mut contents) => {
                for _ in contents.drain(contents.len().min(MOST_ATTACHMENTS)..) {
                    received.ignore("attachment");
                }
                let messages = normalised(tenant, event, contents);
                received.messages.extend(messages);
            }
            Err(what) => received.ignore(what),
        }
    }
    Ok(received)
}

/// What a person said or sent, or the name of what the event is instead.
fn contents(event: &Value) -> Result<Vec<Content>, &'static str> {
    if let Some(pressed) = event.get("postback") {
        let said = text(&pressed["title"]).or_else(|| text(&pressed["payload"]));
        return said.map(|said| vec![Content::Text(said)]).ok_or("postback");
    }
    let Some(message) = event.get("message") else {
        let known = [
            "delivery",
            "read",
            "reaction",
            "optin",
            "referral",
            "account_linking",
        ];
        let named = known.into_iter().find(|name| event.get(name).is_some());
        return Err(named.unwrap_or("other"));
    };
    if message["is_echo"] == true {
        return Err("echo");
    }
    let said = text(&message["text"]).map(Content::Text);
    let attachments = message["attachments"].as_array().into_iter().flatten();
    let contents: Vec<Content> = said
        .into_iter()
        .chain(attachments.filter_map(attachment))
        .collect();
    if contents.is_empty() {
        return Err("unsupported");
    }
    Ok(contents)
}

fn attachment(attachment: &Value) -> Option<Content> {
    let payload = &attachment["payload"];
    let kind = match attachment["type"].as_str()? {
        "image" => "image",
        "audio" => "audio",
        "video" | "reel" | "ig_reel" => "video",
        "file" => "document",
        "location" => {
            return Some(Content::Location(json!({
                "latitude": payload["coordinates"]["lat"],
                "longitude": payload["coordinates"]["long"],
                "name": attachment["title"],
            })));
        }
        // A link that was shared, with the page's title.
        _ => {
            return text(&payload["url"])
                .or_else(|| text(&payload["title"]))
                .map(Content::Text);
        }
    };
    let media = Media {
        url: text(&payload["url"]),
        ..Media::default()
    };
    Some(Content::Media(kind, media))
}

fn normalised(tenant: &str, event: &Value, contents: Vec<Content>) -> Vec<Value> {
    let from = event["sender"]["id"].as_str().unwrap_or("unknown");
    let id = ["message", "postback"]
        .iter()
        .find_map(|part| text(&event[part]["mid"]))
        .unwrap_or_else(|| derived_id(tenant, event));
    let one = |(place, content)| {
        Incoming {
            tenant,
            id: if place == 0 {
                id.clone()
            } else {
                format!("{id}:{place}")
            },
            from,
            timestamp: event["timestamp"].as_i64(),
            content,
            // Once for all of them: it holds them all.
            metadata: (place == 0)
                .then(|| ("raw".to_owned(), event.clone()))
                .into_iter()
                .collect(),
        }
        .normalised()
    };
    contents.into_iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(events: &Value) -> Received {
        let body = json!({"object": "page", "entry": [{"id": "1", "messaging": events}]});
        messages("acme", body.to_string().as_bytes()).unwrap()
    }

    fn said(message: &Value) -> Value {
        json!({"sender": {"id": "7"}, "recipient": {"id": "page"}, "timestamp": 1_767_225_600_123_i64,
            "message": message})
    }

    #[test]
    fn a_text_keeps_its_id_and_its_time() {
        let received = webhook(&json!([said(&json!({"mid": "m1", "text": "Hello"}))]));
        let message = &received.messages[0];
        assert_eq!(
            (&message["id"], &message["conversationId"]),
            (&json!("m1"), &json!("acme:7"))
        );
        assert_eq!(message["timestamp"], 1_767_225_600_123_i64);
        assert_eq!(message["content"], json!({"text": "Hello"}));
    }

    #[test]
    fn what_the_page_itself_wrote_is_no_message() {
        let received = webhook(&json!([
            said(&json!({"mid": "m1", "text": "ours", "is_echo": true})),
            {"sender": {"id": "7"}, "read": {"watermark": 1}},
            {"sender": {"id": "7"}, "something": "new"},
        ]));
        assert_eq!(received.messages, Vec::<Value>::new());
        let ignored: Vec<String> = received.ignored.into_keys().collect();
        assert_eq!(ignored, ["echo", "other", "read"]);
    }

    #[test]
    fn every_attachment_is_kept_and_a_file_is_a_document() {
        let received = webhook(&json!([said(
            &json!({"mid": "m1", "text": "two files", "attachments": [
                {"type": "file", "payload": {"url": "https://cdn.example/a.pdf"}},
                {"type": "location", "payload": {"coordinates": {"lat": 1.5, "long": 2.5}}},
            ]})
        )]));
        let seen: Vec<_> = received
            .messages
            .iter()
            .map(|m| (&m["id"], &m["type"]))
            .collect();
        assert_eq!(
            json!(seen),
            json!([["m1", "text"], ["m1:1", "document"], ["m1:2", "location"]])
        );
        assert_eq!(
            received.messages[2]["content"]["location"]["longitude"],
            2.5
        );
    }

    #[test]
    fn attachments_without_end_make_some_messages_and_one_copy_of_the_event() {
        let image = json!({"type": "image", "payload": {"url": "https://cdn.example/a.png"}});
        let many = said(&json!({"mid": "m1", "attachments": vec![image; 1000]}));
        let received = webhook(&json!([many]));
        assert_eq!(received.messages.len(), MOST_ATTACHMENTS);
        assert_eq!(received.ignored["attachment"], 1000 - MOST_ATTACHMENTS);
        let raw = |message: &Value| message["metadata"]["raw"].is_object();
        assert!(raw(&received.messages[0]));
        assert!(!received.messages[1..].iter().any(raw));
        assert_eq!(received.messages[1]["metadata"], json!({}));
    }

    #[test]
    fn a_button_says_its_title() {
        let event = json!({"sender": {"id": "7"}, "postback": {"mid": "p1", "title": "Start", "payload": "GO"}});
        let received = webhook(&json!([event]));
        assert_eq!(received.messages[0]["content"]["text"], "Start");
        assert_eq!(received.messages[0]["id"], "p1");
    }
}
