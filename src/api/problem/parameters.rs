//! Problems of what stands in a request's path, query and headers.

use axum::http::StatusCode;

use super::Problem;

impl Problem {
    /// A parameter of the path or the query, or a header, is at fault.
    pub(in crate::api) fn invalid_parameter(
        field: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "/problems/invalid-parameter",
            "A parameter of the request is not valid",
            detail,
        )
        .on(field)
    }

    /// A parameter has the form that the description asks for, and yet cannot be: a day that no month has, or
    /// what another parameter rules out.
    pub(in crate::api) fn impossible_parameter(
        field: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            ..Self::invalid_parameter(field, detail)
        }
    }
}
