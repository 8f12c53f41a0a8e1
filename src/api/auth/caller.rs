//! Who sent a request, and what they may do.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::Role;
use crate::api::Problem;

/// What a caller showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::api) enum IdentityKind {
    /// `security.admin_key`.
    AdminKey,
    /// A key that `jobctl keys` made.
    AccessKey,
    /// A key of an admin of the platform.
    PlatformAdminKey,
    /// A key of a tenant of the platform.
    ApiKey,
    /// A token of an admin of the platform.
    AdminUser,
    /// A token of a tenant's person.
    TenantUser,
    /// The cookie of somebody who signed in.
    Session,
}

impl IdentityKind {
    /// As tables, metrics and logs have it.
    pub(in crate::api) const fn as_str(self) -> &'static str {
        match self {
            Self::AdminKey => "admin_key",
            Self::AccessKey => crate::records::AccessKey::KIND,
            Self::PlatformAdminKey => "platform_admin_key",
            Self::ApiKey => "api_key",
            Self::AdminUser => "admin_user",
            Self::TenantUser => "tenant_user",
            Self::Session => "session",
        }
    }
}

/// Whose jobs and records a caller sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::api) enum Reach {
    /// Those of all tenants, and those of none.
    All,
    /// Those of this one only.
    Tenant(String),
}

impl From<Option<String>> for Reach {
    fn from(tenant: Option<String>) -> Self {
        tenant.map_or(Self::All, Self::Tenant)
    }
}

/// Who sent the request. A handler that takes it is one that a request without credential never reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Caller {
    pub(in crate::api) kind: IdentityKind,
    /// Which of its kind: stable, and no secret.
    pub(in crate::api) id: String,
    /// How the audit log calls it.
    pub(in crate::api) name: String,
    pub(in crate::api) role: Role,
    pub(in crate::api) reach: Reach,
}

impl Caller {
    /// Whoever holds the key of the settings.
    pub(super) fn admin() -> Self {
        Self {
            kind: IdentityKind::AdminKey,
            id: "admin".to_owned(),
            name: "admin".to_owned(),
            role: Role::Admin,
            reach: Reach::All,
        }
    }

    /// The tenant that is all the caller sees; none if it sees all.
    pub(in crate::api) fn tenant(&self) -> Option<&str> {
        match &self.reach {
            Reach::All => None,
            Reach::Tenant(tenant) => Some(tenant),
        }
    }

    /// Whose data to look at: those that were asked for, as far as the caller sees them. Another
    /// tenant is refused in the same words whether there is one of that name or not.
    pub(in crate::api) fn within(&self, asked: Option<String>) -> Result<Option<String>, Problem> {
        match (&self.reach, asked) {
            (Reach::All, asked) => Ok(asked),
            (Reach::Tenant(own), Some(asked)) if asked != *own => Err(Problem::not_your_tenant()),
            (Reach::Tenant(own), _) => Ok(Some(own.clone())),
        }
    }

    /// Refuses what takes more than the route itself does.
    pub(in crate::api) fn must_be(&self, role: Role) -> Result<(), Problem> {
        if self.role < role {
            return Err(Problem::role_needed(role));
        }
        Ok(())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>();
        caller.cloned().ok_or_else(Problem::unauthorised)
    }
}
