//! The dashboard's files: who gets them, with what, and what a browser is told to refuse.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use super::{Answer, Api};

/// As a browser asks, which has no key.
async fn visit(api: &Api, path: &str) -> Answer {
    api.send(Request::get(path).body(Body::empty()).unwrap())
        .await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers[name].to_str().unwrap()
}

#[tokio::test]
async fn each_address_of_the_dashboard_is_the_one_page() {
    let api = Api::new();
    for path in [
        "/",
        "/jobs",
        "/jobs/0198f2a0-0000-7000-8000-0000000000c4?args=1",
        "/queues/deliver%20y",
        "/sign-in",
    ] {
        let page = visit(&api, path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
        assert!(page.text.contains("/main.js"), "{path}: {}", page.text);
        assert!(!page.text.contains("{{"), "{path}: {}", page.text);
    }
    for path in ["/job", "/jobs/a/b", "/assets/x/../Cargo.toml", "/%00"] {
        let nothing = visit(&api, path).await;
        assert_eq!(nothing.status, StatusCode::NOT_FOUND, "{path}");
        assert!(nothing.text.contains("/problems/"), "{path}");
    }
}

#[tokio::test]
async fn a_browser_runs_nothing_but_the_programs_own_files() {
    let api = Api::new();
    let page = visit(&api, "/").await;
    let policy = header(&page, "content-security-policy");
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(header(&page, "x-content-type-options"), "nosniff");
    assert_eq!(header(&page, "referrer-policy"), "no-referrer");
    // What the policy forbids is not in the page either.
    assert!(!page.text.contains("style="), "{}", page.text);
    for script in page.text.split("<script").skip(1) {
        assert!(script.contains(r#"src="/assets/"#), "{script}");
    }
}

#[tokio::test]
async fn every_file_that_the_page_names_is_there_and_packed_on_the_way() {
    let api = Api::new();
    let page = visit(&api, "/").await.text;
    let named: Vec<&str> = page
        .split('"')
        .filter(|text| text.starts_with("/assets/"))
        .collect();
    assert!(named.len() > 30, "{named:?}");
    let mut bytes = 0;
    for path in named {
        let plain = visit(&api, path).await;
        assert_eq!(plain.status, StatusCode::OK, "{path}");
        assert_eq!(header(&plain, "x-content-type-options"), "nosniff");
        let packed = Request::get(path).header("accept-encoding", "gzip");
        bytes += api.size_of(packed.body(Body::empty()).unwrap()).await;
    }
    assert!(bytes < 200_000, "all of it is {bytes} bytes, packed");
    let licence = visit(&api, "/assets/x/vendor/uplot/LICENSE").await;
    assert_eq!(licence.status, StatusCode::NOT_FOUND);
}
