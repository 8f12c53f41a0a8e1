//! The platform's own credentials: its keys, and the tokens it signs.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use windlass::db::Db;

use super::rig::{Rig, another, on_both, request};
use crate::api::Answer;

on_both!(
    keys_of_the_platform_open_what_their_holders_may_see,
    tokens_are_pinned_to_their_issuer_type_and_algorithm,
);

/// The same prefix, ten letters and digits in lower case: only the hash tells them apart.
pub(super) const TENANTS: &str = "ten_AbCdEfG-the-key-of-a-tenant-0123456789ABCDEF";
const COLLIDING: &str = "ten_aBcDeFg-the-key-of-another-0123456789ABCDEF";
const REVOKED: &str = "ten_Revoked-the-key-of-a-tenant-0123456789ABCDEF";
const EXPIRED: &str = "ten_Expired-the-key-of-a-tenant-0123456789ABCDEF";
const DISABLED: &str = "ten_Disable-the-key-of-a-tenant-0123456789ABCDEF";
const SUPER: &str = "adm_SuperAA-the-key-of-an-admin-0123456789ABCDEF";
const STANDARD: &str = "adm_Standar-the-key-of-an-admin-0123456789ABCDEF";
const SALT: &str = "000102030405060708090a0b0c0d0e0f";
const LATER: i64 = 4_000_000_000;

fn hash(password: &str) -> String {
    let mut made = [0; 64];
    let params = scrypt::Params::new(14, 8, 1, 64).unwrap();
    let salt = hex::decode(SALT).unwrap();
    scrypt::scrypt(password.as_bytes(), &salt, &params, &mut made).unwrap();
    hex::encode(made)
}

fn prefix(key: &str) -> String {
    let letters = key.chars().filter(char::is_ascii_alphanumeric);
    letters.take(10).collect::<String>().to_lowercase()
}

pub(super) async fn run(rig: &Rig, statements: String) {
    match &rig.raw {
        Db::Postgres(db) => {
            let statements = sqlx::AssertSqlSafe(statements);
            sqlx::raw_sql(statements).execute(db.pool()).await.unwrap();
        }
        Db::Sqlite(db) => {
            let statements = sqlx::AssertSqlSafe(statements);
            sqlx::raw_sql(statements)
                .execute(db.writer())
                .await
                .unwrap();
        }
        _ => panic!("which database is this?"),
    }
}

/// What the platform would have written.
pub(super) async fn platform(rig: &Rig) {
    let (now, past) = match &rig.raw {
        Db::Postgres(_) => ("now()", "now() - interval '1 hour'"),
        _ => ("1", "1"),
    };
    for tenant in ["t1", "t2", "off"] {
        let platform = &rig.database.platform;
        let mut tx = platform.begin(tenant).await.unwrap();
        let made = platform
            .create_tenant(&mut tx, tenant, "A tenant", &json!({}))
            .await;
        made.unwrap();
        tx.commit().await.unwrap();
    }
    let mut sql = format!(
        "update tenants set enabled = false where id = 'off';
         insert into admin_users (id, email, role, \"updatedAt\") values
            ('boss', 'boss@example.com', 'SUPER', {now}), ('clerk', 'clerk@example.com', 'STANDARD', {now});
         insert into tenant_users (id, \"tenantId\", email, role, updated_at) values
            ('owner', 't1', 'owner@example.com', 'OWNER', {now}),
            ('member', 't1', 'member@example.com', 'MEMBER', {now});
         insert into admin_keys (id, name, \"hashedSecret\", metadata, \"updatedAt\") values
            ('reader', 'reader', '{SALT}:{}', null, {now}),
            ('writer', 'writer', '{SALT}:{}', '{{\"scopes\": [\"admin:write\"]}}', {now});",
        hash("secretpepper"),
        hash("otherpepper"),
    );
    for (table, column, key, owner, active, expires) in [
        ("tenant_api_keys", "tenantId", COLLIDING, "t2", true, None),
        ("tenant_api_keys", "tenantId", TENANTS, "t1", true, None),
        ("tenant_api_keys", "tenantId", REVOKED, "t1", false, None),
        (
            "tenant_api_keys",
            "tenantId",
            EXPIRED,
            "t1",
            true,
            Some(past),
        ),
        ("tenant_api_keys", "tenantId", DISABLED, "off", true, None),
        ("admin_api_keys", "adminId", SUPER, "boss", true, None),
        ("admin_api_keys", "adminId", STANDARD, "clerk", true, None),
    ] {
        let (prefix, hash) = (prefix(key), hash(key));
        let expires = expires.unwrap_or("null");
        let insert = format!(
            "insert into {table} (id, \"{column}\", prefix, hash, salt, \"lastFour\", active, \
             \"updatedAt\", \"expiresAt\") values ('{}', '{owner}', '{prefix}', '{hash}', '{SALT}', \
             'CDEF', {active}, {now}, {expires});",
            &key[..11]
        );
        sql.push_str(&insert);
    }
    run(rig, sql).await;
}

async fn who(rig: &Rig, key: &str) -> Answer {
    rig.as_key(key, "GET", "/v1/session", None).await
}

fn is(answer: &Answer, kind: &str, role: &str, tenant: Option<&str>) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let told = answer.json();
    let (kind, tenant) = (json!(kind), json!(tenant));
    assert_eq!(
        (&told["kind"], &told["role"], &told["tenant"]),
        (&kind, &json!(role), &tenant)
    );
}

async fn keys_of_the_platform_open_what_their_holders_may_see(rig: Rig) {
    platform(&rig).await;
    assert_eq!(prefix(TENANTS), prefix(COLLIDING));
    is(&who(&rig, TENANTS).await, "api_key", "operator", Some("t1"));
    is(
        &who(&rig, COLLIDING).await,
        "api_key",
        "operator",
        Some("t2"),
    );
    is(&who(&rig, SUPER).await, "platform_admin_key", "admin", None);
    is(
        &who(&rig, STANDARD).await,
        "platform_admin_key",
        "operator",
        None,
    );
    is(
        &who(&rig, "adm_reader.secret").await,
        "platform_admin_key",
        "viewer",
        None,
    );
    is(
        &who(&rig, "adm_writer.other").await,
        "platform_admin_key",
        "operator",
        None,
    );
    let mut wrong = TENANTS.to_owned();
    wrong.push('x');
    for bad in [
        REVOKED,
        EXPIRED,
        DISABLED,
        &wrong,
        "adm_reader.other",
        "adm_nobody.secret",
        "ten_short",
    ] {
        let answer = who(&rig, bad).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{bad}");
        assert!(!answer.text.contains(bad));
    }
    let admins = request("GET", "/v1/session", &[("x-admin-key", SUPER)], None);
    is(
        &rig.api.send(admins).await,
        "platform_admin_key",
        "admin",
        None,
    );
    let used = "select count(*) from tenant_api_keys where \"lastUsedAt\" is not null";
    let used: i64 = match &rig.raw {
        Db::Postgres(db) => sqlx::query_scalar(used).fetch_one(db.pool()).await.unwrap(),
        Db::Sqlite(db) => sqlx::query_scalar(used)
            .fetch_one(db.readers())
            .await
            .unwrap(),
        _ => panic!("which database is this?"),
    };
    assert_eq!(
        used, 3,
        "the two that are good, and the one whose tenant is disabled"
    );

    // Revoked, a key is refused by whoever has not just seen it.
    let revoke = "update tenant_api_keys set active = false where \"tenantId\" = 't1';";
    run(&rig, revoke.to_owned()).await;
    let asked = request("GET", "/v1/session", &[("x-api-key", TENANTS)], None);
    let status = another(&rig.database).send(asked).await.status;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

pub(super) fn signed(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let mac = mac.chain_update(&text).finalize().into_bytes();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
}

async fn tokens_are_pinned_to_their_issuer_type_and_algorithm(rig: Rig) {
    platform(&rig).await;
    let secret = "a-secret-of-the-platform-0123456789";
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let bearer = async |token: String| {
        let bearer = format!("Bearer {token}");
        let asked = request("GET", "/v1/session", &[("authorization", &bearer)], None);
        rig.api.send(asked).await
    };
    let with = |base: &Value, change: Value| {
        let mut claims = base.clone();
        claims
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        signed(&header, &claims, secret)
    };
    let tenant = json!({"type": "tenant_user", "iss": "meta-chat-platform", "exp": LATER,
        "userId": "owner", "tenantId": "t1", "email": "owner@example.com"});
    let admin = json!({"type": "admin", "iss": "meta-chat-platform", "exp": LATER,
        "userId": "boss", "email": "boss@example.com", "role": "STANDARD"});
    let key = json!({"type": "admin", "iss": "meta-chat-api", "aud": "admin", "exp": LATER,
        "sub": "reader", "scope": "admin:read"});
    is(
        &bearer(with(&tenant, json!({}))).await,
        "tenant_user",
        "operator",
        Some("t1"),
    );
    is(
        &bearer(with(&tenant, json!({"userId": "member"}))).await,
        "tenant_user",
        "viewer",
        Some("t1"),
    );
    // The role is what the table says now, and not what the token said then.
    is(
        &bearer(with(&admin, json!({}))).await,
        "admin_user",
        "admin",
        None,
    );
    is(
        &bearer(with(&key, json!({}))).await,
        "platform_admin_key",
        "viewer",
        None,
    );

    let none = format!(
        "{}.",
        signed(&json!({"alg": "none"}), &admin, secret)
            .rsplit_once('.')
            .unwrap()
            .0
    );
    let bad = [
        ("no signature", none),
        (
            "another secret",
            signed(&header, &admin, "another-secret-0123456789"),
        ),
        (
            "another algorithm",
            signed(&json!({"alg": "HS512"}), &admin, secret),
        ),
        (
            "a public key's",
            signed(&json!({"alg": "RS256"}), &admin, secret),
        ),
        ("another issuer", with(&admin, json!({"iss": "evil"}))),
        ("no issuer", with(&admin, json!({"iss": null}))),
        ("over", with(&admin, json!({"exp": 1_000_000_000}))),
        ("without end", with(&admin, json!({"exp": null}))),
        (
            "an end that is text",
            with(&admin, json!({"exp": "4000000000"})),
        ),
        ("not yet", with(&admin, json!({"nbf": LATER}))),
        ("another type", with(&admin, json!({"type": "webchat"}))),
        ("no type", with(&admin, json!({"type": null}))),
        (
            "an admin of a tenant",
            with(&admin, json!({"tenantId": "t1"})),
        ),
        ("nobody", with(&admin, json!({"userId": "gone"}))),
        (
            "a tenant's person as admin",
            with(&tenant, json!({"type": "admin", "tenantId": null})),
        ),
        (
            "an admin as a tenant's person",
            with(&admin, json!({"type": "tenant_user"})),
        ),
        ("no tenant", with(&tenant, json!({"tenantId": ""}))),
        ("another tenant", with(&tenant, json!({"tenantId": "t2"}))),
        ("a key's for others", with(&key, json!({"aud": "shop"}))),
        ("a key's for nobody", with(&key, json!({"aud": null}))),
        (
            "a key's by the wrong issuer",
            with(&key, json!({"iss": "meta-chat-platform"})),
        ),
        ("a key that is gone", with(&key, json!({"sub": "gone"}))),
        (
            "no scope that is known",
            with(&key, json!({"scope": "shop:read"})),
        ),
    ];
    for (what, token) in bad {
        let answer = bearer(token.clone()).await;
        assert_eq!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "{what}: {}",
            answer.text
        );
        assert!(!answer.text.contains(&token), "{what}");
    }
}
