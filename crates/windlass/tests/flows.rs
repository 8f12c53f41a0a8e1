//! What outlives an attempt, with the engine running: on the store in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::model::{AuditFilter, NewFlow, RetryRefused};
use windlass::store::{Changed, FlowChanged};
use windlass::testing::ManualClock;
use windlass::{Awaited, Backoff, Context, Job, JobOptions, Outcome, Registry, State, testing};

type Pages = Arc<Mutex<Vec<u32>>>;

/// Stops half-way at its first attempt, and goes on from there at the second.
#[derive(Serialize, Deserialize)]
struct Reindex {
    pages: u32,
}

impl Job for Reindex {
    const KIND: &'static str = "reindex";
    type Services = Pages;

    fn options() -> JobOptions {
        JobOptions {
            backoff: Backoff::constant(Duration::ZERO),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Pages>) -> anyhow::Result<Outcome> {
        let first = cx.resume::<u32>()?.unwrap_or(0);
        for page in first..self.pages {
            anyhow::ensure!(cx.attempt() > 1 || page < self.pages / 2, "half-way");
            cx.services().lock().unwrap().push(page);
            cx.checkpoint(&(page + 1)).await?;
        }
        Ok(Outcome::complete())
    }
}

/// Writes a number and reads a list.
#[derive(Serialize, Deserialize)]
struct Confused {}

impl Job for Confused {
    const KIND: &'static str = "confused";
    type Services = Pages;

    fn options() -> JobOptions {
        JobOptions {
            max_attempts: 2,
            backoff: Backoff::constant(Duration::ZERO),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Pages>) -> anyhow::Result<Outcome> {
        cx.resume::<Vec<u32>>()?;
        cx.checkpoint("secret").await?;
        anyhow::bail!("again")
    }
}

#[tokio::test]
async fn a_long_job_goes_on_where_it_stopped() {
    let pages = Pages::default();
    let registry = Registry::new(Arc::clone(&pages)).register::<Reindex>();
    let client = testing::client(&registry);
    client.enqueue(&Reindex { pages: 10 }).await.unwrap();
    let mut jobs = testing::drain(&client, registry).await.unwrap();
    let job = jobs.remove(0);
    assert_eq!((job.state, job.attempt), (State::Completed, 2));
    assert_eq!(*pages.lock().unwrap(), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_checkpoint_of_another_type_is_an_error_that_does_not_quote_it() {
    let registry = Registry::new(Pages::default()).register::<Confused>();
    let client = testing::client(&registry);
    client.enqueue(&Confused {}).await.unwrap();
    let mut jobs = testing::drain(&client, registry).await.unwrap();
    let job = jobs.remove(0);
    assert_eq!(job.state, State::Dead);
    let error = job.attempts[1].error.as_ref().unwrap();
    assert!(error.message.starts_with("the checkpoint does not decode"));
    assert!(!format!("{error:?}").contains("secret"));
}

/// Records a number, or dies.
#[derive(Serialize, Deserialize)]
struct Query {
    number: Option<u32>,
}

impl Job for Query {
    const KIND: &'static str = "query";
    type Services = Pages;

    async fn run(self, _: Context<Pages>) -> anyhow::Result<Outcome> {
        match self.number {
            Some(number) => Ok(Outcome::complete_with(&number)?),
            None => Ok(Outcome::discard("there is none")),
        }
    }
}

/// Adds up what its parents recorded, whichever of them completed.
#[derive(Serialize, Deserialize)]
struct Total {}

impl Job for Total {
    const KIND: &'static str = "total";
    type Services = Pages;

    async fn run(self, cx: Context<Pages>) -> anyhow::Result<Outcome> {
        let parents = cx.parents().await?;
        let names: Vec<&str> = parents.iter().map(|parent| parent.name.as_str()).collect();
        assert_eq!(names, ["sales", "costs", "taxes"]);
        assert_eq!(parents.result::<u32>("sales")?, Some(5));
        assert_eq!(cx.parent::<u32>("taxes").await?, None, "it is dead");
        assert!(parents.result::<bool>("sales").is_err(), "it is a number");
        assert!(parents.get("report").is_none(), "it is no parent");
        let results: Vec<u32> = parents.results()?;
        cx.services().lock().unwrap().extend(results);
        Ok(Outcome::complete())
    }
}

/// Runs once somebody has agreed.
#[derive(Serialize, Deserialize)]
struct Refund {}

impl Job for Refund {
    const KIND: &'static str = "refund";
    type Services = Pages;

    async fn run(self, cx: Context<Pages>) -> anyhow::Result<Outcome> {
        cx.services().lock().unwrap().push(0);
        match cx.signal::<bool>("approved").await? {
            Awaited::Came(true) => Ok(Outcome::complete()),
            Awaited::Came(false) => Ok(Outcome::cancel("refused")),
            Awaited::TimedOut => Ok(Outcome::cancel("nobody answered")),
            Awaited::NotYet => Ok(Outcome::await_signal("approved", DAY)),
        }
    }
}

const DAY: Duration = Duration::from_hours(24);

fn waiting() -> Registry<Pages> {
    Registry::new(Pages::default()).register::<Refund>()
}

#[tokio::test]
async fn a_step_reads_what_its_parents_recorded() {
    let totals = Pages::default();
    let registry = Registry::new(Arc::clone(&totals))
        .register::<Query>()
        .register::<Total>();
    let client = testing::client(&registry);
    let query = |number| client.prepare(&Query { number }).unwrap();
    let flow = NewFlow::new("month")
        .step("sales", query(Some(5)))
        .step("costs", query(Some(3)))
        .step("taxes", query(None))
        .step("total", client.prepare(&Total {}).unwrap())
        .after_finished(["sales", "costs", "taxes"]);
    client.start(&flow).await.unwrap();
    testing::drain(&client, registry).await.unwrap();
    assert_eq!(*totals.lock().unwrap(), [5, 3]);
    let flow = client.flow(flow.id, None).await.unwrap().unwrap();
    assert_eq!((flow.completed, flow.failed), (3, 1));
}

#[tokio::test]
async fn a_job_waits_for_its_message_and_holds_no_slot_meanwhile() {
    let registry = waiting();
    let client = testing::client(&registry);
    for answer in [true, false] {
        let job = client.enqueue(&Refund {}).await.unwrap().id();
        testing::drain(&client, waiting()).await.unwrap();
        let waits = client.get(job, None).await.unwrap().unwrap();
        assert_eq!((waits.state, waits.attempt), (State::Scheduled, 0));
        client.signal(job, None, "others", &true).await.unwrap();
        testing::drain(&client, waiting()).await.unwrap();
        let waits = client.get(job, None).await.unwrap().unwrap();
        assert_eq!(waits.state, State::Scheduled, "that was not its message");
        client.signal(job, None, "approved", &answer).await.unwrap();
        testing::drain(&client, waiting()).await.unwrap();
        let ended = client.get(job, None).await.unwrap().unwrap();
        let state = if answer {
            State::Completed
        } else {
            State::Cancelled
        };
        assert_eq!(ended.state, state);
    }
}

#[tokio::test]
async fn a_message_that_comes_first_is_kept_and_one_that_never_comes_times_out() {
    let registry = waiting();
    let clock = ManualClock::default();
    let client = testing::client_at(&registry, &clock);
    let early = client.enqueue(&Refund {}).await.unwrap().id();
    let never = client.enqueue(&Refund {}).await.unwrap().id();
    client.signal(early, None, "approved", &true).await.unwrap();
    testing::drain(&client, waiting()).await.unwrap();
    let early = client.get(early, None).await.unwrap().unwrap();
    assert_eq!((early.state, early.attempt), (State::Completed, 1));
    clock.advance(DAY);
    testing::drain(&client, waiting()).await.unwrap();
    let never = client.get(never, None).await.unwrap().unwrap();
    assert_eq!(never.state, State::Cancelled, "nobody answered");
}

#[tokio::test]
async fn what_operators_do_to_flows_is_recorded_with_who_and_why() {
    let registry = Registry::new(Pages::default()).register::<Query>();
    let client = testing::client(&registry);
    let ada = client.operator("ada", Some("wrong month"));
    let query = || client.prepare(&Query { number: Some(1) }).unwrap();
    let mut flow = NewFlow::chain("month", [("first", query()), ("second", query())]);
    flow.tenant_id = Some("acme".to_owned());
    client.start(&flow).await.unwrap();
    let (id, job) = (flow.id, flow.steps[0].job.id);

    let payload = windlass::Json::encode("secret").unwrap();
    let left = ada.signal(job, Some("acme"), "approved", &payload).await;
    assert_eq!(left.unwrap(), Changed::Done);
    let other = ada.signal(job, Some("other"), "approved", &payload).await;
    assert_eq!(other.unwrap(), Changed::NotFound);
    let long = "x".repeat(129);
    assert_eq!(
        ada.retry_flow(id, None, Some(&long)).await.unwrap(),
        FlowChanged::Refused(RetryRefused::UnknownStep(long))
    );
    assert_eq!(
        ada.retry_flow(id, None, None).await.unwrap(),
        FlowChanged::Refused(RetryRefused::NothingFailed)
    );
    assert_eq!(
        ada.cancel_flow(id, Some("other")).await.unwrap(),
        FlowChanged::NotFound
    );
    assert_eq!(
        ada.cancel_flow(id, Some("acme")).await.unwrap(),
        FlowChanged::Done(2)
    );
    assert_eq!(
        ada.cancel_flow(id, None).await.unwrap(),
        FlowChanged::Finished
    );
    assert_eq!(
        ada.retry_flow(id, None, Some("second")).await.unwrap(),
        FlowChanged::Refused(RetryRefused::WouldNotRun {
            step: "second".to_owned(),
            reason: "step \"first\" was cancelled".to_owned(),
        })
    );
    assert_eq!(
        ada.retry_flow(id, None, None).await.unwrap(),
        FlowChanged::Done(2)
    );

    let audited = client.audit(&AuditFilter::default(), None, 10).await;
    let audited = audited.unwrap();
    let actions: Vec<&str> = audited
        .iter()
        .map(|line| line.audit.action.as_str())
        .collect();
    assert_eq!(
        actions,
        ["flow.retry", "flow.retry", "flow.cancel", "job.signal"],
        "what was refused because of how the steps stand is in it too"
    );
    for line in audited {
        assert_eq!(line.audit.actor, "ada");
        assert_eq!(line.audit.reason.as_deref(), Some("wrong month"));
        assert_eq!(line.audit.tenant_id.as_deref(), Some("acme"));
        assert!(!format!("{line:?}").contains("secret"));
    }
}
