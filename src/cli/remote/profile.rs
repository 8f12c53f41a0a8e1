//! Servers by name, from a file. It is read by hand: what a parser says of a mistake quotes the line,
//! and the line may hold a key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reqwest::Url;
use toml::{Table, Value};

use super::super::{Exit, Failure};
use super::Environment;
use super::key::{self, Source};

/// A server and what opens it.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) url: Url,
    pub(super) key: Source,
}

/// Where profiles are kept.
pub(super) fn path(environment: &Environment) -> Result<PathBuf, Failure> {
    let set = |name: &str| environment.get(name).filter(|path| !path.is_empty());
    let folder = match (set("XDG_CONFIG_HOME"), set("HOME")) {
        (Some(folder), _) => PathBuf::from(folder),
        (None, Some(home)) => Path::new(home).join(".config"),
        (None, None) => {
            return Err(Failure::usage(
                "profiles are in $XDG_CONFIG_HOME/metachat-jobs/jobctl.toml; neither XDG_CONFIG_HOME nor HOME \
                 is set",
            ));
        }
    };
    Ok(folder.join("metachat-jobs").join("jobctl.toml"))
}

/// One profile.
pub(super) fn find(name: &str, environment: &Environment) -> Result<Profile, Failure> {
    let path = path(environment)?;
    let mut all = read(&path)?;
    all.remove(name).ok_or_else(|| {
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        let known = match known.as_slice() {
            [] => "it has none".to_owned(),
            known => format!("it has {}", known.join(", ")),
        };
        let message = format!("no profile {name} in {}: {known}", path.display());
        Failure::new(Exit::Usage, message)
    })
}

/// All profiles; none where there is no file.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Profile>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            let message = format!("failed to read {}: {error}", path.display());
            return Err(Failure::usage(message));
        }
    };
    let profiles =
        parse(&text).map_err(|wrong| Failure::usage(format!("{}: {wrong}", path.display())))?;
    let inline = |profile: &Profile| matches!(profile.key, Source::Inline(_));
    if profiles.values().any(inline) {
        key::private(path)?;
    }
    Ok(profiles)
}

fn parse(text: &str) -> Result<BTreeMap<String, Profile>, String> {
    let table: Table = toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        format!("line {line} is not TOML")
    })?;
    only(&table, "the file", &["profiles"])?;
    let Some(profiles) = table.get("profiles") else {
        return Ok(BTreeMap::new());
    };
    let profiles = profiles.as_table().ok_or("profiles is not a table")?;
    let named = profiles.iter().map(|(name, profile)| {
        let profile = one(name, profile).map_err(|wrong| format!("profile {name}: {wrong}"))?;
        Ok((name.clone(), profile))
    });
    named.collect()
}

fn one(name: &str, profile: &Value) -> Result<Profile, String> {
    let profile = profile.as_table().ok_or("it is not a table")?;
    only(profile, "it", &["url", "key", "plain_http"])?;
    let url = profile.get("url").and_then(Value::as_str);
    let url = url.ok_or("it has no url, such as \"https://jobs.example.com\"")?;
    let plain = match profile.get("plain_http") {
        None => false,
        Some(plain) => plain.as_bool().ok_or("plain_http is true or false")?,
    };
    let key = profile.get("key").ok_or(KEY)?;
    Ok(Profile {
        name: name.to_owned(),
        url: address(url, plain)?,
        key: source(key)?,
    })
}

const KEY: &str = "its key is to be one of { file = \"..\" }, { env = \"..\" }, { command = [\"..\"] } and \
                   { inline = \"..\" }";

fn source(key: &Value) -> Result<Source, String> {
    let key = key.as_table().filter(|key| key.len() == 1).ok_or(KEY)?;
    let (form, value) = key.iter().next().ok_or(KEY)?;
    match (form.as_str(), value) {
        ("file", Value::String(path)) if Path::new(path).is_absolute() => {
            Ok(Source::File(path.into()))
        }
        ("file", Value::String(_)) => Err("the path of its key's file is not absolute".to_owned()),
        ("env", Value::String(name)) => Ok(Source::Env(name.clone())),
        ("command", Value::Array(words)) => {
            let words = words.iter().map(|word| word.as_str().map(str::to_owned));
            let words: Option<Vec<String>> = words.collect();
            let words = words.filter(|words| !words.is_empty()).ok_or(KEY)?;
            Ok(Source::Command(words))
        }
        ("inline", Value::String(key)) => Ok(Source::Inline(key.as_str().into())),
        _ => Err(KEY.to_owned()),
    }
}

fn only(table: &Table, whose: &str, known: &[&str]) -> Result<(), String> {
    // Not even a name is repeated unless it looks like one: somebody may have pasted a key.
    let plain =
        |name: &str| name.len() < 20 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let unknown = table.keys().find(|name| !known.contains(&name.as_str()));
    let Some(name) = unknown else { return Ok(()) };
    let name = if plain(name) {
        format!(" {name}")
    } else {
        String::new()
    };
    Err(format!(
        "{whose} has an unknown entry{name}; known are {}",
        known.join(", ")
    ))
}

fn address(url: &str, plain: bool) -> Result<Url, String> {
    let parsed = Url::parse(url).map_err(|error| format!("its url is none: {error}"))?;
    let (scheme, Some(host)) = (parsed.scheme(), parsed.host_str()) else {
        return Err("its url has no host".to_owned());
    };
    if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some() {
        return Err("its url holds more than an address; what opens it is its key".to_owned());
    }
    let here = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    match scheme {
        "https" => Ok(parsed),
        "http" if here || plain => Ok(parsed),
        "http" => Err(
            "its url is http, over which the key can be read on the way; use https, or set plain_http = true"
                .to_owned(),
        ),
        _ => Err("its url is neither https nor http".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read() {
        let profiles = parse(
            r#"
            [profiles.here]
            url = "http://127.0.0.1:3010"
            key = { env = "KEY" }
            [profiles.there]
            url = "https://jobs.example.com/base"
            key = { command = ["pass", "show", "jobs"] }
            "#,
        )
        .unwrap();
        let told: Vec<_> = profiles
            .values()
            .map(|it| (it.name.as_str(), it.url.as_str(), it.key.describe()))
            .collect();
        assert_eq!(
            told,
            [
                ("here", "http://127.0.0.1:3010/", "variable KEY".to_owned()),
                (
                    "there",
                    "https://jobs.example.com/base",
                    "command pass".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn mistakes_are_named_without_what_was_written() {
        let key = "mjk_0123456789abcdefghijklmnopqrstuv";
        for (text, told) in [
            (
                format!("[profiles.a]\nurl = \"https://a\"\nkey = \"{key}\""),
                "its key is to be one of",
            ),
            (format!("[profiles.a]\nkey = \"{key}"), "line 2 is not TOML"),
            (
                format!("[profiles.a]\n{key} = 1"),
                "it has an unknown entry; known are",
            ),
            (
                format!("{key} = 1"),
                "the file has an unknown entry; known are",
            ),
            (
                format!("[profiles.a]\nurl = \"https://a:{key}@b\""),
                "its key is to be",
            ),
            (
                format!("[profiles.a]\nurl = \"https://u:{key}@b\"\nkey.env = \"K\""),
                "its url holds more than an address",
            ),
            (
                format!("[profiles.a]\nurl = \"https://b\"\nkey.file = \"{key}\""),
                "is not absolute",
            ),
            (
                "[profiles.a]\nurl = \"http://jobs.example.com\"\nkey.env = \"K\"".to_owned(),
                "use https",
            ),
            (
                "[profiles.a]\nurl = \"file:///x\"\nkey.env = \"K\"".to_owned(),
                "has no host",
            ),
        ] {
            let wrong = parse(&text).unwrap_err();
            assert!(wrong.contains(told), "{text}: {wrong}");
            assert!(!wrong.contains(key), "{wrong}");
        }
    }
}
