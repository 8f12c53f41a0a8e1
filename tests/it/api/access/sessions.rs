//! Signing in to the dashboard and out of it, and what a browser may do meanwhile.

use std::time::Duration;

use axum::http::StatusCode;
use metachat_jobs::records::Role;
use serde_json::{Value, json};

use super::rig::{Rig, another, on_both, request};
use crate::api::{Answer, KEY};

on_both!(
    a_session_stands_for_a_key_on_every_instance_until_it_ends,
    a_change_by_cookie_comes_from_a_page_of_this_host,
    a_link_lets_somebody_in_once,
    a_revoked_key_takes_its_sessions_with_it,
);

pub(super) const HOST: (&str, &str) = ("host", "jobs.example.com");
pub(super) const HERE: (&str, &str) = ("sec-fetch-site", "same-origin");

pub(super) async fn sign_in(rig: &Rig, credential: &str) -> Answer {
    let body = json!({"credential": credential});
    let request = request("POST", "/v1/session", &[HOST, HERE], Some(&body));
    rig.api.send(request).await
}

/// What a browser would send back.
pub(super) fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").unwrap();
    set.split(';').next().unwrap().to_owned()
}

async fn a_session_stands_for_a_key_on_every_instance_until_it_ends(rig: Rig) {
    let key = rig.key("ops", Role::Operator, Some("t")).await;
    let signed_in = sign_in(&rig, &key).await;
    assert_eq!(signed_in.status, StatusCode::CREATED, "{}", signed_in.text);
    let set = signed_in.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-jobs-session=mjs_"), "{set}");
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!signed_in.text.contains("mjs_") && !signed_in.text.contains(&key));
    let cookie = cookie(&signed_in);
    let who = |cookie: &str| request("GET", "/v1/session", &[HOST, ("cookie", cookie)], None);
    for api in [&rig.api, &another(&rig.database)] {
        let told = api.send(who(&cookie)).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.text);
        let expected =
            json!({"name": "key/ops", "kind": "session", "role": "operator", "tenant": "t"});
        assert_eq!(told.json(), expected);
    }
    // What a cookie holds is no key.
    let (_, held) = cookie.split_once('=').unwrap();
    let shown = rig.as_key(held, "GET", "/v1/session", None).await;
    assert_eq!(shown.status, StatusCode::UNAUTHORIZED);

    let out = request(
        "DELETE",
        "/v1/session",
        &[HOST, HERE, ("cookie", &cookie)],
        None,
    );
    let out = rig.api.send(out).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT, "{}", out.text);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    for api in [&rig.api, &another(&rig.database)] {
        let told = api.send(who(&cookie)).await;
        assert_eq!(told.status, StatusCode::UNAUTHORIZED);
    }
    let log = rig.api.get("/v1/audit").await.json();
    let acts: Vec<&str> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(acts, ["session.close", "session.open"]);
    assert!(!log.to_string().contains("mjs_"));
}

async fn a_change_by_cookie_comes_from_a_page_of_this_host(rig: Rig) {
    let cookie = cookie(&sign_in(&rig, KEY).await);
    let cookie = ("cookie", &*cookie);
    let paused = json!({"queue": "mail"});
    let put = async |headers: &[(&str, &str)]| {
        let request = request("PUT", "/v1/pauses", headers, Some(&paused));
        rig.api.send(request).await.status
    };
    assert_eq!(put(&[HOST, cookie]).await, StatusCode::FORBIDDEN);
    let evil = ("origin", "https://evil.example.com");
    assert_eq!(put(&[HOST, cookie, evil]).await, StatusCode::FORBIDDEN);
    let cross = ("sec-fetch-site", "cross-site");
    assert_eq!(put(&[HOST, cookie, cross]).await, StatusCode::FORBIDDEN);
    assert_eq!(rig.api.get("/v1/pauses").await.json()["pauses"], json!([]));
    assert_eq!(put(&[HOST, cookie, HERE]).await, StatusCode::OK);
    let own = ("origin", "https://jobs.example.com");
    assert_eq!(put(&[HOST, cookie, own]).await, StatusCode::OK);
    // A program that sends a key is no browser.
    assert_eq!(
        put(&[HOST, evil, ("x-admin-key", KEY)]).await,
        StatusCode::OK
    );
    // Nobody is signed in from a stranger's page.
    let body: Value = json!({"credential": KEY});
    let from_there = request("POST", "/v1/session", &[HOST, evil], Some(&body));
    assert_eq!(rig.api.send(from_there).await.status, StatusCode::FORBIDDEN);
    let wrong = sign_in(&rig, "no-key-of-anyone").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.header("set-cookie").is_none());
}

async fn a_link_lets_somebody_in_once(rig: Rig) {
    let records = &rig.database.records;
    let hour = Duration::from_hours(1);
    let token = records
        .add_sign_in_link("demo", Role::Admin, hour)
        .await
        .unwrap();
    let local = ("host", "127.0.0.1:3010");
    let follow = async |token: &str| {
        let path = format!("/login?token={token}");
        rig.api.send(request("GET", &path, &[local], None)).await
    };
    let first = follow(token.expose()).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER, "{}", first.text);
    assert_eq!(first.header("location"), Some("/#session"));
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let set = first.header("set-cookie").unwrap();
    assert!(
        set.starts_with("jobs-session=") && !set.contains("Secure"),
        "{set}"
    );
    let cookie = cookie(&first);
    let who = request("GET", "/v1/session", &[local, ("cookie", &cookie)], None);
    assert_eq!(rig.api.send(who).await.json()["name"], "demo");
    let elsewhere = request("GET", "/v1/session", &[HOST, ("cookie", &cookie)], None);
    assert_eq!(
        rig.api.send(elsewhere).await.status,
        StatusCode::UNAUTHORIZED
    );

    let second = follow(token.expose()).await;
    assert_eq!(second.status, StatusCode::UNAUTHORIZED);
    assert_eq!(second.json()["type"], "/problems/link-used");
    let old = records
        .add_sign_in_link("demo", Role::Admin, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(follow(old.expose()).await.status, StatusCode::UNAUTHORIZED);
}

async fn a_revoked_key_takes_its_sessions_with_it(rig: Rig) {
    let key = rig.key("leaver", Role::Viewer, None).await;
    let cookie = cookie(&sign_in(&rig, &key).await);
    rig.revoke("leaver").await;
    // Whoever has not seen the cookie lately asks the database.
    let who = request("GET", "/v1/session", &[HOST, ("cookie", &cookie)], None);
    assert_eq!(
        another(&rig.database).send(who).await.status,
        StatusCode::UNAUTHORIZED
    );
}
