//! What is done to the processes, their network and their database: a shuffled pack of faults, the same
//! for the same seed, dealt one after another while earlier ones still last.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;
use windlass::Timestamp;

use super::ledger::wall_clock;
use super::process::Process;
use super::work::{LEASE, POISONED, SCHEDULER, WORKER};
use crate::database::Database;
use crate::proxy::{Proxy, Weather};
use crate::server::Server;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Killed,
    Frozen,
    Terminated,
    TakenDownByItsJob,
    DatabaseRestarted,
    ConnectionsCut,
    NetworkSlow,
    BlackHole,
    HalfOpen,
    AnswersLost,
}

/// Weights in the pack; the first three are all there is without a network.
const PACK: [(What, usize); 9] = [
    (What::Killed, 4),
    (What::Frozen, 3),
    (What::Terminated, 3),
    (What::DatabaseRestarted, 1),
    (What::ConnectionsCut, 2),
    (What::NetworkSlow, 1),
    (What::BlackHole, 2),
    (What::HalfOpen, 2),
    (What::AnswersLost, 4),
];

/// Something that was done, to one process or to all.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) what: What,
    pub(crate) pid: Option<u32>,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

/// What is behind the processes, where there is a network.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) server: Arc<Server>,
}

#[derive(Debug, PartialEq, Eq)]
enum Health {
    Well,
    Frozen { until: Instant },
    Stopping { since: Instant },
}

#[derive(Debug)]
pub(crate) struct Faults {
    rng: StdRng,
    pack: Vec<What>,
    /// Three workers, a scheduler, and a second one while the first is frozen.
    processes: Vec<(Process, Health)>,
    network: Option<Network>,
    fair_at: Option<Instant>,
    url: String,
    folder: std::path::PathBuf,
    pub(crate) log: Vec<Fault>,
}

const WORKERS: usize = 3;
/// Within this a process stops that was told to: its grace time, what it then abandons, and its last words.
const STOPS_WITHIN: Duration = Duration::from_secs(20);

impl Faults {
    pub(crate) fn new(seed: u64, url: &str, folder: &Path, network: Option<Network>) -> Self {
        let start = |role| (Process::start(role, url, folder), Health::Well);
        Self {
            rng: StdRng::seed_from_u64(seed),
            pack: Vec::new(),
            processes: vec![
                start(WORKER),
                start(WORKER),
                start(WORKER),
                start(SCHEDULER),
            ],
            network,
            fair_at: None,
            url: url.to_owned(),
            folder: folder.to_owned(),
            log: Vec::new(),
        }
    }

    /// Does its worst for so long.
    pub(crate) async fn rage(&mut self, length: Duration) {
        let over = Instant::now() + length;
        let mut next = Instant::now() + Duration::from_secs(1);
        let mut pulse = tokio::time::interval(Duration::from_millis(20));
        while Instant::now() < over {
            pulse.tick().await;
            self.look_after();
            if Instant::now() >= next {
                self.deal().await;
                let pause = self.rng.random_range(200..1_200);
                next = Instant::now() + Duration::from_millis(pause);
            }
        }
    }

    /// Lets all be well: everything is let go on, and everyone is there.
    pub(crate) async fn end(&mut self) {
        if let Some(network) = &self.network {
            network.proxy.becomes(Weather::Fair);
            network.proxy.lose_answers(0);
        }
        let now = Instant::now();
        for (_, health) in &mut self.processes {
            if let Health::Frozen { until } = health {
                *until = now;
            }
        }
        let mut pulse = tokio::time::interval(Duration::from_millis(20));
        while self
            .processes
            .iter()
            .any(|(_, health)| *health != Health::Well)
        {
            pulse.tick().await;
            self.look_after();
        }
    }

    /// Waits until nothing is unfinished. Poison may still take a process down meanwhile.
    pub(crate) async fn until_idle(&mut self, database: &Database, patience: Duration) {
        let mut idle = std::pin::pin!(database.until_idle(patience));
        let mut pulse = tokio::time::interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                () = &mut idle => return,
                _ = pulse.tick() => self.look_after(),
            }
        }
    }

    /// Stops the scheduler, which would go on making jobs; it ends well.
    pub(crate) async fn stop_scheduling(&mut self) {
        self.look_after();
        let (mut scheduler, _) = self.processes.remove(WORKERS);
        scheduler.signal("TERM");
        let health = Health::Stopping {
            since: Instant::now(),
        };
        let mut pulse = tokio::time::interval(Duration::from_millis(20));
        while !has_stopped(&mut scheduler, &health) {
            pulse.tick().await;
        }
    }

    /// Stops everyone; each ends well.
    pub(crate) async fn stop_all(&mut self) {
        self.look_after();
        for (process, health) in &mut self.processes {
            process.signal("TERM");
            *health = Health::Stopping {
                since: Instant::now(),
            };
        }
        let mut pulse = tokio::time::interval(Duration::from_millis(20));
        while !self.processes.is_empty() {
            pulse.tick().await;
            self.processes
                .retain_mut(|(process, health)| !has_stopped(process, health));
        }
    }

    /// What is over ends, what has ended is started again.
    fn look_after(&mut self) {
        let now = Instant::now();
        if self.fair_at.is_some_and(|at| at <= now) {
            self.fair_at = None;
            if let Some(network) = &self.network {
                network.proxy.becomes(Weather::Fair);
            }
        }
        let mut thawed = false;
        for (number, (process, health)) in self.processes.iter_mut().enumerate() {
            match health {
                Health::Frozen { until } if *until <= now => {
                    process.signal("CONT");
                    *health = Health::Well;
                    thawed |= number == WORKERS;
                }
                Health::Stopping { .. } if has_stopped(process, health) => {
                    process.restart();
                    *health = Health::Well;
                }
                Health::Well => {
                    if let Some(status) = process.ended() {
                        assert_eq!(status.code(), Some(POISONED), "a process ended by itself");
                        let (pid, now) = (Some(process.pid()), wall_clock());
                        let what = What::TakenDownByItsJob;
                        self.log.push(Fault {
                            what,
                            pid,
                            from: now,
                            until: now,
                        });
                        process.restart();
                    }
                }
                Health::Frozen { .. } | Health::Stopping { .. } => {}
            }
        }
        // The one that stood in for the frozen scheduler, and for a moment runs beside it.
        if thawed {
            for (mut twin, _) in self.processes.drain(WORKERS + 1..) {
                twin.kill();
            }
        }
    }

    async fn deal(&mut self) {
        if self.pack.is_empty() {
            let all = PACK
                .iter()
                .flat_map(|(what, times)| std::iter::repeat_n(*what, *times));
            let with = self.network.is_some();
            self.pack = all
                .filter(|what| with || *what <= What::Terminated)
                .collect();
            self.pack.shuffle(&mut self.rng);
        }
        // Drawn whether they are needed or not: what comes later must not depend on it.
        let what = self.pack.pop().expect("it was filled");
        let (victim, strength) = (self.rng.random_range(0..=WORKERS), self.rng.random::<f64>());
        match what {
            What::Killed | What::Frozen | What::Terminated => self.hit(what, victim, strength),
            _ => self.disturb(what, strength).await,
        }
    }

    fn hit(&mut self, what: What, victim: usize, strength: f64) {
        let (process, health) = &mut self.processes[victim];
        if *health != Health::Well || !process.listens() || process.ended().is_some() {
            return;
        }
        let (pid, from) = (Some(process.pid()), wall_clock());
        let mut until = from;
        match what {
            What::Killed => {
                process.kill();
                process.restart();
            }
            What::Terminated => {
                process.signal("TERM");
                until = from + STOPS_WITHIN;
                *health = Health::Stopping {
                    since: Instant::now(),
                };
            }
            _ => {
                process.signal("STOP");
                let length = LEASE.mul_f64(1.2 + strength);
                until = from + length;
                *health = Health::Frozen {
                    until: Instant::now() + length,
                };
                if victim == WORKERS {
                    let twin = Process::start(SCHEDULER, &self.url, &self.folder);
                    self.processes.push((twin, Health::Well));
                }
            }
        }
        self.log.push(Fault {
            what,
            pid,
            from,
            until,
        });
    }

    async fn disturb(&mut self, what: What, strength: f64) {
        let Some(Network { proxy, server }) = self.network.clone() else {
            return;
        };
        let from = wall_clock();
        let mut until = from;
        match what {
            What::DatabaseRestarted => {
                let restart = move || {
                    server.down();
                    server.up();
                };
                tokio::task::spawn_blocking(restart).await.unwrap();
                until = wall_clock();
            }
            What::ConnectionsCut => proxy.cut(),
            What::HalfOpen => {
                proxy.half_open();
                until = from + super::PATIENCE_OF_A_CALL;
            }
            What::AnswersLost => {
                proxy.lose_answers(1 + u32::from(strength > 0.5) * 3);
                until = from + Duration::from_secs(1);
            }
            What::NetworkSlow | What::BlackHole if self.fair_at.is_none() => {
                let (weather, length) = if what == What::NetworkSlow {
                    let by = Duration::from_millis(20).mul_f64(1.0 + 4.0 * strength);
                    (Weather::Slow(by), Duration::from_secs(2))
                } else {
                    // Shorter than a lease, and longer.
                    (Weather::BlackHole, LEASE.mul_f64(0.3 + 1.2 * strength))
                };
                proxy.becomes(weather);
                self.fair_at = Some(Instant::now() + length);
                until = from + length;
            }
            _ => return,
        }
        let pid = None;
        self.log.push(Fault {
            what,
            pid,
            from,
            until,
        });
    }

    pub(crate) fn counted(&self) -> BTreeMap<What, usize> {
        let mut counted = BTreeMap::new();
        for fault in &self.log {
            *counted.entry(fault.what).or_default() += 1;
        }
        counted
    }
}

/// Whether a process that was told to stop has; it must, in time, and say that all is well.
fn has_stopped(process: &mut Process, health: &Health) -> bool {
    let Health::Stopping { since } = health else {
        return false;
    };
    match process.ended() {
        Some(status) => {
            // The signal may have met a job that takes its process down, too.
            let code = status.code();
            let well = code == Some(0) || code == Some(POISONED);
            assert!(well, "a process that was to stop ended with {status}");
            true
        }
        None => {
            assert!(since.elapsed() < STOPS_WITHIN, "a process does not stop");
            false
        }
    }
}
