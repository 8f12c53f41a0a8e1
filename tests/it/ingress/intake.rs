use lapin::options::BasicConsumeOptions;
use lapin::types::{AMQPValue, FieldTable};
use metachat_jobs::platform::ChannelType;
use serde_json::json;
use uuid::Uuid;

use super::rig::{
    Rig, assert_topology, external_id, on_postgres, on_sqlite, persistent, publish, text, until,
    work_queue,
};
use std::sync::Arc;

async fn both_forms_become_jobs(rig: Arc<Rig>) {
    let running = rig.start();
    rig.send(&text("m-1", "u", "in the envelope")).await;
    let bare = text("m-2", "u", "bare").to_string();
    rig.publish(bare.as_bytes(), persistent()).await;
    until("two jobs", async || rig.jobs().await.len() == 2).await;
    let jobs = rig.jobs().await;
    let ids: Vec<String> = jobs.iter().map(external_id).collect();
    assert_eq!(ids, ["m-1", "m-2"]);
    assert_eq!(jobs[0].kind, "process_message");
    assert_eq!(jobs[0].ordering_key, jobs[1].ordering_key);
    until("all acknowledged", async || {
        rig.depth(&rig.queue()).await.0 == 0
    })
    .await;
    running.stop().await;
    // Nothing comes back when the consumer is gone: all of it was acknowledged.
    assert_eq!(rig.depth(&rig.queue()).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envelope_and_a_bare_message_become_jobs() {
    on_postgres(both_forms_become_jobs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envelope_and_a_bare_message_become_jobs_on_sqlite() {
    on_sqlite(both_forms_become_jobs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_with_a_message_is_carried_into_its_job() {
    on_postgres(async |rig| {
        let running = rig.start();
        let mut headers = FieldTable::default();
        headers.insert("x-retry-count".into(), AMQPValue::LongInt(3));
        let by_property = persistent()
            .with_headers(headers.clone())
            .with_correlation_id("property".into());
        rig.publish(
            text("m-1", "a", "x").to_string().as_bytes(),
            by_property.clone(),
        )
        .await;
        headers.insert(
            "x-correlation-id".into(),
            AMQPValue::LongString("header".into()),
        );
        headers.insert("x-retry-count".into(), AMQPValue::LongLongInt(99));
        let by_header = by_property.with_headers(headers);
        rig.publish(text("m-2", "b", "x").to_string().as_bytes(), by_header)
            .await;
        let body = json!({
            "type": "message.received", "message": text("m-3", "c", "x"),
            "_metadata": {"correlationId": "body"},
        });
        rig.publish(body.to_string().as_bytes(), persistent()).await;
        until("three jobs", async || rig.jobs().await.len() == 3).await;
        let of =
            |job: &windlass::JobRecord| (job.correlation_id.clone().unwrap(), job.max_attempts);
        let carried: Vec<_> = rig.jobs().await.iter().map(of).collect();
        let full = carried[2].1;
        assert_eq!(
            carried,
            [
                ("property".to_owned(), full - 3),
                ("header".to_owned(), 1),
                ("body".to_owned(), full)
            ]
        );
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_twice_is_taken_in_once() {
    on_postgres(async |rig| {
        let running = rig.start();
        for _ in 0..3 {
            rig.send(&text("wamid.1", "u", "hello")).await;
        }
        rig.send(&text("wamid.2", "u", "hello")).await;
        until("the last is there", async || rig.jobs().await.len() == 2).await;
        until("all acknowledged", async || {
            rig.depth(&rig.queue()).await.0 == 0
        })
        .await;
        running.stop().await;
        let ids: Vec<String> = rig.jobs().await.iter().map(external_id).collect();
        assert_eq!(ids, ["wamid.1", "wamid.2"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_channels_are_served_and_disabled_ones_left_while_it_runs() {
    on_postgres(async |rig| {
        let running = rig.start();
        rig.send(&text("m-1", "u", "hello")).await;
        until("the first tenant is served", async || {
            rig.jobs().await.len() == 1
        })
        .await;

        // A tenant without a channel of its own, as the platform's sign-up leaves it.
        let newcomer = format!("t{}", Uuid::new_v4().simple());
        rig.create_tenant(&newcomer, &json!({"whatsapp": {"enabled": true}}))
            .await;
        let message = text("m-2", "u", "hello").to_string();
        rig.publish_to(&newcomer, "whatsapp", message.as_bytes(), persistent())
            .await;
        until("the newcomer is served", async || {
            rig.jobs_of(&newcomer).await.len() == 1
        })
        .await;

        let disable = format!("update tenants set enabled = false where id = '{newcomer}'");
        support_run(&rig, disable).await;
        let queue = work_queue(&newcomer, "whatsapp");
        until("it is not read any more", async || {
            rig.depth(&queue).await.1 == 0
        })
        .await;
        let message = text("m-3", "u", "hello").to_string();
        rig.publish_to(&newcomer, "whatsapp", message.as_bytes(), persistent())
            .await;
        // The others go on, and what came for the disabled one waits.
        rig.send(&text("m-4", "u", "hello")).await;
        until("the others go on", async || rig.jobs().await.len() == 2).await;
        assert_eq!(rig.jobs_of(&newcomer).await.len(), 1);
        assert_eq!(rig.depth(&queue).await, (1, 0));
        running.stop().await;
        for name in [queue.clone(), format!("{queue}.dead-letter")] {
            rig.delete(&name).await;
        }
    })
    .await;
}

async fn support_run(rig: &Rig, sql: String) {
    let mut tx = rig.platform.begin(&rig.tenant).await.unwrap();
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(tx.postgres().unwrap())
        .await;
    done.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_whose_settings_name_no_channel_has_a_web_chat() {
    on_postgres(async |rig| {
        let quiet = format!("t{}", Uuid::new_v4().simple());
        rig.create_tenant(&quiet, &json!({"whatsapp": {"enabled": false}}))
            .await;
        rig.create_tenant(
            "busy",
            &json!({"messenger": {"enabled": true}, "webchat": {"enabled": true}}),
        )
        .await;
        let of = async |tenant: &str| -> Vec<ChannelType> {
            let open = rig.platform.open_channels_of(tenant).await.unwrap();
            open.into_iter().map(|open| open.channel).collect()
        };
        assert_eq!(of(&quiet).await, [ChannelType::Webchat]);
        assert_eq!(
            of("busy").await,
            [ChannelType::Messenger, ChannelType::Webchat]
        );
        // A row in the table is the last word.
        rig.create_channel("busy", ChannelType::Whatsapp).await;
        assert_eq!(of("busy").await, [ChannelType::Whatsapp]);
        assert_eq!(rig.platform.open_channels().await.unwrap().len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_the_platforms_worker_reads_is_left_to_it_until_it_is_stopped() {
    on_postgres(async |rig| {
        assert_topology(&rig.amqp, &rig.tenant, "webchat").await;
        let worker = rig
            .amqp
            .basic_consume(
                rig.queue().as_str().into(),
                "node".into(),
                BasicConsumeOptions {
                    no_ack: true,
                    ..BasicConsumeOptions::default()
                },
                FieldTable::default(),
            )
            .await
            .unwrap();
        let running = rig.start();
        let lock = format!("lock-{}", rig.tenant);
        until("it runs", async || rig.depth_of(&lock).await == Some(1)).await;
        assert_eq!(rig.depth(&rig.queue()).await.1, 1, "the worker alone");
        drop(worker);
        rig.amqp
            .basic_cancel("node".into(), lapin::options::BasicCancelOptions::default())
            .await
            .unwrap();
        publish(
            &rig.amqp,
            "metachat.orchestrator",
            &format!("tenant.{}.channel.webchat.inbound", rig.tenant),
            text("m-1", "u", "hello").to_string().as_bytes(),
            persistent(),
        )
        .await;
        until("it is read now", async || rig.jobs().await.len() == 1).await;
        running.stop().await;
    })
    .await;
}
