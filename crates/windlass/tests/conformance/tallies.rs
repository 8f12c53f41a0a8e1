//! What happened, counted per step of time.

use std::time::Duration;

use windlass::Timestamp;
use windlass::model::{Counted, CountedAt, Measure};
use windlass::store::{Grain, Tallied};

use crate::fixture::Fixture;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Ten seconds into a minute, and an hour, of its own.
fn start() -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 / 3_600_000_000 * 3_600_000_000 + 10_000_000)
}

fn counted(queue: &str, measure: Measure, n: u64) -> Counted {
    Counted {
        queue: queue.to_owned(),
        measure,
        n,
    }
}

async fn add(fx: &Fixture, at: Timestamp, counted: &[Counted]) {
    fx.store.tally(counted, Some(at)).await.unwrap();
}

async fn told(
    fx: &Fixture,
    grain: Grain,
    range: Duration,
    step: Duration,
    now: Timestamp,
) -> Vec<(u64, String, Measure, u64)> {
    let tallied = Tallied {
        grain,
        range,
        step,
        now: Some(now),
    };
    let told = fx.store.tallied(tallied).await.unwrap();
    let rows = told.into_iter().map(|CountedAt { at, counted }| {
        let since = at.since(start().minus(Duration::from_secs(10)));
        (since.as_secs(), counted.queue, counted.measure, counted.n)
    });
    rows.collect()
}

fn row(at: u64, queue: &str, measure: Measure, n: u64) -> (u64, String, Measure, u64) {
    (at, queue.to_owned(), measure, n)
}

pub(crate) async fn adds_up_within_a_minute_and_begins_anew_in_the_next(fx: &Fixture) {
    use Measure::{Completed, Enqueued, Waited};
    let t = start();
    add(fx, t, &[counted("mail", Enqueued, 2)]).await;
    let more = [
        counted("mail", Enqueued, 3),
        counted("mail", Waited(7), 1),
        counted("a \"queue\"\n", Completed, 1),
    ];
    add(fx, t + Duration::from_secs(49), &more).await;
    add(fx, t + Duration::from_secs(50), &more[..1]).await;
    add(fx, t, &[]).await;

    let now = t + MINUTE;
    assert_eq!(
        told(fx, Grain::Minute, HOUR, MINUTE, now).await,
        [
            row(0, "a \"queue\"\n", Completed, 1),
            row(0, "mail", Enqueued, 5),
            row(0, "mail", Waited(7), 1),
            row(60, "mail", Enqueued, 3),
        ]
    );
}

pub(crate) async fn tells_longer_steps_of_the_same(fx: &Fixture) {
    use Measure::{Dead, Failed};
    let t = start();
    for minute in 0..7 {
        let counts = [counted("mail", Failed, 1), counted("mail", Dead, 10)];
        add(fx, t + MINUTE * minute, &counts).await;
    }
    let now = t + MINUTE * 7;
    assert_eq!(
        told(fx, Grain::Minute, HOUR, MINUTE * 5, now).await,
        [
            row(0, "mail", Failed, 5),
            row(0, "mail", Dead, 50),
            row(300, "mail", Failed, 2),
            row(300, "mail", Dead, 20),
        ]
    );
    assert_eq!(
        told(fx, Grain::Hour, HOUR, HOUR, now).await,
        [row(0, "mail", Failed, 7), row(0, "mail", Dead, 70)]
    );
    // The step that had begun when the range begins is told whole.
    assert_eq!(
        told(fx, Grain::Minute, MINUTE * 6, MINUTE * 5, now).await[0],
        row(0, "mail", Failed, 5)
    );
    assert_eq!(
        told(fx, Grain::Minute, MINUTE * 2, MINUTE * 5, now).await[0],
        row(300, "mail", Failed, 2)
    );
}

pub(crate) async fn forgets_the_steps_of_one_grain(fx: &Fixture) {
    let t = start();
    add(fx, t, &[counted("mail", Measure::Completed, 1)]).await;
    add(fx, t + HOUR, &[counted("mail", Measure::Completed, 2)]).await;
    let now = t + HOUR + MINUTE;
    let prune = fx.store.prune_tallies(Grain::Minute, HOUR, Some(now));
    prune.await.unwrap();
    assert_eq!(
        told(fx, Grain::Minute, HOUR * 9, MINUTE, now).await,
        [row(3600, "mail", Measure::Completed, 2)]
    );
    assert_eq!(told(fx, Grain::Hour, HOUR * 9, HOUR, now).await.len(), 2);
}

pub(crate) async fn loses_nothing_that_many_count_at_once(fx: &Fixture) {
    let t = start();
    let adding = (0..20).map(|_| async {
        let counts = [
            counted("mail", Measure::Completed, 1),
            counted("default", Measure::Enqueued, 2),
        ];
        add(fx, t, &counts).await;
    });
    futures_util::future::join_all(adding).await;
    assert_eq!(
        told(fx, Grain::Hour, HOUR, HOUR, t).await,
        [
            row(0, "default", Measure::Enqueued, 40),
            row(0, "mail", Measure::Completed, 20),
        ]
    );
}
