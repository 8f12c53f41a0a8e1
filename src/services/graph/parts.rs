//! What of a message goes into which request.

use serde_json::{Value, json};

use super::GraphChannel;
use super::split::split;

/// The longest caption that WhatsApp takes, in characters; a longer one follows as a text.
const LONGEST_CAPTION: usize = 1024;

/// One request's worth of a message: the body without its recipient. Holds what people write.
#[derive(Clone, PartialEq)]
pub struct Part(pub(super) Value);

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Part(private)")
    }
}

/// A message that the channel cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("content: {0}")]
pub struct Unsendable(&'static str);

/// A message cut into what the channel takes, in the order it is to be sent.
///
/// `content` is the platform's: `{text}`, `{media: {id | url, mimeType, filename?, caption?}}` or
/// `{location}`. The same message is always cut the same way.
pub fn parts(channel: GraphChannel, kind: &str, content: &Value) -> Result<Vec<Part>, Unsendable> {
    let mut parts = Vec::new();
    if content["media"].is_object() {
        parts.extend(media(channel, kind, &content["media"])?);
    }
    if content["location"].is_object() {
        parts.extend(location(channel, &content["location"])?);
    }
    let text = [&content["text"], &content["caption"]];
    let text = text.into_iter().find_map(Value::as_str);
    parts.extend(texts(channel, text.unwrap_or_default()));
    if parts.is_empty() {
        return Err(Unsendable(
            "there is nothing to send; it needs a text, a medium or a location",
        ));
    }
    Ok(parts)
}

fn texts(channel: GraphChannel, text: &str) -> impl Iterator<Item = Part> + use<'_> {
    let pieces = split(text, channel.longest_text()).into_iter();
    pieces.map(move |piece| {
        Part(match channel {
            GraphChannel::Whatsapp => json!({"type": "text", "text": {"body": piece}}),
            GraphChannel::Messenger => json!({"message": {"text": piece}}),
        })
    })
}

fn media(channel: GraphChannel, kind: &str, media: &Value) -> Result<Vec<Part>, Unsendable> {
    let filled = |name: &str| media[name].as_str().filter(|text| !text.is_empty());
    let id = filled("id");
    let link =
        filled("url").filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    if id.is_none() && link.is_none() {
        return Err(Unsendable(
            "its medium has neither an id of the channel's nor a link; it needs one",
        ));
    }
    let kind = match kind {
        "image" | "audio" | "video" => kind,
        _ => "document",
    };
    let caption = filled("caption").unwrap_or_default();
    let (part, rest) = match channel {
        GraphChannel::Whatsapp => {
            let mut body = id.map_or_else(|| json!({"link": link}), |id| json!({"id": id}));
            let captioned = kind != "audio"
                && !caption.is_empty()
                && caption.chars().count() <= LONGEST_CAPTION;
            if captioned {
                body["caption"] = caption.into();
            }
            if let (Some(name), "document") = (filled("filename"), kind) {
                body["filename"] = name.into();
            }
            let rest = if captioned { "" } else { caption };
            (json!({"type": kind, kind: body}), rest)
        }
        GraphChannel::Messenger => {
            let kind = if kind == "document" { "file" } else { kind };
            let payload = id.map_or_else(
                || json!({"url": link, "is_reusable": true}),
                |id| json!({"attachment_id": id}),
            );
            let attachment = json!({"type": kind, "payload": payload});
            (json!({"message": {"attachment": attachment}}), caption)
        }
    };
    Ok(std::iter::once(Part(part))
        .chain(texts(channel, rest))
        .collect())
}

fn location(channel: GraphChannel, location: &Value) -> Result<Vec<Part>, Unsendable> {
    let (Some(latitude), Some(longitude)) = (
        location["latitude"].as_f64(),
        location["longitude"].as_f64(),
    ) else {
        return Err(Unsendable("its location has no latitude and longitude"));
    };
    match channel {
        GraphChannel::Whatsapp => Ok(vec![Part(
            json!({"type": "location", "location": location}),
        )]),
        // Messenger has no locations of its own.
        GraphChannel::Messenger => {
            let place = format!("{latitude}, {longitude}");
            let words = ["name", "address"].map(|name| location[name].as_str());
            let lines: Vec<&str> = words.into_iter().flatten().chain([&*place]).collect();
            Ok(texts(channel, &lines.join("\n")).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GraphChannel::{Messenger, Whatsapp};
    use super::*;

    fn bodies(channel: GraphChannel, kind: &str, content: &Value) -> Vec<Value> {
        let parts = parts(channel, kind, content).unwrap();
        parts.into_iter().map(|part| part.0).collect()
    }

    #[test]
    fn each_channel_has_its_own_longest_text() {
        let text = json!({"text": "x".repeat(4097)});
        assert_eq!(bodies(Whatsapp, "text", &text).len(), 2);
        assert_eq!(bodies(Messenger, "text", &text).len(), 3);
        assert_eq!(
            bodies(Messenger, "text", &json!({"text": " hi "})),
            [json!({"message": {"text": "hi"}})]
        );
    }

    #[test]
    fn a_medium_goes_by_its_id_or_its_link_with_its_caption_where_there_is_one() {
        let content = json!({"media": {"id": "m1", "caption": "look", "filename": "a.pdf"}});
        assert_eq!(
            bodies(Whatsapp, "document", &content),
            [
                json!({"type": "document", "document": {"id": "m1", "caption": "look", "filename": "a.pdf"}})
            ]
        );
        let audio = json!({"media": {"url": "https://cdn.example/a.ogg", "caption": "listen"}});
        assert_eq!(
            bodies(Whatsapp, "audio", &audio),
            [
                json!({"type": "audio", "audio": {"link": "https://cdn.example/a.ogg"}}),
                json!({"type": "text", "text": {"body": "listen"}})
            ]
        );
        assert_eq!(
            bodies(
                Messenger,
                "document",
                &json!({"media": {"url": "https://cdn.example/a.pdf"}})
            ),
            [json!({"message": {"attachment": {"type": "file", "payload":
                {"url": "https://cdn.example/a.pdf", "is_reusable": true}}}})]
        );
    }

    #[test]
    fn a_location_is_one_or_is_told_in_words() {
        let content = json!({"location": {"latitude": 52.5, "longitude": 13.4, "name": "Berlin"}});
        assert_eq!(
            bodies(Whatsapp, "location", &content)[0]["type"],
            "location"
        );
        assert_eq!(
            bodies(Messenger, "location", &content),
            [json!({"message": {"text": "Berlin\n52.5, 13.4"}})]
        );
    }

    #[test]
    fn what_cannot_be_sent_says_what_it_lacks_and_nothing_of_what_it_holds() {
        for (kind, content) in [
            ("text", json!({"text": "  "})),
            (
                "image",
                json!({"media": {"url": "file:///hunter2", "caption": "hunter2"}}),
            ),
            ("location", json!({"location": {"name": "hunter2"}})),
        ] {
            let error = parts(Whatsapp, kind, &content).unwrap_err().to_string();
            assert!(
                error.contains("content:") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
