//! The schema is brought up to date once, whoever asks and how often.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Executor as _};
use windlass::Json;
use windlass::model::{Filter, Finish, Page, Recorded, State};
use windlass::store::Error;

use crate::fixture::{Fixture, at_once, job};

pub(crate) async fn is_harmless_when_there_is_nothing_to_do(fx: &Fixture) {
    let id = fx.add(job()).await;
    let before = fx.get(id).await;
    for _ in 0..2 {
        let migrated = fx.store.migrate().await.unwrap();
        assert_eq!(migrated.from, migrated.to);
        let version = fx.store.schema_version().await.unwrap();
        assert_eq!(version, migrated.to);
    }
    assert_eq!(fx.get(id).await, before);
}

pub(crate) async fn may_be_asked_for_by_many_at_once(fx: &Fixture) {
    let versions = at_once(8, |number| {
        let store = Arc::clone(if number % 2 == 0 {
            &fx.store
        } else {
            &fx.other
        });
        async move { store.migrate().await.unwrap().to }
    })
    .await;
    assert!(versions.iter().all(|version| *version == versions[0]));
    fx.add(job()).await;
}

pub(crate) async fn upkeep_is_harmless_at_any_time(fx: &Fixture) {
    let jobs = fx.one_in_each_state().await;
    let mut before = Vec::new();
    for (_, id) in &jobs {
        before.push(fx.get(*id).await);
    }
    for _ in 0..2 {
        fx.store.maintain(Some(fx.now())).await.unwrap();
        fx.store.maintain(None).await.unwrap();
    }
    for job in before {
        assert_eq!(fx.get(job.id).await, job);
    }
}

/// What a newer program has done to the tables; each `{t}` is the dialect's list of migrations. False
/// for a store without tables.
async fn newer(fx: &Fixture, description: &str, change: &str) -> bool {
    let (list, of_postgres) = match fx.store.name() {
        "postgres" => ("jobs._migrations", true),
        "sqlite" => ("_windlass_migrations", false),
        _ => return false,
    };
    let blob = if of_postgres { "'\\x00'" } else { "x'00'" };
    let applied = format!(
        "insert into {list} (version, description, success, checksum, execution_time)
         values (9999, '{description}', true, {blob}, 0)"
    );
    let change = change.replace("{t}", list);
    let change = if of_postgres {
        change
    } else {
        change.replace("jobs.jobs", "jobs")
    };
    let mut tx = fx.begin().await;
    for statement in [applied, change] {
        // Safe: the texts are of these tests.
        let statement = AssertSqlSafe(statement);
        if of_postgres {
            tx.postgres().unwrap().execute(statement).await.unwrap();
        } else {
            tx.sqlite().unwrap().execute(statement).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
    true
}

pub(crate) async fn an_older_program_works_on_newer_tables(fx: &Fixture) {
    let id = fx.add(job()).await;
    let added = "alter table jobs.jobs add column later text default 'what is it'";
    let is_newer = newer(fx, "a column that is new", added).await;
    // Processes that were running, and one that starts now.
    let third = fx.handle().await;
    let migrated = third.migrate().await.unwrap();
    let schema = third.schema().await.unwrap();
    assert_eq!((migrated.from, migrated.to), (schema.found, schema.found));
    assert_eq!(schema.found > schema.needed, is_newer);
    assert_eq!((schema.missing.len(), schema.contracted), (0, None));
    schema.check().unwrap();
    let more = fx.add(job()).await;
    for expected in [id, more] {
        let claimed = fx.claim_from("default", 1).await.remove(0);
        assert_eq!(claimed.id, expected);
        let finish = Finish::complete(claimed.lease(), Some(Json::empty_object()));
        assert_eq!(fx.finish(finish).await, Recorded::Yes);
        assert_eq!(fx.get(expected).await.state, State::Completed);
    }
    let page = Page::default();
    let all = fx
        .store
        .list(&Filter::default(), page, Some(fx.now()))
        .await;
    assert_eq!(all.unwrap().jobs.len(), 2);
}

pub(crate) async fn an_older_program_refuses_tables_that_were_contracted(fx: &Fixture) {
    let added = "alter table jobs.jobs add column later text";
    if !newer(fx, "contract 9998 drop what was old", added).await {
        return fx.store.schema().await.unwrap().check().unwrap();
    }
    let third = fx.handle().await;
    let refused = third.schema().await.unwrap().check().unwrap_err();
    let told = "the schema is at version 9999 but this program needs 9998: a newer program has taken \
                away what this one needs; run the newer version";
    assert_eq!(refused.to_string(), told);
    let refused = third.migrate().await.unwrap_err();
    assert!(
        matches!(
            refused,
            Error::Schema {
                found: 9999,
                needed: 9998,
                ..
            }
        ),
        "{refused}"
    );
}

pub(crate) async fn a_newer_program_says_which_migrations_are_missing(fx: &Fixture) {
    let whole = fx.store.schema().await.unwrap();
    whole.check().unwrap();
    if !newer(
        fx,
        "not there for long",
        "delete from {t} where version = 2 or version = 9999",
    )
    .await
    {
        return assert_eq!((whole.found, whole.needed), (1, 1));
    }
    let schema = fx.store.schema().await.unwrap();
    assert_eq!(schema.missing, ["0002_control"]);
    let refused = schema.check().unwrap_err();
    assert!(
        refused.to_string().contains("run the migration first"),
        "{refused}"
    );
}
