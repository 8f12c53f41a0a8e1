use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Content, Incoming, Media, Received, Unreadable, derived_id, parse, text};

#[derive(Deserialize)]
struct Webhook {
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    value: Changed,
}

#[derive(Deserialize, Default)]
struct Changed {
    #[serde(default)]
    contacts: Vec<Value>,
    #[serde(default)]
    messages: Vec<Value>,
    #[serde(default)]
    statuses: Vec<Value>,
}

/// The messages in a webhook of the WhatsApp Cloud API.
///
/// ```
/// use metachat_jobs::ingress::meta;
///
/// let body = br#"{"entry": [{"changes": [{"value": {"messages": [
///     {"from": "4915", "id": "wamid.1", "timestamp": "1767225600", "type": "text", "text": {"body": "Hi"}}
/// ]}}]}]}"#;
/// let received = meta::whatsapp("acme", body)?;
/// assert_eq!(received.messages[0]["conversationId"], "acme:4915");
/// # Ok::<(), meta::Unreadable>(())
/// ```
pub fn messages(tenant: &str, body: &[u8]) -> Result<Received, Unreadable> {
    let webhook: Webhook = parse(body, "WhatsApp")?;
    let mut received = Received::default();
    let changes = webhook.entry.into_iter().flat_map(|entry| entry.changes);
    for Change { value } in changes {
        for _ in &value.statuses {
            received.ignore("status");
        }
        for message in &value.messages {
            match normalised(tenant, message, &value.contacts) {
                Ok(message) => received.messages.push(message),
                Err(kind) => received.ignore(&kind),
            }
        }
    }
    Ok(received)
}

/// The message, or the name of its kind if nobody could answer it.
fn normalised(tenant: &str, message: &Value, contacts: &[Value]) -> Result<Value, String> {
    let kind = message["type"].as_str().unwrap_or_default();
    let content = content(kind, message).ok_or_else(|| kind.to_owned())?;
    let from = message["from"].as_str().unwrap_or("unknown");
    let mut metadata = Map::from_iter([("raw".to_owned(), message.clone())]);
    let name = contacts
        .iter()
        .find(|contact| contact["wa_id"] == message["from"])
        .and_then(|contact| text(&contact["profile"]["name"]));
    if let Some(name) = name {
        metadata.insert("profileName".to_owned(), json!(name));
    }
    Ok(Incoming {
        tenant,
        id: text(&message["id"]).unwrap_or_else(|| derived_id(tenant, message)),
        from,
        timestamp: seconds(&message["timestamp"]).map(|seconds| seconds.saturating_mul(1000)),
        content,
        metadata,
    }
    .normalised())
}

/// What a person said or sent. A press on a button is what the button says.
fn content(kind: &str, message: &Value) -> Option<Content> {
    let part = &message[kind];
    let said = |value: &Value| text(value).map(Content::Text);
    match kind {
        "text" => Some(Content::Text(text(&part["body"]).unwrap_or_default())),
        "button" => said(&part["text"]).or_else(|| said(&part["payload"])),
        "interactive" => ["button_reply", "list_reply"]
            .iter()
            .find_map(|reply| said(&part[reply]["title"])),
        "image" | "sticker" => Some(Content::Media("image", media(part))),
        "audio" | "voice" => Some(Content::Media("audio", media(part))),
        "video" => Some(Content::Media("video", media(part))),
        "document" => Some(Content::Media("document", media(part))),
        "location" => Some(Content::Location(json!({
            "latitude": part["latitude"],
            "longitude": part["longitude"],
            "name": part["name"],
            "address": part["address"],
        }))),
        "contacts" => {
            let names = part.as_array()?.iter();
            let names: Vec<String> = names
                .filter_map(|contact| text(&contact["name"]["formatted_name"]))
                .collect();
            Some(Content::Text(names.join(", ")))
        }
        _ => None,
    }
}

fn media(part: &Value) -> Media {
    Media {
        id: text(&part["id"]),
        url: text(&part["link"]),
        mime_type: text(&part["mime_type"]),
        filename: text(&part["filename"]),
        caption: text(&part["caption"]),
    }
}

/// Meta writes them as text.
fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(value: &Value) -> Received {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"changes": [
            {"field": "messages", "value": value},
        ]}]});
        messages("acme", body.to_string().as_bytes()).unwrap()
    }

    fn one(message: &Value) -> Value {
        let received = webhook(&json!({"messages": [message]}));
        assert_eq!(received.ignored.len(), 0);
        received.messages.into_iter().next().unwrap()
    }

    #[test]
    fn a_text_keeps_its_id_its_time_and_who_wrote_it() {
        let value = json!({
            "contacts": [{"wa_id": "4915", "profile": {"name": "Ada"}}],
            "messages": [{"from": "4915", "id": "wamid.1", "timestamp": "1767225600", "type": "text",
                "text": {"body": "Hello"}}],
        });
        let message = webhook(&value).messages.remove(0);
        assert_eq!(message["id"], "wamid.1");
        assert_eq!(message["externalId"], "wamid.1");
        assert_eq!(message["conversationId"], "acme:4915");
        assert_eq!(message["timestamp"], 1_767_225_600_000_i64);
        assert_eq!(message["content"], json!({"text": "Hello"}));
        assert_eq!(message["metadata"]["profileName"], "Ada");
        assert_eq!(message["metadata"]["raw"]["text"]["body"], "Hello");
    }

    #[test]
    fn media_keep_the_id_they_are_fetched_with() {
        let message = one(
            &json!({"from": "1", "id": "m", "type": "document", "document": {
            "id": "media-7", "mime_type": "application/pdf", "filename": "a.pdf", "caption": "read this"}}),
        );
        assert_eq!(message["type"], "document");
        assert_eq!(
            message["content"],
            json!({"media": {"id": "media-7", "mimeType": "application/pdf", "filename": "a.pdf",
                "caption": "read this"}})
        );
        let sticker =
            one(&json!({"from": "1", "id": "m", "type": "sticker", "sticker": {"id": "s"}}));
        assert_eq!(
            (&sticker["type"], &sticker["content"]["media"]["id"]),
            (&json!("image"), &json!("s"))
        );
    }

    #[test]
    fn what_was_pressed_is_what_was_said() {
        let button = json!({"from": "1", "id": "m", "type": "button", "button": {"text": "Yes", "payload": "y"}});
        assert_eq!(one(&button)["content"]["text"], "Yes");
        for reply in ["button_reply", "list_reply"] {
            let message = json!({"from": "1", "id": "m", "type": "interactive",
                "interactive": {"type": reply, reply: {"id": "1", "title": "Opening hours"}}});
            let message = one(&message);
            assert_eq!(
                (&message["type"], &message["content"]["text"]),
                (&json!("text"), &json!("Opening hours"))
            );
        }
    }

    #[test]
    fn receipts_and_what_nobody_can_answer_are_counted_and_left_out() {
        let received = webhook(&json!({
            "statuses": [{"status": "read"}, {"status": "delivered"}],
            "messages": [
                {"from": "1", "id": "a", "type": "reaction", "reaction": {"emoji": "x"}},
                {"from": "1", "id": "b", "type": "unsupported"},
                {"from": "1", "id": "c", "type": "<script>"},
                {"from": "1", "id": "d", "type": "text", "text": {"body": "still here"}},
            ],
        }));
        assert_eq!(received.messages.len(), 1);
        let ignored: Vec<_> = received.ignored.into_iter().collect();
        let ignored: Vec<(&str, usize)> = ignored.iter().map(|(k, n)| (k.as_str(), *n)).collect();
        assert_eq!(
            ignored,
            [
                ("other", 1),
                ("reaction", 1),
                ("status", 2),
                ("unsupported", 1)
            ]
        );
    }

    #[test]
    fn a_message_without_an_id_has_the_same_one_whenever_it_comes() {
        let message = || json!({"from": "1", "type": "text", "text": {"body": "hi"}});
        assert_eq!(one(&message())["id"], one(&message())["id"]);
        assert_ne!(
            one(&message())["id"],
            one(&json!({"from": "2", "type": "text", "text": {"body": "hi"}}))["id"]
        );
    }

    #[test]
    fn a_body_of_another_form_is_refused_without_being_shown() {
        for body in ["", "hunter2", "{\"entry\": 7}", "[\"hunter2\"]"] {
            let error = messages("acme", body.as_bytes()).unwrap_err().to_string();
            assert!(
                error.contains("WhatsApp") && !error.contains("hunter2"),
                "{error}"
            );
        }
        assert_eq!(messages("acme", b"{}").unwrap(), Received::default());
    }
}
