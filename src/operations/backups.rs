//! Looks after backups.

use serde_json::json;
use windlass::engine::{Operator, PauseOf};
use windlass::model::{Filter, InvalidJob, Page, State, Timestamp};
use windlass::{Client, JobRecord, Json};

use super::{OperationError, encode};
use crate::backups::restore::{Again, Held, Restore};
use crate::backups::retention::{self, Deleted, Plan};
use crate::backups::{BackupId, Backups, Error, Pin, Repository};

/// The kind that makes one.
const CREATE: &str = "create_backup";
/// The kind that brings one back.
const RESTORE: &str = "restore_backup";

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

    /// Has a backup brought back by a worker; by which job.
    pub async fn restore(&self, restore: &Restore) -> Result<windlass::JobId, OperationError> {
        let args = Json::encode(restore).map_err(InvalidJob::from);
        let args = args.map_err(|error| OperationError::Enqueue(error.into()))?;
        let what = format!("backups/{}", restore.target);
        self.operator
            .record("backups.restore", what, None, Some(args.clone()))
            .await?;
        let job = self.client.prepare_raw(RESTORE, args)?;
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

    /// Deletes what was planned; what went.
    pub async fn apply(&self, plans: &[Plan]) -> Result<Deleted, OperationError> {
        let mut gone = Deleted::default();
        for plan in plans.iter().filter(|plan| !plan.is_empty()) {
            let what = format!("{}@{}", plan.target, plan.place);
            self.record("backups.prune", &what, &plan.detail()).await?;
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

/// Keeps the jobs of every queue of a restored database from being started, and says which may run twice.
pub async fn hold(
    client: &Client,
    further: impl IntoIterator<Item = String>,
    operator: &Operator,
) -> Result<Held, OperationError> {
    let there = client.queues().await?;
    let mut queues: Vec<String> = there.into_iter().map(|stats| stats.queue).collect();
    queues.extend(further);
    queues.sort();
    queues.dedup();
    for queue in &queues {
        let of = PauseOf {
            queue: Some(queue.clone()),
            ..PauseOf::default()
        };
        operator.pause(of, None).await?;
    }
    let running = Filter {
        states: vec![State::Running],
        ..Filter::default()
    };
    let page = Page {
        after: None,
        limit: 1000,
    };
    let again = |job: JobRecord| Again {
        id: job.id.to_string(),
        kind: job.kind,
        queue: job.queue,
        tenant_id: job.tenant_id,
        attempt: job.attempt,
    };
    let ran = client.list(&running, page).await?;
    Ok(Held {
        held: queues,
        may_run_twice: ran.into_iter().map(again).collect(),
    })
}
