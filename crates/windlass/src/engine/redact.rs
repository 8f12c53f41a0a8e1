//! What is hidden from whoever looks at a job.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::sealing::{Form, form, unpack};
use crate::model::Json;

/// What stands for a value that is hidden.
pub const REDACTED: &str = "[redacted]";

/// A value with what the JSON pointers name hidden; `*` stands for any member or element. All else
/// stays to the letter. A pointer that names nothing hides nothing.
pub fn redact(json: &Json, pointers: &[&str]) -> Json {
    let rules: Vec<Vec<String>> = pointers.iter().map(|pointer| steps(pointer)).collect();
    let rules: Vec<&[String]> = rules.iter().map(Vec::as_slice).collect();
    rewritten(json, &mut |raw, out| hide(raw, &rules, out))
}

/// The same for a stored value: by its kind's pointers, or the shape alone if the kind is unknown.
pub(super) fn shown(pointers: Option<&[&str]>, json: &Json) -> Json {
    let unpacked = match form(json) {
        Form::Plain => None,
        Form::Sealed => return told(&format!("sealed, {} bytes", json.as_str().len())),
        // Needs no key, and binds to nothing.
        Form::Packed => match unpack(json) {
            Ok(unpacked) => Some(unpacked),
            Err(error) => return told(&error.to_string()),
        },
    };
    let json = unpacked.as_ref().unwrap_or(json);
    match pointers {
        Some(pointers) => redact(json, pointers),
        None => rewritten(json, &mut shape),
    }
}

fn told(words: &str) -> Json {
    Json::encode(words).expect("a text is JSON")
}

/// `/a~1b/*` as `["a/b", "*"]`.
fn steps(pointer: &str) -> Vec<String> {
    pointer
        .split('/')
        .skip(1)
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect()
}

fn rewritten(json: &Json, rewrite: &mut dyn FnMut(&RawValue, &mut String)) -> Json {
    let mut out = String::with_capacity(json.as_str().len());
    match serde_json::from_str::<&RawValue>(json.as_str()) {
        Ok(raw) => rewrite(raw, &mut out),
        // What cannot be read cannot be judged.
        Err(_) => return told(REDACTED),
    }
    Json::trusted(out)
}

/// `rules` are what is left of the pointers that lead here.
fn hide(raw: &RawValue, rules: &[&[String]], out: &mut String) {
    if rules.iter().any(|rule| rule.is_empty()) {
        return quote(REDACTED, out);
    }
    if rules.is_empty() {
        return out.push_str(raw.get());
    }
    parts(raw, out, &mut |step, part, out| {
        let left: Vec<&[String]> = rules
            .iter()
            .filter_map(|rule| rule.split_first())
            .filter(|(first, _)| *first == "*" || *first == step)
            .map(|(_, rest)| rest)
            .collect();
        hide(part, &left, out);
    });
}

/// Members and lengths, and no value.
fn shape(raw: &RawValue, out: &mut String) {
    if raw.get().starts_with(['{', '[']) {
        parts(raw, out, &mut |_, part, out| shape(part, out));
    } else {
        quote(REDACTED, out);
    }
}

/// Writes an object or array anew, each part by `part`, which gets its name or index.
fn parts(raw: &RawValue, out: &mut String, part: &mut dyn FnMut(&str, &RawValue, &mut String)) {
    let text = raw.get();
    if let Ok(Members(members)) = serde_json::from_str(text) {
        out.push('{');
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            quote(name, out);
            out.push(':');
            part(name, value, out);
        }
        out.push('}');
    } else if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) {
        out.push('[');
        for (index, value) in elements.into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            part(&index.to_string(), value, out);
        }
        out.push(']');
    } else {
        out.push_str(text);
    }
}

fn quote(text: &str, out: &mut String) {
    out.push_str(told(text).as_str());
}

/// An object's members in their order, repeated names included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str, pointers: &[&str]) -> String {
        redact(&Json::parse(text).unwrap(), pointers)
            .as_str()
            .to_owned()
    }

    #[test]
    fn hides_what_pointers_name_and_keeps_the_rest_to_the_letter() {
        let text = r#"{"b":1.000000000000000000001,"a":{"x":"secret","y":[1, 2]},"a/b~":"s"}"#;
        assert_eq!(redacted(text, &[]), text);
        assert_eq!(
            redacted(text, &["/nothing", "/a/x/deeper", "/b/c"]).replace(' ', ""),
            text.replace(' ', "")
        );
        assert_eq!(
            redacted(text, &["/a/x", "/a~1b~0"]),
            r#"{"b":1.000000000000000000001,"a":{"x":"[redacted]","y":[1, 2]},"a/b~":"[redacted]"}"#
        );
        assert_eq!(redacted(text, &["/a"]).matches("secret").count(), 0);
        assert_eq!(redacted(text, &[""]), r#""[redacted]""#);
    }

    #[test]
    fn a_star_is_any_member_or_element() {
        let text = r#"{"parts":[{"text":"a","n":1},{"text":{"deep":"b"}}],"m":{"k":"v"}}"#;
        assert_eq!(
            redacted(text, &["/parts/*/text", "/m/*"]),
            r#"{"parts":[{"text":"[redacted]","n":1},{"text":"[redacted]"}],"m":{"k":"[redacted]"}}"#
        );
        assert_eq!(redacted("[1,2,3]", &["/1"]), r#"[1,"[redacted]",3]"#);
    }

    #[test]
    fn repeated_members_are_all_hidden() {
        let text = r#"{"a":"s","a":"t"}"#;
        assert_eq!(
            redacted(text, &["/a"]),
            r#"{"a":"[redacted]","a":"[redacted]"}"#
        );
    }

    #[test]
    fn of_an_unknown_kind_the_shape_is_shown() {
        let json = Json::parse(r#"{"a":"s","b":[true,null,{"c":1.5}]}"#).unwrap();
        assert_eq!(
            shown(None, &json).as_str(),
            r#"{"a":"[redacted]","b":["[redacted]","[redacted]",{"c":"[redacted]"}]}"#
        );
    }

    #[test]
    fn of_a_sealed_value_only_the_size_is_shown() {
        let json = Json::parse(r#"{"$sealed":{"v":1}}"#).unwrap();
        assert_eq!(shown(Some(&[]), &json).as_str(), r#""sealed, 19 bytes""#);
    }
}
