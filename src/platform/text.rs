//! What PostgreSQL refuses in text: the character U+0000. People can send it, so it is replaced
//! before anything is stored; on SQLite too, so that both keep the same.

use std::borrow::Cow;

use serde_json::Value;

pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

pub(super) fn storable_json(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(storable(text).into_owned()),
        Value::Array(items) => Value::Array(items.iter().map(storable_json).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| (storable(key).into_owned(), storable_json(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_nul_is_replaced() {
        let value = json!({"a\u{0}": ["x\u{0}y", 1, null, {"b": "ok"}]});
        assert_eq!(
            storable_json(&value),
            json!({"a\u{fffd}": ["x\u{fffd}y", 1, null, {"b": "ok"}]})
        );
    }
}
