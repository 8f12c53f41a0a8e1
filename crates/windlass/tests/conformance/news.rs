//! What has finished is found once, in order, by whoever looks.

use std::time::Duration;

use windlass::model::State;
use windlass::store::{Finished, Since};
use windlass::{JobId, Timestamp};

use crate::fixture::{Fixture, job_with};

async fn look(fx: &Fixture, at: Timestamp, after: Option<JobId>, limit: u32) -> Vec<Finished> {
    let since = Since { at, after, limit };
    fx.store.finished_since(since).await.unwrap()
}

pub(crate) async fn tells_what_finished_and_nothing_else(fx: &Fixture) {
    let began = fx.now();
    let jobs = fx.one_in_each_state().await;
    let ended = jobs.iter().filter(|(state, _)| state.is_finished());
    let mut expected: Vec<(JobId, State)> = ended.map(|(state, id)| (*id, *state)).collect();
    let found = look(fx, began, None, 1000).await;
    let mut told: Vec<_> = found.iter().map(|job| (job.id, job.state)).collect();
    told.retain(|(id, _)| expected.iter().any(|(expected, _)| expected == id));
    told.sort_unstable_by_key(|(id, _)| *id);
    expected.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(told, expected);
    assert!(found.iter().all(|job| job.state.is_finished()));
    let later = fx.now() + Duration::from_hours(24);
    assert_eq!(look(fx, later, None, 1000).await, []);
}

pub(crate) async fn pages_meet_each_job_once_in_the_order_they_finished(fx: &Fixture) {
    let began = fx.now();
    let mut expected = Vec::new();
    for turn in 0..3 {
        let job = |job: &mut windlass::NewJob| job.tenant_id = Some(format!("t{turn}"));
        let mut ids = [fx.add(job_with(job)).await, fx.add(job_with(job)).await];
        // Two at the same microsecond: then the id decides.
        ids.sort_unstable();
        for claimed in fx.claim(2).await {
            fx.complete(claimed.lease()).await;
        }
        expected.extend(ids);
        fx.advance(Duration::from_micros(1));
    }
    for limit in [1, 2, 5] {
        let mut met: Vec<Finished> = Vec::new();
        loop {
            let from = met.last().map_or(began, |job| job.finished_at);
            let page = look(fx, from, met.last().map(|job| job.id), limit).await;
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            met.extend(page);
        }
        let ids: Vec<_> = met.iter().map(|job| job.id).collect();
        assert_eq!(ids, expected);
        let fields = |job: &Finished| (job.tenant_id.clone(), job.attempt, job.state);
        assert_eq!(fields(&met[2]), (Some("t1".into()), 1, State::Completed));
    }
}
