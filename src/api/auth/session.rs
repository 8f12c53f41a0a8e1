//! `/v1/session`: signing in and out of the dashboard, and who one is; and `/login`, by a link that
//! works once.
//!
//! A session is a random cookie that only this host gets back (`HttpOnly`, `SameSite=Strict`, `Secure`
//! but on this very machine), whose digest is in the database: every instance knows it, and it ends for
//! all of them. A request that changes something and comes by cookie must come from a page of this host.
//! Pages are guarded further by what [`dashboard`](super::super::dashboard) tells browsers to refuse.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::model::Audit;

use super::{Caller, Role};
use crate::api::body::Body;
use crate::api::query::Params;
use crate::api::schema::{Guarded, WithBody};
use crate::api::{ApiState, Problem};
use crate::records::{self, Digest, NewSession, Records, Secret, Tx};

/// How what a cookie holds begins.
pub(super) const PREFIX: &str = Secret::SESSION;
/// A session that is not used for so long is over.
pub(super) const IDLE: Duration = Duration::from_hours(2);
/// No session is longer.
const LASTS: Duration = Duration::from_hours(12);
/// With this name, browsers see to it that the cookie is for this host alone, and only by TLS.
const COOKIE: &str = "__Host-jobs-session";
/// On this very machine there is no TLS.
const LOCAL_COOKIE: &str = "jobs-session";

/// What needs a credential.
pub(in crate::api) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show, close))
}

/// What makes one.
pub(in crate::api) fn doors() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(open))
}

/// Where a link leads that works once. It is no part of the API.
pub(in crate::api) fn login() -> axum::Router<ApiState> {
    axum::Router::new().route("/login", get(follow))
}

/// A credential, in exchange for a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// A key or a token, as it would go into a header.
    #[schema(value_type = String, format = Password)]
    credential: SecretString,
}

/// Who sent the request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionView {
    /// How the audit log calls them.
    name: String,
    /// By what they are known, such as `admin_key` or `session`.
    kind: &'static str,
    /// `viewer`, `operator` or `admin`: each may do what those before it may.
    #[schema(value_type = String)]
    role: Role,
    /// The tenant that is all they see; none if they see all.
    tenant: Option<String>,
}

/// A token of a link.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    token: SecretString,
}

/// Who the caller is, and what they may do.
#[utoipa::path(
    get,
    path = "/v1/session",
    operation_id = "showSession",
    tag = "session",
    responses((status = 200, description = "The caller", body = SessionView), Guarded)
)]
async fn show(caller: Caller) -> Json<SessionView> {
    Json(caller.into())
}

/// Signs in: exchanges a key or a token for a cookie that is good for at most twelve hours, two when it
/// is not used. Requests with it that change something must come from a page of the same host, which
/// browsers say by themselves (`sec-fetch-site`, `origin`).
#[utoipa::path(
    post,
    path = "/v1/session",
    operation_id = "signIn",
    tag = "session",
    security(()),
    request_body = SignIn,
    responses(
        (status = 201, description = "The cookie is set", body = SessionView),
        Guarded,
        WithBody
    )
)]
async fn open(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Body(sign_in): Body<SignIn>,
) -> Result<Response, Problem> {
    same_origin_if_told(&headers)?;
    let caller = state.credentials.bearer(sign_in.credential.expose_secret());
    let caller = caller.await?;
    let mut tx = records(&state)?.begin().await?;
    let cookie = begin(&state, &mut tx, &headers, &caller).await?;
    tx.commit().await.map_err(records::Error::from)?;
    let answer = Json(SessionView::from(caller));
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], answer).into_response())
}

/// Signs out: the session ends, on every instance.
#[utoipa::path(
    delete,
    path = "/v1/session",
    operation_id = "signOut",
    tag = "session",
    responses((status = 204, description = "It is over"), Guarded)
)]
async fn close(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(cookie) = cookie(&headers) {
        let mut tx = records(&state)?.begin().await?;
        records(&state)?
            .end_session(&mut tx, Digest::of(cookie))
            .await?;
        note(&state, &mut tx, &caller, "session.close").await?;
        tx.commit().await.map_err(records::Error::from)?;
        state.credentials.forget(cookie).await;
    }
    let cookie = written(&headers, "", Duration::ZERO)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Lets somebody in by a link, once.
async fn follow(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Params(link): Params<Link>,
) -> Result<Response, Problem> {
    let token = Digest::of(link.token.expose_secret());
    let mut tx = records(&state)?.begin().await?;
    let link = records(&state)?.take_sign_in_link(&mut tx, token).await?;
    let link = link.ok_or_else(Problem::link_used)?;
    let caller = Caller {
        id: link.name.clone(),
        name: link.name,
        role: link.role,
        ..Caller::admin()
    };
    let cookie = begin(&state, &mut tx, &headers, &caller).await?;
    tx.commit().await.map_err(records::Error::from)?;
    let headers = [
        (header::SET_COOKIE, cookie),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    // The page cannot see the cookie: the fragment tells it.
    Ok((headers, Redirect::to("/#session")).into_response())
}

/// Opens a session for the caller, and notes it; the cookie, which is good once `tx` commits.
async fn begin(
    state: &ApiState,
    tx: &mut Tx,
    headers: &HeaderMap,
    caller: &Caller,
) -> Result<HeaderValue, Problem> {
    let session = NewSession {
        kind: caller.kind.as_str(),
        identity: &caller.id,
        name: &caller.name,
        role: caller.role,
        tenant: caller.tenant(),
        lasts: LASTS,
    };
    let secret = records(state)?.open_session(tx, &session).await?;
    note(state, tx, caller, "session.open").await?;
    written(headers, secret.expose(), LASTS)
}

async fn note(state: &ApiState, tx: &mut Tx, caller: &Caller, action: &str) -> Result<(), Problem> {
    let subject = format!("{}/{}", caller.kind.as_str(), caller.id);
    let audit = Audit {
        tenant_id: caller.tenant().map(str::to_owned),
        ..Audit::new(caller.name.as_str(), action, subject)
    };
    Ok(state.client.store().record_audit_in(tx, &audit).await?)
}

fn records(state: &ApiState) -> Result<&Records, Problem> {
    state.records.as_ref().ok_or_else(Problem::no_sessions)
}

fn written(headers: &HeaderMap, value: &str, lasts: Duration) -> Result<HeaderValue, Problem> {
    let (name, secure) = if is_local(headers) {
        (LOCAL_COOKIE, "")
    } else {
        (COOKIE, "; Secure")
    };
    let seconds = lasts.as_secs();
    let cookie =
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut cookie = HeaderValue::try_from(cookie).map_err(|_| Problem::internal())?;
    cookie.set_sensitive(true);
    Ok(cookie)
}

/// What the session's cookie holds, if there is one. The one without TLS counts only on this machine.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let name = if is_local(headers) {
        LOCAL_COOKIE
    } else {
        COOKIE
    };
    let all = headers.get_all(header::COOKIE).into_iter();
    all.filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
        .filter(|value| value.starts_with(PREFIX))
}

/// Whether the browser runs on this machine: only one that does calls this host so.
fn is_local(headers: &HeaderMap) -> bool {
    let host = host(headers).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// Refuses a change that another site's page has asked for, and one by a browser that does not say
/// from where it comes.
pub(super) fn same_origin(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    match comes_from_here(headers) {
        Some(true) => Ok(()),
        Some(false) | None => Err(Problem::cross_origin()),
    }
}

/// Signing somebody in from another site's page would have them work in a stranger's name.
fn same_origin_if_told(headers: &HeaderMap) -> Result<(), Problem> {
    match comes_from_here(headers) {
        Some(false) => Err(Problem::cross_origin()),
        Some(true) | None => Ok(()),
    }
}

/// None if nothing is said. All that is said must agree.
fn comes_from_here(headers: &HeaderMap) -> Option<bool> {
    let site = headers
        .get("sec-fetch-site")
        .map(|site| site.as_bytes() == b"same-origin");
    let origin = headers.get(header::ORIGIN).map(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let told = origin.split_once("://").map(|(_, host)| host);
        told.is_some() && told == host(headers)
    });
    match (site, origin) {
        (None, None) => None,
        (site, origin) => Some(site.unwrap_or(true) && origin.unwrap_or(true)),
    }
}

impl From<Caller> for SessionView {
    fn from(caller: Caller) -> Self {
        Self {
            tenant: caller.tenant().map(str::to_owned),
            kind: caller.kind.as_str(),
            name: caller.name,
            role: caller.role,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_change_by_cookie_comes_from_a_page_of_this_host() {
        let host = ("host", "jobs.example.com");
        let good: [&[_]; 3] = [
            &[host, ("origin", "https://jobs.example.com")],
            &[host, ("sec-fetch-site", "same-origin")],
            &[
                host,
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://jobs.example.com"),
            ],
        ];
        let bad: [&[_]; 8] = [
            &[host],
            &[host, ("origin", "null")],
            &[host, ("origin", "https://evil.example.com")],
            &[host, ("origin", "https://jobs.example.com.evil.com")],
            &[host, ("origin", "https://jobs.example.com:8443")],
            &[host, ("sec-fetch-site", "same-site")],
            &[
                host,
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://jobs.example.com"),
            ],
            &[
                host,
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://evil.example.com"),
            ],
        ];
        for good in good {
            assert!(
                same_origin(&Method::POST, &headers(good)).is_ok(),
                "{good:?}"
            );
        }
        for bad in bad {
            assert!(
                same_origin(&Method::POST, &headers(bad)).is_err(),
                "{bad:?}"
            );
            assert!(same_origin(&Method::GET, &headers(bad)).is_ok());
        }
    }

    #[test]
    fn a_cookie_without_tls_counts_only_on_this_machine() {
        let both = (
            "cookie",
            "jobs-session=mjs_local; __Host-jobs-session=mjs_secure",
        );
        for (host, held) in [
            ("127.0.0.1:3010", "mjs_local"),
            ("localhost:3010", "mjs_local"),
            ("localhost", "mjs_local"),
            ("[::1]:3010", "mjs_local"),
            ("jobs.example.com", "mjs_secure"),
            ("localhost.example.com", "mjs_secure"),
            ("127.0.0.1.example.com:80", "mjs_secure"),
        ] {
            let headers = headers(&[("host", host), both]);
            assert_eq!(cookie(&headers), Some(held), "{host}");
            let written = written(&headers, held, LASTS).unwrap();
            let written = written.to_str().unwrap();
            assert_eq!(written.contains("; Secure"), held == "mjs_secure", "{host}");
            assert!(written.contains("; HttpOnly; SameSite=Strict"), "{written}");
        }
        assert_eq!(cookie(&headers(&[("cookie", "jobs-session=other")])), None);
    }
}
