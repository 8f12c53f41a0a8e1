//! How whoever receives a webhook knows that it is ours, and when it was sent.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// `t=<seconds>,v1=<hex>`: HMAC-SHA256 of `<seconds>.<body>` under the secret; one `v1` for each
/// secret, so that a receiver can change over from one to the next.
pub(super) fn signature(secrets: &[&str], seconds: i64, body: &[u8]) -> String {
    let signed = secrets.iter().map(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .expect("HMAC takes keys of any length");
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        format!(",v1={}", hex::encode(mac.finalize().into_bytes()))
    });
    std::iter::once(format!("t={seconds}"))
        .chain(signed)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_another_program_computes() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec
        let expected = "8ad37ba156048ae0e0a5533c75cdf26fee88b07f93cb57ee4c80adb053012032";
        assert_eq!(
            signature(&["whsec"], 1_700_000_000, br#"{"a":1}"#),
            format!("t=1700000000,v1={expected}")
        );
        let both = signature(&["new", "old"], 1, b"{}");
        assert_eq!(both.matches(",v1=").count(), 2);
    }
}
