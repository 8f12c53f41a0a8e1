//! Ids. A deterministic one makes a repeated write the same write.

use uuid::Uuid;

/// The namespace of ids derived here: any fixed value that nobody else uses.
const NAMESPACE: Uuid = Uuid::from_u128(0x3f1d_7c52_90ab_4be6_9d0e_51c7_86f2_a40b);

/// The same id for the same parts, and another for any others.
pub(super) fn derived(parts: &[&str]) -> String {
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    Uuid::new_v5(&NAMESPACE, &name).to_string()
}

/// A new id that sorts by time.
pub(super) fn fresh() -> String {
    Uuid::now_v7().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_run_into_each_other() {
        assert_eq!(derived(&["a", "bc"]), derived(&["a", "bc"]));
        assert_ne!(derived(&["a", "bc"]), derived(&["ab", "c"]));
        assert_ne!(derived(&["a", ""]), derived(&["a"]));
    }
}
