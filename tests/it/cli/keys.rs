//! Keys of the API, made and revoked by an operator.

use metachat_jobs::cli::Exit;
use serde_json::json;

use super::commands::Desk;

#[tokio::test]
async fn a_key_is_made_listed_and_revoked() {
    let desk = Desk::new().await;
    let made = desk
        .run(&[
            "keys", "create", "shop", "--role", "operator", "--tenant", "t1", "--days", "30",
        ])
        .await;
    assert_eq!(made.exit, Exit::Done, "{}", made.err);
    let key = made.out.trim();
    assert!(key.starts_with("mjk_"), "{key}");
    assert!(made.err.contains("only time"), "{}", made.err);

    let listed = desk.json(&["keys", "list"]).await;
    let line = &listed[0];
    assert_eq!(
        (&line["name"], &line["role"], &line["tenant_id"]),
        (&json!("shop"), &json!("operator"), &json!("t1"))
    );
    assert!(
        line["expires_at"].is_string() && line["revoked_at"].is_null(),
        "{line}"
    );
    assert!(!listed.to_string().contains(key));

    let twice = desk
        .run(&["keys", "create", "shop", "--role", "viewer"])
        .await;
    assert_eq!(twice.exit, Exit::Failed, "{}", twice.err);
    for (name, args) in [
        ("a name", &["two words", "--role", "viewer"][..]),
        ("an admin", &["x", "--role", "admin", "--tenant", "t1"]),
        ("--tenant", &["x", "--role", "viewer", "--tenant", ""]),
    ] {
        let wrong = desk.run(&[&["keys", "create"], args].concat()).await;
        assert_eq!(wrong.exit, Exit::Usage, "{}", wrong.err);
        assert!(wrong.err.contains(name), "{}", wrong.err);
    }

    let revoked = desk
        .run(&["keys", "revoke", "shop", "--reason", "left"])
        .await;
    assert_eq!(revoked.exit, Exit::Done, "{}", revoked.err);
    assert!(desk.json(&["keys", "list"]).await[0]["revoked_at"].is_string());
    assert_eq!(
        desk.run(&["keys", "revoke", "shop"]).await.exit,
        Exit::NotFound
    );
    let log = desk.run(&["--json", "audit"]).await.out;
    for act in ["key.create", "key.revoke", "left"] {
        assert!(log.contains(act), "{log}");
    }
    assert!(!log.contains(key), "{log}");
}
