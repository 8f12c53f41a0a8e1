//! What may be wrong with the quarantine.

use axum::http::StatusCode;

use super::Problem;
use crate::{records, telemetry};

impl Problem {
    pub(in crate::api) fn not_in_quarantine() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "/problems/not-in-quarantine",
            "There is no such message",
            "nothing with this id is in quarantine; GET /v1/quarantine lists what is",
        )
        .on("id")
    }

    /// A message cannot become a job: in words that hold nothing of it.
    pub(in crate::api) fn not_replayed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "/problems/not-replayed",
            "The message still cannot become a job",
            detail,
        )
    }
}

impl From<records::Error> for Problem {
    fn from(error: records::Error) -> Self {
        telemetry::http::platform_failed(&error, error.is_transient());
        if error.is_transient() {
            Self::unavailable()
        } else {
            Self::internal()
        }
    }
}
