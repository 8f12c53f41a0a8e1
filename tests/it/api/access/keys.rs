//! The API's own keys: made, used, revoked; and what each role may do.

use std::time::Duration;

use axum::http::StatusCode;
use metachat_jobs::records::{NewAccessKey, Role};
use serde_json::json;

use super::rig::{Rig, another, on_both};

on_both!(
    each_route_refuses_a_lesser_role,
    a_key_is_stored_hashed_noted_and_revoked,
    who_acts_is_who_the_key_says,
);

fn rank(role: &str) -> usize {
    Role::ALL
        .iter()
        .position(|known| known.as_str() == role)
        .unwrap()
}

async fn each_route_refuses_a_lesser_role(rig: Rig) {
    let mut refused = 0;
    for role in Role::ALL {
        let key = rig.key(role.as_str(), role, None).await;
        for (method, path, needs) in rig.operations().await {
            let Some(needed) = needs["role"].as_str() else {
                continue; // health and signing in
            };
            // Signing out would end nothing here, but must not go on with a cookie of nobody's.
            let path = path.replace("{id}", "0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d");
            let answer = rig.as_key(&key, &method, &path, None).await;
            let enough = rank(role.as_str()) >= rank(needed);
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(
                answer.status != StatusCode::FORBIDDEN,
                enough,
                "{method} {path} as {role}: {}",
                answer.text
            );
            if !enough {
                assert_eq!(answer.json()["type"], "/problems/forbidden");
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/problem+json")
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 30, "{refused} refusals");
}

async fn a_key_is_stored_hashed_noted_and_revoked(rig: Rig) {
    let records = &rig.database.records;
    let key = rig.key("ops", Role::Viewer, None).await;
    assert!(key.starts_with("mjk_") && key.len() == 47, "{}", key.len());
    let get = async |key: &str| rig.as_key(key, "GET", "/v1/jobs", None).await.status;
    assert_eq!(get(&key).await, StatusCode::OK);
    let mut almost = key.clone();
    let last = if almost.pop() == Some('A') { 'B' } else { 'A' };
    almost.push(last);
    assert_eq!(get(&almost).await, StatusCode::UNAUTHORIZED);

    let known = records.access_keys().await.unwrap();
    assert_eq!(known.len(), 1);
    assert!(known[0].last_used_at.is_some());
    let twice = NewAccessKey {
        name: "ops",
        role: Role::Admin,
        tenant: None,
        expires_in: None,
        by: "a test",
    };
    assert!(rig.make(&twice).await.is_none());
    let brief = NewAccessKey {
        name: "brief",
        expires_in: Some(Duration::ZERO),
        ..twice
    };
    let (_, brief) = rig.make(&brief).await.unwrap();
    assert_eq!(get(brief.expose()).await, StatusCode::UNAUTHORIZED);

    assert!(records.has_access_keys().await.unwrap());
    assert_eq!(rig.revoke("ops").await, Some(known[0].id));
    assert_eq!(rig.revoke("ops").await, None);
    assert!(!records.has_access_keys().await.unwrap());
    // A process that has not seen it lately refuses it at once.
    let other = another(&rig.database);
    let request = super::rig::request("GET", "/v1/jobs", &[("x-api-key", &key)], None);
    assert_eq!(other.send(request).await.status, StatusCode::UNAUTHORIZED);
}

async fn who_acts_is_who_the_key_says(rig: Rig) {
    let key = rig.key("night-shift", Role::Operator, None).await;
    let paused = json!({"queue": "mail", "reason": "quiet"});
    let put = rig.as_key(&key, "PUT", "/v1/pauses", Some(&paused)).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    assert_eq!(put.json()["by"], "key/night-shift");
    let log = rig.as_key(&key, "GET", "/v1/audit", None).await.json();
    assert_eq!(log["entries"][0]["actor"], "key/night-shift");
    assert!(!log.to_string().contains(&key));
}
