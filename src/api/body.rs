//! Reads a JSON body, and words what is wrong with it without repeating any of it.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::Problem;

/// The longest name of a field that an answer repeats.
const LONGEST_NAME: usize = 64;

const NO_OBJECT: &str = "has the wrong type; expected an object";

/// A JSON object that was read as `T`.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = json(request, state).await?;
        // serde would take the elements of a list for the fields, in their order.
        if bytes.trim_ascii_start().starts_with(b"[") {
            return Err(Problem::invalid_field(
                "body".to_owned(),
                NO_OBJECT.to_owned(),
            ));
        }
        decode(&bytes).map(Self)
    }
}

/// Any JSON at all.
#[derive(Debug)]
pub(super) struct Anything(pub(super) windlass::Json);

impl<S: Send + Sync> FromRequest<S> for Anything {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        decode(&json(request, state).await?).map(Self)
    }
}

async fn json<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if !says_json(&request) {
        return Err(Problem::not_json());
    }
    let Raw(bytes) = Raw::from_request(request, state).await?;
    Ok(bytes)
}

/// A body as it came, such as one that is signed.
#[derive(Debug)]
pub(super) struct Raw(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await;
        bytes
            .map(Self)
            .map_err(|error| match error.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::body_too_large(),
                _ => Problem::unreadable_body(),
            })
    }
}

fn says_json(request: &Request) -> bool {
    let declared = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = declared.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
        || media_type.to_ascii_lowercase().ends_with("+json")
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        describe(&path, error.inner())
    })?;
    json.end().map_err(|error| describe("", &error))?;
    Ok(value)
}

fn describe(path: &str, error: &serde_json::Error) -> Problem {
    match error.classify() {
        Category::Data => {
            let told = error.to_string();
            let told = told
                .rsplit_once(" at line ")
                .map_or(&*told, |(told, _)| told);
            Problem::invalid_field(field(path, told), remedy(told))
        }
        Category::Syntax | Category::Eof | Category::Io => {
            Problem::malformed_json(error.line(), error.column())
        }
    }
}

/// The field at fault: of one that is missing or unknown, serde's path names only the parent.
pub(super) fn field(path: &str, told: &str) -> String {
    let parent = if path == "." { "" } else { path };
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| told.strip_prefix(start))
        .and_then(|rest| rest.split('`').next());
    let full = match (parent, named) {
        ("", None) => "body".to_owned(),
        ("", Some(name)) => name.to_owned(),
        (parent, None) => parent.to_owned(),
        (parent, Some(name)) if parent == name || parent.ends_with(&format!(".{name}")) => {
            parent.to_owned()
        }
        (parent, Some(name)) => format!("{parent}.{name}"),
    };
    full.chars().take(LONGEST_NAME).collect()
}

/// What would be right, out of serde's words, which quote the wrong value before it.
pub(super) fn remedy(told: &str) -> String {
    if told.starts_with("missing field") {
        return "is missing; add it".to_owned();
    }
    if told.starts_with("duplicate field") {
        return "is there twice; keep one".to_owned();
    }
    let expected = told
        .rsplit_once(", expected ")
        .map(|(_, expected)| expected);
    match expected {
        Some(known) if told.starts_with("unknown field") => {
            format!(
                "is not known here; known are {}",
                known.trim_start_matches("one of ")
            )
        }
        Some(expected) if expected.starts_with("struct ") => NO_OBJECT.to_owned(),
        Some(expected) => format!("has the wrong type or value; expected {expected}"),
        // Our own types word what they expect and quote nothing.
        None if told.starts_with("expected ") || told.starts_with("nested more than ") => {
            told.to_owned()
        }
        None => "has the wrong type or value; /openapi.json describes it".to_owned(),
    }
}
