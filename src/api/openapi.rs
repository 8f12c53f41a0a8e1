//! The API's description of itself.

use std::sync::Arc;

use axum::Extension;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::limits::RateLimited;
use super::schema::Guarded;
use super::{ApiState, Problem, contract};

/// What is said of the whole.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "metachat-jobs",
        description = "Enqueue jobs, look at them, look after them. Errors are \
                       `application/problem+json` (RFC 9457): `type` is stable, `field` names what is \
                       at fault, `detail` says what to do. Requests are limited: answers carry \
                       `ratelimit-limit`, `-remaining` and `-reset`, and one too many is 429 with \
                       `retry-after`."
    ),
    security(("admin_key" = []), ("api_key" = []), ("bearer" = []), ("session" = [])),
    modifiers(&Keys),
    components(schemas(Problem, RateLimited))
)]
struct Base;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, header) in [("admin_key", "x-admin-key"), ("api_key", "x-api-key")] {
            let any = "Any key or token: by its form it is known for what it is";
            let header = ApiKeyValue::with_description(header, any);
            components.add_security_scheme(name, SecurityScheme::ApiKey(ApiKey::Header(header)));
        }
        let cookie =
            ApiKeyValue::with_description("__Host-jobs-session", "POST /v1/session sets it");
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

pub(super) fn base() -> OpenApi {
    Base::openapi()
}

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Hands the finished description to its route.
pub(super) fn described_by(document: &OpenApi) -> Extension<Document> {
    let document = serde_json::to_value(document)
        .expect("a description made of texts and maps with text keys is always JSON");
    let text = contract::completed(document).to_string();
    Extension(Document(text.into()))
}

#[derive(Debug, Clone)]
pub(super) struct Document(Arc<str>);

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "showDescription",
    tag = "operations",
    responses(
        (status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object),
        Guarded
    )
)]
async fn show(Extension(Document(text)): Extension<Document>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        text.to_string(),
    )
}
