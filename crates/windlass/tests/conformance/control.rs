//! What operators set, and the record of what they did.

use std::sync::Arc;
use std::time::Duration;

use windlass::model::{
    Audit, AuditEntry, AuditFilter, Cursor, Filter, Lease, Page, RunAt, Setting, Verdict,
};
use windlass::store::{ChangeSetting, Changed, Error, Operate, Operation, SettingChanged};
use windlass::{JobId, Json, State};

use crate::fixture::{Fixture, at_once, job, job_with};

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn audit(action: &str) -> Audit {
    Audit::new("ada", action, "queue/mail").because("the provider is down")
}

async fn change(
    fx: &Fixture,
    (space, name): (&str, &str),
    value: Option<&str>,
    expected: Option<i64>,
) -> Result<SettingChanged, Error> {
    let value = value.map(json);
    let audit = audit("queue.pause");
    let change = ChangeSetting {
        space,
        name,
        value: value.as_ref(),
        expected,
        audit: &audit,
        now: Some(fx.now()),
    };
    fx.store.change_setting(change).await
}

async fn put(fx: &Fixture, space: &str, name: &str, value: &str) -> Setting {
    let changed = change(fx, (space, name), Some(value), None).await.unwrap();
    changed.after.unwrap()
}

async fn settings(fx: &Fixture, space: Option<&str>) -> Vec<(String, String)> {
    let settings = fx.other.settings(space).await.unwrap();
    let places = settings
        .into_iter()
        .map(|setting| (setting.space, setting.name));
    places.collect()
}

async fn log(fx: &Fixture, filter: &AuditFilter) -> Vec<AuditEntry> {
    fx.other.audit(filter, None, 1000).await.unwrap()
}

async fn whole_log(fx: &Fixture) -> Vec<AuditEntry> {
    log(fx, &AuditFilter::default()).await
}

pub(crate) async fn a_setting_comes_back_to_the_letter(fx: &Fixture) {
    assert_eq!(settings(fx, None).await, []);
    let value = "{\"b\": 1.0,\"a\":\"\\u0000\"}";
    let put = put(fx, "pause", "mail", value).await;
    assert_eq!(put.value, json(value));
    assert_eq!(put.updated_at, fx.now());
    assert_eq!(fx.other.settings(None).await.unwrap(), [put]);
}

pub(crate) async fn settings_are_told_by_space_and_name(fx: &Fixture) {
    for (space, name) in [("slots", "b"), ("pause", "mail"), ("slots", "a")] {
        put(fx, space, name, "1").await;
    }
    let place = |space: &str, name: &str| (space.to_owned(), name.to_owned());
    let slots = [place("slots", "a"), place("slots", "b")];
    assert_eq!(settings(fx, Some("slots")).await, slots);
    assert_eq!(settings(fx, Some("none")).await, []);
    assert_eq!(settings(fx, None).await[0], place("pause", "mail"));
    assert_eq!(settings(fx, None).await[1..], slots);
}

pub(crate) async fn every_change_has_a_higher_version(fx: &Fixture) {
    let mut last = fx.store.settings_version().await.unwrap();
    for (name, value) in [
        ("a", Some("1")),
        ("b", Some("1")),
        ("a", Some("2")),
        ("a", Some("2")),
        ("b", None),
        ("b", Some("1")),
    ] {
        let changed = change(fx, ("slots", name), value, None).await.unwrap();
        let version = fx.other.settings_version().await.unwrap();
        assert!(version > last, "{name} {value:?}");
        if let Some(after) = changed.after {
            assert_eq!(after.version, version);
        }
        last = version;
    }
}

pub(crate) async fn a_change_tells_how_it_was_and_is(fx: &Fixture) {
    let first = change(fx, ("slots", "a"), Some("1"), None).await.unwrap();
    assert_eq!(first.before, None);
    let second = change(fx, ("slots", "a"), Some("2"), None).await.unwrap();
    assert_eq!(second.before, first.after);
    let gone = change(fx, ("slots", "a"), None, None).await.unwrap();
    assert_eq!((gone.before, gone.after), (second.after, None));
    assert_eq!(settings(fx, None).await, []);
}

pub(crate) async fn deleting_what_is_not_there_does_nothing(fx: &Fixture) {
    let version = fx.store.settings_version().await.unwrap();
    let gone = change(fx, ("slots", "a"), None, None).await.unwrap();
    assert_eq!((gone.before, gone.after), (None, None));
    assert_eq!(fx.store.settings_version().await.unwrap(), version);
    assert_eq!(whole_log(fx).await, []);
}

pub(crate) async fn a_change_from_an_unexpected_version_is_refused(fx: &Fixture) {
    let first = change(fx, ("slots", "a"), Some("1"), Some(0))
        .await
        .unwrap();
    let version = first.after.unwrap().version;
    for (value, expected) in [(Some("2"), 0), (Some("2"), version + 1), (None, 0)] {
        let error = change(fx, ("slots", "a"), value, Some(expected))
            .await
            .unwrap_err();
        let Error::Conflict {
            setting,
            expected: told,
            found,
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(
            (setting.as_str(), told, found),
            ("slots/a", expected, version)
        );
    }
    assert_eq!(fx.store.settings_version().await.unwrap(), version);
    assert_eq!(fx.store.settings(None).await.unwrap()[0].value, json("1"));
    assert_eq!(
        whole_log(fx).await.len(),
        1,
        "what is refused is not recorded"
    );
    change(fx, ("slots", "a"), None, Some(version))
        .await
        .unwrap();
    assert_eq!(settings(fx, None).await, []);
}

pub(crate) async fn of_many_writers_at_once_one_wins_each_version(fx: &Fixture) {
    let now = Some(fx.now());
    let won = at_once(20, |number| {
        let store = Arc::clone(if number % 2 == 0 {
            &fx.store
        } else {
            &fx.other
        });
        async move {
            let (value, audit) = (json("1"), audit("slots.set"));
            let change = |expected, name| ChangeSetting {
                space: "slots",
                name,
                value: Some(&value),
                expected,
                audit: &audit,
                now,
            };
            let own = format!("own {number}");
            store.change_setting(change(None, &own)).await.unwrap();
            store.change_setting(change(Some(0), "one")).await.is_ok()
        }
    })
    .await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    let settings = fx.store.settings(None).await.unwrap();
    let mut versions: Vec<i64> = settings.iter().map(|setting| setting.version).collect();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 21, "each change has a version of its own");
    let newest = fx.store.settings_version().await.unwrap();
    assert_eq!(versions.last(), Some(&newest));
}

pub(crate) async fn a_change_is_recorded_with_before_and_after(fx: &Fixture) {
    put(fx, "pause", "mail", "{\"queue\":\"mail\"}").await;
    fx.advance(Duration::from_secs(1));
    change(fx, ("pause", "mail"), None, None).await.unwrap();
    let log = whole_log(fx).await;
    assert_eq!(log.len(), 2);
    assert!(log[0].id > log[1].id);
    assert_eq!(log[0].at, fx.now());
    assert_eq!(log[1].at, fx.now().minus(Duration::from_secs(1)));
    let value = Some(json("{\"queue\":\"mail\"}"));
    let paused = Audit {
        after: value.clone(),
        ..audit("queue.pause")
    };
    let resumed = Audit {
        before: value,
        ..audit("queue.pause")
    };
    assert_eq!([&log[1].audit, &log[0].audit], [&paused, &resumed]);
}

pub(crate) async fn the_log_keeps_every_field(fx: &Fixture) {
    let audit = Audit {
        actor: "ada \u{1f980}".into(),
        action: "job.cancel".into(),
        subject: "job/1".into(),
        tenant_id: Some("acme".into()),
        before: Some(json("{\"state\": \"running\"}")),
        after: Some(json("null")),
        reason: Some("asked for".into()),
    };
    fx.store.record_audit(&audit, Some(fx.now())).await.unwrap();
    let bare = Audit::new("a", "b.c", "d/e");
    fx.store.record_audit(&bare, Some(fx.now())).await.unwrap();
    let log = whole_log(fx).await;
    assert_eq!([&log[1].audit, &log[0].audit], [&audit, &bare]);
    assert_eq!(log[1].at, fx.now());
}

pub(crate) async fn the_log_is_searched_by_each_field(fx: &Fixture) {
    for (actor, action, subject, tenant) in [
        ("ada", "job.cancel", "job/1", Some("acme")),
        ("ada", "job.requeue", "job/1", None),
        ("bob", "job.cancel", "job/2", Some("acme")),
    ] {
        let audit = Audit {
            tenant_id: tenant.map(Into::into),
            ..Audit::new(actor, action, subject)
        };
        fx.store.record_audit(&audit, Some(fx.now())).await.unwrap();
    }
    let some = |text: &str| Some(text.to_owned());
    let none = AuditFilter::default;
    let found = [
        AuditFilter {
            actor: some("ada"),
            ..none()
        },
        AuditFilter {
            action: some("job.cancel"),
            ..none()
        },
        AuditFilter {
            subject: some("job/1"),
            ..none()
        },
        AuditFilter {
            tenant_id: some("acme"),
            ..none()
        },
        AuditFilter {
            actor: some("bob"),
            subject: some("job/1"),
            ..none()
        },
        AuditFilter {
            actor: some("ad"),
            ..none()
        },
        none(),
    ];
    let mut counts = Vec::new();
    for filter in &found {
        counts.push(log(fx, filter).await.len());
    }
    assert_eq!(counts, [2, 2, 2, 2, 0, 0, 3]);
}

pub(crate) async fn pages_of_the_log_add_up(fx: &Fixture) {
    for number in 0..7 {
        let audit = Audit::new("ada", "job.cancel", format!("job/{number}"));
        fx.store.record_audit(&audit, Some(fx.now())).await.unwrap();
    }
    let (filter, mut before, mut subjects) = (AuditFilter::default(), None, Vec::new());
    loop {
        let page = fx.store.audit(&filter, before, 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        subjects.extend(page.into_iter().map(|entry| entry.audit.subject));
        // What is recorded meanwhile is newer, and on no later page.
        let late = Audit::new("ada", "job.cancel", "job/late");
        fx.store.record_audit(&late, Some(fx.now())).await.unwrap();
    }
    let expected: Vec<String> = (0..7).rev().map(|number| format!("job/{number}")).collect();
    assert_eq!(subjects, expected);
}

pub(crate) async fn retention_takes_the_oldest_of_the_log(fx: &Fixture) {
    for number in 0..5 {
        let audit = Audit::new("ada", "job.cancel", format!("job/{number}"));
        fx.store.record_audit(&audit, Some(fx.now())).await.unwrap();
        fx.advance(Duration::from_hours(24));
    }
    let day = Duration::from_hours(24);
    let now = Some(fx.now());
    assert_eq!(fx.store.prune_audit(day * 5, 10, now).await.unwrap(), 0);
    assert_eq!(fx.store.prune_audit(day * 2, 2, now).await.unwrap(), 2);
    let left: Vec<String> = whole_log(fx)
        .await
        .into_iter()
        .map(|entry| entry.audit.subject)
        .collect();
    assert_eq!(left, ["job/4", "job/3", "job/2"]);
    assert_eq!(fx.store.prune_audit(day * 2, 10, now).await.unwrap(), 1);
    assert_eq!(whole_log(fx).await.len(), 2);
}

pub(crate) async fn wishes_to_cancel_are_told_to_whoever_runs_the_job(fx: &Fixture) {
    let asked = async |worker| fx.other.cancel_requests(worker).await.unwrap();
    let (mine, kept) = (fx.add(job()).await, fx.add(job()).await);
    let waiting = fx.add(job_with(|job| job.queue = "elsewhere".into())).await;
    let leases = fx.claim(10).await;
    let lease = |id| leases.iter().find(|job| job.id == id).unwrap().lease();
    assert_eq!(asked("worker").await, []);
    for id in [mine, waiting] {
        fx.store.cancel(id, None, Some(fx.now())).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(asked("worker").await, [lease(mine)], "until it has ended");
    }
    assert_eq!(asked("another").await, []);
    fx.end(lease(mine), Verdict::Cancel).await;
    fx.complete(lease(kept)).await;
    assert_eq!(asked("worker").await, []);
}

fn operate<'a>(fx: &Fixture, operation: Operation, ids: &'a [JobId]) -> Operate<'a> {
    Operate {
        operation,
        ids,
        tenant: None,
        args: None,
        run_at: None,
        audit: None,
        checkpoint: None,
        now: Some(fx.now()),
    }
}

pub(crate) async fn one_operation_goes_over_many_jobs(fx: &Fixture) {
    let running = fx.add(job()).await;
    fx.claim_one().await;
    let done = fx.add(job()).await;
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    let due = fx.add(job()).await;
    let later = fx
        .add(job_with(|job| {
            job.run_at = RunAt::In(Duration::from_mins(1));
        }))
        .await;
    let unknown = JobId::new();
    let ids = [later, unknown, running, due, done];
    let changed = fx.store.operate(operate(fx, Operation::Cancel, &ids)).await;
    let expected = [
        Changed::Done,
        Changed::NotFound,
        Changed::Asked,
        Changed::Done,
        Changed::Refused(State::Completed),
    ];
    assert_eq!(changed.unwrap(), expected);
    assert_eq!(fx.state(later).await, State::Cancelled);
    assert_eq!(fx.state(due).await, State::Cancelled);
    let ids = [due, running, later];
    let changed = fx
        .store
        .operate(operate(fx, Operation::Requeue, &ids))
        .await;
    let expected = [
        Changed::Done,
        Changed::Refused(State::Running),
        Changed::Done,
    ];
    assert_eq!(changed.unwrap(), expected);
    let ids = [later, due];
    let changed = fx
        .store
        .operate(operate(fx, Operation::Discard, &ids))
        .await;
    assert_eq!(changed.unwrap(), [Changed::Done; 2]);
    assert_eq!(fx.state(due).await, State::Dead);
    assert_eq!(whole_log(fx).await, [], "nobody asked for a record");
}

pub(crate) async fn a_whole_line_may_be_cancelled_at_once(fx: &Fixture) {
    let mut ids = Vec::new();
    for _ in 0..20 {
        let ordered = job_with(|job| job.ordering_key = Some("line".into()));
        ids.push(fx.add(ordered).await);
    }
    let changed = fx.store.operate(operate(fx, Operation::Cancel, &ids)).await;
    assert_eq!(changed.unwrap(), [Changed::Done; 20]);
    assert_eq!(fx.claim_ids().await, []);
}

pub(crate) async fn an_operation_is_recorded_with_what_it_did(fx: &Fixture) {
    let ours = fx
        .add(job_with(|job| job.tenant_id = Some("acme".into())))
        .await;
    let other = fx.add(job()).await;
    let audit = audit("job.cancel");
    let (one, both) = ([ours], [ours, other]);
    let cancel = |ids| Operate {
        audit: Some(&audit),
        ..operate(fx, Operation::Cancel, ids)
    };
    let stranger = Operate {
        tenant: Some("other"),
        ..cancel(&one)
    };
    assert_eq!(
        fx.store.operate(stranger).await.unwrap(),
        [Changed::NotFound]
    );
    assert_eq!(whole_log(fx).await, [], "nothing was done");
    fx.store.operate(cancel(&one)).await.unwrap();
    let requeue = Operate {
        audit: Some(&audit),
        ..operate(fx, Operation::Requeue, &both)
    };
    fx.store.operate(requeue).await.unwrap();
    let log = whole_log(fx).await;
    let told: Vec<_> = log
        .iter()
        .map(|entry| {
            let text = |json: &Option<Json>| json.as_ref().map(|json| json.as_str().to_owned());
            let audit = &entry.audit;
            (
                audit.tenant_id.clone(),
                text(&audit.before),
                text(&audit.after),
            )
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    let of_one = (
        some("acme"),
        some(r#"{"state":"available"}"#),
        some(r#"{"state":"cancelled"}"#),
    );
    assert_eq!(told, [(None, None, some(r#"{"jobs":2}"#)), of_one]);
}

pub(crate) async fn a_requeued_job_may_get_other_args(fx: &Fixture) {
    let id = fx.add(job()).await;
    let lease = fx.claim_one().await.lease();
    fx.end(lease, Verdict::Dead).await;
    let args = json(r#"{"to":  "someone else"}"#);
    let ids = [id];
    let requeue = Operate {
        args: Some(&args),
        ..operate(fx, Operation::Requeue, &ids)
    };
    assert_eq!(
        fx.store.operate(requeue.clone()).await.unwrap(),
        [Changed::Done]
    );
    assert_eq!(fx.claim_one().await.args, args);
    let refused = fx.store.operate(requeue).await.unwrap();
    assert_eq!(refused, [Changed::Refused(State::Running)]);
}

pub(crate) async fn an_operation_under_a_lost_lease_does_nothing(fx: &Fixture) {
    let bulk = fx.add(job_with(|job| job.queue = "bulk".into())).await;
    let lease = fx.claim_from("bulk", 1).await[0].lease();
    let ids = [fx.add(job()).await];
    let (note, audit) = (json("[1]"), audit("jobs.cancel"));
    let cancel = |lease| Operate {
        audit: Some(&audit),
        checkpoint: Some((lease, &note)),
        ..operate(fx, Operation::Cancel, &ids)
    };
    let lost = Lease {
        claim_no: lease.claim_no + 1,
        ..lease
    };
    let error = fx.store.operate(cancel(lost)).await.unwrap_err();
    assert!(matches!(error, Error::LeaseLost), "{error}");
    assert_eq!(fx.state(ids[0]).await, State::Available);
    assert_eq!(whole_log(fx).await, []);
    assert_eq!(
        fx.store.operate(cancel(lease)).await.unwrap(),
        [Changed::Done]
    );
    fx.end(lease, Verdict::Release).await;
    let again = fx.claim_from("bulk", 1).await.remove(0);
    assert_eq!((again.id, again.checkpoint), (bulk, Some(note)));
}

pub(crate) async fn matching_tells_what_a_list_tells(fx: &Fixture) {
    fx.one_in_each_state().await;
    fx.add(job_with(|job| job.tenant_id = Some("acme".into())))
        .await;
    for filter in [
        Filter::default(),
        Filter {
            states: vec![State::Dead, State::Available],
            ..Filter::default()
        },
        Filter {
            tenant_id: Some("acme".into()),
            ..Filter::default()
        },
    ] {
        let page = Page {
            after: None,
            limit: 4,
        };
        let now = Some(fx.now());
        let listed = fx.store.list(&filter, page, now).await.unwrap().jobs;
        let listed: Vec<_> = listed.into_iter().map(|job| (job.id, job.kind)).collect();
        let matched = fx.store.matching(&filter, page, now).await.unwrap().jobs;
        let matched: Vec<_> = matched.into_iter().map(|job| (job.id, job.kind)).collect();
        assert_eq!(matched, listed, "{filter:?}");
        assert!(!matched.is_empty());
        let after = Page {
            after: Some(Cursor(matched[0].0)),
            limit: 4,
        };
        let rest = fx.store.matching(&filter, after, now).await.unwrap().jobs;
        assert_eq!(
            rest.iter().map(|job| job.id).next(),
            matched.get(1).map(|job| job.0)
        );
    }
}
