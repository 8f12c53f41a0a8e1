//! Looking after documents: those that nobody finished, and what does not fit together.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use windlass::db::Tx;
use windlass::{JobId, Timestamp};

use super::rows::{AdoptedRow, ExaminedRow, UnfinishedRow, timestamp};
use super::{DocumentStatus, Error, Platform};

/// A document that somebody should be working on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedDocument {
    /// Whose it is.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// Which text of it.
    pub version: i32,
    /// When it was last touched.
    pub updated_at: Timestamp,
}

/// How often one text of a document was taken over, without ever being finished.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoptions {
    /// Times.
    pub count: u32,
    /// The job that had it last.
    pub last: Option<String>,
}

/// As it is kept with the document.
#[derive(Deserialize)]
struct Adoption {
    version: i32,
    count: u32,
    job: String,
}

/// Since when nobody must have touched a document for it to count as left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    /// One that waits. The platform's API begins with a new document at once, if it is there.
    pub pending: Timestamp,
    /// One that is being processed.
    pub processing: Timestamp,
    /// A ready one whose text is newer than its chunks is looked for among those touched after this.
    pub changed_after: Timestamp,
}

/// What a document says of itself, and what is there of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExaminedDocument {
    /// Its id.
    pub id: String,
    /// Which text it has.
    pub version: i32,
    /// How far its processing is said to be.
    pub status: DocumentStatus,
    /// When it was last touched.
    pub updated_at: Timestamp,
    /// Whether its text stands with it; if not, it is a file, or lost.
    pub has_text: bool,
    /// How many chunks it was cut into, as far as that is recorded.
    pub chunk_count: Option<i64>,
    /// Which text was cut, as far as that is recorded.
    pub indexed_version: Option<i32>,
    /// Which text could not be, as far as that is recorded.
    pub failed_version: Option<i32>,
    /// What made its vectors, as far as that is recorded.
    pub embedding_model: Option<String>,
    /// How many chunks there are.
    pub chunks: i64,
    /// At how many different places.
    pub positions: i64,
    /// How many of them have a vector.
    pub embedded: i64,
}

/// What one dialect does for the upkeep, as [`super::repository::Repository`] does for the rest.
#[async_trait]
pub(super) trait Upkeep {
    /// Whether a look across tenants sees nothing.
    async fn hides_rows(&self) -> Result<bool, Error>;
    /// Of all tenants if none is named. Longest untouched first.
    async fn unfinished_documents(
        &self,
        tenant: Option<&str>,
        idle: &Idle,
        limit: u32,
    ) -> Result<Vec<UnfinishedRow>, Error>;
    /// `None` if it has another version or was touched since.
    async fn adopt_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
        updated_at: Timestamp,
    ) -> Result<Option<AdoptedRow>, Error>;
    async fn note_adoption(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
        adoption: &Value,
    ) -> Result<(), Error>;
    /// In the order of their ids.
    async fn examine_documents(
        &self,
        tenant: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ExaminedRow>, Error>;
}

impl Platform {
    /// Documents that wait to be processed and that nobody works on, with row security or without it.
    /// At most `limit`, or of each tenant as many where row security shows one tenant at a time.
    pub async fn unfinished_documents(
        &self,
        idle: &Idle,
        limit: u32,
    ) -> Result<Vec<UnfinishedDocument>, Error> {
        let mut rows = Vec::new();
        if self.repository.hides_rows().await? {
            for tenant in self.known_tenants().await? {
                let tenant = Some(tenant.id.as_str());
                rows.extend(
                    self.repository
                        .unfinished_documents(tenant, idle, limit)
                        .await?,
                );
            }
        } else {
            rows = self
                .repository
                .unfinished_documents(None, idle, limit)
                .await?;
        }
        Ok(rows.into_iter().map(UnfinishedDocument::from).collect())
    }

    /// Takes a document over, together with the job that the caller enqueues in the same transaction, and
    /// says what is known of earlier such jobs for this text of it. Returns `None`, and changes nothing, if
    /// anybody touched it since it was looked at.
    pub async fn adopt_document(
        &self,
        tx: &mut Tx,
        document: &UnfinishedDocument,
    ) -> Result<Option<Adoptions>, Error> {
        let UnfinishedDocument {
            tenant,
            id,
            version,
            updated_at,
        } = document;
        let adopted = self
            .repository
            .adopt_document(tx, tenant, id, *version, *updated_at)
            .await?;
        Ok(adopted.map(|row| {
            // What cannot be read was written by nobody who counted.
            let known = row.adoption.as_deref().map(serde_json::from_str);
            let known: Option<Adoption> = known.and_then(Result::ok);
            let known = known.filter(|adoption| adoption.version == *version);
            known.map_or_else(Adoptions::default, |adoption| Adoptions {
                count: adoption.count,
                last: Some(adoption.job),
            })
        }))
    }

    /// Notes that a job has taken over this text of a document, for the `count`th time.
    pub async fn note_adoption(
        &self,
        tx: &mut Tx,
        document: &UnfinishedDocument,
        count: u32,
        job: JobId,
    ) -> Result<(), Error> {
        let UnfinishedDocument {
            tenant,
            id,
            version,
            ..
        } = document;
        let adoption = json!({"version": version, "count": count, "job": job.to_string()});
        self.repository
            .note_adoption(tx, tenant, id, *version, &adoption)
            .await
    }
}

impl Platform {
    /// The tenant's next documents after this id, and what is there of them.
    pub async fn examine_documents(
        &self,
        tenant: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ExaminedDocument>, Error> {
        let rows = self
            .repository
            .examine_documents(tenant, after, limit)
            .await?;
        Ok(rows.into_iter().map(ExaminedDocument::from).collect())
    }
}

impl From<ExaminedRow> for ExaminedDocument {
    fn from(row: ExaminedRow) -> Self {
        Self {
            id: row.id,
            version: row.version,
            status: row.status.into(),
            updated_at: timestamp(row.updated_at),
            has_text: row.has_text,
            // What is no number was written by nobody who counted.
            chunk_count: row.chunk_count.and_then(|count| count.parse().ok()),
            indexed_version: row.indexed_version.and_then(|version| version.parse().ok()),
            failed_version: row.failed_version.and_then(|version| version.parse().ok()),
            embedding_model: row.model,
            chunks: row.chunks,
            positions: row.positions,
            embedded: row.embedded,
        }
    }
}

impl From<UnfinishedRow> for UnfinishedDocument {
    fn from(row: UnfinishedRow) -> Self {
        Self {
            tenant: row.tenant,
            id: row.id,
            version: row.version,
            updated_at: timestamp(row.updated_at),
        }
    }
}
