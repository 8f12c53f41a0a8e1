//! What a job of apalis becomes here.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};
use uuid::Uuid;
use windlass::model::{Conflict, Idempotency, RunAt, Unique};
use windlass::{Client, JobId, Json, NewJob};

use super::OldJob;

/// How long an import may take from its first run to its last.
const REMEMBERED: Duration = Duration::from_hours(24 * 90);
/// A word to find imported jobs by.
const TAG: &str = "imported-from-apalis";
/// The most pieces of metadata that become tags.
const MOST_TAGS: usize = 16;

/// Which kind each job type becomes. A type that is not named here becomes the kind of the same name.
#[derive(Debug, Clone, Default)]
pub struct Kinds(pub BTreeMap<String, String>);

/// Why a job cannot be taken over.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No kind of ours.
    #[error("no kind is named {0}; say which it is with --map '{0}=KIND'")]
    Kind(String),
    /// Its args.
    #[error("its args are not valid: {0}")]
    Args(String),
}

impl Kinds {
    /// The job that stands for an old one; always the same one.
    pub fn job(&self, client: &Client, old: &OldJob) -> Result<NewJob, Unfit> {
        let kind = self.0.get(&old.job_type).unwrap_or(&old.job_type);
        if client.catalogue().get(kind).is_none() {
            return Err(Unfit::Kind(old.job_type.clone()));
        }
        let text = std::str::from_utf8(&old.payload)
            .map_err(|_| Unfit::Args("they are no text; only the JSON codec can be read".into()))?;
        let invalid = |error: &dyn std::fmt::Display| Unfit::Args(error.to_string());
        let args = Json::parse(text).map_err(|error| invalid(&error))?;
        let mut job = client
            .prepare_raw(kind, args)
            .map_err(|error| invalid(&error))?;
        let name = format!("apalis\u{1f}{}\u{1f}{}", old.job_type, old.id);
        job.id = JobId::from_uuid(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()));
        job.run_at = old.run_at.map_or(RunAt::Now, RunAt::At);
        let left = old.max_attempts.saturating_sub(old.attempts).clamp(1, 1000);
        job.max_attempts = u16::try_from(left).unwrap_or(1000);
        // There higher is sooner, and 0 is normal.
        let urgency = u8::try_from(old.priority.clamp(0, 9)).unwrap_or(0);
        job.priority = job.priority.saturating_sub(urgency);
        job.tags.push(TAG.to_owned());
        let known = old
            .metadata
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let fits = |tag: &String| tag.len() <= 128 && !tag.chars().any(char::is_control);
        job.tags.extend(known.filter(fits).take(MOST_TAGS));
        if let (None, Some(key)) = (&job.unique, &old.idempotency_key) {
            job.unique = Some(Unique {
                key: key.clone(),
                window: None,
                conflict: Conflict::ReturnExisting,
            });
        }
        job.idempotency = Some(Idempotency {
            key: format!("import {}", job.id),
            digest: hex::encode(Sha256::digest(&old.payload)),
            window: REMEMBERED,
        });
        job.validate(&client.limits())
            .map_err(|error| invalid(&error))?;
        Ok(job)
    }
}
