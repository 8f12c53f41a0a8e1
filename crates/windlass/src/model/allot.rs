//! Who gets how much of a claim: the whole policy of limits and fairness, as a pure function.
//!
//! A store tells what there is to take, cell by cell, and what limits look at; [`Allotter::begin`]
//! and [`Round::grants`] say how many jobs of which cell may be taken; the store takes what it can of
//! them and says so with [`Round::took`]; [`Round::end`] says what to write back and when to come again.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::time::Duration;

use super::policy::QueuePolicy;
use super::{ClaimedJob, Timestamp};

mod gates;
mod sweep;
#[cfg(test)]
mod tests;

use gates::{Gates, Scope};
pub use sweep::{Look, Sweep};

/// Jobs that limits and fairness cannot tell apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Whose they are; empty if nobody's.
    pub tenant: String,
    /// What they are.
    pub kind: String,
    /// What they are limited by: the key they chose, else their tenant, else empty.
    pub key: String,
    /// Their priority.
    pub priority: u8,
}

/// What there is in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which.
    pub cell: Cell,
    /// When its first job is, or was, due.
    pub run_at: Timestamp,
    /// How many are due, as far as was counted.
    pub due: u32,
    /// Whether counting stopped at the bound: there are at least so many.
    pub deep: bool,
    /// When the first one that is not due yet will be, unless counting stopped before it.
    pub later: Option<Timestamp>,
}

/// How many jobs run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Of this kind,
    pub kind: String,
    /// and of this key (empty: none).
    pub key: String,
    /// So many.
    pub jobs: u64,
}

/// The tokens of a rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// So many there were
    pub tokens: f64,
    /// at this time.
    pub at: Timestamp,
}

/// Buckets by what they belong to: the queue (empty), `kind:<kind>`, `key:<key>`. One that is missing
/// is full.
pub type Buckets = BTreeMap<String, Bucket>;

/// What holds jobs back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeldBy {
    /// As many jobs of the queue run as may.
    QueueConcurrency,
    /// The queue's rate.
    QueueRate,
    /// As many jobs of the kind run as may.
    KindConcurrency,
    /// The kind's rate.
    KindRate,
    /// As many jobs of the key run as may.
    KeyConcurrency,
    /// The key's rate.
    KeyRate,
    /// Someone paused the kind or the tenant.
    Pause,
}

impl HeldBy {
    /// The word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueConcurrency => "queue_concurrency",
            Self::QueueRate => "queue_rate",
            Self::KindConcurrency => "kind_concurrency",
            Self::KindRate => "kind_rate",
            Self::KeyConcurrency => "key_concurrency",
            Self::KeyRate => "key_rate",
            Self::Pause => "pause",
        }
    }
}

/// What a queue is claimed by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Its policy; the default limits nothing.
    pub policy: QueuePolicy,
    /// What does not start.
    pub paused: Vec<Paused>,
}

/// Jobs that do not start: those of a kind, of a tenant, or of both together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// Of this kind, or of any.
    pub kind: Option<String>,
    /// Of this tenant, or of any.
    pub tenant: Option<String>,
}

impl Paused {
    fn holds(&self, cell: &Cell) -> bool {
        self.kind.as_ref().is_none_or(|kind| *kind == cell.kind)
            && self
                .tenant
                .as_ref()
                .is_none_or(|tenant| *tenant == cell.tenant)
    }
}

/// Allots the claims of one queue in one process, and remembers whose turn it is.
#[derive(Debug, Default)]
pub struct Allotter {
    rules: Rules,
    /// Each tenant's time: it goes on by 1 / weight with every job, and whose is least is next.
    times: HashMap<String, f64>,
    /// The time at which the last job was taken: who was away meanwhile has saved nothing up.
    floor: f64,
    sweep: Sweep,
    /// When the first claim was.
    since: Option<Timestamp>,
    /// When running jobs were last looked for that are not governed yet.
    settled: Option<Timestamp>,
    /// When stragglers were last looked for.
    adopted: Option<Timestamp>,
}

/// How long others may go on claiming and enqueueing as if the queue were not governed.
const SETTLES: Duration = Duration::from_secs(10);
/// How often running jobs are looked for that others claimed so.
const SETTLED: Duration = Duration::from_secs(1);
/// How often a busy queue is searched for jobs that are not governed but should be.
const ADOPTS: Duration = Duration::from_millis(250);

impl Allotter {
    /// One that goes by these rules.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Goes by other rules from now on; whose turn it is stays.
    pub fn change(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Up to how many due jobs of a cell to count, for a claim of so many.
    pub fn depth(room: u32) -> u32 {
        (room / 32).clamp(4, 32)
    }

    /// Whether it is time to look for running jobs that are not governed yet, which take as long to
    /// find as all that are running: at the first claim, and while others may not have heard.
    pub fn settles(&mut self, now: Timestamp) -> bool {
        let since = *self.since.get_or_insert(now);
        let due = self
            .settled
            .is_none_or(|last| now < last || now.since(last) >= SETTLED);
        let settles = due && now.since(since) < SETTLES;
        if settles {
            self.settled = Some(now);
        }
        settles
    }

    /// Whether it is time to look for jobs that are not governed but should be.
    pub fn adopts(&self, now: Timestamp) -> bool {
        self.adopted
            .is_none_or(|last| now < last || now.since(last) >= ADOPTS)
    }

    /// Notes that someone looked, and whether there may be more of them.
    pub fn adopted(&mut self, now: Timestamp, more: bool) {
        self.adopted = Some(now).filter(|_| !more);
    }

    /// Where to look for cells.
    pub const fn sweep(&mut self) -> &mut Sweep {
        &mut self.sweep
    }

    /// What it goes by.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The buckets that decide over these cells.
    pub fn buckets(&self, heads: &[Head]) -> Vec<String> {
        let policy = &self.rules.policy;
        let mut names = BTreeSet::new();
        if policy.rate.is_some() {
            names.insert(Scope::Queue.bucket());
        }
        for head in heads {
            let scopes = [Scope::Kind(&head.cell.kind), Scope::Key(&head.cell.key)];
            let limited = scopes.into_iter().filter(|scope| {
                let limit = scope.limit(policy);
                limit.is_some_and(|limit| limit.rate.is_some())
            });
            names.extend(limited.map(Scope::bucket));
        }
        names.into_iter().collect()
    }

    /// Starts to allot a claim.
    pub fn begin<'a>(
        &'a mut self,
        now: Timestamp,
        heads: &'a [Head],
        running: &[Running],
        buckets: &Buckets,
    ) -> Round<'a> {
        let mut gates = Gates::new(&self.rules.policy, now, running, buckets);
        let mut cells: Vec<Open<'a>> = heads
            .iter()
            .map(|head| Open {
                head,
                left: if head.deep { u32::MAX } else { head.due },
                granted: 0,
                paused: self
                    .rules
                    .paused
                    .iter()
                    .any(|paused| paused.holds(&head.cell)),
                gates: gates.of(&head.cell),
            })
            .collect();
        let ageing = self.rules.policy.ageing_ms;
        cells.sort_by_key(|open| (urgency(open.head, ageing), open.head.run_at));
        let places = cells.iter().enumerate();
        let places = places.map(|(at, open)| (&open.head.cell, at)).collect();
        let lanes = self.lanes(&cells);
        Round {
            allotter: self,
            now,
            cells,
            places,
            lanes,
            gates,
            picks: Vec::new(),
            held: BTreeSet::new(),
            jobs: Vec::new(),
        }
    }

    /// Cells by tenant if tenants take turns, otherwise all together; each in order of urgency, and
    /// whoever has waited longest first.
    fn lanes(&self, cells: &[Open<'_>]) -> Vec<Lane> {
        let Some(fair) = &self.rules.policy.fair else {
            return vec![Lane {
                time: 0.0,
                step: 0.0,
                cells: (0..cells.len()).collect(),
            }];
        };
        let mut lanes: Vec<Lane> = Vec::new();
        let mut of_tenant: HashMap<&str, usize> = HashMap::new();
        for (at, open) in cells.iter().enumerate() {
            let tenant = open.head.cell.tenant.as_str();
            let lane = *of_tenant.entry(tenant).or_insert_with(|| {
                let time = self.times.get(tenant).copied().unwrap_or(0.0);
                lanes.push(Lane {
                    time: time.max(self.floor),
                    step: 1.0 / f64::from(fair.weight(tenant)),
                    cells: Vec::new(),
                });
                lanes.len() - 1
            });
            lanes[lane].cells.push(at);
        }
        lanes
    }
}

/// Without ageing, the priority decides; with it, when a job of priority 0 would have had to come to
/// be just as urgent.
fn urgency(head: &Head, ageing_ms: Option<u64>) -> i64 {
    let priority = i64::from(head.cell.priority);
    ageing_ms.map_or(priority, |ms| {
        let step = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1000);
        let later = step.saturating_mul(priority);
        head.run_at.as_micros().saturating_add(later)
    })
}

/// One claim being allotted.
#[derive(Debug)]
pub struct Round<'a> {
    allotter: &'a mut Allotter,
    now: Timestamp,
    cells: Vec<Open<'a>>,
    places: HashMap<&'a Cell, usize>,
    lanes: Vec<Lane>,
    gates: Gates,
    /// The cells of the last grants, in the order in which their jobs shall run.
    picks: Vec<usize>,
    held: BTreeSet<HeldBy>,
    jobs: Vec<ClaimedJob>,
}

/// A cell during a claim.
#[derive(Debug)]
struct Open<'a> {
    head: &'a Head,
    left: u32,
    granted: u32,
    paused: bool,
    gates: Vec<usize>,
}

/// Those who share a turn.
#[derive(Debug)]
struct Lane {
    time: f64,
    step: f64,
    cells: Vec<usize>,
}

/// What a round left behind.
#[derive(Debug)]
pub struct Ended {
    /// What was taken, in the order in which to run it.
    pub jobs: Vec<ClaimedJob>,
    /// Buckets that have changed.
    pub buckets: Buckets,
    /// What held jobs back.
    pub held_by: Vec<HeldBy>,
    /// When there may be something to take, as far as can be told.
    pub again_in: Option<Duration>,
}

impl<'a> Round<'a> {
    /// How many jobs of which cells to take, of `room` in all; none if there is nothing more to take.
    pub fn grants(&mut self, room: u32) -> Vec<(&'a Head, u32)> {
        let room = room.saturating_sub(u32::try_from(self.jobs.len()).unwrap_or(u32::MAX));
        self.picks.clear();
        let mut turns: BinaryHeap<Turn> = self
            .lanes
            .iter()
            .enumerate()
            .map(|(lane, l)| Turn {
                time: l.time,
                lane,
                next: 0,
            })
            .collect();
        for _ in 0..room {
            let Some(mut turn) = self.next(&mut turns) else {
                break;
            };
            let lane = &self.lanes[turn.lane];
            let at = lane.cells[turn.next];
            self.gates.pass(&self.cells[at].gates);
            self.cells[at].granted += 1;
            self.cells[at].left -= 1;
            self.picks.push(at);
            turn.time += lane.step;
            turns.push(turn);
        }
        let granted = self.cells.iter().filter(|open| open.granted > 0);
        granted.map(|open| (open.head, open.granted)).collect()
    }

    /// Whose turn it is, at a cell that may be taken from.
    fn next(&mut self, turns: &mut BinaryHeap<Turn>) -> Option<Turn> {
        while let Some(mut turn) = turns.pop() {
            let cells = &self.lanes[turn.lane].cells;
            while let Some(at) = cells.get(turn.next) {
                let open = &self.cells[*at];
                if open.left > 0 {
                    let held = if open.paused {
                        Some(HeldBy::Pause)
                    } else {
                        self.gates.closed(&open.gates)
                    };
                    match held {
                        None => return Some(turn),
                        Some(held) => {
                            self.held.insert(held);
                        }
                    }
                }
                // A gate that is closed stays so until the grants have been settled.
                turn.next += 1;
            }
        }
        None
    }

    /// Settles the last grants with what could be taken of them; each job with its key.
    pub fn took(&mut self, taken: Vec<(ClaimedJob, String)>) {
        let mut of_cell: HashMap<usize, Vec<ClaimedJob>> = HashMap::new();
        for (job, key) in taken {
            let cell = Cell {
                tenant: job.tenant_id.clone().unwrap_or_default(),
                kind: job.kind.clone(),
                key,
                priority: job.priority,
            };
            if let Some(at) = self.places.get(&cell) {
                of_cell.entry(*at).or_default().push(job);
            }
        }
        for lane in &mut self.lanes {
            let took = |at: &usize| of_cell.get(at).map_or(0, Vec::len);
            let taken: usize = lane.cells.iter().map(took).sum();
            if let Some(others) = taken.checked_sub(1) {
                let began = lane.time + lane.step * jobs(others);
                lane.time = began + lane.step;
                self.allotter.floor = self.allotter.floor.max(began);
            }
        }
        for (at, open) in self.cells.iter_mut().enumerate() {
            let taken = of_cell.get_mut(&at).map_or(0, |jobs| {
                jobs.sort_unstable_by_key(|job| std::cmp::Reverse((job.run_at, job.id)));
                u32::try_from(jobs.len()).unwrap_or(u32::MAX)
            });
            if taken < open.granted {
                // No more there than that, or in somebody else's hands.
                self.gates.give_back(&open.gates, open.granted - taken);
                open.left = 0;
            }
            open.granted = 0;
        }
        for at in std::mem::take(&mut self.picks) {
            self.jobs.extend(of_cell.get_mut(&at).and_then(Vec::pop));
        }
    }

    /// How many have been taken.
    pub fn taken(&self) -> usize {
        self.jobs.len()
    }

    /// Remembers whose turn it is.
    pub fn end(self) -> Ended {
        let later = self.cells.iter().filter_map(|open| open.head.later);
        let next_due = later.map(|at| at.since(self.now)).min();
        let blocked = self
            .cells
            .iter()
            .filter(|open| open.left > 0 && !open.paused);
        let opens = blocked
            .filter_map(|open| self.gates.opens_in(&open.gates))
            .min();
        let allotter = self.allotter;
        if allotter.rules.policy.fair.is_some() {
            for lane in &self.lanes {
                if let Some(at) = lane.cells.first() {
                    let tenant = &self.cells[*at].head.cell.tenant;
                    allotter.times.insert(tenant.clone(), lane.time);
                }
            }
            // Who is no further than the floor is where a newcomer starts.
            let floor = allotter.floor;
            allotter.times.retain(|_, time| *time > floor);
        }
        Ended {
            jobs: self.jobs,
            buckets: self.gates.changed(self.now),
            held_by: self.held.into_iter().collect(),
            again_in: next_due.into_iter().chain(opens).min(),
        }
    }
}

/// A lane's place in the queue for the next turn: least time first, then who comes first.
#[derive(Debug, PartialEq)]
struct Turn {
    time: f64,
    lane: usize,
    /// The first of the lane's cells that may still be taken from.
    next: usize,
}

impl Eq for Turn {}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let by_time = other.time.total_cmp(&self.time);
        by_time.then_with(|| other.lane.cmp(&self.lane))
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn jobs(number: usize) -> f64 {
    number as f64
}
