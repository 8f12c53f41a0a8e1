//! The one replicated queue of installations without a Node worker, on a broker and with workers that
//! are killed: each message is answered once, and what nobody can answer is set aside.

use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use metachat_jobs::records::{QuarantineFilter, Records};
use metachat_jobs::services::broker::topology;
use serde_json::json;
use windlass::State;
use windlass::model::{Filter, Page};

use super::database::{Database, TENANT};
use super::process::Process;
use super::rabbitmq::RabbitMq;

const PATIENCE: Duration = Duration::from_mins(2);
const MESSAGES: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quorum_queue_loses_and_doubles_nothing_when_broker_and_worker_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::sqlite(folder.path()).await;
    let mut rabbitmq = RabbitMq::start().await;
    let url = rabbitmq.url();
    let settings = [
        ("database.url", database.url.as_str()),
        ("security.admin_key", "a-key-for-this-test-only"),
        ("server.port", "0"),
        ("engine.lease_ms", "2000"),
        ("rabbitmq.url", url.as_str()),
        ("rabbitmq.topology", "quorum"),
        ("rabbitmq.reconnect_max_ms", "500"),
    ];
    let start = || Process::start("all", folder.path(), &settings);
    let mut worker = start();
    let connection = connected(&url).await;
    is_quorum(&connection).await;
    // An operator's restart. RabbitMQ writes the name of a new replica down a second late, and one
    // killed before that never elects a leader again: what is killed below is a queue on disk.
    rabbitmq.stop();
    rabbitmq.up().await;
    let connection = connected(&url).await;

    let third = MESSAGES / 3;
    publish(&connection, 0..third).await;
    answered(&database, third / 2).await;
    worker.kill();
    worker = start();
    publish(&connection, third..2 * third).await;
    answered(&database, third + third / 2).await;
    rabbitmq.kill();
    rabbitmq.up().await;
    let connection = connected(&url).await;
    publish(&connection, 2 * third..MESSAGES).await;
    answered(&database, MESSAGES).await;

    // Once each, whatever came twice.
    let mut ids: Vec<String> = jobs(&database)
        .await
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    ids.sort_unstable();
    let mut expected: Vec<String> = (0..MESSAGES).map(|n| format!("m{n}")).collect();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    // Nobody by that name: the others go on.
    let records = Records::new(database.db.clone());
    let filter = QuarantineFilter {
        limit: 10,
        ..QuarantineFilter::default()
    };
    let set_aside = records.list_quarantined(&filter).await.unwrap();
    assert_eq!(set_aside.len(), 3, "{set_aside:?}");
    assert!(
        set_aside
            .iter()
            .all(|it| it.reason.contains("no such tenant")),
        "{set_aside:?}"
    );
    worker.signal("TERM");
    assert!(worker.wait().success(), "{}", worker.log());
    connection.close(200, "done".into()).await.unwrap();
}

async fn connected(url: &str) -> Connection {
    let properties = ConnectionProperties::default();
    Connection::connect(url, properties).await.unwrap()
}

/// It is there, and declared in any other way it is refused: the broker replicates it.
async fn is_quorum(connection: &Connection) {
    let mut pulse = tokio::time::interval(Duration::from_millis(50));
    let there = async {
        loop {
            pulse.tick().await;
            // A question about what is not there closes the channel it is asked on.
            let channel = connection.create_channel().await.unwrap();
            if topology::existing(&channel, topology::QUORUM).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, there)
        .await
        .expect("no queue");
    let channel = connection.create_channel().await.unwrap();
    // In every other respect as it is.
    let mut arguments = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    let dead_key = topology::dead_letter_key(topology::QUORUM);
    arguments.insert(
        "x-dead-letter-exchange".into(),
        text(topology::DEAD_LETTERS),
    );
    arguments.insert("x-dead-letter-routing-key".into(), text(&dead_key));
    let options = QueueDeclareOptions::durable();
    let classic = channel.queue_declare(topology::QUORUM.into(), options, arguments);
    let refused = classic.await.unwrap_err().to_string();
    assert!(
        refused.contains("x-queue-type") && refused.contains("quorum"),
        "{refused}"
    );
}

/// Messages of a tenant's customers, and one of nobody's, each confirmed by the broker.
async fn publish(connection: &Connection, numbers: std::ops::Range<usize>) {
    let channel = connection.create_channel().await.unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    send(&channel, "nobody", numbers.start).await;
    for n in numbers {
        send(&channel, TENANT, n).await;
    }
}

async fn send(channel: &Channel, tenant: &str, n: usize) {
    let key = topology::key(tenant, "webchat", topology::Direction::Inbound);
    let id = format!("m{n}");
    let body = json!({
        "id": id, "externalId": id, "from": format!("user{}", n % 7), "type": "text",
        "content": {"text": "hello"},
    })
    .to_string();
    // The queue is there before it is bound: what no queue would get comes back, and goes again.
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let mut pulse = tokio::time::interval(Duration::from_millis(50));
    let routed = async {
        loop {
            let sent = channel.basic_publish(
                topology::ORCHESTRATOR.into(),
                key.as_str().into(),
                options,
                body.as_bytes(),
                BasicProperties::default().with_delivery_mode(2),
            );
            match sent.await.unwrap().await.unwrap() {
                Confirmation::Ack(None) => return,
                Confirmation::Ack(Some(_)) => pulse.tick().await,
                refused => panic!("{refused:?}"),
            };
        }
    };
    tokio::time::timeout(PATIENCE, routed)
        .await
        .expect("no queue is bound");
}

/// External ids of the messages taken in, and whether each is answered.
async fn jobs(database: &Database) -> Vec<(String, bool)> {
    let filter = Filter {
        kind: Some("process_message".to_owned()),
        ..Filter::default()
    };
    let page = Page {
        limit: 1000,
        ..Page::default()
    };
    let jobs = database.client.list(&filter, page).await.unwrap();
    let id = |job: &windlass::JobRecord| {
        let args: serde_json::Value = job.args.decode().unwrap();
        args["message"]["id"].as_str().unwrap().to_owned()
    };
    jobs.iter()
        .map(|job| (id(job), job.state == State::Completed))
        .collect()
}

async fn answered(database: &Database, count: usize) {
    let mut pulse = tokio::time::interval(Duration::from_millis(50));
    let wait = async {
        while jobs(database)
            .await
            .iter()
            .filter(|(_, done)| *done)
            .count()
            < count
        {
            pulse.tick().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(
        waited.is_ok(),
        "{count} were not answered: {:?}",
        jobs(database).await
    );
}
