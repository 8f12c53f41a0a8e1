//! A stream of events lasts no longer than the credential that it was opened with.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt as _;
use metachat_jobs::api::{PlatformAccess, ServerOptions};
use metachat_jobs::records::Role;
use serde_json::json;
use windlass::{Client, Timestamp};

use super::platform::{TENANTS, platform, run, signed};
use super::rig::{Rig, on_both, request};
use super::sessions::{HERE, HOST, cookie, sign_in};
use crate::api::{Api, kinds, platform_access};

on_both!(
    a_revoked_key_ends_its_streams_only,
    a_session_that_is_closed_ends_its_streams,
    a_disabled_tenant_and_a_revoked_key_of_the_platform_end_their_streams,
    a_token_that_is_over_ends_its_streams,
);

const PATIENCE: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_millis(20);
/// How long a credential is remembered here.
const REMEMBERED: Duration = Duration::from_millis(20);

/// A process that looks at credentials often.
fn wary(rig: &Rig) -> Api {
    let database = &rig.database;
    let client = Client::new(database.store.clone()).with_catalogue(kinds());
    let mut server = ServerOptions::default();
    server.events.heartbeat_ms = u64::try_from(HEARTBEAT.as_millis()).unwrap();
    Api::within(client, &server, |state| {
        let platform = database.platform.clone().with_runtime_age(REMEMBERED);
        let access = PlatformAccess::new(platform, &platform_access());
        state
            .with_records(database.records.clone())
            .with_platform_access(access)
            .with_credentials_good_for(REMEMBERED)
    })
}

type Shown<'a> = [(&'static str, &'a str)];

async fn status(api: &Api, shown: &Shown<'_>) -> (StatusCode, BodyDataStream) {
    let asked = request("GET", "/v1/events", shown, None);
    let (status, _, body): (_, HeaderMap, _) = api.begin(asked).await;
    (status, body.into_data_stream())
}

/// A stream that has begun.
async fn listen(api: &Api, shown: &Shown<'_>) -> BodyDataStream {
    let (status, mut stream) = status(api, shown).await;
    assert_eq!(status, StatusCode::OK);
    let first = stream.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"retry:"), "{first:?}");
    stream
}

/// The stream ends, and whoever comes back is refused.
async fn ends(api: &Api, stream: BodyDataStream, shown: &Shown<'_>) {
    let rest = stream.for_each(async |_| {});
    let ended = tokio::time::timeout(PATIENCE, rest).await;
    assert!(ended.is_ok(), "the stream goes on");
    let (status, _) = status(api, shown).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

/// The stream goes on for many times as long as a credential is remembered.
async fn goes_on(stream: &mut BodyDataStream) {
    for _ in 0..20 {
        let frame = stream.next().await.expect("the stream ended").unwrap();
        assert!(frame.starts_with(b":"), "{frame:?}");
    }
}

async fn a_revoked_key_ends_its_streams_only(rig: Rig) {
    let (leaver, stayer) = (
        rig.key("leaver", Role::Viewer, Some("t")).await,
        rig.key("stayer", Role::Viewer, Some("t")).await,
    );
    let api = wary(&rig);
    let shown = [("x-api-key", &*leaver)];
    let mut stream = listen(&api, &shown).await;
    let mut other = listen(&api, &[("x-api-key", &stayer)]).await;
    goes_on(&mut stream).await;
    assert!(rig.revoke("leaver").await.is_some());
    ends(&api, stream, &shown).await;
    goes_on(&mut other).await;
}

async fn a_session_that_is_closed_ends_its_streams(rig: Rig) {
    let key = rig.key("ops", Role::Viewer, None).await;
    let cookie = cookie(&sign_in(&rig, &key).await);
    let api = wary(&rig);
    let shown = [HOST, ("cookie", &*cookie)];
    let mut stream = listen(&api, &shown).await;
    goes_on(&mut stream).await;
    // On another process than the one that tells of events.
    let close = request("DELETE", "/v1/session", &[HOST, HERE, shown[1]], None);
    assert_eq!(rig.api.send(close).await.status, StatusCode::NO_CONTENT);
    ends(&api, stream, &shown).await;
}

async fn a_disabled_tenant_and_a_revoked_key_of_the_platform_end_their_streams(rig: Rig) {
    platform(&rig).await;
    let shown = [("x-api-key", TENANTS)];
    for (bad, good) in [
        (
            "update tenants set enabled = false where id = 't1';",
            "update tenants set enabled = true where id = 't1';",
        ),
        (
            "update tenant_api_keys set active = false where \"tenantId\" = 't1';",
            "",
        ),
    ] {
        // One that has not refused the key lately.
        let api = wary(&rig);
        let stream = listen(&api, &shown).await;
        run(&rig, bad.to_owned()).await;
        ends(&api, stream, &shown).await;
        run(&rig, good.to_owned()).await;
    }
}

async fn a_token_that_is_over_ends_its_streams(rig: Rig) {
    platform(&rig).await;
    let api = wary(&rig);
    // Clocks may be thirty seconds apart: so it is good for two or three seconds more.
    let now: Timestamp = rig.database.store.now().await.unwrap();
    let over = now.to_datetime().timestamp() - 27;
    let claims = json!({"type": "tenant_user", "iss": "meta-chat-platform", "exp": over,
        "userId": "owner", "tenantId": "t1", "email": "owner@example.com"});
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let token = signed(&header, &claims, "a-secret-of-the-platform-0123456789");
    let bearer = format!("Bearer {token}");
    let shown = [("authorization", &*bearer)];
    let stream = listen(&api, &shown).await;
    ends(&api, stream, &shown).await;
}
