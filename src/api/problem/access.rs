//! Problems of credentials, and of what they do not allow.

use axum::http::StatusCode;

use super::Problem;
use crate::api::auth::Role;

impl Problem {
    pub(in crate::api) fn unauthorised() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "/problems/unauthorised",
            "The credential is missing or wrong",
            "send a key (security.admin_key, or one that `jobctl keys create` makes) in the header \
             `x-admin-key` or `x-api-key`, or as `authorization: Bearer <key>`",
        )
        .on("x-admin-key")
    }

    /// What the caller's role does not let them do.
    pub(in crate::api) fn role_needed(role: Role) -> Self {
        let detail = format!(
            "this takes the role {role}; ask for a credential with it (`jobctl keys create --role {role}`)"
        );
        Self::forbidden(detail)
    }

    /// In the same words whatever there is.
    pub(in crate::api) fn not_for_tenants() -> Self {
        Self::forbidden("this is not for a tenant's credential; use one that sees all tenants")
    }

    /// In the same words whether there is such a tenant or not.
    pub(in crate::api) fn not_your_tenant() -> Self {
        Self::forbidden(
            "this credential sees one tenant, and another was named; leave the tenant out",
        )
    }

    /// A browser's request by cookie that another site may have asked for.
    pub(in crate::api) fn cross_origin() -> Self {
        Self::forbidden(
            "a change by cookie must come from a page of this host: the headers `sec-fetch-site` or \
             `origin` say otherwise, or a proxy changes `host`; programs send a key instead",
        )
    }

    pub(in crate::api) fn link_used() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "/problems/link-used",
            "The link is used up",
            "it worked once, or is too old; start anew for another, or sign in with a key",
        )
    }

    pub(in crate::api) fn no_sessions() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "/problems/no-sessions",
            "There are no sessions here",
            "this program keeps none; send the key with each request",
        )
    }

    pub(in crate::api) fn kind_not_for_tenants() -> Self {
        let detail = "jobs of this kind are no one tenant's; a tenant's credential enqueues only kinds whose \
                      args name its tenant";
        Self {
            field: Some("kind".to_owned()),
            ..Self::forbidden(detail)
        }
    }

    /// What a tenant may not choose.
    pub(in crate::api) fn field_not_for_tenants(field: &str) -> Self {
        let detail = "a tenant's credential cannot choose this; leave it out";
        Self {
            field: Some(field.to_owned()),
            ..Self::forbidden(detail)
        }
    }

    pub(in crate::api) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "/problems/forbidden",
            "The credential does not allow it",
            detail,
        )
    }
}
