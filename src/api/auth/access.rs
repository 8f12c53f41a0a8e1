//! Which role each route asks for, and which routes are for tenants too: all of it on one page.
//!
//! A route that is not here is refused to everyone but an admin of all tenants; a test finds it.

use axum::http::Method;
use serde_json::json;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::{OpenApi, PathItem};

use super::{Caller, Reach, Role};
use crate::api::Problem;

/// Whose credential opens a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// A tenant's too; its handler keeps it to what is the tenant's own.
    Tenants,
    /// Only one that sees all tenants.
    Operators,
}

use For::{Operators, Tenants};
use Role::{Admin, Operator, Viewer};

type Rule = (&'static str, &'static str, Role, For);

/// Method, path, the least role, whose credential.
const RULES: &[Rule] = &[
    ("GET", "/v1/jobs", Viewer, Tenants),
    ("POST", "/v1/jobs", Operator, Tenants),
    ("POST", "/v1/jobs/batch", Operator, Tenants),
    ("GET", "/v1/jobs/{id}", Viewer, Tenants),
    ("POST", "/v1/jobs/{id}/requeue", Operator, Tenants),
    ("POST", "/v1/jobs/{id}/snooze", Operator, Tenants),
    ("POST", "/v1/jobs/{id}/cancel", Operator, Tenants),
    ("POST", "/v1/jobs/{id}/discard", Operator, Tenants),
    ("POST", "/v1/jobs/{id}/rerun", Operator, Tenants),
    ("POST", "/v1/jobs/{id}/signals/{name}", Operator, Tenants),
    ("POST", "/v1/jobs/bulk", Operator, Tenants),
    ("POST", "/v1/jobs/bulk/preview", Viewer, Tenants),
    ("GET", "/v1/flows", Viewer, Tenants),
    ("POST", "/v1/flows", Operator, Tenants),
    ("GET", "/v1/flows/{id}", Viewer, Tenants),
    ("POST", "/v1/flows/{id}/cancel", Operator, Tenants),
    ("POST", "/v1/flows/{id}/retry", Operator, Tenants),
    ("POST", "/v1/messages", Operator, Tenants),
    ("GET", "/v1/events", Viewer, Tenants),
    ("GET", "/v1/errors", Viewer, Tenants),
    ("GET", "/v1/correlations/{id}", Viewer, Tenants),
    ("GET", "/v1/stats", Viewer, Operators),
    ("GET", "/v1/audit", Viewer, Tenants),
    ("GET", "/v1/outbox", Viewer, Tenants),
    ("POST", "/v1/outbox/{id}/resend", Operator, Tenants),
    ("POST", "/v1/outbox/{id}/mark-sent", Operator, Tenants),
    ("GET", "/v1/webhooks/{id}/deliveries", Viewer, Tenants),
    (
        "POST",
        "/v1/webhooks/deliveries/{id}/replay",
        Operator,
        Tenants,
    ),
    ("GET", "/v1/session", Viewer, Tenants),
    ("DELETE", "/v1/session", Viewer, Tenants),
    ("GET", "/openapi.json", Viewer, Tenants),
    ("GET", "/metrics", Viewer, Operators),
    // Whose a broken message is, only its queue says: operators decide.
    ("GET", "/v1/quarantine", Viewer, Operators),
    ("GET", "/v1/quarantine/{id}", Operator, Operators),
    ("POST", "/v1/quarantine/{id}/replay", Operator, Operators),
    ("DELETE", "/v1/quarantine/{id}", Operator, Operators),
    ("GET", "/v1/queues", Viewer, Operators),
    ("PUT", "/v1/queues/{queue}/slots", Admin, Operators),
    ("DELETE", "/v1/queues/{queue}/slots", Admin, Operators),
    ("GET", "/v1/queues/{queue}/policy", Viewer, Operators),
    ("PUT", "/v1/queues/{queue}/policy", Admin, Operators),
    ("DELETE", "/v1/queues/{queue}/policy", Admin, Operators),
    // It is known to be wrong for everyone.
    ("PUT", "/v1/errors/{fingerprint}/mute", Operator, Operators),
    (
        "DELETE",
        "/v1/errors/{fingerprint}/mute",
        Operator,
        Operators,
    ),
    ("GET", "/v1/pauses", Viewer, Operators),
    ("PUT", "/v1/pauses", Operator, Operators),
    ("DELETE", "/v1/pauses", Operator, Operators),
    ("GET", "/v1/schedules", Viewer, Operators),
    ("POST", "/v1/schedules/preview", Viewer, Operators),
    ("GET", "/v1/schedules/{name}", Viewer, Operators),
    ("GET", "/v1/schedules/{name}/ticks", Viewer, Operators),
    ("POST", "/v1/schedules/{name}/pause", Operator, Operators),
    ("POST", "/v1/schedules/{name}/resume", Operator, Operators),
    ("POST", "/v1/schedules/{name}/run", Operator, Operators),
    ("POST", "/v1/schedules/{name}/backfill", Operator, Operators),
    ("GET", "/v1/system", Viewer, Operators),
    ("GET", "/v1/workers", Viewer, Operators),
    ("POST", "/v1/workers/{id}/drain", Admin, Operators),
    ("POST", "/v1/workers/{id}/undrain", Admin, Operators),
    ("GET", "/v1/backups", Viewer, Operators),
    ("GET", "/v1/backups/{target}/{id}", Viewer, Operators),
];

/// Whether this caller may use the route.
pub(super) fn check(caller: &Caller, method: &Method, path: &str) -> Result<(), Problem> {
    let (role, whose) = needed(method, path);
    if whose == Operators && caller.reach != Reach::All {
        return Err(Problem::not_for_tenants());
    }
    if caller.role < role {
        return Err(Problem::role_needed(role));
    }
    Ok(())
}

fn needed(method: &Method, path: &str) -> (Role, For) {
    // What answers HEAD is what answers GET.
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    let rule = RULES.iter().find(|rule| (rule.0, rule.1) == (method, path));
    rule.map_or((Admin, Operators), |rule| (rule.2, rule.3))
}

/// Writes into the description what each route asks for.
pub(in crate::api) fn describe(description: &mut OpenApi) {
    for (method, path, role, whose) in RULES {
        let item = description.paths.paths.get_mut(*path);
        let Some(operation) = item.and_then(|item| operation(item, method)) else {
            continue;
        };
        let needs = ExtensionsBuilder::new()
            .add(
                "x-access",
                json!({"role": role.as_str(), "tenants": *whose == Tenants}),
            )
            .build();
        operation.extensions.get_or_insert_default().merge(needs);
    }
}

fn operation<'a>(
    item: &'a mut PathItem,
    method: &str,
) -> Option<&'a mut utoipa::openapi::path::Operation> {
    match method {
        "GET" => item.get.as_mut(),
        "PUT" => item.put.as_mut(),
        "POST" => item.post.as_mut(),
        "DELETE" => item.delete.as_mut(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::auth::IdentityKind;

    fn caller(role: Role, reach: Reach) -> Caller {
        Caller {
            kind: IdentityKind::AdminKey,
            id: "x".to_owned(),
            name: "x".to_owned(),
            role,
            reach,
        }
    }

    #[test]
    fn every_route_refuses_every_lesser_role_and_tenants_where_it_is_not_for_them() {
        for (method, path, needed, whose) in RULES {
            let method: Method = method.parse().unwrap();
            for role in Role::ALL {
                let all = check(&caller(role, Reach::All), &method, path);
                assert_eq!(all.is_ok(), role >= *needed, "{method} {path} as {role}");
                let reach = Reach::Tenant("t".to_owned());
                let tenant = check(&caller(role, reach), &method, path);
                let open = role >= *needed && *whose == Tenants;
                assert_eq!(tenant.is_ok(), open, "{method} {path} as a tenant's {role}");
            }
        }
    }

    #[test]
    fn no_route_that_needs_an_admin_is_for_tenants() {
        for (method, path, role, whose) in RULES {
            assert!(*role < Admin || *whose == Operators, "{method} {path}");
        }
    }

    #[test]
    fn what_nobody_thought_of_is_for_admins_of_all_tenants() {
        let get = |role, reach| check(&caller(role, reach), &Method::GET, "/v1/new");
        assert!(get(Admin, Reach::All).is_ok());
        assert!(get(Operator, Reach::All).is_err());
        assert!(get(Admin, Reach::Tenant("t".to_owned())).is_err());
        let head = check(&caller(Viewer, Reach::All), &Method::HEAD, "/v1/jobs");
        assert!(head.is_ok());
    }
}
