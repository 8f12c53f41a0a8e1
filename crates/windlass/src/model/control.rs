use super::{Json, Timestamp};

/// What operators set while everything runs: a value by its space and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What it is about, such as `pause`.
    pub space: String,
    /// Which one.
    pub name: String,
    /// What was set; its space says in which form.
    pub value: Json,
    /// The version of all settings when this one was set: higher with each change, never used twice.
    pub version: i64,
    /// When.
    pub updated_at: Timestamp,
}

/// What an operator did, to be kept for good: who, what, to what and why.
///
/// ```
/// use windlass::model::Audit;
///
/// let audit = Audit::new("admin", "queue.pause", "queue/mail").because("the provider is down");
/// assert_eq!(audit.reason.as_deref(), Some("the provider is down"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Who did it, as the credential says.
    pub actor: String,
    /// What was done, as `noun.verb`.
    pub action: String,
    /// To what: what it is, a slash, and which.
    pub subject: String,
    /// Whose it is, if it is one tenant's.
    pub tenant_id: Option<String>,
    /// How it was; a change of a setting fills this in by itself.
    pub before: Option<Json>,
    /// How it is since; a change of a setting fills this in by itself.
    pub after: Option<Json>,
    /// Why, in the operator's words.
    pub reason: Option<String>,
}

impl Audit {
    /// Somebody did something to something.
    pub fn new(
        actor: impl Into<String>,
        action: impl Into<String>,
        subject: impl Into<String>,
    ) -> Self {
        Self {
            actor: actor.into(),
            action: action.into(),
            subject: subject.into(),
            tenant_id: None,
            before: None,
            after: None,
            reason: None,
        }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number: higher for newer ones.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub audit: Audit,
}

/// Which lines of the audit log. Every field that is set must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By this actor.
    pub actor: Option<String>,
    /// This action.
    pub action: Option<String>,
    /// To this.
    pub subject: Option<String>,
    /// Of this tenant. Callers that act for a tenant must set it.
    pub tenant_id: Option<String>,
}
