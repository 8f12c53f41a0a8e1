use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Whether a body was signed with the app's secret: `header` is what came as `x-hub-signature-256`.
/// Takes as long for a wrong signature as for a right one.
pub fn is_signed(body: &[u8], header: &str, app_secret: &str) -> bool {
    let Some(claimed) = header
        .strip_prefix("sha256=")
        .and_then(|claimed| hex::decode(claimed).ok())
    else {
        return false;
    };
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&claimed).is_ok()
}

/// Whether two secrets are the same, in a time that does not tell how much of them is.
pub fn matches(given: &str, expected: &str) -> bool {
    !expected.is_empty() && given.as_bytes().ct_eq(expected.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reckoned with another program: `printf '{"a":1}' | openssl dgst -sha256 -hmac app-secret`.
    const SIGNED: &str = "sha256=a2ac6607a24977f9757e6d78319ae1660ad42ffeee0ee3f0dff30a92bcf85448";

    #[test]
    fn only_the_right_secret_and_body_are_signed() {
        assert!(is_signed(br#"{"a":1}"#, SIGNED, "app-secret"));
        assert!(!is_signed(br#"{"a":2}"#, SIGNED, "app-secret"));
        assert!(!is_signed(br#"{"a":1}"#, SIGNED, "verify-token"));
        for header in [
            "",
            "sha256=",
            "sha256=zz",
            "sha1=00",
            &SIGNED[..20],
            &SIGNED[7..],
        ] {
            assert!(!is_signed(br#"{"a":1}"#, header, "app-secret"), "{header}");
        }
    }

    #[test]
    fn nothing_matches_a_secret_that_is_not_set() {
        assert!(matches("s", "s"));
        assert!(!matches("s", "t"));
        assert!(!matches("", ""));
    }
}
