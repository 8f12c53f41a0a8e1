//! Parameters of the path and the query, and what is wrong with them.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use windlass::{JobId, Timestamp};

use super::Problem;
use super::auth::Caller;
use super::body::{field, remedy};

/// What the path names, as `T`: a text, or one for each place.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        let Path(named) = path.map_err(|error| unreadable(&error))?;
        Ok(Self(named))
    }
}

fn unreadable(rejection: &PathRejection) -> Problem {
    if let PathRejection::FailedToDeserializePathParams(error) = rejection
        && let ErrorKind::InvalidUtf8InPathParam { key } = error.kind()
    {
        return Problem::invalid_parameter(key, "is not UTF-8; escape its bytes with %");
    }
    Problem::invalid_parameter("path", "is not as /openapi.json describes it")
}

/// The query as `T`.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri).map_err(|error| {
            let told = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            let (path, told) = match told.split_once(": ") {
                Some((path, told)) => (path, told),
                None => ("", &*told),
            };
            Problem::invalid_parameter(field(path, told), remedy(told))
        })?;
        Ok(Self(query.0))
    }
}

/// A query that may name a tenant.
pub(super) trait OfTenant {
    /// The tenant that it names.
    fn tenant(&mut self) -> &mut Option<String>;
}

/// The query as `T`, kept to what the caller may see: the tenant that it names is the caller's own for
/// everyone who sees one tenant only.
#[derive(Debug)]
pub(super) struct Own<T>(pub(super) T);

impl<T: DeserializeOwned + OfTenant, S: Send + Sync> FromRequestParts<S> for Own<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let Params(mut query) = Params::<T>::from_request_parts(parts, state).await?;
        let tenant = query.tenant();
        *tenant = caller.within(tenant.take())?;
        Ok(Self(query))
    }
}

/// The same for each of them.
macro_rules! of_tenant {
    ($($query:ty),+) => {
        $(impl crate::api::query::OfTenant for $query {
            fn tenant(&mut self) -> &mut Option<String> {
                &mut self.tenant
            }
        })+
    };
}

pub(super) use of_tenant;

of_tenant!(Scope);

/// The job that the path names.
#[derive(Debug)]
pub(super) struct Id(pub(super) JobId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Named(text) = Named::<String>::from_request_parts(parts, state).await?;
        text.parse()
            .map(Self)
            .map_err(|error: windlass::model::InvalidId| {
                Problem::invalid_parameter("id", error.to_string())
            })
    }
}

/// What the path names by a UUID.
#[derive(Debug)]
pub(super) struct UuidOfPath(pub(super) uuid::Uuid);

impl<S: Send + Sync> FromRequestParts<S> for UuidOfPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<uuid::Uuid>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid_parameter("id", "is not a UUID"))?;
        Ok(Self(id))
    }
}

/// On whose behalf.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Scope {
    /// Only if the job is this tenant's; another one's is answered as if it were not there.
    pub(super) tenant: Option<String>,
    /// Why, for the audit log.
    pub(super) reason: Option<String>,
}

/// Which ticks of a schedule.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TickPage {
    /// Only fire times before this one.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) before: Option<Timestamp>,
    /// At most so many, up to 1000; 60 if it is left out.
    pub(super) limit: Option<u32>,
}
