//! A tenant's credential sees and touches its own, and cannot tell what else there is.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use metachat_jobs::records::{NewDelivery, NewOutgoing, NewQuarantined, Role};
use serde_json::{Value, json};
use uuid::Uuid;
use windlass::JobId;

use super::rig::{Rig, on_both};

on_both!(
    another_tenants_ids_are_as_if_they_were_not_there,
    lists_and_counts_hold_ones_own_only,
    a_tenant_enqueues_for_itself_only,
    ids_that_callers_choose_tell_nothing_of_others,
    time_does_not_tell_whether_another_tenants_id_is_there,
);

const A: &str = "tenant-a";
const B: &str = "tenant-b";

/// What tenant A has.
struct Things {
    job: String,
    dead: String,
    flow: String,
    part: String,
    delivery: String,
    quarantined: String,
}

fn message(tenant: &str, id: &str) -> Value {
    json!({"tenantId": tenant, "channel": "webchat", "message":
        {"id": id, "conversationId": "c", "content": {"text": "hello"}}})
}

fn args(tenant: &str) -> Value {
    json!({"tenantId": tenant, "channel": "webchat",
        "message": {"id": "m", "conversationId": "c", "content": {}}})
}

async fn things(rig: &Rig, tenant: &str) -> Things {
    let (api, records) = (&rig.api, &rig.database.records);
    let job = api
        .post("/v1/messages", message(tenant, "m1"))
        .await
        .id()
        .to_string();
    let dead = api
        .post("/v1/messages", message(tenant, "m2"))
        .await
        .id()
        .to_string();
    let discarded = api
        .post(&format!("/v1/jobs/{dead}/discard"), json!({}))
        .await;
    assert_eq!(discarded.status, StatusCode::OK, "{}", discarded.text);
    let flow = json!({"name": "month", "steps": [
        {"name": "one", "kind": "process_message", "args": args(tenant)}]});
    let flow = api.post("/v1/flows", flow).await;
    assert_eq!(flow.status, StatusCode::CREATED, "{}", flow.text);
    let part = NewOutgoing {
        job: JobId::from_uuid(Uuid::now_v7()),
        tenant,
        conversation: "c",
        message: "m1",
        channel: "whatsapp",
        parts: 1,
    };
    let part = records.open_outbox(&part).await.unwrap()[0].id;
    let mut tx = records.begin().await.unwrap();
    let delivery = NewDelivery {
        job: JobId::from_uuid(Uuid::now_v7()),
        tenant,
        webhook: "hook",
        event: "e",
        event_type: "message.sent",
        attempt: 1,
        status: Some(200),
        error: None,
        took: Duration::from_millis(5),
    };
    records.record_delivery(&mut tx, &delivery).await.unwrap();
    tx.commit().await.unwrap();
    let delivery = records
        .deliveries("hook", Some(tenant), None, 1)
        .await
        .unwrap()[0]
        .id;
    let quarantined = NewQuarantined {
        tenant: Some(tenant.to_owned()),
        source: "a queue".to_owned(),
        reason: "it is broken".to_owned(),
        headers: json!({}),
        body: b"broken".to_vec(),
        body_bytes: 6,
    };
    let quarantined = records.quarantine(&quarantined).await.unwrap();
    Things {
        job,
        dead,
        flow: flow.json()["id"].as_str().unwrap().to_owned(),
        part: part.to_string(),
        delivery: delivery.to_string(),
        quarantined: quarantined.to_string(),
    }
}

/// The path with something of tenant A's in it, whatever could stand there.
fn paths(path: &str, things: &Things) -> Vec<String> {
    let ids = [
        &things.job,
        &things.dead,
        &things.flow,
        &things.part,
        &things.delivery,
        &things.quarantined,
    ];
    if path.contains("{id}") {
        return ids.iter().map(|id| path.replace("{id}", id)).collect();
    }
    vec![path.to_owned()]
}

/// Bodies that the routes take, one after the other.
fn bodies(method: &str) -> Vec<Option<Value>> {
    if method == "GET" {
        return vec![None];
    }
    vec![
        None,
        Some(json!({})),
        Some(json!({"args": args(A)})),
        Some(json!({"in_place": true})),
        Some(json!({"filter": {"tenant_id": A}})),
        Some(json!({"operation": "cancel", "filter": {"tenant_id": A}})),
        Some(message(A, "m9")),
        Some(json!({"kind": "process_message", "args": args(A)})),
    ]
}

async fn another_tenants_ids_are_as_if_they_were_not_there(rig: Rig) {
    let things = things(&rig, A).await;
    let key = rig.key("b", Role::Operator, Some(B)).await;
    let before = rig.api.get("/v1/jobs?limit=500").await.json();
    let mut tried = 0;
    for (method, path, needs) in rig.operations().await {
        if needs.is_null() || path == "/openapi.json" || path == "/v1/session" {
            continue;
        }
        for there in paths(&path, &things) {
            let random = Uuid::now_v7().to_string();
            let id = path.contains("{id}").then(|| {
                let start = path.find("{id}").unwrap();
                there[start..start + 36].to_owned()
            });
            let absent = id
                .as_ref()
                .map_or(there.clone(), |id| there.replace(id, &random));
            for body in bodies(&method) {
                for (of_a, of_nobody) in [("", ""), ("?tenant=tenant-a", "?tenant=tenant-x")] {
                    let (one, other) = (format!("{there}{of_a}"), format!("{absent}{of_nobody}"));
                    let one = rig.as_key(&key, &method, &one, body.as_ref()).await;
                    let other = rig.as_key(&key, &method, &other, body.as_ref()).await;
                    let what = format!("{method} {there}{of_a} {body:?}");
                    assert_eq!(one.status, other.status, "{what}: {}", one.text);
                    let text = match &id {
                        Some(id) => one.text.replace(id, &random),
                        None => one.text.clone(),
                    };
                    assert_eq!(text, other.text, "{what}");
                    assert!(!one.text.contains(A), "{what}: {}", one.text);
                    if id.is_some() && path != "/v1/webhooks/{id}/deliveries" {
                        assert!(!one.status.is_success(), "{what}: {}", one.text);
                    }
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 400, "{tried} tries");
    // And nothing of it has been touched.
    assert_eq!(rig.api.get("/v1/jobs?limit=500").await.json(), before);
}

async fn lists_and_counts_hold_ones_own_only(rig: Rig) {
    let _ = things(&rig, A).await;
    let own = things(&rig, B).await;
    let viewer = rig.key("b", Role::Viewer, Some(B)).await;
    for (path, list, lines) in [
        ("/v1/jobs", "jobs", 3),
        ("/v1/flows", "flows", 1),
        ("/v1/outbox", "parts", 1),
        ("/v1/webhooks/hook/deliveries", "deliveries", 1),
        ("/v1/audit", "entries", 1),
    ] {
        let page = rig.as_key(&viewer, "GET", path, None).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        assert_eq!(
            page.json()[list].as_array().unwrap().len(),
            lines,
            "{path}: {}",
            page.text
        );
        assert!(!page.text.contains(A), "{path}: {}", page.text);
    }
    let filter = json!({"filter": {}});
    let count = rig
        .as_key(&viewer, "POST", "/v1/jobs/bulk/preview", Some(&filter))
        .await;
    assert_eq!(count.json()["jobs"], 3);
    let job = rig
        .as_key(&viewer, "GET", &format!("/v1/jobs/{}", own.job), None)
        .await;
    assert_eq!(job.json()["tenant_id"], B);
    for never in [
        "/v1/queues",
        "/v1/schedules",
        "/v1/backups",
        "/v1/workers",
        "/metrics",
    ] {
        let answer = rig.as_key(&viewer, "GET", never, None).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{never}");
    }
    // To see what people wrote takes more than to look.
    let reveal = format!("/v1/jobs/{}?args=true&reveal=true", own.job);
    assert_eq!(
        rig.as_key(&viewer, "GET", &reveal, None).await.status,
        StatusCode::FORBIDDEN
    );
    let operator = rig.key("b2", Role::Operator, Some(B)).await;
    assert_eq!(
        rig.as_key(&operator, "GET", &reveal, None).await.status,
        StatusCode::OK
    );
    // An operation over many is kept to what is the tenant's.
    let bulk = json!({"operation": "cancel", "filter": {}});
    let bulk = rig
        .as_key(&operator, "POST", "/v1/jobs/bulk", Some(&bulk))
        .await;
    assert_eq!(bulk.status, StatusCode::ACCEPTED, "{}", bulk.text);
    let job = rig.api.job(bulk.id()).await;
    assert_eq!(job.tenant_id.as_deref(), Some(B));
    assert!(job.args.as_str().contains(B), "{}", job.args.as_str());
}

async fn a_tenant_enqueues_for_itself_only(rig: Rig) {
    let key = rig.key("b", Role::Operator, Some(B)).await;
    let post = async |path: &str, body: Value| rig.as_key(&key, "POST", path, Some(&body)).await;
    let own = post("/v1/messages", message(B, "m1")).await;
    assert_eq!(own.status, StatusCode::ACCEPTED, "{}", own.text);
    let own = post(
        "/v1/jobs",
        json!({"kind": "process_message", "args": args(B)}),
    )
    .await;
    assert_eq!(own.status, StatusCode::CREATED, "{}", own.text);
    let one = |extra: Value| {
        let mut job = json!({"kind": "process_message", "args": args(B)});
        job.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        job
    };
    let before = rig.api.jobs().await.len();
    for (path, body, status) in [
        ("/v1/messages", message(A, "m1"), 403),
        (
            "/v1/jobs",
            json!({"kind": "process_message", "args": args(A)}),
            422,
        ),
        ("/v1/jobs", one(json!({"tenant_id": A})), 403),
        ("/v1/jobs", one(json!({"queue": "other"})), 403),
        ("/v1/jobs", one(json!({"limit_key": A})), 403),
        // Of this one's args nothing says whose it is.
        (
            "/v1/jobs",
            json!({"kind": "greet", "args": {"name": "x"}}),
            403,
        ),
        (
            "/v1/jobs",
            json!({"kind": "greet", "args": {"name": "x"}, "tenant_id": B}),
            403,
        ),
        (
            "/v1/jobs/batch",
            json!({"jobs": [one(json!({})), one(json!({"tenant_id": A}))]}),
            403,
        ),
        (
            "/v1/flows",
            json!({"name": "f", "tenant_id": A, "steps": []}),
            403,
        ),
        (
            "/v1/flows",
            json!({"name": "f", "steps":
            [{"name": "s", "kind": "greet", "args": {"name": "x"}}]}),
            403,
        ),
    ] {
        let answer = post(path, body.clone()).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text);
    }
    assert_eq!(rig.api.jobs().await.len(), before, "something was written");
}

async fn ids_that_callers_choose_tell_nothing_of_others(rig: Rig) {
    let (a, b) = (
        rig.key("a", Role::Operator, Some(A)).await,
        rig.key("b", Role::Operator, Some(B)).await,
    );
    let chosen = Uuid::now_v7().to_string();
    let start = async |key: &str, tenant: &str| {
        let flow = json!({"name": "f", "steps":
            [{"name": "s", "kind": "process_message", "args": args(tenant)}]});
        let headers = [("x-api-key", key), ("idempotency-key", &chosen)];
        let request = super::rig::request("POST", "/v1/flows", &headers, Some(&flow));
        rig.api.send(request).await
    };
    let first = start(&a, A).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let again = start(&a, A).await;
    assert_eq!(
        (again.status, &again.json()["id"]),
        (StatusCode::OK, &first.json()["id"])
    );
    let others = start(&b, B).await;
    assert_eq!(others.status, StatusCode::CREATED, "{}", others.text);
    assert_ne!(others.json()["id"], first.json()["id"]);

    let enqueue = async |key: &str, tenant: &str| {
        let job = json!({"kind": "process_message", "args": args(tenant),
            "unique": {"key": "once"}});
        let headers = [("x-api-key", key), ("idempotency-key", "mine")];
        let request = super::rig::request("POST", "/v1/jobs", &headers, Some(&job));
        rig.api.send(request).await.status
    };
    assert_eq!(enqueue(&a, A).await, StatusCode::CREATED);
    assert_eq!(enqueue(&b, B).await, StatusCode::CREATED);
    assert_eq!(enqueue(&b, B).await, StatusCode::OK);
}

/// A look at another tenant's job takes as long as one at a job that nobody has.
async fn time_does_not_tell_whether_another_tenants_id_is_there(rig: Rig) {
    const LOOKS: usize = 400;
    let things = things(&rig, A).await;
    let key = rig.key("b", Role::Operator, Some(B)).await;
    let nobodys = Uuid::now_v7().to_string();
    for (route, theirs) in [("jobs", &things.job), ("flows", &things.flow)] {
        let mut took = [const { Vec::new() }; 2];
        // In turn, so that whatever else the machine does slows both alike.
        for look in 0..2 * LOOKS {
            let id = [theirs, &nobodys][look % 2];
            let began = Instant::now();
            let path = format!("/v1/{route}/{id}");
            let answer = rig.as_key(&key, "GET", &path, None).await;
            took[look % 2].push(began.elapsed());
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text);
        }
        let [theirs, nobodys] = took.map(|mut all| {
            all.sort_unstable();
            all[LOOKS / 2].as_secs_f64()
        });
        let ratio = theirs / nobodys;
        assert!(
            (0.8..1.25).contains(&ratio),
            "{route}: {theirs} and {nobodys} s"
        );
    }
}
