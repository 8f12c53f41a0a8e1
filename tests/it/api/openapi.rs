use axum::body::Body;
use axum::http::{Method, Request, StatusCode};

use super::Api;

#[tokio::test]
async fn the_description_is_as_it_was_reviewed() {
    let document = Api::new().get("/openapi.json").await;
    assert_eq!(document.header("content-type"), Some("application/json"));
    insta::assert_json_snapshot!("openapi", document.json());
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own() {
    let document = Api::new().get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let mut names: Vec<_> = paths
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}

/// Every route there is, is in the description; so this finds the one that someone left open.
#[tokio::test]
async fn every_route_but_health_asks_for_the_key() {
    let api = Api::new();
    let document = api.get("/openapi.json").await.json();
    let mut guarded = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = Request::builder()
                .method(method.clone())
                .uri(
                    path.replace("{id}", "0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d")
                        .replace("{queue}", "mail"),
                )
                .body(Body::empty())
                .unwrap();
            let status = api.send(request).await.status;
            if *path == "/v1/session" && method == Method::POST {
                // It exchanges a credential for a session, and asks for it in the body.
                assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
            } else if path.starts_with("/health") || path.starts_with("/api/health") {
                assert_eq!(status, StatusCode::OK, "{method} {path}");
            } else {
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                let says = &item[method.as_str().to_lowercase()]["x-access"];
                assert!(says.is_object(), "{method} {path} has no rule in access.rs");
                guarded += 1;
            }
        }
    }
    assert_eq!(guarded, 61, "routes that need the key");
}

/// A client may check what it sends against the description.
#[tokio::test]
async fn what_a_page_calls_next_is_what_the_description_asks_for() {
    let api = Api::new();
    let document = api.get("/openapi.json").await.json();
    for name in ["a", "b"] {
        api.client
            .enqueue(&super::Greet { name: name.into() })
            .await
            .unwrap();
        let flow = serde_json::json!({
            "name": name, "steps": [{"name": "s", "kind": "greet", "args": {"name": name}}],
        });
        api.post("/v1/flows", flow).await;
    }
    for path in ["/v1/jobs", "/v1/flows"] {
        let page = api.get(&format!("{path}?limit=1")).await.json();
        let parameters = document["paths"][path]["get"]["parameters"]
            .as_array()
            .unwrap();
        let after = parameters
            .iter()
            .find(|one| one["name"] == "after")
            .unwrap();
        let pattern = after["schema"]["pattern"].as_str().unwrap();
        let next = page["next"].as_str().unwrap();
        assert!(
            next.bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        );
        let parts = next
            .split('-')
            .map(|part| format!("[0-9a-f]{{{}}}", part.len()));
        let form = format!("^{}$", parts.collect::<Vec<_>>().join("-"));
        assert_eq!(pattern, form, "{path}: {next}");
    }
}
