//! Deleting what a tenant wants kept no longer. Each step is a short transaction of its own, which
//! locks nothing but the rows that go.

use async_trait::async_trait;
use windlass::Timestamp;

use super::{Error, Platform};

/// Conversations that one step looks at.
const CONVERSATIONS: u32 = 200;

/// What one step over a tenant's messages did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunedMessages {
    /// How many went.
    pub deleted: u64,
    /// The conversation after which the next step goes on; `None` when nothing is left to look at.
    pub next: Option<String>,
}

/// What one dialect does for retention, as [`super::repository::Repository`] does for the rest.
#[async_trait]
pub(super) trait Retention {
    /// In the order of their ids.
    async fn conversations_after(
        &self,
        tenant: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, Error>;
    /// How many went.
    async fn prune_messages(
        &self,
        tenant: &str,
        conversations: &[String],
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error>;
    /// How many went, oldest first.
    async fn prune_api_logs(
        &self,
        tenant: &str,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error>;
}

impl Platform {
    /// Deletes at most `limit` of a tenant's messages written before a time, of the next conversations
    /// after this id. They go by conversation, because that and the time is what every platform's table
    /// has an index of, partitioned or plain.
    pub async fn prune_messages(
        &self,
        tenant: &str,
        after: &str,
        before: Timestamp,
        limit: u32,
    ) -> Result<PrunedMessages, Error> {
        let page = self
            .repository
            .conversations_after(tenant, after, CONVERSATIONS)
            .await?;
        let Some(last) = page.last().cloned() else {
            return Ok(PrunedMessages {
                deleted: 0,
                next: None,
            });
        };
        let deleted = self
            .repository
            .prune_messages(tenant, &page, before, limit)
            .await?;
        // As many as were allowed: these conversations may have more.
        let stay = deleted >= u64::from(limit);
        Ok(PrunedMessages {
            deleted,
            next: Some(if stay { after.to_owned() } else { last }),
        })
    }

    /// Deletes at most `limit` of a tenant's records of API calls made before a time, and says how many;
    /// fewer than that when nothing is left.
    pub async fn prune_api_logs(
        &self,
        tenant: &str,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        self.repository.prune_api_logs(tenant, before, limit).await
    }
}
