use std::sync::Arc;

use lapin::types::{AMQPValue, FieldTable};
use metachat_jobs::ingress::rabbitmq::{Emptied, NotReplayed, empty, replay};
use metachat_jobs::platform::ChannelType;
use serde_json::json;
use windlass::model::Enqueued;

use super::rig::{
    Rig, assert_topology, external_id, on_postgres, on_sqlite, persistent, publish, text, until,
};

async fn faults(rig: Arc<Rig>) {
    let running = rig.start();
    let huge = json!({"from": "u", "type": "text", "content": {"text": "x".repeat(2 << 20)}});
    let mut stolen = text("m-0", "u", "hunter2");
    stolen["tenantId"] = json!("another tenant");
    let mut strange = text("m-0", "u", "hunter2");
    strange["type"] = json!("sticker");
    let bad: [(Vec<u8>, &str); 8] = [
        (b"{\"from\": hunter2".to_vec(), "the body is not JSON"),
        (vec![0xff, 0x00, 0xfe], "the body is not JSON"),
        (b"[1, 2]".to_vec(), "body: is not an object"),
        (
            b"{\"type\":\"message.sent\",\"message\":{}}".to_vec(),
            "type: is not message.received",
        ),
        (
            b"{\"type\":\"message.received\",\"message\":{\"id\":\"m\"}}".to_vec(),
            "message.from",
        ),
        (strange.to_string().into_bytes(), "message.type"),
        (
            stolen.to_string().into_bytes(),
            "the body names another tenant",
        ),
        (
            huge.to_string().into_bytes(),
            "the message is larger than a job may be",
        ),
    ];
    for (n, (body, _)) in bad.iter().enumerate() {
        rig.send(&text(&format!("good-{n}"), "u", "fine")).await;
        rig.publish(body, persistent()).await;
    }
    rig.send(&text("good-8", "u", "fine")).await;
    // By the right queue under another's key: somebody bound it so.
    let key = "tenant.other.channel.webchat.inbound";
    bind(&rig, key).await;
    let misled = text("m-9", "u", "hunter2").to_string();
    publish(
        &rig.amqp,
        "metachat.orchestrator",
        key,
        misled.as_bytes(),
        persistent(),
    )
    .await;

    until("the good ones are jobs", async || {
        rig.jobs().await.len() == 9
    })
    .await;
    until("the others are set aside", async || {
        rig.quarantine().await.len() == 9
    })
    .await;
    let dead = format!("{}.dead-letter", rig.queue());
    until("with a copy each", async || rig.depth(&dead).await.0 == 9).await;
    until("all acknowledged", async || {
        rig.depth(&rig.queue()).await.0 == 0
    })
    .await;
    running.stop().await;
    assert_eq!(rig.depth(&rig.queue()).await.0, 0, "nothing comes back");

    let kept = rig.quarantine().await;
    for (body, reason) in &bad {
        let of_this = kept.iter().filter(|kept| kept.reason.starts_with(reason));
        let same = of_this.filter(|kept| kept.body_bytes == body.len() as u64);
        let same: Vec<_> = same.collect();
        assert_eq!(same.len(), 1, "{reason}: {kept:?}");
        let whole = rig.records.quarantined(same[0].id).await.unwrap().unwrap();
        let length = body.len().min(1 << 20);
        assert!(whole.body == body[..length], "{reason}: the body is intact");
        assert_eq!(whole.is_truncated(), body.len() > 1 << 20);
        assert!(!whole.reason.contains("hunter2") && !format!("{whole:?}").contains("hunter2"));
    }
    assert!(
        kept.iter()
            .any(|kept| kept.reason.starts_with("the routing key names another"))
    );
    unbind(&rig, key).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_faulty_message_has_its_own_outcome_and_the_others_go_on() {
    on_postgres(faults).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_faulty_message_has_its_own_outcome_and_the_others_go_on_on_sqlite() {
    on_sqlite(faults).await;
}

/// Whatever keeps the database from taking anything is no message's fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_wait_for_a_database_that_takes_nothing_and_none_is_blamed() {
    on_postgres(async |rig| {
        let execute = async |statement: &'static str| {
            let mut tx = rig.platform.begin(&rig.tenant).await.unwrap();
            let run = sqlx::raw_sql(statement).execute(tx.postgres().unwrap());
            run.await.unwrap();
            tx.commit().await.unwrap();
        };
        let running = rig.start();
        for (n, (away, back)) in [
            // As another version's migration does.
            (
                "alter table jobs.jobs rename to away",
                "alter table jobs.away rename to jobs",
            ),
            // As a replica that is not yet the primary.
            (
                "alter table jobs.jobs rename column args to away",
                "alter table jobs.jobs rename column away to args",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            execute(away).await;
            rig.send(&text(&format!("m-{n}"), "u", "hello")).await;
            let before = failures(&rig).await;
            until("it was tried again and again", async || {
                failures(&rig).await > before + 2
            })
            .await;
            execute(back).await;
            until("it is a job", async || rig.jobs().await.len() == n + 1).await;
            assert_eq!(rig.quarantine().await, []);
        }
        running.stop().await;
    })
    .await;
}

/// Transactions of the database that failed so far.
async fn failures(rig: &Rig) -> i64 {
    let mut tx = rig.platform.begin(&rig.tenant).await.unwrap();
    let query = "select xact_rollback from pg_stat_database where datname = current_database()";
    let failures = sqlx::query_scalar(query).fetch_one(tx.postgres().unwrap());
    let failures = failures.await.unwrap();
    tx.commit().await.unwrap();
    failures
}

/// A key that names another tenant is not forgotten because the message was set aside for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_under_anothers_key_is_not_replayed_either() {
    on_postgres(async |rig| {
        let running = rig.start();
        let key = "tenant.other.channel.webchat.inbound";
        bind(&rig, key).await;
        let misled = text("m-1", "u", "hunter2").to_string();
        let amqp = &rig.amqp;
        let body = misled.as_bytes();
        publish(amqp, "metachat.orchestrator", key, body, persistent()).await;
        until("it is set aside", async || {
            rig.quarantine().await.len() == 1
        })
        .await;
        let dead = format!("{}.dead-letter", rig.queue());
        until("with a copy", async || rig.depth(&dead).await.0 == 1).await;
        running.stop().await;
        unbind(&rig, key).await;
        let id = rig.quarantine().await[0].id;
        let operator = rig.client.operator("ada", None);
        let again = replay(&rig.client, &rig.platform, &rig.records, &operator, id).await;
        let Err(NotReplayed::Fault(fault)) = again else {
            panic!("{again:?}");
        };
        assert_eq!(
            fault.to_string(),
            "the routing key names another tenant or channel than the queue"
        );
        let emptied = empty(
            &rig.broker,
            &rig.client,
            &rig.platform,
            &rig.tenant,
            ChannelType::Webchat,
        );
        let emptied = emptied.await.unwrap().unwrap();
        assert_eq!((emptied.found, emptied.replayed), (1, 0), "{emptied:?}");
        assert_eq!(emptied.left, [fault.to_string()]);
        assert_eq!(rig.jobs().await.len(), 0);
    })
    .await;
}

/// Nothing that a database refuses to write down comes again for ever.
async fn unwritable(rig: Arc<Rig>) {
    let kept = metachat_jobs::records::NewQuarantined {
        tenant: Some(format!("{}\0x", rig.tenant)),
        source: "a\0b".to_owned(),
        reason: "c\0d".to_owned(),
        headers: json!({}),
        body: b"e\0f".to_vec(),
        body_bytes: 3,
    };
    let id = rig.records.quarantine(&kept).await.unwrap();
    let read = rig.records.quarantined(id).await.unwrap().unwrap();
    assert_eq!(read.source, "a\u{fffd}b");
    assert_eq!(read.body, kept.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_names_cannot_be_stored_is_set_aside_all_the_same() {
    on_postgres(unwritable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_names_cannot_be_stored_is_set_aside_all_the_same_on_sqlite() {
    on_sqlite(unwritable).await;
}

async fn bind(rig: &Rig, key: &str) {
    assert_topology(&rig.amqp, &rig.tenant, "webchat").await;
    let bound = rig.amqp.queue_bind(
        rig.queue().as_str().into(),
        "metachat.orchestrator".into(),
        key.into(),
        lapin::options::QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
}

async fn unbind(rig: &Rig, key: &str) {
    let unbound = rig.amqp.queue_unbind(
        rig.queue().as_str().into(),
        "metachat.orchestrator".into(),
        key.into(),
        FieldTable::default(),
    );
    unbound.await.unwrap();
}

async fn replayed(rig: Arc<Rig>) {
    let running = rig.start();
    let mut broken = text("m-1", "u", "hello");
    broken["type"] = json!("sticker");
    rig.send(&broken).await;
    until("it is set aside", async || {
        rig.quarantine().await.len() == 1
    })
    .await;
    running.stop().await;
    let id = rig.quarantine().await[0].id;
    let again = replay(
        &rig.client,
        &rig.platform,
        &rig.records,
        &rig.client.operator("ada", None),
        id,
    )
    .await;
    let Err(NotReplayed::Fault(fault)) = again else {
        panic!("{again:?}: its cause is still there");
    };
    assert!(fault.to_string().starts_with("message.type"), "{fault}");
    assert_eq!(rig.quarantine().await.len(), 1, "it stays");

    // One whose cause is gone.
    let mut headers = FieldTable::default();
    headers.insert(
        "x-correlation-id".into(),
        AMQPValue::LongString("c-1".into()),
    );
    let kept = metachat_jobs::records::NewQuarantined {
        tenant: Some(rig.tenant.clone()),
        source: rig.queue(),
        reason: "an older program could not read it".to_owned(),
        headers: json!({"x-correlation-id": "c-1", "x-retry-count": 7, "odd": "a\u{0}b"}),
        body: text("m-2", "u", "hello").to_string().into_bytes(),
        body_bytes: text("m-2", "u", "hello").to_string().len() as u64,
    };
    let id = rig.records.quarantine(&kept).await.unwrap();
    assert_eq!(rig.records.quarantine(&kept).await.unwrap(), id, "once");
    let enqueued = replay(
        &rig.client,
        &rig.platform,
        &rig.records,
        &rig.client.operator("ada", None),
        id,
    )
    .await
    .unwrap();
    assert!(matches!(enqueued, Enqueued::Inserted(_)));
    let job = &rig.jobs().await[0];
    assert_eq!(
        (external_id(job), job.correlation_id.as_deref()),
        ("m-2".to_owned(), Some("c-1"))
    );
    assert!(job.max_attempts > 1, "the operator starts anew");
    let again = replay(
        &rig.client,
        &rig.platform,
        &rig.records,
        &rig.client.operator("ada", None),
        id,
    )
    .await;
    assert!(matches!(again, Err(NotReplayed::NotFound)), "{again:?}");
    let left = rig.quarantine().await[0].id;
    assert!(rig.records.discard_quarantined(left).await.unwrap());
    assert!(!rig.records.discard_quarantined(left).await.unwrap());
    assert_eq!(rig.quarantine().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_quarantine_is_replayed_once_its_cause_is_gone() {
    on_postgres(replayed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_quarantine_is_replayed_once_its_cause_is_gone_on_sqlite() {
    on_sqlite(replayed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_letters_of_the_platforms_worker_become_jobs() {
    on_postgres(async |rig| {
        let reset = async || {
            empty(
                &rig.broker,
                &rig.client,
                &rig.platform,
                &rig.tenant,
                ChannelType::Webchat,
            )
            .await
            .unwrap()
        };
        assert_eq!(reset().await, None, "there is no such queue yet");
        assert_topology(&rig.amqp, &rig.tenant, "webchat").await;
        let mut headers = FieldTable::default();
        headers.insert("x-retry-count".into(), AMQPValue::LongInt(3));
        headers.insert(
            "x-last-error".into(),
            AMQPValue::LongString("Argument `id` is missing".into()),
        );
        let properties = persistent().with_headers(headers);
        let dead_key = format!("{}.dlq", rig.queue());
        let bodies = [
            json!({"type": "message.received", "message": text("m-1", "u", "lost")}),
            json!({"type": "message.received", "message": {"id": "m"}}),
            json!({"type": "message.received", "message": text("m-2", "u", "lost")}),
            json!({"type": "message.received", "message": text("m-1", "u", "lost")}),
        ];
        for body in &bodies {
            publish(
                &rig.amqp,
                "metachat.dlx",
                &dead_key,
                body.to_string().as_bytes(),
                properties.clone(),
            )
            .await;
        }
        let queue = format!("{}.dead-letter", rig.queue());
        until("they are there", async || rig.depth(&queue).await.0 == 4).await;
        let emptied = reset().await.unwrap();
        let expected = Emptied {
            queue: queue.clone(),
            found: 4,
            replayed: 3,
            known: 1,
            left: vec!["message.from: is not the text that names who wrote it".to_owned()],
        };
        assert_eq!(emptied, expected);
        let ids: Vec<String> = rig.jobs().await.iter().map(external_id).collect();
        assert_eq!(ids, ["m-1", "m-2"]);
        until("one is left", async || rig.depth(&queue).await.0 == 1).await;
    })
    .await;
}
