//! Takes the figures: ours and the peers' in turn, round after round, so that what the machine does
//! meanwhile meets all of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::{Child, Command};

use crate::databases::{Fresh, Kind, Purpose};
use crate::plan::{Figure, MANY, Plan, Subject};
use crate::support::roles::{Found, Role};

/// All values of each figure.
pub(crate) type Results = BTreeMap<(Kind, Figure), BTreeMap<Subject, Vec<f64>>>;

/// Long enough for a worker to have prepared its statements and gone idle.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) async fn measure(plan: &Plan) -> anyhow::Result<Results> {
    let mut results = Results::new();
    for &kind in &plan.kinds {
        for round in 1..=plan.runs {
            for subject in subjects(plan) {
                let figures = Figures::new(plan, kind, subject)?;
                println!("{kind:?}, round {round}: {}", subject.title(kind));
                for (figure, value) in figures.take().await? {
                    println!("  {}: {value:.1}", figure.title());
                    let values = results.entry((kind, figure)).or_default();
                    values.entry(subject).or_default().push(value);
                }
            }
        }
        if plan.history {
            let ours = Figures::new(plan, kind, Subject::Ours)?;
            for (figure, value) in ours.take_with_history().await? {
                println!("  {}: {value:.1}", figure.title());
                let values = results.entry((kind, figure)).or_default();
                values.entry(Subject::Ours).or_default().push(value);
            }
        }
    }
    Ok(results)
}

fn subjects(plan: &Plan) -> Vec<Subject> {
    let mut subjects = vec![Subject::Ours];
    if plan.limits {
        subjects.extend([Subject::Tenants, Subject::Limited]);
    }
    if plan.peers.is_some() {
        subjects.extend([Subject::Stock, Subject::Tuned]);
    }
    subjects
}

/// One queue, on one kind of database.
struct Figures<'a> {
    plan: &'a Plan,
    kind: Kind,
    subject: Subject,
    program: PathBuf,
}

impl<'a> Figures<'a> {
    fn new(plan: &'a Plan, kind: Kind, subject: Subject) -> anyhow::Result<Self> {
        let program = match (subject, &plan.peers) {
            (Subject::Ours | Subject::Tenants | Subject::Limited, _) => std::env::current_exe()?,
            (_, peers) => peers.clone().context("no program plays the peers")?,
        };
        Ok(Self {
            plan,
            kind,
            subject,
            program,
        })
    }

    async fn take(&self) -> anyhow::Result<Vec<(Figure, f64)>> {
        let mut values = self.drain().await?;
        values.push(self.drain_from_empty().await?);
        values.push(self.single().await?);
        values.extend(self.wait().await?);
        Ok(values)
    }

    /// Jobs that are all there when the worker starts.
    async fn drain(&self) -> anyhow::Result<Vec<(Figure, f64)>> {
        let fresh = self.fresh(Purpose::Figure).await?;
        let jobs = self.plan.jobs;
        let bulk = self.play(&fresh, Role::Bulk(jobs)).await?;
        let work = self.work(&fresh).await?;
        Ok(vec![
            (Figure::Bulk, bulk.rate),
            (Figure::Drain, work.rate),
            (Figure::Memory, work.memory),
            (Figure::Cpu, cpu_per_100_000(&work, jobs)),
        ])
    }

    /// A worker that was there first: it made its plans while the tables were empty.
    async fn drain_from_empty(&self) -> anyhow::Result<(Figure, f64)> {
        let fresh = self.fresh(Purpose::Figure).await?;
        let worker = self.start(&fresh, Role::Work(self.plan.jobs))?;
        tokio::time::sleep(SETTLE).await;
        self.play(&fresh, Role::Bulk(self.plan.jobs)).await?;
        let work = found(worker).await?;
        self.expect_finished(&fresh, self.plan.jobs, &work).await?;
        Ok((Figure::Fresh, work.rate))
    }

    async fn single(&self) -> anyhow::Result<(Figure, f64)> {
        let fresh = self.fresh(Purpose::Figure).await?;
        let single = self.play(&fresh, Role::Single(self.plan.singles)).await?;
        Ok((Figure::Single, single.rate))
    }

    /// At a steady low rate: from another process, or on SQLite, where a program is its own queue,
    /// from the worker's.
    async fn wait(&self) -> anyhow::Result<[(Figure, f64); 2]> {
        let fresh = self.fresh(Purpose::Figure).await?;
        let (rate, seconds) = self.plan.steady;
        let work = match self.kind {
            Kind::Postgres => {
                let worker = self.start(&fresh, Role::Work(rate * seconds))?;
                tokio::time::sleep(SETTLE).await;
                self.play(&fresh, Role::Steady(rate, seconds)).await?;
                found(worker).await?
            }
            Kind::Sqlite => self.play(&fresh, Role::WorkSteady(rate, seconds)).await?,
        };
        Ok([
            (Figure::WaitMedian, work.wait_p50),
            (Figure::WaitTail, work.wait_p99),
        ])
    }

    /// More than a minute's worth on a fresh database; then drains beside what that left and drains
    /// on empty databases, in turn.
    async fn take_with_history(&self) -> anyhow::Result<Vec<(Figure, f64)>> {
        let full = self.fresh(Purpose::History).await?;
        self.play(&full, Role::Bulk(MANY)).await?;
        let minute = self.play(&full, Role::Work(MANY)).await?;
        self.expect_finished(&full, MANY, &minute).await?;
        let mut values = vec![
            (Figure::Minute, minute.rate),
            (Figure::MinuteSlowest, minute.slowest),
            (Figure::MinuteMemory, minute.memory),
        ];
        for _ in 0..self.plan.runs {
            values.push((Figure::WithHistory, self.drain_again(&full).await?));
            let empty = self.fresh(Purpose::Figure).await?;
            values.push((Figure::WithoutHistory, self.drain_again(&empty).await?));
        }
        Ok(values)
    }

    async fn drain_again(&self, database: &Fresh) -> anyhow::Result<f64> {
        self.play(database, Role::Bulk(self.plan.jobs)).await?;
        Ok(self.work(database).await?.rate)
    }

    /// Drains what was enqueued, and makes sure that each job has exactly one outcome.
    async fn work(&self, database: &Fresh) -> anyhow::Result<Found> {
        let before = self.play(database, Role::Count).await?.finished;
        let work = self.play(database, Role::Work(self.plan.jobs)).await?;
        self.expect_finished(database, before + self.plan.jobs, &work)
            .await?;
        Ok(work)
    }

    /// Each job has exactly one outcome, unless a peer did not get through them in time.
    async fn expect_finished(
        &self,
        database: &Fresh,
        jobs: u64,
        work: &Found,
    ) -> anyhow::Result<()> {
        let ours = matches!(self.subject, Subject::Ours | Subject::Limited);
        if !work.complete && !ours {
            println!("  (not done in time; the rate is of what was)");
            return Ok(());
        }
        let finished = self.play(database, Role::Count).await?.finished;
        ensure!(
            finished == jobs,
            "{jobs} jobs must have an outcome, {finished} have"
        );
        Ok(())
    }

    async fn fresh(&self, purpose: Purpose) -> anyhow::Result<Fresh> {
        let fresh = Fresh::make(self.kind, purpose).await?;
        self.play(&fresh, Role::SetUp).await?;
        Ok(fresh)
    }

    async fn play(&self, fresh: &Fresh, role: Role) -> anyhow::Result<Found> {
        found(self.start(fresh, role)?).await
    }

    fn start(&self, fresh: &Fresh, role: Role) -> anyhow::Result<Child> {
        Ok(Command::new(&self.program)
            .arg(self.subject.argument())
            .arg(&fresh.url)
            .args(Vec::from(role))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?)
    }
}

/// What a process found, once it has ended.
async fn found(process: Child) -> anyhow::Result<Found> {
    let output = process.wait_with_output().await?;
    ensure!(output.status.success(), "a role failed: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().context("a role said nothing")?;
    Ok(serde_json::from_str(last)?)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn cpu_per_100_000(work: &Found, jobs: u64) -> f64 {
    work.cpu * 100_000.0 / jobs as f64
}
