//! Limits and fairness of a queue, as an operator sets them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::enqueue::{name, text};

/// The longest period of a rate, and the longest that a burst may take to come back.
const LONGEST: Duration = Duration::from_hours(24);
/// Most entries of one list of a policy: every claim goes by them.
const MOST_ENTRIES: usize = 1000;
const MOST_JOBS: u32 = 1_000_000;

/// How the jobs of a queue share what runs them. What is left out is not limited.
///
/// Limits hold across all processes. They count claims: what a worker has taken runs, as far as a
/// limit is concerned, until its outcome is recorded or its lease has been taken back.
///
/// ```
/// use windlass::model::QueuePolicy;
///
/// let policy: QueuePolicy = serde_json::from_str(r#"{
///     "concurrency": 20,
///     "kinds": {"embed_document": {"rate": {"jobs": 100, "per_ms": 1000}}},
///     "per_key": {"concurrency": 2},
///     "fair": {"weights": {"a-large-tenant": 2}},
///     "ageing_ms": 60000
/// }"#)?;
/// policy.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueuePolicy {
    /// Most jobs of the queue that run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How fast jobs of the queue may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Limits of single kinds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<String, Limit>,
    /// The limit of each key. A job's key is the one it chose, else its tenant; a job with neither
    /// has no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_key: Option<Limit>,
    /// Limits of single keys, instead of [`QueuePolicy::per_key`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, Limit>,
    /// Tenants take turns by their weights. Without it, jobs go by priority and time, whoever's they
    /// are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fair: Option<Fair>,
    /// A job goes up by one priority for every so many milliseconds that it has been due, so that the
    /// least urgent one is run in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ageing_ms: Option<u64>,
}

/// A limit of one kind or key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Most jobs that run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How fast jobs may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// So many starts in so long: a bucket of tokens that fills evenly. In any time `t`, no more than
/// `burst + t * jobs / per` jobs start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many jobs.
    pub jobs: u32,
    /// In how many milliseconds.
    #[serde(default = "a_second")]
    pub per_ms: u64,
    /// How many may start at once after a rest; a quarter of a second's worth, at least one, if it is
    /// not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

/// Tenants take turns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fair {
    /// How many jobs a tenant gets for each one of a tenant of weight 1, which is every tenant's that
    /// is not named. Jobs without a tenant are together one more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, u32>,
}

/// A policy that cannot be: the field, what is wrong with it, what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidPolicy {
    /// The field at fault, with its path.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

const fn a_second() -> u64 {
    1000
}

impl QueuePolicy {
    /// The space of settings that holds policies, each under its queue's name.
    pub const SPACE: &'static str = "policy";

    /// Checks the name of the queue that is to have a policy.
    ///
    /// # Errors
    ///
    /// No job can be in such a queue.
    pub fn check_queue(queue: &str) -> Result<(), InvalidPolicy> {
        name("queue", queue, 128).or_else(|error| fault(error.field, error.problem))
    }

    /// Checks every field; the first fault is named.
    ///
    /// # Errors
    ///
    /// A limit that would let nothing run, or that cannot be kept.
    pub fn validate(&self) -> Result<(), InvalidPolicy> {
        if *self == Self::default() {
            return fault("policy", "limits nothing; set a limit, or clear the policy");
        }
        whole("", self.concurrency, self.rate)?;
        entries("kinds", self.kinds.len())?;
        for (kind, limit) in &self.kinds {
            named(name("kinds", kind, 128))?;
            limit.validate(&format!("kinds.{kind}."))?;
        }
        if let Some(limit) = self.per_key {
            limit.validate("per_key.")?;
        }
        entries("keys", self.keys.len())?;
        for (key, limit) in &self.keys {
            named(text("keys", key, 512))?;
            limit.validate(&format!("keys.{key}."))?;
        }
        if let Some(fair) = &self.fair {
            fair.validate()?;
        }
        match self.ageing_ms {
            Some(0) => fault(
                "ageing_ms",
                "zero; use at least 1, or leave it out to go by priority alone",
            ),
            Some(ms) if ms > 1000 * 60 * 60 * 24 * 365 => {
                fault("ageing_ms", "longer than a year; leave it out instead")
            }
            _ => Ok(()),
        }
    }

    /// The limit of a key, if it has one. The empty key is that of jobs without a key.
    pub(super) fn key(&self, key: &str) -> Option<Limit> {
        if key.is_empty() {
            return None;
        }
        self.keys.get(key).copied().or(self.per_key)
    }

    /// Whether it has a limit that only holds if claims go one at a time.
    pub fn has_limits(&self) -> bool {
        self.has_concurrency() || self.has_rates()
    }

    /// Whether something may only run so many at once.
    pub fn has_concurrency(&self) -> bool {
        self.concurrency.is_some() || self.has_concurrency_apart()
    }

    /// Whether some kind or key may only run so many at once.
    pub fn has_concurrency_apart(&self) -> bool {
        self.limits().any(|limit| limit.concurrency.is_some())
    }

    /// Whether something may only start so fast.
    pub fn has_rates(&self) -> bool {
        self.rate.is_some() || self.limits().any(|limit| limit.rate.is_some())
    }

    fn limits(&self) -> impl Iterator<Item = &Limit> {
        let single = self.kinds.values().chain(self.keys.values());
        single.chain(&self.per_key)
    }
}

impl Limit {
    fn validate(self, path: &str) -> Result<(), InvalidPolicy> {
        if self == Self::default() {
            let field = path.trim_end_matches('.');
            return fault(field, "limits nothing; set concurrency or rate");
        }
        whole(path, self.concurrency, self.rate)
    }
}

impl Rate {
    /// Tokens in a second.
    pub fn per_second(self) -> f64 {
        f64::from(self.jobs) / self.per().as_secs_f64()
    }

    /// The most tokens that the bucket holds.
    pub fn burst(self) -> f64 {
        self.burst
            .map_or_else(|| (self.per_second() / 4.0).ceil().max(1.0), f64::from)
    }

    fn per(self) -> Duration {
        Duration::from_millis(self.per_ms)
    }

    fn validate(self, path: &str) -> Result<(), InvalidPolicy> {
        let field = |name| format!("{path}rate.{name}");
        bounded(&field("jobs"), self.jobs)?;
        if self.per_ms == 0 || self.per() > LONGEST {
            let problem = format!("{} is out of range; use 1 to 86400000, a day", self.per_ms);
            return fault(field("per_ms"), problem);
        }
        if let Some(burst) = self.burst {
            bounded(&field("burst"), burst)?;
        }
        if self.burst() / self.per_second() > LONGEST.as_secs_f64() {
            let problem = "would take longer than a day to come back; use a smaller burst";
            return fault(field("burst"), problem);
        }
        Ok(())
    }
}

impl Fair {
    /// The weight of a tenant; that of jobs without one has no name.
    pub(super) fn weight(&self, tenant: &str) -> u32 {
        self.weights.get(tenant).copied().unwrap_or(1)
    }

    fn validate(&self) -> Result<(), InvalidPolicy> {
        entries("fair.weights", self.weights.len())?;
        for (tenant, weight) in &self.weights {
            named(text("fair.weights", tenant, 512))?;
            if !(1..=1000).contains(weight) {
                let problem = format!(
                    "{weight} is out of range; use 1 to 1000 (to hold a tenant back, pause it)"
                );
                return fault(format!("fair.weights.{tenant}"), problem);
            }
        }
        Ok(())
    }
}

fn whole(path: &str, concurrency: Option<u32>, rate: Option<Rate>) -> Result<(), InvalidPolicy> {
    if let Some(concurrency) = concurrency {
        bounded(&format!("{path}concurrency"), concurrency)?;
    }
    rate.map_or(Ok(()), |rate| rate.validate(path))
}

fn bounded(field: &str, jobs: u32) -> Result<(), InvalidPolicy> {
    match jobs {
        0 => fault(
            field,
            "zero would let nothing run; use at least 1, or pause what must not run",
        ),
        1..=MOST_JOBS => Ok(()),
        more => fault(
            field,
            format!("{more} is more than {MOST_JOBS}; leave it out for no limit"),
        ),
    }
}

fn entries(field: &str, entries: usize) -> Result<(), InvalidPolicy> {
    if entries > MOST_ENTRIES {
        let problem = format!("{entries} entries are more than {MOST_ENTRIES}; use fewer");
        return fault(field, problem);
    }
    Ok(())
}

fn named(named: Result<(), super::InvalidJob>) -> Result<(), InvalidPolicy> {
    named.or_else(|error| fault(error.field, format!("a name in it {}", error.problem)))
}

fn fault<T>(field: impl Into<String>, problem: impl Into<String>) -> Result<T, InvalidPolicy> {
    Err(InvalidPolicy {
        field: field.into(),
        problem: problem.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> String {
        let policy: QueuePolicy = serde_json::from_str(json).unwrap();
        policy.validate().unwrap_err().to_string()
    }

    #[test]
    fn each_fault_names_its_field_and_the_remedy() {
        let zero = "zero would let nothing run; use at least 1, or pause what must not run";
        assert_eq!(
            fault(r#"{"concurrency": 0}"#),
            format!("concurrency: {zero}")
        );
        assert_eq!(
            fault(r#"{"kinds": {"mail": {"concurrency": 0}}}"#),
            format!("kinds.mail.concurrency: {zero}")
        );
        assert_eq!(
            fault(r#"{"per_key": {"rate": {"jobs": 0}}}"#),
            format!("per_key.rate.jobs: {zero}")
        );
        assert_eq!(
            fault(r#"{"keys": {"acme": {"rate": {"jobs": 1, "burst": 0}}}}"#),
            format!("keys.acme.rate.burst: {zero}")
        );
        assert_eq!(
            fault(r#"{"rate": {"jobs": 1, "per_ms": 0}}"#),
            "rate.per_ms: 0 is out of range; use 1 to 86400000, a day"
        );
        assert!(fault(r#"{"rate": {"jobs": 1, "per_ms": 86400000, "burst": 2}}"#).contains("day"));
        assert_eq!(
            fault(r#"{"fair": {"weights": {"acme": 0}}}"#),
            "fair.weights.acme: 0 is out of range; use 1 to 1000 (to hold a tenant back, pause it)"
        );
        assert!(fault(r#"{"ageing_ms": 0}"#).starts_with("ageing_ms: zero"));
        assert!(fault(r#"{"concurrency": 1000001}"#).contains("leave it out for no limit"));
        assert!(fault(r#"{"kinds": {"two words": {"concurrency": 1}}}"#).starts_with("kinds: "));
        assert!(fault("{}").starts_with("policy: limits nothing"));
        assert!(fault(r#"{"per_key": {}}"#).starts_with("per_key: limits nothing"));
    }

    #[test]
    fn what_is_not_known_is_an_error_and_not_ignored() {
        let error = serde_json::from_str::<QueuePolicy>(r#"{"concurency": 1}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `concurency`"));
    }

    #[test]
    fn is_read_back_as_it_was_written() {
        let text = r#"{"rate":{"jobs":5,"per_ms":100,"burst":7},"keys":{"a":{"concurrency":1}},"fair":{},"ageing_ms":5}"#;
        let policy: QueuePolicy = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&policy).unwrap(), text);
    }

    #[test]
    fn a_burst_that_is_not_given_is_a_quarter_of_a_second_and_at_least_one() {
        let rate = |jobs, per_ms| Rate {
            jobs,
            per_ms,
            burst: None,
        };
        assert!((rate(100, 1000).burst() - 25.0).abs() < f64::EPSILON);
        assert!((rate(1, 60_000).burst() - 1.0).abs() < f64::EPSILON);
    }
}
