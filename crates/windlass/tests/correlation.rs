//! What work belongs to is carried on to what it enqueues.

use serde::{Deserialize, Serialize};
use windlass::model::NewFlow;
use windlass::telemetry::Cause;
use windlass::{Context, Job, Outcome, Registry, State, testing};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[derive(Serialize, Deserialize)]
struct Child {}

impl Job for Child {
    const KIND: &'static str = "child";
    type Services = ();

    async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> {
        Ok(Outcome::complete())
    }
}

/// Enqueues others in every way there is.
#[derive(Serialize, Deserialize)]
struct Parent {}

impl Job for Parent {
    const KIND: &'static str = "parent";
    type Services = ();

    async fn run(self, cx: Context<()>) -> anyhow::Result<Outcome> {
        let client = cx.client();
        client.enqueue(&Child {}).await?;
        client
            .insert_many(&[client.prepare(&Child {})?, cx.follow_up(&Child {})?])
            .await?;
        client
            .start(&NewFlow::new("two").step("one", client.prepare(&Child {})?))
            .await?;
        let mut own = client.prepare(&Child {})?;
        own.correlation_id = Some("its own".to_owned());
        client.insert(own).await?;
        Ok(Outcome::complete())
    }
}

#[tokio::test]
async fn jobs_carry_on_what_their_enqueuer_works_for() {
    let registry = Registry::new(()).register::<Parent>().register::<Child>();
    let client = testing::client(&registry);
    let cause = Cause {
        correlation_id: Some("order 7".to_owned()),
        trace_parent: Some(TRACE.to_owned()),
    };
    cause.scope(client.enqueue(&Parent {})).await.unwrap();
    let jobs = testing::drain(&client, registry).await.unwrap();

    assert!(jobs.iter().all(|job| job.state == State::Completed));
    let of = |id: &str| {
        let jobs = jobs
            .iter()
            .filter(|job| job.correlation_id.as_deref() == Some(id));
        jobs.map(|job| job.kind.as_str()).collect::<Vec<_>>()
    };
    let mut of_order = of("order 7");
    of_order.sort_unstable();
    assert_eq!(of_order, ["child", "child", "child", "child", "parent"]);
    assert_eq!(of("its own"), ["child"], "what it says itself stands");
    let traced = jobs
        .iter()
        .all(|job| job.trace_parent.as_deref() == Some(TRACE));
    assert!(traced, "{jobs:#?}");
}
