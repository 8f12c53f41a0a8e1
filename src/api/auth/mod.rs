//! Who may do what.
//!
//! [`recognise`] finds out who sent a request, and [`allow`] refuses it unless the page [`access`] lets
//! them in. Between the two they are charged for it. The [`Caller`] is then among the request's extensions and the response's, and handlers take it
//! as a parameter. What a tenant's caller may look at is kept to what is the tenant's own by
//! [`Own`](super::query::Own) and [`Caller::within`].

mod access;
mod admin_key;
mod caller;
mod credentials;
mod platform;
mod session;
mod tokens;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

pub(super) use access::describe;
pub(super) use admin_key::AdminKey;
pub use admin_key::NoAdminKey;
pub(super) use caller::{Caller, IdentityKind, Reach};
pub(super) use credentials::{Credentials, Proof};
pub use platform::{PlatformAccess, PlatformAccessOptions};
pub(super) use session::{doors, login, router};

use super::{ApiState, Problem};
pub(super) use crate::records::Role;

/// Finds out who sent a request, and lets nobody pass who is nobody.
pub(super) async fn recognise(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (method, headers) = (request.method(), request.headers());
    let caller = state.credentials.caller(method, headers).await?;
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).await;
    // For what surrounds the request, such as its log line.
    response.extensions_mut().insert(caller);
    Ok(response)
}

/// Lets a request pass whose caller may use the route.
pub(super) async fn allow(
    caller: Caller,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    access::check(&caller, request.method(), route.as_str())?;
    Ok(next.run(request).await)
}
