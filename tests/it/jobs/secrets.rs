//! Secrets as the platform keeps them.

use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use windlass::db::Db;

use super::rig::Rig;

pub(super) const OLD_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(super) const NEW_KEY: &str = "//////////////////////////////////////////8=";

/// Encrypts as the platform does.
pub(super) fn sealed(key: &str, plain: &str) -> [String; 3] {
    let cipher = Aes256Gcm::new_from_slice(&BASE64_STANDARD.decode(key).unwrap()).unwrap();
    let iv = [7_u8; 12];
    let mut ciphertext = cipher.encrypt(&iv.into(), plain.as_bytes()).unwrap();
    let tag = ciphertext.split_off(ciphertext.len() - 16);
    [ciphertext, iv.to_vec(), tag].map(|bytes| BASE64_STANDARD.encode(bytes))
}

/// Keeps a channel's secrets encrypted, in place of what was there.
pub(super) async fn store_secret(
    rig: &Rig,
    channel: &str,
    key_id: &str,
    [text, iv, tag]: &[String; 3],
) {
    const PUT: &str = "insert into channel_secrets \
        (id, \"channelId\", \"keyId\", ciphertext, iv, \"authTag\", \"updatedAt\") \
        values ($1, $1, $2, $3, $4, $5, $6) \
        on conflict (\"channelId\") do update set \"keyId\" = excluded.\"keyId\", \
        ciphertext = excluded.ciphertext, iv = excluded.iv, \"authTag\" = excluded.\"authTag\"";
    match &rig.db {
        Db::Postgres(db) => {
            let at = chrono::NaiveDateTime::default();
            let put = sqlx::query(PUT)
                .bind(channel)
                .bind(key_id)
                .bind(text)
                .bind(iv)
                .bind(tag);
            put.bind(at).execute(db.pool()).await.unwrap();
        }
        Db::Sqlite(db) => {
            let put = sqlx::query(PUT)
                .bind(channel)
                .bind(key_id)
                .bind(text)
                .bind(iv)
                .bind(tag);
            put.bind(0).execute(db.writer()).await.unwrap();
        }
        _ => unreachable!("two dialects"),
    }
}
