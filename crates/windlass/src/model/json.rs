use std::fmt;

use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The deepest nesting that [`Json`] accepts: what `serde_json` can read back into any type.
pub const MAX_DEPTH: usize = 127;

/// A JSON text that is known to be valid, kept to the letter.
///
/// Numbers of any size, key order and `\u0000` escapes come back exactly as they went in. `Debug`
/// shows only the length: args and results may hold message bodies, which belong in no log.
///
/// ```
/// use windlass::Json;
///
/// let json = Json::parse(r#"{"n":12345678901234567890123}"#)?;
/// assert_eq!(json.as_str(), r#"{"n":12345678901234567890123}"#);
/// assert_eq!(format!("{json:?}"), "Json(29 bytes)");
/// # Ok::<(), windlass::model::InvalidJson>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Box<str>);

/// Why a text was not accepted as [`Json`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    /// Not JSON at all; says where it stops being JSON, never what stands there.
    #[error("not valid JSON: line {line}, column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Arrays and objects within each other more than [`MAX_DEPTH`] deep.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// A value that cannot be written as JSON, such as a map with keys that are not text.
    #[error("cannot be written as JSON: {0}")]
    Encode(String),
}

impl Json {
    /// `{}`.
    pub fn empty_object() -> Self {
        Self("{}".into())
    }

    /// Checks a text and keeps it to the letter.
    pub fn parse(text: impl Into<Box<str>>) -> Result<Self, InvalidJson> {
        let text = text.into();
        if depth(&text) > MAX_DEPTH {
            return Err(InvalidJson::TooDeep);
        }
        serde_json::from_str::<IgnoredAny>(&text).map_err(|e| InvalidJson::Syntax {
            line: e.line(),
            column: e.column(),
        })?;
        Ok(Self(text))
    }

    /// Takes a text that a store wrote after it was checked.
    pub fn trusted(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Writes a value as JSON.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, InvalidJson> {
        let text = serde_json::to_string(value).map_err(|e| InvalidJson::Encode(e.to_string()))?;
        if depth(&text) > MAX_DEPTH {
            return Err(InvalidJson::TooDeep);
        }
        Ok(Self(text.into()))
    }

    /// Reads the value as a type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How deep brackets nest outside of strings; a bound also for texts that are not valid JSON.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0)
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if depth(raw.get()) > MAX_DEPTH {
            return Err(D::Error::custom(InvalidJson::TooDeep));
        }
        Ok(Self(Box::<str>::from(raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_text_to_the_letter() {
        let text = "{\"b\":1.0,\"a\":\"\\u0000\", \"n\":123456789012345678901234567890}";
        assert_eq!(Json::parse(text).unwrap().as_str(), text);
        let within: Json = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&within).unwrap(), text);
    }

    #[test]
    fn names_the_place_of_the_fault_and_not_its_text() {
        let error = Json::parse("{\"secret\": hunter2}").unwrap_err();
        assert_eq!(
            error,
            InvalidJson::Syntax {
                line: 1,
                column: 12
            }
        );
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn refuses_bottomless_nesting_without_overflowing_the_stack() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Json::parse(nested(MAX_DEPTH)).is_ok());
        assert_eq!(
            Json::parse(nested(MAX_DEPTH + 1)).unwrap_err(),
            InvalidJson::TooDeep
        );
        assert_eq!(
            Json::parse(nested(1_000_000)).unwrap_err(),
            InvalidJson::TooDeep
        );
        assert!(
            Json::parse("\"[[[\\\"[[\"").is_ok(),
            "brackets in strings do not nest"
        );
    }
}
