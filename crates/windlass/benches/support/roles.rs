//! The roles that a measuring program starts as processes: `set-up`, `single`, `steady`, `work` and
//! others. Each prints what it found as one line of JSON. `benches/peers` plays the same in other languages.

use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{BULK, Noop, Probe, Queue, now};

/// How long a worker may take. One that needs longer has its rate taken from what it did by then.
fn patience(jobs: u64) -> Duration {
    Duration::from_mins(1) + Duration::from_micros(jobs * 50)
}

/// What a process is told to do; written as its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Make the tables.
    SetUp,
    /// Enqueue so many, one at a time.
    Single(u64),
    /// Enqueue so many, many at a time.
    Bulk(u64),
    /// Enqueue one at a time: so many a second, for so many seconds.
    Steady(u64, u64),
    /// Work until so many jobs were started and none is left without an outcome.
    Work(u64),
    /// The same, for so many seconds at most.
    WorkFor(u64, u64),
    /// The same, and enqueue at a steady rate from the worker's own process.
    WorkSteady(u64, u64),
    /// Count what has an outcome. Apart from the worker, whose memory this would swell.
    Count,
}

impl From<Role> for Vec<String> {
    fn from(role: Role) -> Self {
        let (name, numbers) = match role {
            Role::SetUp => ("set-up", vec![]),
            Role::Single(n) => ("single", vec![n]),
            Role::Bulk(n) => ("bulk", vec![n]),
            Role::Steady(rate, seconds) => ("steady", vec![rate, seconds]),
            Role::Work(n) => ("work", vec![n]),
            Role::WorkFor(n, seconds) => ("work-for", vec![n, seconds]),
            Role::WorkSteady(rate, seconds) => ("work-steady", vec![rate, seconds]),
            Role::Count => ("count", vec![]),
        };
        std::iter::once(name.to_owned())
            .chain(numbers.iter().map(ToString::to_string))
            .collect()
    }
}

impl Role {
    /// `None` if the arguments are not those of a role.
    pub(crate) fn from_args(args: &[String]) -> anyhow::Result<Option<Self>> {
        let Some((name, numbers)) = args.split_first() else {
            return Ok(None);
        };
        let number = |at: usize| -> anyhow::Result<u64> {
            let text = numbers.get(at).context("a role lacks a number")?;
            Ok(text.parse()?)
        };
        Ok(Some(match name.as_str() {
            "set-up" => Self::SetUp,
            "single" => Self::Single(number(0)?),
            "bulk" => Self::Bulk(number(0)?),
            "steady" => Self::Steady(number(0)?, number(1)?),
            "work" => Self::Work(number(0)?),
            "work-for" => Self::WorkFor(number(0)?, number(1)?),
            "work-steady" => Self::WorkSteady(number(0)?, number(1)?),
            "count" => Self::Count,
            _ => return Ok(None),
        }))
    }
}

/// What a role found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Jobs per second: of the enqueues, or from the first start to the last recorded outcome.
    pub(crate) rate: f64,
    /// The rate of the slowest twentieth of the starts.
    pub(crate) slowest: f64,
    /// How long jobs waited, from before they were sent to their start: median and 99th percentile, ms.
    pub(crate) wait_p50: f64,
    pub(crate) wait_p99: f64,
    /// The most memory that was resident, MiB.
    pub(crate) memory: f64,
    /// CPU time of the process, seconds.
    pub(crate) cpu: f64,
    /// Jobs that a worker started.
    pub(crate) ran: u64,
    /// Whether a worker got through all.
    pub(crate) complete: bool,
    /// Jobs with an outcome.
    pub(crate) finished: u64,
}

/// Plays a role on an opened queue and prints what was found.
pub(crate) async fn play<Q: Queue>(queue: Q, role: Role) -> anyhow::Result<()> {
    let mut found = match role {
        Role::Work(n) => work(&queue, n, patience(n), async { Ok(()) }).await?,
        Role::WorkFor(n, seconds) => {
            let patience = Duration::from_secs(seconds);
            work(&queue, n, patience, async { Ok(()) }).await?
        }
        Role::WorkSteady(rate, seconds) => work_steady(&queue, rate, seconds).await?,
        // In a task, as a server's handlers are: on the main thread each answer would cross threads.
        role => tokio::spawn(call(queue, role)).await??,
    };
    (found.memory, found.cpu) = (peak_memory()?, cpu_time()?);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", serde_json::to_string(&found)?)?;
    Ok(stdout.flush()?)
}

/// The roles of those who only call the queue.
async fn call<Q: Queue>(mut queue: Q, role: Role) -> anyhow::Result<Found> {
    match role {
        Role::SetUp => queue.set_up().await.map(|()| Found::default()),
        Role::Single(n) => single(&mut queue, n).await,
        Role::Bulk(n) => bulk(&mut queue, n).await,
        Role::Steady(rate, seconds) => steady(&mut queue, rate, seconds).await,
        Role::Count => count(&queue).await,
        Role::Work(_) | Role::WorkFor(..) | Role::WorkSteady(..) => {
            anyhow::bail!("a worker calls nobody")
        }
    }
}

async fn single<Q: Queue>(queue: &mut Q, n: u64) -> anyhow::Result<Found> {
    // Connections and prepared statements are not what is measured.
    queue.enqueue(Noop::sent_now()?).await?;
    let began = Instant::now();
    for _ in 1..n {
        queue.enqueue(Noop::sent_now()?).await?;
    }
    Ok(Found {
        rate: per_second(n - 1, began.elapsed()),
        ..Found::default()
    })
}

async fn bulk<Q: Queue>(queue: &mut Q, n: u64) -> anyhow::Result<Found> {
    let began = Instant::now();
    let mut left = usize::try_from(n)?;
    while left > 0 {
        let portion = left.min(BULK);
        queue.enqueue_many(vec![Noop::sent_now()?; portion]).await?;
        left -= portion;
    }
    Ok(Found {
        rate: per_second(n, began.elapsed()),
        ..Found::default()
    })
}

/// Enqueues on a timetable: one that is late sends at once, and its wait counts from then.
async fn steady<Q: Queue>(queue: &mut Q, rate: u64, seconds: u64) -> anyhow::Result<Found> {
    let pause = Duration::from_micros(1_000_000 / rate);
    let mut ticks = tokio::time::interval(pause);
    let began = Instant::now();
    for _ in 0..rate * seconds {
        ticks.tick().await;
        queue.enqueue(Noop::sent_now()?).await?;
    }
    Ok(Found {
        rate: per_second(rate * seconds, began.elapsed()),
        ..Found::default()
    })
}

async fn work_steady<Q: Queue>(queue: &Q, rate: u64, seconds: u64) -> anyhow::Result<Found> {
    let mut client = queue.clone();
    let sending = async move {
        tokio::spawn(async move { steady(&mut client, rate, seconds).await }).await??;
        Ok(())
    };
    let jobs = rate * seconds;
    work(queue, jobs, patience(jobs), sending).await
}

/// Works until all have started and have their outcome in the database.
async fn work<Q: Queue>(
    queue: &Q,
    expected: u64,
    patience: Duration,
    meanwhile: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Found> {
    // One per process, for as long as it lives: handlers need not count references.
    let probe: &'static Probe = Box::leak(Box::new(Probe::new(expected)));
    let stop = CancellationToken::new();
    let watch = async {
        meanwhile.await?;
        let ended = tokio::time::timeout(patience, async {
            probe.all_started().await;
            all_recorded(queue).await
        });
        let ended = ended.await;
        let (started, now) = (probe.count(), now()?);
        stop.cancel();
        match ended {
            Ok(done) => Ok((expected, done?)),
            Err(_) => Ok((started, now)),
        }
    };
    let (worked, ended): (_, anyhow::Result<_>) =
        tokio::join!(queue.work(probe, stop.clone()), watch);
    worked?;
    let (ran, done) = ended?;
    let (marks, mut waits) = probe.take();
    // One that started nothing has a rate of nothing.
    let first = marks.first().copied().unwrap_or(0);
    let took = Duration::from_micros(u64::try_from(done - first)?);
    waits.sort_unstable();
    Ok(Found {
        rate: per_second(ran, took),
        ran,
        complete: ran == expected,
        slowest: slowest(&marks, expected),
        wait_p50: percentile(&waits, 50),
        wait_p99: percentile(&waits, 99),
        ..Found::default()
    })
}

async fn count<Q: Queue>(queue: &Q) -> anyhow::Result<Found> {
    Ok(Found {
        finished: u64::try_from(queue.finished().await?)?,
        ..Found::default()
    })
}

/// The time at which the database knew every outcome.
async fn all_recorded<Q: Queue>(queue: &Q) -> anyhow::Result<i64> {
    while queue.unfinished().await? > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    now()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_second(n: u64, took: Duration) -> f64 {
    n as f64 / took.as_secs_f64()
}

fn slowest(marks: &[i64], expected: u64) -> f64 {
    let longest = marks
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or_default();
    let took = Duration::from_micros(u64::try_from(longest).unwrap_or_default());
    if took.is_zero() {
        return 0.0;
    }
    per_second(expected / Probe::MARKS, took)
}

/// In milliseconds.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn percentile(sorted: &[i64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |micros| *micros as f64 / 1e3)
}

/// MiB.
fn peak_memory() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next())
        .context("no VmHWM in /proc/self/status")?
        .parse()?;
    Ok(kib / 1024.0)
}

/// Seconds in user and kernel mode. The kernel counts them in hundredths for every architecture.
fn cpu_time() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat
        .rsplit_once(')')
        .context("no name in /proc/self/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let sum: f64 = ticks.map(str::parse::<f64>).sum::<Result<_, _>>()?;
    Ok(sum / 100.0)
}
