//! Sealed and compressed args and results, renamed kinds, and the tools authors of jobs test with: the
//! engine's promises about what is stored, on the store in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::engine::{EnqueueError, KeyRing, KeyWalk};
use windlass::model::{Conflict, Filter, Finish, Page, RunAt, Unique};
use windlass::store::Claim;
use windlass::store::memory::MemoryStore;
use windlass::testing::{self, Expect, ManualClock};
use windlass::{
    Client, Context, Engine, EngineOptions, Job, JobOptions, Json, NewJob, Outcome, Registry, State,
};

const OLD: (&str, &str) = ("old", "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=");
const NEW: (&str, &str) = ("new", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
const WORDS: &str = "what she said";

/// What handlers were told.
type Heard = Arc<Mutex<Vec<String>>>;

/// Answers what it was told.
#[derive(Serialize, Deserialize)]
struct Tell {
    body: String,
}

impl Job for Tell {
    const KIND: &'static str = "tell";
    const ALIASES: &'static [&'static str] = &["say", "utter"];
    type Services = Heard;

    fn options() -> JobOptions {
        JobOptions {
            seal: true,
            compress_above: Some(1000),
            ..JobOptions::default()
        }
    }

    fn redact() -> &'static [&'static str] {
        &["/body"]
    }

    fn tenant(&self) -> Option<&str> {
        Some("acme")
    }

    async fn run(self, cx: Context<Heard>) -> anyhow::Result<Outcome> {
        if self.body == "twice" && cx.resume::<String>()?.is_none() {
            cx.checkpoint(WORDS).await?;
            return Ok(Outcome::snooze(Duration::from_secs(1)));
        }
        if let Some(noted) = cx.resume::<String>()? {
            cx.services().lock().unwrap().push(noted);
        }
        cx.services().lock().unwrap().push(self.body.clone());
        Ok(Outcome::complete_with(&self.body)?)
    }
}

/// Stores whatever it is given, large or strange.
#[derive(Serialize, Deserialize)]
struct Keep(serde_json::Value);

impl Job for Keep {
    const KIND: &'static str = "keep";
    type Services = Heard;

    fn options() -> JobOptions {
        JobOptions {
            compress_above: Some(1000),
            ..JobOptions::default()
        }
    }

    async fn run(self, _: Context<Heard>) -> anyhow::Result<Outcome> {
        Ok(Outcome::complete_with(&self.0)?)
    }
}

fn registry(heard: &Heard) -> Registry<Heard> {
    Registry::new(Arc::clone(heard))
        .register::<Tell>()
        .register::<Keep>()
}

fn ring(keys: &[(&str, &str)]) -> KeyRing {
    KeyRing::new(keys.iter().copied()).unwrap()
}

fn tell(body: &str) -> Tell {
    Tell { body: body.into() }
}

#[tokio::test]
async fn what_is_sealed_is_read_by_its_handler_and_by_nobody_else() {
    let heard = Heard::default();
    let registry = registry(&heard);
    let client = testing::client(&registry).with_keys(ring(&[NEW]));
    client.enqueue(&tell(WORDS)).await.unwrap();
    let jobs = testing::drain(&client, registry).await.unwrap();
    assert_eq!(jobs[0].state, State::Completed);
    assert_eq!(*heard.lock().unwrap(), [WORDS]);
    let stored = serde_json::to_string(&jobs[0]).unwrap();
    assert!(!stored.contains(WORDS), "{stored}");
    for value in [&jobs[0].args, jobs[0].result.as_ref().unwrap()] {
        assert!(
            value
                .as_str()
                .starts_with(r#"{"$sealed":{"v":1,"key":"new","#)
        );
    }
    assert_eq!(
        client.result_of(&jobs[0]).unwrap(),
        Some(Json::encode(WORDS).unwrap())
    );
    let shown = client.catalogue().redacted("tell", &jobs[0].args);
    assert_eq!(
        shown.as_str(),
        format!("\"sealed, {} bytes\"", jobs[0].args.as_str().len())
    );
}

#[tokio::test]
async fn checkpoints_are_sealed_too() {
    let heard = Heard::default();
    let registry = registry(&heard);
    let clock = ManualClock::default();
    let client = testing::client_at(&registry, &clock).with_keys(ring(&[NEW]));
    client.enqueue(&tell("twice")).await.unwrap();
    testing::drain(&client, registry.clone()).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let claim = Claim {
        queue: "default",
        worker: "test",
        limit: 1,
        lease: Duration::from_secs(30),
        now: None,
    };
    let claimed = client.store().claim(claim).await.unwrap();
    let stored = claimed[0].checkpoint.as_ref().unwrap();
    assert!(
        stored
            .as_str()
            .starts_with(r#"{"$sealed":{"v":1,"key":"new","#)
    );
    let release = Finish::release(claimed[0].lease());
    client.store().finish(&[release], None).await.unwrap();
    testing::drain(&client, registry).await.unwrap();
    assert_eq!(*heard.lock().unwrap(), [WORDS, "twice"]);
}

#[tokio::test]
async fn a_kind_to_be_sealed_needs_a_key() {
    let registry = registry(&Heard::default());
    let client = testing::client(&registry);
    let refused = client.enqueue(&tell(WORDS)).await.unwrap_err();
    assert!(matches!(refused, EnqueueError::NoKeys(_)), "{refused}");
    assert!(
        client
            .list(&Filter::default(), Page::default())
            .await
            .unwrap()
            .is_empty()
    );
    let refused = Engine::new(
        Arc::clone(client.store()),
        registry,
        EngineOptions::default(),
    );
    assert_eq!(
        refused.unwrap_err().to_string(),
        "keys: kind tell is to be sealed, and there is no key; give the engine and every client a key ring"
    );
    // A client that knows no kinds cannot be made to store it in the clear either.
    let bare = Client::new(Arc::new(MemoryStore::default()));
    assert!(matches!(
        bare.enqueue(&tell(WORDS)).await,
        Err(EnqueueError::NoKeys(_))
    ));
}

#[tokio::test]
async fn an_old_key_is_retired_while_jobs_wait() {
    let heard = Heard::default();
    let registry = registry(&heard);
    let before = testing::client(&registry).with_keys(ring(&[OLD]));
    let jobs: Vec<NewJob> = (0..1200)
        .map(|n| before.prepare(&tell(&n.to_string())).unwrap())
        .collect();
    before.insert_many(&jobs).await.unwrap();
    before.enqueue(&Keep(json!(1))).await.unwrap();
    let ran = testing::run(&before, &registry, &tell("done"))
        .await
        .unwrap();
    assert_eq!(ran.job.state, State::Completed);

    let count = async |client: &Client| {
        let mut walk = KeyWalk::new(true);
        while !walk.done {
            client.count_keys(&mut walk).await.unwrap();
        }
        assert_eq!(walk.looked, 1202);
        walk.keys.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(count(&before).await, [("old".to_owned(), 1202)]);
    // A process that has not got the new key yet, one that has both, one that has lost the old one.
    let both = before.clone().with_keys(ring(&[NEW, OLD]));
    let only_new = before.clone().with_keys(ring(&[NEW]));
    let mut walk = KeyWalk::new(true);
    while !walk.done {
        only_new.reseal(&mut walk).await.unwrap();
    }
    assert_eq!(
        (walk.resealed, walk.keys["old"]),
        (0, 1202),
        "what cannot be opened is left"
    );
    let mut walk = KeyWalk::new(false);
    while !walk.done {
        both.reseal(&mut walk).await.unwrap();
    }
    assert_eq!((walk.resealed, walk.missed, walk.broken), (1200, 0, 0));
    assert_eq!(
        count(&both).await,
        [("new".to_owned(), 1200), ("old".to_owned(), 2)]
    );
    let mut walk = KeyWalk::new(true);
    while !walk.done {
        both.reseal(&mut walk).await.unwrap();
    }
    assert_eq!(count(&both).await, [("new".to_owned(), 1202)]);
    let done = only_new.get(ran.job.id, None).await.unwrap().unwrap();
    assert_eq!(
        only_new.result_of(&done).unwrap(),
        Some(Json::encode("done").unwrap())
    );
    for job in &jobs {
        let stored = only_new.get(job.id, None).await.unwrap().unwrap();
        assert_eq!(only_new.args_of(&stored).unwrap(), job.args);
    }
}

#[tokio::test]
async fn a_forgotten_key_loses_nothing() {
    let heard = Heard::default();
    let registry = registry(&heard);
    let clock = ManualClock::default();
    let before = testing::client_at(&registry, &clock).with_keys(ring(&[OLD]));
    before.enqueue(&tell(WORDS)).await.unwrap();
    let forgetful = before.clone().with_keys(ring(&[NEW]));
    for _ in 0..20 {
        let jobs = testing::drain(&forgetful, registry.clone()).await.unwrap();
        assert_eq!(
            (jobs[0].state, jobs[0].attempt),
            (State::Scheduled, 0),
            "it waits, unharmed"
        );
        let error = jobs[0].attempts.last().unwrap().error.as_ref().unwrap();
        assert!(
            error.message.contains("sealed with key old"),
            "{}",
            error.message
        );
        clock.advance(Duration::from_mins(5));
    }
    let both = before.with_keys(ring(&[NEW, OLD]));
    let jobs = testing::drain(&both, registry).await.unwrap();
    assert_eq!(jobs[0].state, State::Completed);
    assert!(
        jobs[0]
            .result
            .as_ref()
            .unwrap()
            .as_str()
            .contains(r#""key":"new""#)
    );
    assert_eq!(*heard.lock().unwrap(), [WORDS]);
}

#[tokio::test]
async fn what_was_tampered_with_is_set_aside_unread() {
    let heard = Heard::default();
    let registry = registry(&heard);
    let client = testing::client(&registry).with_keys(ring(&[NEW]));
    let mut job = client.prepare(&tell(WORDS)).unwrap();
    client.insert(job.clone()).await.unwrap();
    let sealed = client.get(job.id, None).await.unwrap().unwrap().args;
    // Somebody with the database moves it to another tenant's job.
    job.id = windlass::JobId::new();
    (job.tenant_id, job.args) = (Some("evil".into()), sealed);
    client.store().enqueue(&[job.clone()], None).await.unwrap();
    testing::drain(&client, registry).await.unwrap();
    let moved = client.get(job.id, None).await.unwrap().unwrap();
    assert_eq!(moved.state, State::Dead);
    let error = moved.attempts[0].error.as_ref().unwrap();
    assert!(error.message.contains("does not open"), "{}", error.message);
    assert_eq!(
        *heard.lock().unwrap(),
        [WORDS],
        "only the one that was not moved"
    );
}

#[tokio::test]
async fn large_args_and_results_are_compressed_and_strange_ones_come_back() {
    let registry = registry(&Heard::default());
    let client = testing::client(&registry);
    let large = json!({"text": "word ".repeat(10_000)});
    let strange = json!({"$sealed": {"v": 1, "key": "new"}});
    for value in [&large, &strange] {
        let ran = testing::run(&client, &registry, &Keep(value.clone()))
            .await
            .unwrap();
        assert_eq!(ran.job.state, State::Completed, "{:?}", ran.error());
        assert!(ran.job.args.as_str().starts_with(r#"{"$packed":"#));
        assert!(ran.job.args.as_str().len() < 2000);
        assert_eq!(
            ran.result::<serde_json::Value>().unwrap().as_ref(),
            Some(value)
        );
        let shown = client.catalogue().redacted("keep", &ran.job.args);
        assert_eq!(shown, Json::encode(value).unwrap());
    }
    // The limit is on what is given, whatever is stored.
    let most = client.limits().max_args_bytes;
    let refused = client
        .enqueue(&Keep(json!("x".repeat(most))))
        .await
        .unwrap_err();
    assert!(refused.to_string().starts_with("args: "), "{refused}");
    client
        .enqueue(&Keep(json!("x".repeat(most - 2))))
        .await
        .unwrap();
}

#[tokio::test]
async fn whoever_runs_the_program_may_have_kinds_sealed() {
    let heard = Heard::default();
    let registry = registry(&heard).seal(["keep"]).unwrap();
    let client = testing::client(&registry).with_keys(ring(&[NEW]));
    // However it is enqueued.
    client.enqueue(&Keep(json!(WORDS))).await.unwrap();
    let by_hand = NewJob::new("keep", Json::encode(WORDS).unwrap());
    client.insert_many(&[by_hand]).await.unwrap();
    for job in testing::drain(&client, registry).await.unwrap() {
        assert!(job.args.as_str().starts_with(r#"{"$sealed":"#));
        assert!(job.result.unwrap().as_str().starts_with(r#"{"$sealed":"#));
    }
    let refused = Registry::new(heard)
        .register::<Keep>()
        .seal(["kep"])
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "seal: there is no kind kep; known are keep"
    );
}

#[tokio::test]
async fn a_renamed_kind_runs_what_its_old_names_stored() {
    let heard = Heard::default();
    let registry = registry(&heard);
    let client = testing::client(&registry).with_keys(ring(&[NEW]));
    let args = Json::encode(&tell("before")).unwrap();
    // As a program stored it that knew no other name, nor keys.
    let old = NewJob::new("say", args.clone());
    client.store().enqueue(&[old], None).await.unwrap();
    client.enqueue(&tell("after")).await.unwrap();
    let raw = client.prepare_raw("utter", args.clone()).unwrap();
    assert_eq!(
        raw.kind, "tell",
        "an enqueue under an alias stores the new name"
    );
    client.insert(NewJob::new("utter", args)).await.unwrap();
    for kind in ["tell", "say"] {
        let filter = Filter {
            kind: Some(kind.into()),
            ..Filter::default()
        };
        let page = Page {
            after: None,
            limit: 2,
        };
        let newest = client.list(&filter, page).await.unwrap();
        assert_eq!(
            newest.iter().map(|job| &*job.kind).collect::<Vec<_>>(),
            ["tell", "tell"]
        );
        let after = newest.last().map(|job| windlass::model::Cursor(job.id));
        let oldest = client
            .list(&filter, Page { after, limit: 2 })
            .await
            .unwrap();
        assert_eq!(
            oldest.iter().map(|job| &*job.kind).collect::<Vec<_>>(),
            ["say"]
        );
    }
    let jobs = testing::drain(&client, registry).await.unwrap();
    assert!(jobs.iter().all(|job| job.state == State::Completed));
    let mut heard = heard.lock().unwrap().clone();
    heard.sort();
    assert_eq!(heard, ["after", "before", "before"]);
}

#[tokio::test]
async fn what_was_sealed_under_one_of_a_kinds_names_opens_under_all() {
    let heard = Heard::default();
    let registry = registry(&heard);
    let client = testing::client(&registry).with_keys(ring(&[NEW]));
    let sealed = client.prepare(&tell(WORDS)).unwrap();
    client.insert(sealed.clone()).await.unwrap();
    let stored = client.get(sealed.id, None).await.unwrap().unwrap();
    client.cancel(sealed.id, None).await.unwrap();
    // A row that kept the kind's old name, and whose args were edited since it has the new one.
    let mut old = NewJob::new("utter", stored.args);
    old.tenant_id = Some("acme".into());
    client.store().enqueue(&[old.clone()], None).await.unwrap();
    testing::drain(&client, registry).await.unwrap();
    let ran = client.get(old.id, None).await.unwrap().unwrap();
    assert_eq!(ran.state, State::Completed);
    assert_eq!(*heard.lock().unwrap(), [WORDS]);
}

#[test]
#[should_panic(expected = "kind say registered twice")]
fn an_alias_is_nobody_elses_name() {
    #[derive(Serialize, Deserialize)]
    struct Say {}
    impl Job for Say {
        const KIND: &'static str = "say";
        type Services = Heard;
        async fn run(self, _: Context<Heard>) -> anyhow::Result<Outcome> {
            Ok(Outcome::complete())
        }
    }
    drop(registry(&Heard::default()).register::<Say>());
}

#[tokio::test]
async fn what_is_unique_by_an_empty_window_is_refused() {
    let client = testing::client(&registry(&Heard::default()));
    let mut job = NewJob::new("keep", Json::empty_object());
    job.unique = Some(Unique {
        key: "k".into(),
        window: Some(Duration::ZERO),
        conflict: Conflict::Reject,
    });
    let refused = client.insert(job).await.unwrap_err();
    assert!(
        refused.to_string().starts_with("unique.window: is empty"),
        "{refused}"
    );
}

#[tokio::test]
async fn run_shows_one_attempt_and_leaves_other_jobs_alone() {
    #[derive(Serialize, Deserialize)]
    enum Try {
        Fail,
        Panic,
        Follow,
    }
    impl Job for Try {
        const KIND: &'static str = "try";
        type Services = Heard;
        async fn run(self, cx: Context<Heard>) -> anyhow::Result<Outcome> {
            match self {
                Self::Fail => Err(anyhow::anyhow!("inner").context("outer")),
                Self::Panic => panic!("at the disco"),
                Self::Follow => {
                    let mut next = cx.follow_up(&Keep(json!({"n": 1})))?;
                    next.tags = vec!["next".into()];
                    next.run_at = RunAt::In(Duration::from_mins(1));
                    cx.client().insert(next).await?;
                    Ok(Outcome::complete())
                }
            }
        }
    }
    let clock = ManualClock::default();
    let registry = registry(&Heard::default()).register::<Try>();
    let client = testing::client_at(&registry, &clock).with_keys(ring(&[NEW]));
    let bystander = client.enqueue(&Keep(json!(0))).await.unwrap().id();
    let ran = testing::run(&client, &registry, &Try::Fail).await.unwrap();
    assert_eq!((ran.job.state, ran.job.attempt), (State::Retryable, 1));
    assert_eq!(ran.error().as_deref(), Some("outer: inner"));
    assert!(ran.enqueued.is_empty());
    let ran = testing::run(&client, &registry, &Try::Panic).await.unwrap();
    assert_eq!(ran.error().as_deref(), Some("at the disco"));
    let ran = testing::run(&client, &registry, &Try::Follow)
        .await
        .unwrap();
    assert_eq!(ran.enqueued.len(), 1);
    let next = ran.enqueued.assert_enqueued(
        Expect::of::<Keep>()
            .args(&json!({"n": 1}))
            .tag("next")
            .state(State::Scheduled)
            .times(1),
    )[0]
    .id;
    let waiting = client.get(bystander, None).await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.attempt), (State::Available, 0));
    clock.advance(Duration::from_mins(1));
    testing::drain(&client, registry).await.unwrap();
    let next = client.get(next, None).await.unwrap().unwrap();
    assert_eq!(next.state, State::Completed);
    assert_eq!(next.finished_at, Some(clock.now()));
}

#[tokio::test]
async fn a_missing_job_is_told_with_what_is_there_instead() {
    let client = testing::client(&registry(&Heard::default()));
    client.enqueue(&Keep(json!({"n": 1}))).await.unwrap();
    let jobs = testing::jobs(&client).await.unwrap();
    jobs.assert_enqueued(Expect::of::<Keep>());
    jobs.assert_not_enqueued(Expect::of::<Tell>());
    let expected = Expect::of::<Keep>().args(&json!({"n": 2})).queue("default");
    let panic = std::panic::catch_unwind(|| jobs.assert_enqueued(expected).len()).unwrap_err();
    assert_eq!(
        panic.downcast_ref::<String>().unwrap(),
        "expected a keep in queue default with args {\"n\":2}; found 0 among 1 jobs:\n  other args: \
         keep in default, available, no tenant, {\"n\":1}"
    );
}

#[test]
fn golden_args_are_asked_for_and_must_decode() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let catalogue = registry(&Heard::default()).catalogue();
    let fault = || {
        let checked = std::panic::catch_unwind(|| testing::assert_golden(&catalogue, dir));
        checked
            .err()
            .map(|panic| panic.downcast_ref::<String>().unwrap().clone())
    };
    let told = fault().unwrap();
    assert!(told.contains("kind keep has no golden args"), "{told}");
    assert!(told.contains("kind tell has no golden args"), "{told}");
    let first = testing::add_golden(dir, &tell("golden")).unwrap();
    assert!(first.ends_with("tell/1.json"));
    assert_eq!(testing::add_golden(dir, &tell("golden")).unwrap(), first);
    assert!(
        testing::add_golden(dir, &tell("again"))
            .unwrap()
            .ends_with("tell/2.json")
    );
    testing::add_golden(dir, &Keep(json!(1))).unwrap();
    assert_eq!(fault(), None);
    std::fs::write(dir.join("tell/3.json"), r#"{"body":1}"#).unwrap();
    std::fs::create_dir(dir.join("gone")).unwrap();
    let told = fault().unwrap();
    assert!(
        told.contains("3.json: args: args of tell do not decode"),
        "{told}"
    );
    assert!(told.contains("gone: there is no such kind"), "{told}");
}
