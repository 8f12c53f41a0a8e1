//! What several routes are described by: the engine's own types, and the problems they share.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr};
use windlass::State;
use windlass::model::Conflict;

const PROBLEM_JSON: &str = "application/problem+json";

/// A job's state.
pub(super) fn state() -> Schema {
    words(State::ALL.map(State::as_str))
}

/// What a second job of one unique key gets.
pub(super) fn conflict() -> Schema {
    let all = [
        Conflict::ReturnExisting,
        Conflict::Replace,
        Conflict::Reject,
    ];
    words(all.map(|conflict| match conflict {
        Conflict::ReturnExisting => "return_existing",
        Conflict::Replace => "replace",
        Conflict::Reject => "reject",
    }))
}

/// Any JSON.
pub(super) fn any() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .into()
}

fn words<const N: usize>(words: [&'static str; N]) -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .enum_values(Some(words))
        .into()
}

/// What every guarded route may answer besides its own.
pub(super) struct Guarded;

/// What a route with a body may answer besides.
pub(super) struct WithBody;

/// What every route may answer that is limited.
pub(super) struct Limited;

impl IntoResponses for Limited {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("RateLimited")))
            .build();
        let retry_after = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::Integer)))
            .description(Some("Seconds until one more request passes"))
            .build();
        let response = ResponseBuilder::new()
            .description("One request too many")
            .content(PROBLEM_JSON, content)
            .header("retry-after", retry_after)
            .build();
        BTreeMap::from([("429".to_owned(), response.into())])
    }
}

impl IntoResponses for Guarded {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut all = Limited::responses();
        all.extend(problems(&[
            ("400", "A parameter or header is not valid"),
            ("401", "The credential is missing or wrong"),
            ("403", "The credential's role or tenant does not allow it"),
            ("500", "A defect of this program"),
            (
                "503",
                "The database is out of reach, or the request took too long",
            ),
        ]));
        all
    }
}

impl IntoResponses for WithBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            (
                "400",
                "The body is not JSON, or a parameter or header is not valid",
            ),
            ("413", "The body, or a job's args, are too large"),
            ("415", "The body is not declared as JSON"),
            (
                "422",
                "A field is not valid, or the idempotency key was used for another request",
            ),
        ])
    }
}

fn problems(problems: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let response = |description: &str| {
        ResponseBuilder::new()
            .description(description)
            .content(PROBLEM_JSON, content.clone())
            .build()
    };
    problems
        .iter()
        .map(|(status, description)| ((*status).to_owned(), response(description).into()))
        .collect()
}
