//! The settings as an operator may see them: each with where it comes from, none with a secret.

use config::{Map, Value, ValueKind};

use super::layers::whose;

/// One setting as it stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// Such as `server.port`.
    pub key: String,
    /// The value; of a secret only whether there is one.
    pub value: String,
    /// The file, variable or flag it comes from; none if it is the default.
    pub from: Option<String>,
}

/// How the names of secrets end.
const SECRETS: [&str; 8] = [
    "key",
    "keys",
    "password",
    "pepper",
    "ping_url",
    "secret",
    "token",
    "webhook_url",
];

/// Every setting of a tree, sorted.
pub(super) fn list(tree: &Map<String, Value>) -> Vec<Setting> {
    let mut settings = Vec::new();
    collect(tree, "", &mut settings);
    settings.sort_by(|a, b| a.key.cmp(&b.key));
    settings
}

fn collect(tree: &Map<String, Value>, path: &str, settings: &mut Vec<Setting>) {
    for (name, value) in tree {
        let key = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match &value.kind {
            ValueKind::Table(inner) => collect(inner, &key, settings),
            _ => settings.push(Setting {
                value: told(&key, &value.to_string()),
                from: value.origin().map(|origin| whose(&key, origin)),
                key,
            }),
        }
    }
}

fn told(key: &str, value: &str) -> String {
    let secret = SECRETS.iter().any(|ending| key.ends_with(ending));
    // What stands before an `@` in a URL is a password.
    let url_with_password = value.contains("://") && value.contains('@');
    match value {
        "" | "[]" => "(not set)".to_owned(),
        _ if secret || url_with_password => "(set)".to_owned(),
        shown => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_only_said_to_be_there() {
        assert_eq!(told("security.admin_key", "hunter2"), "(set)");
        assert_eq!(told("security.admin_key", ""), "(not set)");
        assert_eq!(told("sealing.keys", "[k1:hunter2]"), "(set)");
        assert_eq!(told("sealing.keys", "[]"), "(not set)");
        assert_eq!(told("database.url", "postgres://u:hunter2@db/x"), "(set)");
        assert_eq!(told("database.url", "sqlite:jobs.db"), "sqlite:jobs.db");
        assert_eq!(told("server.port", "3010"), "3010");
    }
}
