//! An answer that is still the same is not sent again.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::Problem;

/// Gives what was read a tag of its content, and answers `304` to whoever has that content already. Answers
/// that carry a tag of their own, by which they can be changed, keep it.
pub(super) async fn tag(request: Request, next: Next) -> Response {
    let known = request.headers().get_all(header::IF_NONE_MATCH);
    let known: Vec<HeaderValue> = known.iter().cloned().collect();
    let is_read = request.method() == Method::GET;
    let response = next.run(request).await;
    if !is_read || response.status() != StatusCode::OK {
        return response;
    }
    let response = if response.headers().contains_key(header::ETAG) {
        response
    } else if is_json(response.headers()) {
        tagged(response).await
    } else {
        return response;
    };
    if !is_known(response.headers(), &known) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::empty())
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value == "application/json")
}

async fn tagged(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // It is in memory already: handlers make JSON whole.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return Problem::internal().into_response();
    };
    let digest = hex::encode(&Sha256::digest(&bytes)[..12]);
    // Weak: of the same content in another form, such as compressed, it is the tag too.
    if let Ok(tag) = HeaderValue::try_from(format!("W/\"{digest}\"")) {
        parts.headers.insert(header::ETAG, tag);
    }
    Response::from_parts(parts, bytes.into())
}

fn is_known(headers: &HeaderMap, known: &[HeaderValue]) -> bool {
    let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()) else {
        return false;
    };
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let lists = known.iter().filter_map(|list| list.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(','));
    tags.any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
}
