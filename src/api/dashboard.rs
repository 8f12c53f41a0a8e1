//! The operators' dashboard: files that are in the program, and nothing else. What it shows it asks the
//! API for, as any other caller does, so these routes need no key.
//!
//! A debug build reads the files from `dashboards/web` at each request: save, and reload the page.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::OnceLock;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};
use tower_http::compression::CompressionLayer;

use super::Problem;
use super::query::Named;

#[derive(RustEmbed)]
#[folder = "dashboards/web"]
struct Files;

/// The page that every address of the dashboard answers with: the script looks at the address.
const INDEX: &str = "index.html";
/// Where the page says where its files are.
const ASSETS: &str = "{{assets}}";
/// Where the page lists the scripts it will need, so that they come all at once.
const PRELOADS: &str = "{{preloads}}";

/// Addresses of the dashboard. Another one is a mistake, and answered as one.
const PAGES: [&str; 20] = [
    "/",
    "/jobs",
    "/jobs/{id}",
    "/errors",
    "/errors/{id}",
    "/queues",
    "/queues/{name}",
    "/schedules",
    "/schedules/{name}",
    "/flows",
    "/flows/{id}",
    "/messages",
    "/messages/{id}",
    "/outbox",
    "/backups",
    "/quarantine",
    "/workers",
    "/system",
    "/audit",
    "/sign-in",
];

/// Nothing runs but the files of this program, and nothing is fetched but from it.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let mut router = Router::new().route("/assets/{version}/{*path}", get(asset));
    for page in PAGES {
        router = router.route(page, get(index));
    }
    router
        .layer(CompressionLayer::new())
        .layer(from_fn(guard_browser))
}

/// What a browser is told to refuse.
async fn guard_browser(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn index() -> Response {
    let Some(file) = Files::get(INDEX) else {
        return Problem::no_such_route().into_response();
    };
    let base = format!("/assets/{}", version());
    let page = String::from_utf8_lossy(&file.data)
        .replace(PRELOADS, &preloads(&base))
        .replace(ASSETS, &base);
    ([(header::CACHE_CONTROL, "no-cache")], Html(page)).into_response()
}

async fn asset(Named((_, path)): Named<(String, String)>) -> Response {
    let known = content_type(&path).zip(Files::get(&path));
    let Some((content_type, file)) = known else {
        return Problem::no_such_route().into_response();
    };
    let body = match file.data {
        Cow::Borrowed(bytes) => bytes.into(),
        Cow::Owned(bytes) => axum::body::Body::from(bytes),
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, caching()),
    ];
    (StatusCode::OK, headers, body).into_response()
}

/// The version is in the address, so a file never changes under one; but while it is being written.
fn caching() -> &'static str {
    if cfg!(debug_assertions) {
        "no-cache"
    } else {
        "public, max-age=31536000, immutable"
    }
}

/// What kind of file it is; none for those that are no part of a page, such as licences.
fn content_type(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

/// Stands for every file there is: a program with other files has other addresses.
fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let mut digest = Sha256::new();
        for path in Files::iter() {
            if let Some(file) = Files::get(&path) {
                digest.update(file.metadata.sha256_hash());
            }
        }
        hex::encode(&digest.finalize()[..6])
    })
}

fn preloads(base: &str) -> String {
    let mut links = String::new();
    for path in Files::iter().filter(|path| path.ends_with(".js")) {
        // Writing to a text cannot fail.
        let _ = writeln!(links, r#"<link rel="modulepreload" href="{base}/{path}">"#);
    }
    links
}
