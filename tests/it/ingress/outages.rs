use std::collections::HashMap;
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use metachat_jobs::services::broker::Publication;

use super::proxy::Proxy;
use super::rig::{PATIENCE, broker, external_id, on_postgres, server, text, until};

const MESSAGES: usize = 400;
const PEOPLE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_double_and_reorder_nothing() {
    on_postgres(async |rig| {
        let proxy = Proxy::to(&server()).await;
        let running = rig.start_with(broker(&proxy.url));
        let mut cuts = 0;
        for n in 0..MESSAGES {
            let message = text(&format!("m-{n:04}"), &format!("u{}", n % PEOPLE), "hello");
            rig.send(&message).await;
            if n % 40 == 20 {
                until("some came through", async || {
                    rig.jobs().await.len() + 30 > n
                })
                .await;
                cuts += proxy.cut();
            }
        }
        until("all came through", async || {
            rig.jobs().await.len() >= MESSAGES
        })
        .await;
        until("all acknowledged", async || {
            rig.depth(&rig.queue()).await.0 == 0
        })
        .await;
        running.stop().await;
        assert_eq!(rig.depth(&rig.queue()).await.0, 0, "nothing comes back");
        assert!(cuts >= 5, "only {cuts} connections were there to be cut");
        let mut by_person: HashMap<String, Vec<String>> = HashMap::new();
        for job in rig.jobs().await {
            let line = job.ordering_key.clone().unwrap();
            by_person.entry(line).or_default().push(external_id(&job));
        }
        assert_eq!(by_person.len(), PEOPLE);
        for (person, ids) in by_person {
            assert_eq!(ids.len(), MESSAGES / PEOPLE, "{person}");
            assert!(ids.is_sorted(), "{person}: {ids:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_stands_by_and_takes_over() {
    on_postgres(async |rig| {
        let first = rig.start();
        rig.send(&text("m-1", "u", "hello")).await;
        until("the first takes it", async || rig.jobs().await.len() == 1).await;
        let second = rig.start_with(broker(&server()));
        let lock = format!("lock-{}", rig.tenant);
        for n in 2..50 {
            rig.send(&text(&format!("m-{n}"), "u", "hello")).await;
        }
        assert_eq!(rig.depth_of(&lock).await, Some(1), "one of them takes in");
        assert_eq!(rig.depth(&rig.queue()).await.1, 1);
        first.stop().await;
        rig.send(&text("m-50", "u", "hello")).await;
        until("the second goes on", async || rig.jobs().await.len() == 50).await;
        let ids: Vec<String> = rig.jobs().await.iter().map(external_id).collect();
        let expected: Vec<String> = (1..=50).map(|n| format!("m-{n}")).collect();
        assert_eq!(ids, expected);
        second.stop().await;
    })
    .await;
}

/// As the node is that has the queue which shows who takes messages in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_takes_in_though_the_sign_of_it_cannot_be_shown() {
    on_postgres(async |rig| {
        let lock = format!("lock-{}", rig.tenant);
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(7));
        let options = QueueDeclareOptions::durable();
        let otherwise = rig
            .amqp
            .queue_declare(lock.as_str().into(), options, arguments);
        otherwise.await.unwrap();
        let first = rig.start();
        rig.send(&text("m-1", "u", "hello")).await;
        until("the first takes it", async || rig.jobs().await.len() == 1).await;
        let second = rig.start_with(broker(&server()));
        for n in 2..20 {
            rig.send(&text(&format!("m-{n}"), "u", "hello")).await;
        }
        until("one takes them", async || rig.jobs().await.len() == 19).await;
        assert_eq!(rig.depth(&rig.queue()).await.1, 1, "one reader");
        first.stop().await;
        rig.send(&text("m-20", "u", "hello")).await;
        until("the second goes on", async || rig.jobs().await.len() == 20).await;
        second.stop().await;
    })
    .await;
}

/// A database that hears and says nothing, as behind a network that drops what is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intake_whose_database_is_silent_stops_when_it_is_told_to() {
    on_postgres(async |rig| {
        let running = rig.start();
        rig.send(&text("m-1", "u", "hello")).await;
        until("it runs", async || rig.jobs().await.len() == 1).await;
        let mut tx = rig.platform.begin(&rig.tenant).await.unwrap();
        let locks =
            sqlx::raw_sql("lock table tenants, channels, jobs.jobs in access exclusive mode");
        locks.execute(tx.postgres().unwrap()).await.unwrap();
        rig.send(&text("m-2", "u", "hello")).await;
        until("it was received", async || {
            rig.depth(&rig.queue()).await.0 == 0
        })
        .await;
        let began = std::time::Instant::now();
        running.stop().await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(9), "{took:?}");
        tx.rollback().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_is_told_at_once_and_used_again_when_it_is_back() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let broker_url = server();
    let (credentials, rest) = broker_url.rsplit_once('@').unwrap();
    let (upstream, vhost) = rest.split_once('/').unwrap();
    let broker = broker(&format!("{credentials}@{address}/{vhost}"));
    let publication = Publication::json("", "nobody", b"{}");
    let error = broker.publish(&publication).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(!error.to_string().contains("guest"), "{error}");
    // Asked again at once, it knows.
    let error = broker.publish(&publication).await.unwrap_err();
    assert!(error.retry_after().is_some(), "{error}");

    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let upstream = upstream.to_owned();
    let carrying = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = tokio::net::TcpStream::connect(upstream).await.unwrap();
        drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
    });
    let mut pulse = tokio::time::interval(Duration::from_millis(20));
    let again = async {
        while broker.publish(&publication).await.is_err() {
            pulse.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, again)
        .await
        .expect("it did not come back");
    carrying.abort();
}
