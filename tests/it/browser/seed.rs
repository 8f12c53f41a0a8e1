//! A store with something of everything, an hour of it in the past.

use std::time::Duration;

use serde_json::json;
use windlass::model::{
    AttemptError, AttemptOutcome, Counted, Finish, Measure, RunAt, Verdict, WorkerRecord,
};
use windlass::store::Claim;
use windlass::{JobId, Json, NewJob, Store, Timestamp};

const MINUTE: Duration = Duration::from_mins(1);
/// What an attacker would write into everything that people read.
pub(super) const HOSTILE: &str =
    r#"<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'`{{7*7}}${7*7}"#;
pub(super) const EXPIRED: &str = "Graph API error 190: the access token expired";

/// Ids that tests look for.
pub(super) struct Seeded {
    pub(super) dead: JobId,
    pub(super) hostile: JobId,
    pub(super) message: JobId,
    pub(super) later: JobId,
    pub(super) running: JobId,
}

fn job(kind: &str, queue: &str, tenant: &str, args: &serde_json::Value) -> NewJob {
    NewJob {
        queue: queue.into(),
        tenant_id: Some(tenant.into()),
        ..NewJob::new(kind, Json::encode(args).unwrap())
    }
}

struct Seeder<'a> {
    store: &'a dyn Store,
    now: Timestamp,
}

impl Seeder<'_> {
    fn ago(&self, ago: Duration) -> Timestamp {
        self.now.minus(ago)
    }

    async fn add(&self, job: NewJob, ago: Duration) -> JobId {
        let id = job.id;
        self.store
            .enqueue(&[job], Some(self.ago(ago)))
            .await
            .unwrap();
        id
    }

    /// Claims the next of a queue and ends its attempt; a failed one with this error.
    async fn attempt(&self, queue: &str, ago: Duration, ran: Duration, end: End<'_>) {
        let claim = Claim {
            queue,
            worker: "web-2 31877",
            limit: 1,
            lease: Duration::from_hours(2),
            now: Some(self.ago(ago)),
        };
        let claimed = self.store.claim(claim).await.unwrap();
        let lease = claimed[0].lease();
        let failed = |verdict, error| Finish {
            lease,
            verdict,
            outcome: AttemptOutcome::Failed,
            error: Some(error),
        };
        let finish = match end {
            End::Stays => return,
            End::Completes(result) => Finish::complete(lease, Some(Json::encode(&result).unwrap())),
            End::Retries(error) => {
                let at = self.now + MINUTE * 20;
                failed(Verdict::Retry { at }, AttemptError::new(error))
            }
            End::Dies(error) => failed(Verdict::Dead, AttemptError::new(error)),
        };
        let ended = self.ago(ago.saturating_sub(ran));
        self.store.finish(&[finish], Some(ended)).await.unwrap();
    }
}

enum End<'a> {
    Stays,
    Completes(serde_json::Value),
    Retries(&'a str),
    Dies(&'a str),
}

/// Puts it all there.
pub(super) async fn seed(store: &dyn Store) -> Seeded {
    let now = store.now().await.unwrap();
    let at = Seeder { store, now };
    workers(&at).await;
    counts(&at).await;
    // Oldest first within each queue, as it would have come.
    let dead = deliveries(&at).await;
    let hostile = hostile(&at).await;
    let message = messages(&at).await;
    let soon = NewJob {
        run_at: RunAt::At(now + MINUTE * 90),
        ..job(
            "deliver_webhook",
            "webhooks",
            "globex",
            &json!({"event": "message.sent"}),
        )
    };
    let later = at.add(soon, MINUTE).await;
    let upload = job(
        "ingest_document",
        "documents",
        "acme",
        &json!({"documentId": 1_234_567_890_123_456_789_i64, "ratio": 1.50}),
    );
    let running = at.add(upload, MINUTE * 2).await;
    at.attempt("documents", MINUTE, MINUTE, End::Stays).await;
    for _ in 0..3 {
        let waiting = job(
            "ingest_document",
            "documents",
            "acme",
            &json!({"documentId": 7}),
        );
        at.add(waiting, Duration::from_secs(2)).await;
    }
    Seeded {
        dead,
        hostile,
        message,
        later,
        running,
    }
}

async fn workers(at: &Seeder<'_>) {
    for (host, pid, running) in [("web-1", 30_412, 14), ("web-2", 31_877, 6)] {
        let queues = [
            "messages",
            "delivery",
            "documents",
            "webhooks",
            "events",
            "analytics",
        ];
        let worker = WorkerRecord {
            id: format!("{host} {pid}"),
            host: host.into(),
            pid,
            version: "0.1.0".into(),
            queues: queues.map(Into::into).to_vec(),
            slots: 40,
            running,
            started_at: at.now,
            beat_at: at.now,
            draining: false,
        };
        at.store.beat_worker(&worker, None).await.unwrap();
    }
}

/// An hour and a day of traffic that rises and falls.
async fn counts(at: &Seeder<'_>) {
    let queues: [(&str, u64); 6] = [
        ("messages", 40),
        ("delivery", 38),
        ("events", 61),
        ("documents", 5),
        ("webhooks", 12),
        ("analytics", 1),
    ];
    for minute in 0..180_u64 {
        let ago = at.ago(MINUTE * u32::try_from(minute).unwrap());
        let mut counted = Vec::new();
        for (place, (queue, much)) in queues.into_iter().enumerate() {
            let wave =
                6 + (minute * 7 + place as u64 * 11) % 9 + (minute / 12 + place as u64) % 5 * 2;
            let n = much * wave / 10;
            let failed = u64::from((minute + place as u64).is_multiple_of(17));
            let mut add = |measure, n| {
                if n > 0 {
                    counted.push(Counted {
                        queue: queue.into(),
                        measure,
                        n,
                    });
                }
            };
            add(Measure::Enqueued, n + u64::from(minute.is_multiple_of(3)));
            add(Measure::Completed, n);
            add(Measure::Failed, failed);
            add(Measure::Waited(1), n / 2);
            add(Measure::Waited(3), n / 3);
            add(Measure::Waited(5), n / 40);
        }
        at.store.tally(&counted, Some(ago)).await.unwrap();
    }
}

async fn messages(at: &Seeder<'_>) -> JobId {
    let mut last = None;
    for (n, tenant) in ["acme", "globex", "acme", "initech", "acme"]
        .into_iter()
        .enumerate()
    {
        let ago = MINUTE * (9 - u32::try_from(n).unwrap());
        let conversation = format!("whatsapp/4915{n}");
        let args = json!({"tenantId": tenant, "channel": "whatsapp", "message": {"id": format!("wamid.{n}"), "conversationId": conversation, "content": {"text": "Where is my order?"}}});
        let correlation = format!("7acf-{n}");
        let message = NewJob {
            correlation_id: Some(correlation.clone()),
            ordering_key: Some(format!("conversation/{conversation}")),
            tags: vec!["whatsapp".into()],
            ..job("process_message", "messages", tenant, &args)
        };
        let id = at.add(message, ago).await;
        let sources = json!([{"number": 1, "name": "Shipping and returns.md", "similarity": 0.812}, {"number": 2, "name": "Orders.md", "similarity": 0.774}]);
        let result = json!({"action": "continue", "model": "llama3.1:8b", "sources": sources, "usage": {"total_tokens": 812}});
        at.attempt(
            "messages",
            ago.saturating_sub(Duration::from_millis(14)),
            Duration::from_millis(1840),
            End::Completes(result),
        )
        .await;
        let delivery = NewJob {
            correlation_id: Some(correlation),
            ..job(
                "deliver_message",
                "delivery",
                tenant,
                &json!({"tenantId": tenant, "messageId": format!("m-{n}")}),
            )
        };
        let ago = ago.saturating_sub(Duration::from_millis(1870));
        at.add(delivery, ago).await;
        at.attempt(
            "delivery",
            ago.saturating_sub(Duration::from_millis(9)),
            Duration::from_millis(312),
            End::Completes(json!({"providerId": format!("wamid.out.{n}")})),
        )
        .await;
        last = Some(id);
    }
    last.unwrap()
}

/// Some that failed for good, after one failure of another kind, and some that are tried again.
async fn deliveries(at: &Seeder<'_>) -> JobId {
    let mut dead = Vec::new();
    for n in 0..4_u32 {
        let args = json!({"tenantId": "acme", "channel": "whatsapp", "conversationId": format!("4915{n}"), "messageId": format!("m-9{n}"), "secret": "[redacted]"});
        let ago = MINUTE * (52 - n * 9);
        let delivery = NewJob {
            tags: vec!["whatsapp".into()],
            correlation_id: Some(format!("81f0-{n}")),
            ..job("deliver_message", "delivery", "acme", &args)
        };
        dead.push(at.add(delivery, ago).await);
        at.attempt(
            "delivery",
            ago.saturating_sub(Duration::from_secs(1)),
            Duration::from_millis(2210),
            End::Retries("Graph API timed out after 2000 ms"),
        )
        .await;
        let id = dead[dead.len() - 1];
        at.store
            .requeue(
                id,
                None,
                Some(at.ago(ago.saturating_sub(Duration::from_secs(30)))),
            )
            .await
            .unwrap();
        at.attempt(
            "delivery",
            ago.saturating_sub(Duration::from_secs(40)),
            Duration::from_millis(901),
            End::Dies(EXPIRED),
        )
        .await;
    }
    for (n, tenant) in ["globex", "initech"].into_iter().enumerate() {
        let hook = job(
            "deliver_webhook",
            "webhooks",
            tenant,
            &json!({"event": "conversation.closed", "n": n}),
        );
        at.add(hook, MINUTE * 4).await;
        at.attempt(
            "webhooks",
            MINUTE * 3,
            Duration::from_millis(5003),
            End::Retries("the receiver answered 503 after 5003 ms"),
        )
        .await;
    }
    dead[dead.len() - 1]
}

async fn hostile(at: &Seeder<'_>) -> JobId {
    let nasty = NewJob {
        tags: vec![HOSTILE.chars().take(60).collect()],
        correlation_id: Some("hostile-1".into()),
        ..job(
            "ingest_document",
            "default",
            "acme",
            &json!({HOSTILE: HOSTILE}),
        )
    };
    let id = at.add(nasty, MINUTE * 30).await;
    at.attempt("default", MINUTE * 30, MINUTE, End::Dies(HOSTILE))
        .await;
    id
}
