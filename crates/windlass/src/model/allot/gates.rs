//! The limits that a claim meets: how many jobs may still pass each of them.

use std::collections::HashMap;
use std::time::Duration;

use super::{Bucket, Buckets, Cell, HeldBy, Running};
use crate::model::Timestamp;
use crate::model::policy::{Limit, QueuePolicy, Rate};

/// How soon to look again whether a job has made room for another.
const RECHECK: Duration = Duration::from_millis(100);

/// What a limit belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scope<'a> {
    Queue,
    Kind(&'a str),
    Key(&'a str),
}

impl Scope<'_> {
    pub(super) fn limit(self, policy: &QueuePolicy) -> Option<Limit> {
        match self {
            Self::Queue => Some(Limit {
                concurrency: policy.concurrency,
                rate: policy.rate,
            }),
            Self::Kind(kind) => policy.kinds.get(kind).copied(),
            Self::Key(key) => policy.key(key),
        }
    }

    pub(super) fn bucket(self) -> String {
        match self {
            Self::Queue => String::new(),
            Self::Kind(kind) => format!("kind:{kind}"),
            Self::Key(key) => format!("key:{key}"),
        }
    }

    const fn concurrency(self) -> HeldBy {
        match self {
            Self::Queue => HeldBy::QueueConcurrency,
            Self::Kind(_) => HeldBy::KindConcurrency,
            Self::Key(_) => HeldBy::KeyConcurrency,
        }
    }

    const fn rate(self) -> HeldBy {
        match self {
            Self::Queue => HeldBy::QueueRate,
            Self::Kind(_) => HeldBy::KindRate,
            Self::Key(_) => HeldBy::KeyRate,
        }
    }
}

/// One limit during a claim.
#[derive(Debug)]
struct Gate {
    held_by: HeldBy,
    /// Jobs that may still pass.
    left: u64,
    rate: Option<Flow>,
}

/// The bucket behind a gate.
#[derive(Debug)]
struct Flow {
    bucket: String,
    rate: Rate,
    /// Before anything passed.
    tokens: f64,
    /// What passes at most.
    whole: u64,
    /// Stored with a time that lies ahead: the clock was put back.
    ahead: bool,
}

#[derive(Debug)]
pub(super) struct Gates {
    policy: QueuePolicy,
    now: Timestamp,
    all: Vec<Gate>,
    known: HashMap<String, Vec<usize>>,
    running: HashMap<String, u64>,
    buckets: Buckets,
}

impl Gates {
    pub(super) fn new(
        policy: &QueuePolicy,
        now: Timestamp,
        running: &[Running],
        buckets: &Buckets,
    ) -> Self {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for run in running {
            for scope in [Scope::Queue, Scope::Kind(&run.kind), Scope::Key(&run.key)] {
                *counts.entry(scope.bucket()).or_default() += run.jobs;
            }
        }
        Self {
            policy: policy.clone(),
            now,
            all: Vec::new(),
            known: HashMap::new(),
            running: counts,
            buckets: buckets.clone(),
        }
    }

    /// The gates that jobs of a cell go through.
    pub(super) fn of(&mut self, cell: &Cell) -> Vec<usize> {
        let scopes = [Scope::Queue, Scope::Kind(&cell.kind), Scope::Key(&cell.key)];
        let mut gates = Vec::new();
        for scope in scopes {
            let Some(limit) = scope.limit(&self.policy) else {
                continue;
            };
            let name = scope.bucket();
            if !self.known.contains_key(&name) {
                let made = self.make(scope, limit, &name);
                self.known.insert(name.clone(), made);
            }
            gates.extend(&self.known[&name]);
        }
        gates
    }

    fn make(&mut self, scope: Scope<'_>, limit: Limit, name: &str) -> Vec<usize> {
        let mut made = Vec::new();
        if let Some(concurrency) = limit.concurrency {
            let running = self.running.get(name).copied().unwrap_or(0);
            made.push(Gate {
                held_by: scope.concurrency(),
                left: u64::from(concurrency).saturating_sub(running),
                rate: None,
            });
        }
        if let Some(rate) = limit.rate {
            let stored = self.buckets.get(name);
            let tokens = stored.map_or(rate.burst(), |bucket| {
                let since = self.now.since(bucket.at).as_secs_f64();
                (bucket.tokens + since * rate.per_second()).min(rate.burst())
            });
            let whole = whole(tokens);
            made.push(Gate {
                held_by: scope.rate(),
                left: whole,
                rate: Some(Flow {
                    bucket: name.to_owned(),
                    rate,
                    tokens,
                    whole,
                    ahead: stored.is_some_and(|bucket| bucket.at > self.now),
                }),
            });
        }
        let first = self.all.len();
        self.all.extend(made);
        (first..self.all.len()).collect()
    }

    pub(super) fn closed(&self, gates: &[usize]) -> Option<HeldBy> {
        let mut gates = gates.iter().map(|gate| &self.all[*gate]);
        gates.find(|gate| gate.left == 0).map(|gate| gate.held_by)
    }

    pub(super) fn pass(&mut self, gates: &[usize]) {
        for gate in gates {
            self.all[*gate].left -= 1;
        }
    }

    pub(super) fn give_back(&mut self, gates: &[usize], jobs: u32) {
        for gate in gates {
            self.all[*gate].left += u64::from(jobs);
        }
    }

    /// When the last of them that is closed may open.
    pub(super) fn opens_in(&self, gates: &[usize]) -> Option<Duration> {
        let closed = gates.iter().map(|gate| &self.all[*gate]);
        let closed = closed.filter(|gate| gate.left == 0);
        closed
            .map(|gate| {
                gate.rate.as_ref().map_or(RECHECK, |flow| {
                    let tokens = flow.tokens - jobs_of(flow.whole);
                    Duration::from_secs_f64((1.0 - tokens).max(0.0) / flow.rate.per_second())
                })
            })
            .max()
    }

    pub(super) fn changed(&self, now: Timestamp) -> Buckets {
        let flows = self.all.iter().filter_map(|gate| {
            let flow = gate.rate.as_ref()?;
            let passed = flow.whole - gate.left;
            (passed > 0 || flow.ahead).then(|| {
                let bucket = Bucket {
                    tokens: flow.tokens - jobs_of(passed),
                    at: now,
                };
                (flow.bucket.clone(), bucket)
            })
        });
        flows.collect()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "no bucket holds more than a million tokens"
)]
fn whole(tokens: f64) -> u64 {
    // What is due to arithmetic alone must not cost a token.
    (tokens + 1e-6).max(0.0) as u64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn jobs_of(number: u64) -> f64 {
    number as f64
}
