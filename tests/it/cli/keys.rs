//! Keys of the API, made and revoked by an operator.

use metachat_jobs::cli::Exit;
use serde_json::json;
use sqlx::Connection as _;

use super::commands::Desk;
use crate::support::with_postgres;

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

/// Neither a key nor its end without its line in the audit log.
async fn what_is_not_audited_is_not_done(desk: &Desk, refuse: impl Future<Output = ()>) {
    assert_eq!(desk.run(&["migrate"]).await.exit, Exit::Done);
    let create = ["keys", "create", "shop", "--role", "viewer"];
    let made = desk.run(&create).await;
    assert_eq!(made.exit, Exit::Done, "{}", made.err);
    refuse.await;

    let another = desk
        .run(&["keys", "create", "other", "--role", "viewer"])
        .await;
    assert_ne!(another.exit, Exit::Done);
    assert_eq!(another.out, "", "no key is shown that is none");
    let revoked = desk.run(&["keys", "revoke", "shop"]).await;
    assert_ne!(revoked.exit, Exit::Done);
    let keys = desk.json(&["keys", "list"]).await;
    assert_eq!(keys.as_array().unwrap().len(), 1, "{keys}");
    assert_eq!(
        (&keys[0]["name"], &keys[0]["revoked_at"]),
        (&json!("shop"), &json!(null))
    );
}

#[tokio::test]
async fn a_key_is_made_and_ended_with_its_audit_on_sqlite() {
    let desk = Desk::empty();
    let url = format!("sqlite:{}", desk.file().display());
    what_is_not_audited_is_not_done(&desk, async {
        let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let refuse = "create trigger no_audit before insert on job_audit
                      begin select raise(abort, 'not today'); end";
        sqlx::query(refuse).execute(&mut db).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_key_is_made_and_ended_with_its_audit_on_postgres() {
    with_postgres(async |url| {
        let desk = Desk::on_postgres(url.clone());
        let refuse = async {
            let mut db = sqlx::PgConnection::connect(&url).await.unwrap();
            let refuse = "alter table jobs.audit add constraint no_audit check (false) not valid";
            sqlx::query(refuse).execute(&mut db).await.unwrap();
        };
        Box::pin(what_is_not_audited_is_not_done(&desk, refuse)).await;
    })
    .await;
}
