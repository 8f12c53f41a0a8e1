//! The policies of queues, as whoever looks after them reads and changes them.

use serde::Serialize;

use super::client::Client;
use super::operator::Operator;
use crate::model::{Audit, InvalidPolicy, Json, QueuePolicy, Setting, Timestamp};
use crate::store::{self, ChangeSetting};

/// A policy as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredPolicy {
    /// Whose it is.
    pub queue: String,
    /// What it says.
    pub policy: QueuePolicy,
    /// Another number whenever it has changed.
    pub version: i64,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// Why a policy was not changed. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It cannot be; it says which field, and what would be right.
    #[error(transparent)]
    Invalid(#[from] InvalidPolicy),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Client {
    /// The policies of all queues that have one, by name. One that this program cannot read is left out;
    /// the workers say so.
    ///
    /// # Errors
    ///
    /// The store cannot be reached.
    pub async fn policies(&self) -> Result<Vec<StoredPolicy>, store::Error> {
        let settings = self.store().settings(Some(QueuePolicy::SPACE)).await?;
        Ok(settings.into_iter().filter_map(stored).collect())
    }

    /// The policy of a queue, if it has one.
    ///
    /// # Errors
    ///
    /// The store cannot be reached.
    pub async fn policy(&self, queue: &str) -> Result<Option<StoredPolicy>, store::Error> {
        let all = self.policies().await?;
        Ok(all.into_iter().find(|stored| stored.queue == queue))
    }

    /// Gives a queue a policy, in the place of what it had. Every worker goes by it within a second.
    /// With `expected`, only if the policy is at this version now, 0 being that there is none.
    ///
    /// # Errors
    ///
    /// The policy cannot be; it is at another version ([`store::Error::Conflict`]); or the store cannot
    /// be reached.
    pub async fn set_policy(
        &self,
        queue: &str,
        policy: &QueuePolicy,
        expected: Option<i64>,
        audit: &Audit,
    ) -> Result<StoredPolicy, PolicyError> {
        QueuePolicy::check_queue(queue)?;
        policy.validate()?;
        let value = Json::encode(policy).map_err(|error| InvalidPolicy {
            field: "policy".to_owned(),
            problem: error.to_string(),
        })?;
        let changed = self.change_policy(queue, Some(&value), expected, audit);
        let after = changed.await?.after.and_then(stored);
        after
            .ok_or_else(|| store::Error::Corrupt("a policy is not as it was written".into()).into())
    }

    /// Takes a queue's policy away; `false` if it had none.
    ///
    /// # Errors
    ///
    /// It is at another version than expected, or the store cannot be reached.
    pub async fn clear_policy(
        &self,
        queue: &str,
        expected: Option<i64>,
        audit: &Audit,
    ) -> Result<bool, store::Error> {
        let changed = self.change_policy(queue, None, expected, audit).await?;
        Ok(changed.before.is_some())
    }

    async fn change_policy(
        &self,
        queue: &str,
        value: Option<&Json>,
        expected: Option<i64>,
        audit: &Audit,
    ) -> Result<store::SettingChanged, store::Error> {
        let change = ChangeSetting {
            space: QueuePolicy::SPACE,
            name: queue,
            value,
            expected,
            audit,
            now: None,
        };
        self.store().change_setting(change).await
    }
}

impl Operator {
    /// Gives a queue a policy in the operator's name; see [`Client::set_policy`].
    ///
    /// # Errors
    ///
    /// As of [`Client::set_policy`].
    pub async fn set_policy(
        &self,
        queue: &str,
        policy: &QueuePolicy,
        expected: Option<i64>,
    ) -> Result<StoredPolicy, PolicyError> {
        let audit = self.audit("policy.set", subject(queue));
        self.client
            .set_policy(queue, policy, expected, &audit)
            .await
    }

    /// Takes a queue's policy away in the operator's name; see [`Client::clear_policy`].
    ///
    /// # Errors
    ///
    /// As of [`Client::clear_policy`].
    pub async fn clear_policy(
        &self,
        queue: &str,
        expected: Option<i64>,
    ) -> Result<bool, store::Error> {
        let audit = self.audit("policy.clear", subject(queue));
        self.client.clear_policy(queue, expected, &audit).await
    }
}

fn subject(queue: &str) -> String {
    let name: String = queue.chars().take(128).collect();
    format!("queue/{name}")
}

fn stored(setting: Setting) -> Option<StoredPolicy> {
    Some(StoredPolicy {
        policy: setting.value.decode().ok()?,
        queue: setting.name,
        version: setting.version,
        updated_at: setting.updated_at,
    })
}
