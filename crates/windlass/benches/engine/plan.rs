//! What is measured.

use std::path::PathBuf;

use crate::databases::Kind;

/// What to measure, and how often.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) kinds: Vec<Kind>,
    /// How often each figure is taken; the table shows the median and the range.
    pub(crate) runs: usize,
    /// Jobs per drain.
    pub(crate) jobs: u64,
    /// Jobs enqueued one at a time.
    pub(crate) singles: u64,
    /// Enqueues per second, and seconds, of the steady rate.
    pub(crate) steady: (u64, u64),
    /// Whether to drain a minute's worth, and again beside what that left.
    pub(crate) history: bool,
    /// Whether to do all of it with a global limit and fairness, too.
    pub(crate) limits: bool,
    /// The program that plays the peers' roles.
    pub(crate) peers: Option<PathBuf>,
}

/// Jobs of the long drain: more than a minute's worth.
pub(crate) const MANY: u64 = 5_000_000;

impl Default for Plan {
    fn default() -> Self {
        Self {
            kinds: vec![Kind::Postgres, Kind::Sqlite],
            runs: 3,
            jobs: 200_000,
            singles: 20_000,
            steady: (200, 10),
            history: false,
            limits: false,
            peers: None,
        }
    }
}

impl Plan {
    /// To see whether it works; its figures say little.
    pub(crate) fn quick(&mut self) {
        (self.runs, self.jobs, self.singles, self.steady) = (1, 20_000, 2_000, (200, 2));
    }
}

/// A queue under measurement: ours, or a peer with one of its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Ours,
    /// Ours with jobs that belong to tenants: what limits are compared with.
    Tenants,
    /// The same with a global limit and tenants that take turns.
    Limited,
    Stock,
    Tuned,
}

impl Subject {
    /// Its name as a role's argument.
    pub(crate) const fn argument(self) -> &'static str {
        match self {
            Self::Ours => "windlass",
            Self::Tenants => "windlass-tenants",
            Self::Limited => "windlass-limited",
            Self::Stock => "apalis-stock",
            Self::Tuned => "apalis-tuned",
        }
    }

    pub(crate) const fn title(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Ours, _) => "windlass, defaults",
            (Self::Tenants, _) => "windlass, jobs of four tenants",
            (Self::Limited, _) => "windlass, the same with a limit and fairness",
            (Self::Stock, Kind::Postgres) => "apalis-postgres, defaults",
            (Self::Tuned, Kind::Postgres) => "apalis-postgres, tuned",
            (Self::Stock, Kind::Sqlite) => "apalis-sqlite, defaults",
            (Self::Tuned, Kind::Sqlite) => "apalis-sqlite, tuned",
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    Drain,
    Memory,
    Cpu,
    Fresh,
    Single,
    Bulk,
    WaitMedian,
    WaitTail,
    Minute,
    MinuteSlowest,
    MinuteMemory,
    WithoutHistory,
    WithHistory,
}

impl Figure {
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Drain => "drain, jobs/s",
            Self::Memory => "worker's peak memory of that, MiB",
            Self::Cpu => "worker's CPU per 100,000 jobs, s",
            Self::Fresh => "drain that began on the empty database, jobs/s",
            Self::Single => "enqueue one at a time, jobs/s",
            Self::Bulk => "enqueue 5,000 at a time, jobs/s",
            Self::WaitMedian => "enqueue to start, median, ms",
            Self::WaitTail => "enqueue to start, 99th percentile, ms",
            Self::Minute => "drain of 5,000,000, jobs/s",
            Self::MinuteSlowest => "slowest 250,000 of that, jobs/s",
            Self::MinuteMemory => "worker's peak memory of that, MiB",
            Self::WithoutHistory => "drain beside an empty history, jobs/s",
            Self::WithHistory => "drain beside 5,000,000 finished jobs, jobs/s",
        }
    }

    /// What we hold ourselves to.
    pub(crate) fn target(self, kind: Kind) -> Option<Target> {
        Some(match (self, kind) {
            (Self::Drain | Self::Fresh | Self::Minute, Kind::Postgres) => Target::AtLeast(60_000.0),
            (Self::Drain | Self::Fresh | Self::Minute, Kind::Sqlite) => Target::AtLeast(100_000.0),
            (Self::Memory | Self::MinuteMemory, _) => Target::AtMost(60.0),
            (Self::Single, _) => Target::AtLeast(10_000.0),
            (Self::Bulk, Kind::Postgres) => Target::AtLeast(200_000.0),
            (Self::WaitMedian, Kind::Postgres) => Target::AtMost(1.0),
            (Self::WaitTail, Kind::Postgres) => Target::AtMost(4.0),
            _ => return None,
        })
    }
}

/// A bound on a median.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}
