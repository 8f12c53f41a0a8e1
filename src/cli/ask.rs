//! A command as a request to the API. Each command says of itself what it asks; nothing is sent here.

use std::fmt::Display;

use reqwest::Method;
use serde::Serialize;

use super::Failure;

/// What a command asks the API, and how the answer is shown to people.
#[derive(Debug)]
pub struct Ask {
    pub(super) method: Method,
    /// Segments of the path, as they are: whoever sends it escapes them.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(&'static str, String)>,
    /// Only where the route takes its reason there.
    pub(super) reason: Option<String>,
    /// JSON.
    pub(super) body: Option<String>,
    pub(super) shows: Shows,
}

/// How an answer is shown where no JSON was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shows {
    /// The rows under this member, by these members of each.
    Rows(&'static str, &'static [&'static str]),
    /// One member by itself.
    Member(&'static str),
    /// Member by member.
    Sheet,
    /// Words: there is nothing in the answer.
    Words(&'static str),
}

impl Ask {
    pub(super) fn new(method: Method, path: &[&(dyn Display + Sync)], shows: Shows) -> Self {
        let versioned = std::iter::once("v1".to_owned());
        Self {
            method,
            path: versioned
                .chain(path.iter().map(ToString::to_string))
                .collect(),
            query: Vec::new(),
            reason: None,
            body: None,
            shows,
        }
    }

    pub(super) fn get(path: &[&(dyn Display + Sync)], shows: Shows) -> Self {
        Self::new(Method::GET, path, shows)
    }

    /// One of the few routes that are the same in every version.
    pub(super) fn unversioned(name: &str) -> Self {
        Self {
            path: vec![name.to_owned()],
            ..Self::get(&[], Shows::Sheet)
        }
    }

    pub(super) fn post(path: &[&(dyn Display + Sync)], shows: Shows) -> Self {
        Self::new(Method::POST, path, shows)
    }

    /// A parameter, if there is anything to say.
    pub(super) fn with(mut self, name: &'static str, value: Option<impl Display>) -> Self {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(super) fn body(mut self, body: &impl Serialize) -> Result<Self, Failure> {
        let body = serde_json::to_string(body).map_err(anyhow::Error::from)?;
        self.body = Some(body);
        Ok(self)
    }

    pub(super) fn because(mut self, reason: Option<String>) -> Self {
        self.reason = reason;
        self
    }

    /// The method and the path, for who compares them with the API's description.
    pub fn route(&self) -> (String, String) {
        (self.method.to_string(), format!("/{}", self.path.join("/")))
    }
}

/// A command that the API has no route for.
pub(super) fn not_remote(command: &str) -> Failure {
    Failure::usage(format!(
        "`jobctl {command}` works on the database itself: leave out --profile (and JOBCTL_PROFILE), and name \
         the database in DATABASE_URL"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_said_is_not_asked() {
        let ask = Ask::get(&[&"jobs"], Shows::Sheet)
            .with("kind", Some("greet"))
            .with("queue", None::<String>);
        assert_eq!(ask.query, [("kind", "greet".to_owned())]);
        assert_eq!(ask.route(), ("GET".to_owned(), "/v1/jobs".to_owned()));
    }
}
