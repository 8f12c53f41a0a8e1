//! Limits and fairness of a queue.

use std::io::Read;

use clap::Subcommand;
use reqwest::Method;
use windlass::Client;
use windlass::engine::{Operator, PolicyError, StoredPolicy};
use windlass::model::QueuePolicy;

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::{Exit, Failure, Printer, actor};

/// What to do with the policy of a queue.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// Show the policy of a queue, or of every queue that has one
    Show {
        /// The queue
        queue: Option<String>,
    },
    /// Give a queue a policy, in the place of what it has
    Set {
        /// The queue
        queue: String,
        /// The policy as JSON, such as '{"concurrency": 20, "fair": {}}'; - reads it from stdin
        policy: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take the policy of a queue away
    Clear {
        /// The queue
        queue: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
}

pub(super) async fn run(
    client: &Client,
    action: Action,
    printer: &mut Printer,
) -> Result<(), Failure> {
    match action {
        Action::Show { queue } => show(client, queue, printer).await,
        Action::Set {
            queue,
            policy,
            reason,
        } => {
            let operator = actor::operator(client, reason.as_deref());
            set(&operator, &queue, &policy, printer).await
        }
        Action::Clear { queue, reason } => {
            let operator = actor::operator(client, reason.as_deref());
            if !operator.clear_policy(&queue, None).await? {
                return Err(none(&queue));
            }
            printer.talk(&format!("queue {queue} has no policy any more"));
            Ok(())
        }
    }
}

async fn show(
    client: &Client,
    queue: Option<String>,
    printer: &mut Printer,
) -> Result<(), Failure> {
    match queue {
        Some(queue) => {
            let stored = client.policy(&queue).await?.ok_or_else(|| none(&queue))?;
            Ok(printer.data(&stored, line)?)
        }
        None => {
            let all = client.policies().await?;
            Ok(printer.data(&all, |all| all.iter().map(line).collect())?)
        }
    }
}

async fn set(
    operator: &Operator,
    queue: &str,
    policy: &str,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let policy = parsed(policy)?;
    match operator.set_policy(queue, &policy, None).await {
        Ok(stored) => Ok(printer.data(&stored, line)?),
        Err(PolicyError::Invalid(error)) => Err(Failure::usage(error.to_string())),
        Err(PolicyError::Store(error)) => Err(error.into()),
    }
}

fn none(queue: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("queue {queue} has no policy"))
}

fn line(stored: &StoredPolicy) -> String {
    let policy = serde_json::to_string(&stored.policy).unwrap_or_default();
    format!("{}\t{policy}\n", stored.queue)
}

impl Action {
    pub(super) fn ask(self) -> Result<Ask, Failure> {
        let words = Shows::Words("the queue has no policy any more");
        match self {
            Self::Show { queue: None } => Ok(Ask::get(
                &[&"queues"],
                Shows::Rows("queues", &["queue", "policy"]),
            )),
            Self::Show { queue: Some(queue) } => {
                Ok(Ask::get(&[&"queues", &queue, &"policy"], Shows::Sheet))
            }
            Self::Set {
                queue,
                policy,
                reason,
            } => {
                let path: [&(dyn std::fmt::Display + Sync); 3] = [&"queues", &queue, &"policy"];
                let ask = Ask::new(Method::PUT, &path, Shows::Sheet).because(reason);
                ask.body(&parsed(&policy)?)
            }
            Self::Clear { queue, reason } => {
                let path: [&(dyn std::fmt::Display + Sync); 3] = [&"queues", &queue, &"policy"];
                Ok(Ask::new(Method::DELETE, &path, words).because(reason))
            }
        }
    }

    pub(super) fn would(&self) -> Would {
        match self {
            Self::Show { .. } => Would::Read,
            Self::Set { queue, .. } => Would::Change(format!(
                "give queue {queue} this policy in the place of its own"
            )),
            Self::Clear { queue, .. } => {
                Would::Change(format!("take the policy of queue {queue} away"))
            }
        }
    }
}

fn parsed(policy: &str) -> Result<QueuePolicy, Failure> {
    let mut text = policy.to_owned();
    if policy == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text)?;
    }
    serde_json::from_str(&text).map_err(|error| Failure::usage(format!("policy: {error}")))
}
