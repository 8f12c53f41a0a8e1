//! Looks after backups.

use serde_json::json;
use windlass::Client;
use windlass::engine::Operator;
use windlass::model::Timestamp;

use super::{OperationError, encode};
use crate::backups::retention::{self, Plan};
use crate::backups::{BackupId, Backups, Error, Pin, Repository};

/// The kind that makes one.
const CREATE: &str = "create_backup";

/// What to do, on whose behalf.
#[derive(Debug)]
pub struct Desk<'a> {
    /// All there is to know of them.
    pub backups: &'a Backups,
    /// Where the jobs are.
    pub client: &'a Client,
    /// Who acts.
    pub operator: &'a Operator,
}

impl Desk<'_> {
    /// Has a backup made; by which job.
    pub async fn create(&self, target: &str) -> Result<windlass::JobId, OperationError> {
        self.backups.target(target)?;
        self.record("backups.create", target, &json!({})).await?;
        let job = self
            .client
            .prepare_raw(CREATE, encode(&json!({"target": target}))?)?;
        Ok(self.client.insert(job).await?.id())
    }

    /// Keeps a backup from retention, wherever it lies; in which places.
    pub async fn pin(
        &self,
        target: &str,
        id: &BackupId,
        pin: &Pin,
    ) -> Result<Vec<String>, OperationError> {
        let held = self.held(target, id).await?;
        let what = format!("{target}/{id}");
        self.record("backups.pin", &what, &json!({"reason": pin.reason}))
            .await?;
        for repository in &held {
            repository.pin(target, id, pin).await?;
        }
        Ok(names(&held))
    }

    /// Takes that back.
    pub async fn unpin(&self, target: &str, id: &BackupId) -> Result<Vec<String>, OperationError> {
        let held = self.held(target, id).await?;
        self.record("backups.unpin", &format!("{target}/{id}"), &json!({}))
            .await?;
        for repository in &held {
            repository.unpin(target, id).await?;
        }
        Ok(names(&held))
    }

    /// What retention would delete now.
    pub async fn plan(
        &self,
        targets: &[String],
        now: Timestamp,
    ) -> Result<Vec<Plan>, OperationError> {
        let mut plans = Vec::new();
        for target in targets {
            plans.extend(retention::plans(self.backups, target, now).await?);
        }
        Ok(plans)
    }

    /// Deletes what was planned; how many went.
    pub async fn apply(&self, plans: &[Plan]) -> Result<usize, OperationError> {
        let mut gone = 0;
        for plan in plans.iter().filter(|plan| plan.goes().next().is_some()) {
            let ids: Vec<&str> = plan.goes().map(|it| it.id.as_str()).collect();
            let what = format!("{}@{}", plan.target, plan.place);
            self.record("backups.prune", &what, &json!({"deleted": ids}))
                .await?;
            gone += retention::apply(self.backups, plan).await?;
        }
        Ok(gone)
    }

    /// The places that have it.
    async fn held(&self, target: &str, id: &BackupId) -> Result<Vec<&Repository>, OperationError> {
        let mut held = Vec::new();
        for repository in self.backups.repositories(self.backups.target(target)?)? {
            match repository.get(target, id).await {
                Ok(_) => held.push(repository),
                Err(Error::NotFound { .. }) => {}
                Err(other) => return Err(other.into()),
            }
        }
        if held.is_empty() {
            return Err(OperationError::NotFound { what: "backup" });
        }
        Ok(held)
    }

    async fn record(
        &self,
        action: &str,
        what: &str,
        detail: &serde_json::Value,
    ) -> Result<(), OperationError> {
        let detail = Some(encode(detail)?);
        Ok(self
            .operator
            .record(action, format!("backups/{what}"), None, detail)
            .await?)
    }
}

fn names(held: &[&Repository]) -> Vec<String> {
    held.iter().map(|it| it.place().name().to_owned()).collect()
}
