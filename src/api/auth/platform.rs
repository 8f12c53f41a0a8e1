//! Callers by the platform's own credentials.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::tokens::{Claims, Tokens};
use super::{Caller, IdentityKind, Reach, Role};
use crate::platform::{Error, Holder, Platform, TenantUserRole};

/// What the platform's credentials are checked with. The platform's own names and defaults.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformAccessOptions {
    /// What the platform signs tokens with (`ADMIN_JWT_SECRET`); without it no token is accepted.
    pub jwt_secret: SecretString,
    /// Who issues the tokens that people sign in for.
    pub jwt_issuer: String,
    /// Who issues the tokens that admins' keys are exchanged for (`ADMIN_JWT_ISSUER`).
    pub admin_jwt_issuer: String,
    /// For whom (`ADMIN_JWT_AUDIENCE`).
    pub admin_jwt_audience: String,
    /// What is hashed with the secrets of admins' keys (`ADMIN_KEY_PEPPER`).
    pub admin_key_pepper: SecretString,
}

/// Knows callers by the platform's credentials.
#[derive(Debug, Clone)]
pub struct PlatformAccess {
    platform: Platform,
    tokens: Option<Tokens>,
    pepper: SecretString,
}

impl PlatformAccess {
    /// Looks credentials up in this platform's tables.
    pub fn new(platform: Platform, options: &PlatformAccessOptions) -> Self {
        Self {
            platform,
            tokens: Tokens::new(options),
            pepper: options.admin_key_pepper.clone(),
        }
    }

    /// Who shows this; none if nobody's.
    pub(super) async fn caller(&self, shown: &str) -> Result<Option<Caller>, Error> {
        if Tokens::looks_like(shown) {
            let claims = self.tokens.as_ref().and_then(|tokens| tokens.read(shown));
            return match claims {
                Some(claims) => self.bearer(claims).await,
                None => Ok(None),
            };
        }
        let holder = if shown.contains('.') {
            let pepper = self.pepper.expose_secret();
            self.platform.admin_key(shown, pepper).await?
        } else {
            self.platform.api_key(shown).await?
        };
        Ok(holder.and_then(of_holder))
    }

    /// Whether a tenant is served: any but one that is there and disabled.
    pub(super) async fn serves(&self, tenant: &str) -> Result<bool, Error> {
        let tenant = self.platform.runtime(tenant).await?;
        Ok(tenant.is_none_or(|tenant| tenant.enabled))
    }

    /// A token says who somebody was when they signed in; the tables, what they are now.
    async fn bearer(&self, claims: Claims) -> Result<Option<Caller>, Error> {
        Ok(match claims {
            Claims::Admin { user } => {
                let is_super = self.platform.admin_is_super(&user).await?;
                is_super.map(|is_super| Caller {
                    kind: IdentityKind::AdminUser,
                    name: format!("admin-user/{user}"),
                    id: user,
                    role: of_admin(is_super),
                    reach: Reach::All,
                })
            }
            Claims::Tenant { tenant, user } => {
                let role = self.platform.tenant_user(&tenant, &user).await?;
                role.map(|role| Caller {
                    kind: IdentityKind::TenantUser,
                    name: format!("tenant-user/{user}"),
                    id: user,
                    role: match role {
                        TenantUserRole::Owner | TenantUserRole::Admin => Role::Operator,
                        TenantUserRole::Member => Role::Viewer,
                    },
                    reach: Reach::Tenant(tenant),
                })
            }
            Claims::AdminKey { key, scopes } => {
                let held = self.platform.admin_key_scopes(&key).await?;
                held.and_then(|_| of_scopes(key, &scopes))
            }
        })
    }
}

fn of_holder(holder: Holder) -> Option<Caller> {
    match holder {
        Holder::Tenant { key, tenant } => Some(Caller {
            kind: IdentityKind::ApiKey,
            name: format!("api-key/{key}"),
            id: key,
            role: Role::Operator,
            reach: Reach::Tenant(tenant),
        }),
        Holder::Admin { key, is_super } => Some(Caller {
            kind: IdentityKind::PlatformAdminKey,
            name: format!("admin-api-key/{key}"),
            id: key,
            role: of_admin(is_super),
            reach: Reach::All,
        }),
        Holder::AdminKey { key, scopes } => {
            // As the platform does when it exchanges one.
            let default = ["admin:read".to_owned()];
            let scopes = if scopes.is_empty() {
                &default[..]
            } else {
                &scopes
            };
            of_scopes(key, scopes)
        }
    }
}

fn of_scopes(key: String, scopes: &[String]) -> Option<Caller> {
    let role = scopes.iter().filter_map(|scope| match &**scope {
        "admin:read" => Some(Role::Viewer),
        "admin:write" => Some(Role::Operator),
        "admin:super" | "admin:*" => Some(Role::Admin),
        _ => None,
    });
    Some(Caller {
        kind: IdentityKind::PlatformAdminKey,
        name: format!("admin-key/{key}"),
        role: role.max()?,
        id: key,
        reach: Reach::All,
    })
}

const fn of_admin(is_super: bool) -> Role {
    if is_super {
        Role::Admin
    } else {
        Role::Operator
    }
}
