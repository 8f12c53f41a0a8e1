//! What is hidden from whoever looks at a job.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::client::Client;
#[cfg(doc)]
use super::registry::Catalogue;
use super::sealing::{Form, OpenError, form, unpack};
use crate::model::{Audit, JobRecord, Json};
use crate::store;

/// What stands for a value that is hidden.
pub const REDACTED: &str = "[redacted]";

/// What may be seen of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it works with.
    pub args: Json,
    /// What it recorded.
    pub result: Option<Json>,
    /// The last progress it reported.
    pub progress: Option<Json>,
}

impl Client {
    /// A job's values as anyone may see them who may see the job: see [`Catalogue::redacted`].
    pub fn shown(&self, job: &JobRecord) -> Shown {
        let redacted = |json: &Json| self.catalogue().redacted(&job.kind, json);
        Shown {
            args: redacted(&job.args),
            result: job.result.as_ref().map(redacted),
            progress: job.progress.as_ref().map(redacted),
        }
    }

    /// A job's values in full; in place of one that does not open stands why.
    ///
    /// Writes to the audit log who asked, before anything is shown.
    pub async fn reveal(&self, job: &JobRecord, actor: &str) -> Result<Shown, store::Error> {
        let audit = Audit {
            tenant_id: job.tenant_id.clone(),
            ..Audit::new(actor, "job.reveal", format!("job/{}", job.id))
        };
        self.store().record_audit(&audit, None).await?;
        let opened = |json: Result<Json, OpenError>| json.unwrap_or_else(|e| told(&e.to_string()));
        Ok(Shown {
            args: opened(self.args_of(job)),
            result: self.result_of(job).transpose().map(opened),
            progress: job.progress.clone(),
        })
    }
}

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
