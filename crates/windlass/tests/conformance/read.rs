//! What is read is what is stored, as of now, and only one's own.

use std::time::Duration;

use windlass::model::{
    Cursor, Filter, Finish, JobId, MAX_ENQUEUE, Page, QueueStats, RunAt, State, Verdict,
};
use windlass::{JobRecord, NewJob};

use crate::fixture::{Fixture, job, job_with};

const HOUR: Duration = Duration::from_hours(1);

async fn page(fx: &Fixture, filter: &Filter, after: Option<JobId>, limit: u32) -> Vec<JobRecord> {
    let page = Page {
        after: after.map(Cursor),
        limit,
    };
    fx.store
        .list(filter, page, Some(fx.now()))
        .await
        .unwrap()
        .jobs
}

async fn listed(fx: &Fixture, filter: Filter) -> Vec<JobId> {
    let jobs = page(fx, &filter, None, 1000).await;
    jobs.iter().map(|job| job.id).collect()
}

/// Follows the pages to the end; something happens between them.
async fn walk(fx: &Fixture, limit: u32, between: impl AsyncFn()) -> Vec<JobId> {
    let mut seen: Vec<JobId> = Vec::new();
    loop {
        let jobs = page(fx, &Filter::default(), seen.last().copied(), limit).await;
        if jobs.is_empty() {
            return seen;
        }
        seen.extend(jobs.iter().map(|job| job.id));
        between().await;
    }
}

pub(crate) async fn an_unknown_job_is_none(fx: &Fixture) {
    let now = Some(fx.now());
    assert_eq!(fx.store.get(job().id, None, now).await.unwrap(), None);
}

pub(crate) async fn nobody_sees_another_tenants_job(fx: &Fixture) {
    let now = Some(fx.now());
    for state in [State::Available, State::Completed] {
        for owner in [Some("acme"), None] {
            let queue = format!("{state}-{owner:?}").replace(['"', '(', ')'], "_");
            let job = job_with(|job| {
                job.tenant_id = owner.map(str::to_owned);
                job.queue.clone_from(&queue);
            });
            let id = fx.add(job).await;
            if state.is_finished() {
                let claimed = fx.claim_from(&queue, 1).await;
                fx.complete(claimed[0].lease()).await;
            }
            for stranger in ["other", "ACME", "%"] {
                let seen = fx.store.get(id, Some(stranger), now).await.unwrap();
                assert_eq!(seen, None);
                let tenant_id = Some(stranger.to_owned());
                let filter = Filter {
                    tenant_id,
                    ..Filter::default()
                };
                assert_eq!(listed(fx, filter).await, []);
            }
            if owner.is_some() {
                assert!(fx.store.get(id, owner, now).await.unwrap().is_some());
            }
        }
    }
}

pub(crate) async fn get_and_list_tell_the_same(fx: &Fixture) {
    let jobs = fx.one_in_each_state().await;
    for (state, id) in jobs {
        let filter = Filter {
            states: vec![state],
            queue: Some(state.as_str().to_owned()),
            ..Filter::default()
        };
        let listed = page(fx, &filter, None, 10).await;
        assert_eq!(listed, [fx.get(id).await], "{state}");
    }
}

pub(crate) async fn lists_the_newest_first_finished_or_not(fx: &Fixture) {
    let mut expected = Vec::new();
    for state in [
        State::Completed,
        State::Scheduled,
        State::Dead,
        State::Available,
        State::Completed,
        State::Running,
    ] {
        expected.push(fx.one_in(state).await);
    }
    expected.reverse();
    assert_eq!(listed(fx, Filter::default()).await, expected);
}

pub(crate) async fn filters_by_the_state_as_of_now(fx: &Fixture) {
    let due = fx.add(job()).await;
    let scheduled = fx.one_in(State::Scheduled).await;
    let retryable = fx.one_in(State::Retryable).await;
    let with = |states: &[State]| Filter {
        states: states.to_vec(),
        ..Filter::default()
    };
    assert_eq!(listed(fx, with(&[State::Available])).await, [due]);
    assert_eq!(listed(fx, with(&[State::Scheduled])).await, [scheduled]);
    assert_eq!(listed(fx, with(&[State::Retryable])).await, [retryable]);
    fx.advance(HOUR);
    assert_eq!(
        listed(fx, with(&[State::Available])).await,
        [retryable, scheduled, due]
    );
    assert_eq!(listed(fx, with(&[State::Scheduled])).await, []);
    assert_eq!(listed(fx, with(&[State::Retryable])).await, []);
    for job in page(fx, &with(&[State::Available]), None, 10).await {
        assert_eq!(job.state, State::Available);
    }
}

pub(crate) async fn filters_by_several_states(fx: &Fixture) {
    let jobs = fx.one_in_each_state().await;
    let id_of = |wanted: State| jobs.iter().find(|(state, _)| *state == wanted).unwrap().1;
    let filter = Filter {
        states: vec![State::Dead, State::Running, State::Waiting],
        ..Filter::default()
    };
    let mut expected = [State::Running, State::Waiting, State::Dead].map(id_of);
    expected.sort_unstable();
    expected.reverse();
    assert_eq!(listed(fx, filter).await, expected);
}

pub(crate) async fn what_is_rare_is_found_however_many_are_newer(fx: &Fixture) {
    const NEWER: usize = 101_000;
    let rare = |job: &mut NewJob| {
        job.kind = "rare".into();
        job.tenant_id = Some("acme".into());
    };
    let oldest = fx.add(job_with(rare)).await;
    let mut left = NEWER;
    while left > 0 {
        let batch = left.min(MAX_ENQUEUE);
        let jobs: Vec<NewJob> = (0..batch)
            .map(|_| job_with(|job| job.tenant_id = Some("acme".into())))
            .collect();
        fx.store.enqueue(&jobs, Some(fx.now())).await.unwrap();
        left -= batch;
    }
    let newest = fx.add(job_with(rare)).await;
    let kind = Filter {
        kind: Some("rare".into()),
        ..Filter::default()
    };
    let of_tenant = Filter {
        tenant_id: Some("acme".into()),
        ..kind.clone()
    };
    for filter in [kind, of_tenant] {
        let (mut listed, mut matched) = (Vec::new(), Vec::new());
        let mut page = Page::default();
        let mut steps = 0;
        loop {
            let found = fx.store.list(&filter, page, Some(fx.now())).await.unwrap();
            listed.extend(found.jobs.iter().map(|job| job.id));
            let same = fx
                .store
                .matching(&filter, page, Some(fx.now()))
                .await
                .unwrap();
            matched.extend(same.jobs.iter().map(|job| job.id));
            assert_eq!(same.next, found.next);
            page.after = found.next;
            steps += 1;
            if page.after.is_none() {
                break;
            }
        }
        assert_eq!(listed, [newest, oldest], "{filter:?}");
        assert_eq!(matched, listed);
        assert!(steps <= 2, "{steps}");
    }
}

pub(crate) async fn filters_by_each_field(fx: &Fixture) {
    let plain = fx.add(job()).await;
    let special = job_with(|job| {
        job.kind = "special".into();
        job.queue = "special".into();
        job.tenant_id = Some("special".into());
        job.correlation_id = Some("special".into());
        job.tags = vec!["other".into(), "special".into()];
    });
    let special = fx.add(special).await;
    let word = Some("special".to_owned());
    let none = Filter::default;
    for filter in [
        Filter {
            kind: word.clone(),
            ..none()
        },
        Filter {
            queue: word.clone(),
            ..none()
        },
        Filter {
            tenant_id: word.clone(),
            ..none()
        },
        Filter {
            correlation_id: word.clone(),
            ..none()
        },
        Filter {
            tag: word.clone(),
            ..none()
        },
        Filter {
            states: vec![State::Available],
            kind: word.clone(),
            queue: word.clone(),
            tenant_id: word.clone(),
            correlation_id: word.clone(),
            tag: word,
        },
    ] {
        assert_eq!(listed(fx, filter.clone()).await, [special], "{filter:?}");
    }
    assert_eq!(listed(fx, none()).await, [special, plain]);
}

pub(crate) async fn all_that_is_set_must_match(fx: &Fixture) {
    let job = job_with(|job| {
        job.kind = "a".into();
        job.queue = "b".into();
    });
    fx.add(job).await;
    let filter = Filter {
        kind: Some("a".into()),
        queue: Some("a".into()),
        ..Filter::default()
    };
    assert_eq!(listed(fx, filter).await, []);
}

pub(crate) async fn filters_find_finished_jobs(fx: &Fixture) {
    let special = job_with(|job| {
        job.queue = "special".into();
        job.tags = vec!["special".into()];
        job.correlation_id = Some("special".into());
    });
    let id = fx.add(special).await;
    fx.one_in(State::Completed).await;
    let claimed = fx.claim_from("special", 1).await;
    fx.complete(claimed[0].lease()).await;
    let none = Filter::default;
    for filter in [
        Filter {
            tag: Some("special".into()),
            ..none()
        },
        Filter {
            correlation_id: Some("special".into()),
            ..none()
        },
        Filter {
            queue: Some("special".into()),
            states: vec![State::Completed],
            ..none()
        },
    ] {
        assert_eq!(listed(fx, filter).await, [id]);
    }
}

pub(crate) async fn words_are_matched_whole_and_to_the_letter(fx: &Fixture) {
    let job = job_with(|job| {
        job.tags = vec!["ab".into(), "c\"d".into()];
        job.correlation_id = Some("x_y".into());
    });
    let id = fx.add(job).await;
    for (tag, found) in [
        ("ab", true),
        ("c\"d", true),
        ("a", false),
        ("AB", false),
        ("a%", false),
        ("ab\",\"c", false),
        ("' or 1=1 --", false),
    ] {
        let tag = Some(tag.to_owned());
        let filter = Filter {
            tag,
            ..Filter::default()
        };
        let expected = if found { vec![id] } else { vec![] };
        assert_eq!(listed(fx, filter.clone()).await, expected, "{filter:?}");
    }
    for other in ["xzy", "x%", "X_Y"] {
        let correlation_id = Some(other.to_owned());
        let filter = Filter {
            correlation_id,
            ..Filter::default()
        };
        assert_eq!(listed(fx, filter).await, [], "{other}");
    }
}

pub(crate) async fn pages_add_up_to_the_whole(fx: &Fixture) {
    let mut expected = Vec::new();
    for n in 0..23 {
        let state = State::ALL[n % State::ALL.len()];
        expected.push(fx.one_in(state).await);
    }
    let all = listed(fx, Filter::default()).await;
    expected.reverse();
    let mine: Vec<_> = all.iter().filter(|id| expected.contains(id)).collect();
    assert_eq!(mine, expected.iter().collect::<Vec<_>>());
    for limit in [1, 2, 7, 100] {
        assert_eq!(walk(fx, limit, async || ()).await, all);
    }
}

pub(crate) async fn pages_hold_still_while_jobs_arrive(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..10).map(|_| job()).collect();
    fx.enqueue(&jobs).await;
    let seen = walk(fx, 3, async || {
        fx.add(job()).await;
    })
    .await;
    let mut expected: Vec<_> = jobs.iter().map(|job| job.id).collect();
    expected.reverse();
    assert_eq!(seen, expected);
}

pub(crate) async fn pages_lose_no_job_that_finishes_meanwhile(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..12).map(|_| job()).collect();
    fx.enqueue(&jobs).await;
    let seen = walk(fx, 2, async || {
        let finishes: Vec<_> = fx
            .claim(2)
            .await
            .iter()
            .map(|job| Finish::complete(job.lease(), None))
            .collect();
        fx.finish_all(&finishes).await;
    })
    .await;
    let mut expected: Vec<_> = jobs.iter().map(|job| job.id).collect();
    expected.reverse();
    assert_eq!(seen, expected);
}

pub(crate) async fn a_page_has_one_to_a_thousand_jobs(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..1005).map(|_| job()).collect();
    fx.enqueue(&jobs).await;
    for (limit, got) in [(0, 1), (1, 1), (1000, 1000), (1001, 1000), (u32::MAX, 1000)] {
        let jobs = page(fx, &Filter::default(), None, limit).await;
        assert_eq!(jobs.len(), got, "limit {limit}");
    }
}

pub(crate) async fn a_cursor_need_not_name_a_job_that_is_there(fx: &Fixture) {
    let first = fx.add(job()).await;
    let never_enqueued = job().id;
    let last = fx.add(job()).await;
    let after = page(fx, &Filter::default(), Some(never_enqueued), 10).await;
    assert_eq!(after.iter().map(|job| job.id).collect::<Vec<_>>(), [first]);
    let after = page(fx, &Filter::default(), Some(first), 10).await;
    assert_eq!(after, []);
    let after = page(fx, &Filter::default(), Some(last), 10).await;
    assert_eq!(after.len(), 1);
}

fn stats(queue: &str) -> QueueStats {
    QueueStats {
        queue: queue.to_owned(),
        available: 0,
        scheduled: 0,
        retryable: 0,
        waiting: 0,
        running: 0,
        capped: false,
        oldest_available_at: None,
    }
}

pub(crate) async fn queues_tell_how_each_stands(fx: &Fixture) {
    let first_in_line = "first in line";
    fx.one_in_each_state().await;
    let start = fx.now();
    let now = Some(start);
    let queues = fx.store.queues(now).await.unwrap();
    let expected = [
        QueueStats {
            available: 1,
            oldest_available_at: now,
            ..stats("available")
        },
        QueueStats {
            scheduled: 1,
            ..stats(first_in_line)
        },
        QueueStats {
            retryable: 1,
            ..stats("retryable")
        },
        QueueStats {
            running: 1,
            ..stats("running")
        },
        QueueStats {
            scheduled: 1,
            ..stats("scheduled")
        },
        QueueStats {
            waiting: 1,
            ..stats("waiting")
        },
    ];
    assert_eq!(queues, expected);

    fx.advance(HOUR * 2);
    let queues = fx.store.queues(Some(fx.now())).await.unwrap();
    let retryable = queues.iter().find(|q| q.queue == "retryable").unwrap();
    assert_eq!((retryable.available, retryable.retryable), (1, 0));
    assert_eq!(retryable.oldest_available_at, Some(start + HOUR));
}

pub(crate) async fn queues_tell_the_oldest_due_job(fx: &Fixture) {
    for minutes in [30, 10, 20, 90] {
        let run_at = RunAt::In(Duration::from_mins(minutes));
        fx.add(job_with(|job| job.run_at = run_at)).await;
    }
    let oldest = fx.now() + Duration::from_mins(10);
    fx.advance(HOUR);
    let queues = fx.store.queues(Some(fx.now())).await.unwrap();
    let expected = QueueStats {
        available: 3,
        scheduled: 1,
        oldest_available_at: Some(oldest),
        ..stats("default")
    };
    assert_eq!(queues, [expected]);
}

pub(crate) async fn queues_without_unfinished_jobs_are_not_told(fx: &Fixture) {
    assert_eq!(fx.store.queues(Some(fx.now())).await.unwrap(), []);
    for state in [State::Completed, State::Cancelled, State::Dead] {
        fx.one_in(state).await;
    }
    fx.add(job()).await;
    let lease = fx.claim_one().await.lease();
    fx.end(lease, Verdict::Dead).await;
    assert_eq!(fx.store.queues(Some(fx.now())).await.unwrap(), []);
}
