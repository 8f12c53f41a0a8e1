//! `Idempotency-Key`: a request that is repeated within 24 hours gets the first one's jobs.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use serde::Serialize;
use sha2::{Digest, Sha256};
use windlass::JobId;
use windlass::model::{FlowId, Idempotency};

use super::Problem;

const HEADER: &str = "idempotency-key";
const WINDOW: Duration = Duration::from_hours(24);
const LONGEST: usize = 255;

/// Sent when a request with a key was answered by a job that was there before.
pub(super) const REPLAYED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("idempotency-replayed"),
    HeaderValue::from_static("true"),
);

/// The key, if the request has one.
#[derive(Debug)]
pub(super) struct IdempotencyKey(Option<String>);

/// The key together with what was asked.
#[derive(Debug)]
pub(super) struct Once {
    key: String,
    digest: String,
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(HEADER) else {
            return Ok(Self(None));
        };
        let bytes = value.as_bytes();
        let valid =
            !bytes.is_empty() && bytes.len() <= LONGEST && bytes.iter().all(u8::is_ascii_graphic);
        match value.to_str() {
            Ok(key) if valid => Ok(Self(Some(key.to_owned()))),
            _ => Err(Problem::invalid_parameter(
                HEADER,
                format!("must be 1 to {LONGEST} printable ASCII characters without spaces"),
            )),
        }
    }
}

impl IdempotencyKey {
    /// Binds the key to what was asked: the route and the fields of the body, in our own order, with
    /// args to the letter.
    pub(super) fn of<T: Serialize>(self, route: &str, asked: &T) -> Result<Option<Once>, Problem> {
        let Some(key) = self.0 else {
            return Ok(None);
        };
        let body = serde_json::to_vec(asked).map_err(|error| {
            tracing::error!(%error, "a request that was read cannot be written");
            Problem::internal()
        })?;
        let mut hash = Sha256::new();
        hash.update(route);
        hash.update([0]);
        hash.update(body);
        let digest = hex::encode(hash.finalize());
        Ok(Some(Once { key, digest }))
    }
}

impl Once {
    /// For a request that makes one job.
    pub(super) fn whole(self) -> Idempotency {
        Idempotency {
            key: self.key,
            digest: self.digest,
            window: WINDOW,
        }
    }

    /// For a flow, whose id the key is: to start one id twice starts one flow, for as long as it is kept.
    ///
    /// What a tenant chooses is within what is the tenant's: its time stays, and the rest is drawn from
    /// both, so that nobody learns by trying of which ids others have flows.
    pub(super) fn flow(&self, tenant: Option<&str>) -> Result<FlowId, Problem> {
        let id: Option<FlowId> = self.key.parse().ok();
        id.filter(|id| id.as_uuid().get_version_num() == 7)
            .map(|id| match tenant {
                None => id,
                Some(tenant) => {
                    let drawn = Sha256::digest(format!("flow\0{tenant}\0{id}"));
                    FlowId::from_uuid(redrawn(id.as_uuid(), &drawn))
                }
            })
            .ok_or_else(|| {
                Problem::invalid_parameter(
                    HEADER,
                    "becomes the flow's id, by which flows are in order: send a UUID of version 7",
                )
            })
    }

    /// The same job id, its random part drawn from what was asked. Of a flow's first job it tells
    /// whether the flow was made by the same request.
    pub(super) fn marked(&self, id: JobId) -> JobId {
        let digest = Sha256::digest(format!("{}\0{}", self.key, self.digest));
        JobId::from_uuid(redrawn(id.as_uuid(), &digest))
    }

    /// For one job of many.
    pub(super) fn item(&self, index: usize) -> Idempotency {
        Idempotency {
            key: format!("{}#{index}", self.key),
            digest: self.digest.clone(),
            window: WINDOW,
        }
    }
}

/// The same id with another random part.
fn redrawn(id: uuid::Uuid, random: &[u8]) -> uuid::Uuid {
    let mut bytes = id.into_bytes();
    bytes[8..].copy_from_slice(&random[..8]);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    uuid::Uuid::from_bytes(bytes)
}
