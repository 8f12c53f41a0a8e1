//! What a phase did to the database, and what it waited for.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Looks at what the sessions wait for, so often.
const SAMPLE: Duration = Duration::from_millis(50);

const COUNTERS: &str = "
    select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint as wal,
           (select xact_commit from pg_stat_database where datname = current_database()) as commits,
           (select n_dead_tup from pg_stat_user_tables where relid = 'jobs.jobs'::regclass) as dead";
const WAITS: &str = "
    select coalesce(wait_event_type || ':' || wait_event, 'running') from pg_stat_activity
     where datname = current_database() and application_name like 'windlass%' and state = 'active'";

/// The server's figures at one time. All of its WAL is ours: it is a server of the case's own.
#[derive(Debug)]
pub(super) struct Counters {
    wal: i64,
    commits: i64,
    pub(super) dead: i64,
}

impl Counters {
    pub(super) async fn take(admin: &mut PgConnection) -> Self {
        let row = sqlx::query(COUNTERS).fetch_one(admin).await.unwrap();
        Self {
            wal: row.get(0),
            commits: row.get(1),
            dead: row.get(2),
        }
    }
}

/// Counts what sessions were waiting for, by how many samples found it.
pub(super) struct Sampler {
    stop: CancellationToken,
    task: JoinHandle<BTreeMap<String, u32>>,
}

impl Sampler {
    pub(super) fn start(url: &str) -> Self {
        let stop = CancellationToken::new();
        let (url, stopped) = (url.to_owned(), stop.clone());
        let task = tokio::spawn(async move {
            let mut events = BTreeMap::new();
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let mut pulse = tokio::time::interval(SAMPLE);
            while !stopped.is_cancelled() {
                pulse.tick().await;
                let seen: Vec<String> = sqlx::query_scalar(WAITS)
                    .fetch_all(&mut connection)
                    .await
                    .unwrap();
                for event in seen {
                    *events.entry(event).or_default() += 1;
                }
            }
            events
        });
        Self { stop, task }
    }

    pub(super) async fn stop(self) -> BTreeMap<String, u32> {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

/// What was found in one phase.
#[derive(Debug, Clone)]
pub(crate) struct Phase {
    name: &'static str,
    offered: u64,
    /// Calls that were refused.
    pub(crate) refused: u32,
    /// Jobs that began in a second.
    pub(crate) throughput: f64,
    /// Of those that began; nothing if none did.
    p50: Duration,
    pub(crate) p99: Duration,
    wal_of_a_job: i64,
    commits_of_a_job: f64,
    dead: i64,
    events: BTreeMap<String, u32>,
}

impl Phase {
    #[expect(clippy::too_many_arguments, reason = "as many figures")]
    #[expect(clippy::cast_precision_loss, reason = "figures to look at")]
    pub(super) fn new(
        name: &'static str,
        seconds: f64,
        offered: u64,
        refused: u32,
        waits: &[Duration],
        before: &Counters,
        after: &Counters,
        events: BTreeMap<String, u32>,
    ) -> Self {
        let of = |share: usize| match waits.len() {
            0 => Duration::ZERO,
            n => waits[(n * share / 100).min(n - 1)],
        };
        let jobs = waits.len().max(1);
        Self {
            name,
            offered,
            refused,
            throughput: waits.len() as f64 / seconds,
            p50: of(50),
            p99: of(99),
            wal_of_a_job: (after.wal - before.wal) / i64::try_from(jobs).unwrap(),
            commits_of_a_job: (after.commits - before.commits) as f64 / jobs as f64,
            dead: after.dead,
            events,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            offered,
            refused,
            throughput,
            p50,
            p99,
            wal_of_a_job,
            commits_of_a_job,
            dead,
            events,
        } = self;
        write!(
            f,
            "{name:<9} {offered:>7} offered ({refused} calls refused), {throughput:>7.0}/s, \
             wait p50 {p50:>9.1?} p99 {p99:>9.1?}, {wal_of_a_job:>6} bytes of WAL and \
             {commits_of_a_job:.2} commits a job, {dead} dead rows, waits {events:?}"
        )
    }
}
