use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use apalis_redis::{Config, RedisStorage};
use metachat_jobs::import::redis::Redis;
use redis::AsyncCommands;
use uuid::Uuid;
use windlass::State;

use super::{Here, Mail, mail};

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told where their server is"
)]
pub(crate) fn server() -> String {
    std::env::var("TEST_REDIS_URL")
        .expect("TEST_REDIS_URL is not set: run eval \"$(scripts/services env)\"")
}

/// A stock queue of its own.
pub(super) struct Stock {
    pub(super) queue: String,
    connection: redis::aio::ConnectionManager,
}

impl Stock {
    pub(super) async fn new() -> Self {
        Self {
            queue: format!("mails-{}", Uuid::new_v4().simple()),
            connection: apalis_redis::connect(server()).await.unwrap(),
        }
    }

    pub(super) fn storage<T>(&self) -> RedisStorage<T> {
        let config = Config::default().queue(&self.queue);
        RedisStorage::new(self.connection.clone()).with_config(config)
    }

    pub(super) fn source(&self, running: bool) -> Redis {
        Redis::open(&server(), std::slice::from_ref(&self.queue), running).unwrap()
    }

    pub(super) fn kinds(&self) -> metachat_jobs::import::Kinds {
        metachat_jobs::import::Kinds([(self.queue.clone(), "mail".to_owned())].into())
    }

    pub(super) async fn left(&self) -> usize {
        let mut connection = self.connection.clone();
        connection
            .hlen(format!("{}:data", self.queue))
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_stock_queue_is_moved() {
    let (here, stock) = (Here::new().await, Stock::new().await);
    let mut storage = stock.storage::<Mail>();
    storage
        .push_bulk((0..700).map(mail).collect())
        .await
        .unwrap();
    let later = TaskBuilder::new(mail(5000))
        .run_after(Duration::from_hours(1))
        .max_attempts(7)
        .idempotency_key("once")
        .build();
    storage.push_task(later).await.unwrap();
    stock
        .storage::<String>()
        .push("hunter2".to_owned())
        .await
        .unwrap();
    // Workers promote due jobs to a list, and hold them in a set of their own.
    let mut connection = stock.connection.clone();
    let queue = &stock.queue;
    let due: Vec<String> = connection
        .zpopmin::<_, Vec<(String, f64)>>(format!("{queue}:scheduled"), 20)
        .await
        .unwrap()
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    let () = connection
        .rpush(format!("{queue}:active"), &due[..10])
        .await
        .unwrap();
    let () = connection
        .sadd(format!("{queue}:inflight:w"), &due[10..])
        .await
        .unwrap();
    let () = connection
        .zadd(format!("{queue}:workers"), "w", 1)
        .await
        .unwrap();

    let mut told = |_: &_| {};
    let kinds = stock.kinds();
    let run = metachat_jobs::import::run;
    let report = run(
        &mut stock.source(false),
        &here.client,
        &kinds,
        false,
        &mut told,
    )
    .await
    .unwrap();
    assert_eq!(report.found, 692, "all but the ten that run");
    assert_eq!(
        (report.imported, report.left),
        (691, 1),
        "{:?}",
        report.named
    );
    assert!(!format!("{report:?}").contains("hunter2"));
    assert_eq!(stock.left().await, 11);
    let report = run(
        &mut stock.source(true),
        &here.client,
        &kinds,
        false,
        &mut told,
    )
    .await
    .unwrap();
    assert_eq!((report.imported, report.left), (10, 1));
    assert_eq!(stock.left().await, 1, "the strange one is where it was");
    let mails = here.mails().await;
    assert_eq!(mails.len(), 701);
    let later = &mails[&5000];
    assert_eq!((later.state, later.max_attempts), (State::Scheduled, 7));
    assert_eq!(later.unique_key.as_deref(), Some("once"));
    assert!(later.run_at.since(later.enqueued_at) > Duration::from_mins(58));
    let scheduled: usize = connection
        .zcard(format!("{queue}:scheduled"))
        .await
        .unwrap();
    assert_eq!(scheduled, 1);
}
