//! Values as they are stored, and how they get another form.

use windlass::model::{Finish, Recorded};
use windlass::store::{AtRest, Rewrite, Walk};
use windlass::{JobId, Json};

use crate::fixture::{Fixture, job, job_with};

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn none(id: JobId) -> Rewrite {
    Rewrite {
        id,
        args: None,
        result: None,
        checkpoint: None,
    }
}

async fn walk(fx: &Fixture, after: Option<JobId>, limit: u32, finished: bool) -> Vec<AtRest> {
    let walk = Walk {
        after,
        limit,
        finished,
    };
    fx.store.walk(walk).await.unwrap()
}

pub(crate) async fn a_walk_meets_every_job_once_by_id(fx: &Fixture) {
    let jobs = fx.one_in_each_state().await;
    for finished in [false, true] {
        let asked = jobs
            .iter()
            .filter(|(state, _)| finished || !state.is_finished());
        let mut expected: Vec<JobId> = asked.map(|(_, id)| *id).collect();
        expected.sort_unstable();
        let mut met = Vec::new();
        loop {
            let page = walk(fx, met.last().copied(), 2, finished).await;
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 2);
            met.extend(page.iter().map(|row| row.id));
        }
        met.retain(|id| expected.contains(id));
        assert_eq!(met, expected);
    }
}

pub(crate) async fn a_walk_tells_only_what_is_in_an_envelope(fx: &Fixture) {
    let sealed = json(r#"{"$sealed":{"v":1}}"#);
    let plain = job_with(|job| job.args = json(r#"{"a":"\u0000 {\"$"}"#));
    let other = job_with(|job| {
        job.args = sealed.clone();
        job.tenant_id = Some("acme".into());
    });
    let (plain, other) = (fx.add(plain).await, fx.add(other).await);
    let told = walk(fx, None, 10, true).await;
    let told: Vec<_> = told
        .iter()
        .map(|row| (row.id, row.tenant_id.as_deref(), row.args.as_ref()))
        .collect();
    assert_eq!(
        told,
        [(plain, None, None), (other, Some("acme"), Some(&sealed))]
    );
}

pub(crate) async fn a_value_is_rewritten_only_if_it_is_as_it_was(fx: &Fixture) {
    let (before, after) = (
        json(r#"{"$sealed":{"v":1}}"#),
        json(r#"{"$sealed": {"v":2}}"#),
    );
    let id = fx.add(job_with(|job| job.args = before.clone())).await;
    let record = fx.get(id).await;
    let wrong = Rewrite {
        args: Some((after.clone(), before.clone())),
        ..none(id)
    };
    let right = Rewrite {
        args: Some((before, after.clone())),
        ..none(id)
    };
    let unknown = Rewrite {
        id: JobId::new(),
        ..right.clone()
    };
    let done = fx
        .store
        .rewrite(&[wrong, unknown, right.clone(), right])
        .await;
    assert_eq!(done.unwrap(), [false, false, true, false]);
    let mut expected = record;
    expected.args = after;
    assert_eq!(fx.get(id).await, expected, "and nothing else has changed");
    assert_eq!(fx.store.rewrite(&[]).await.unwrap(), Vec::<bool>::new());
}

pub(crate) async fn a_running_job_keeps_its_lease(fx: &Fixture) {
    fx.add(job()).await;
    let claimed = fx.claim_one().await;
    let (old, new) = (
        json(r#"{"$sealed":{"v":1}}"#),
        json(r#"{"$sealed":{"v":2}}"#),
    );
    let noted = fx.store.checkpoint(claimed.lease(), &old).await.unwrap();
    assert_eq!(noted, Recorded::Yes);
    assert_eq!(
        walk(fx, None, 10, false).await[0].checkpoint,
        Some(old.clone())
    );
    let both = Rewrite {
        args: Some((claimed.args.clone(), new.clone())),
        checkpoint: Some((old, new.clone())),
        ..none(claimed.id)
    };
    assert_eq!(fx.store.rewrite(&[both]).await.unwrap(), [true]);
    assert_eq!(
        fx.finish(Finish::release(claimed.lease())).await,
        Recorded::Yes
    );
    let again = fx.claim_one().await;
    assert_eq!((again.args, again.checkpoint), (new.clone(), Some(new)));
}

pub(crate) async fn what_has_finished_is_rewritten_where_it_lies(fx: &Fixture) {
    let (old, new) = (
        json(r#"{"$sealed":{"v":1}}"#),
        json(r#"{"$sealed":{"v":2}}"#),
    );
    let id = fx.add(job_with(|job| job.args = old.clone())).await;
    let lease = fx.claim_one().await.lease();
    let finish = Finish::complete(lease, Some(old.clone()));
    assert_eq!(fx.finish(finish).await, Recorded::Yes);
    assert!(walk(fx, None, 10, false).await.is_empty());
    let row = &walk(fx, None, 10, true).await[0];
    assert_eq!(
        (&row.args, &row.result),
        (&Some(old.clone()), &Some(old.clone()))
    );
    let change = Some((old, new.clone()));
    let rewrite = Rewrite {
        args: change.clone(),
        result: change,
        ..none(id)
    };
    let before = fx.get(id).await;
    assert_eq!(fx.store.rewrite(&[rewrite]).await.unwrap(), [true]);
    let after = fx.get(id).await;
    assert_eq!((&after.args, &after.result), (&new, &Some(new.clone())));
    assert_eq!(
        (after.state, after.finished_at),
        (before.state, before.finished_at)
    );
}
