use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{Context, Job, Outcome, Registry};

use super::*;
use crate::ingress::any_json::any_json;

fn fault(body: &Value) -> Fault {
    match unwrapped(body) {
        Ok(message) => misshapen(message),
        Err(fault) => fault,
    }
}

fn message() -> Value {
    json!({"id": "m", "from": "4915", "type": "text", "content": {"text": "hunter2"}})
}

#[test]
fn each_shape_has_its_own_words_and_none_of_the_bodys() {
    let with = |field: &str, value: Value| {
        let mut message = message();
        message[field] = value;
        message
    };
    let cases = [
        (json!("hunter2"), "body: is not an object"),
        (
            json!({"type": "hunter2", "message": {}}),
            "type: is not message.received",
        ),
        (json!({"message": ["hunter2"]}), "message: is not an object"),
        (
            with("from", json!(4_915_123)),
            "message.from: is not the text",
        ),
        (with("from", json!("")), "message.from: is not the text"),
        (with("type", json!("hunter2")), "message.type: is none of"),
        (
            with("content", json!("hunter2")),
            "message.content: is not an object",
        ),
        (
            with("externalId", json!(7)),
            "message.externalId: is not text",
        ),
    ];
    for (body, words) in cases {
        let told = fault(&body).to_string();
        assert!(told.starts_with(words), "{told}");
        assert!(
            !told.contains("hunter2") && !told.contains("4915"),
            "{told}"
        );
    }
}

#[test]
fn an_envelope_and_a_bare_message_are_the_same() {
    let envelope = json!({"type": "message.received", "message": message()});
    assert_eq!(unwrapped(&envelope), Ok(&message()));
    assert_eq!(unwrapped(&message()), Ok(&message()));
}

#[test]
fn what_correlates_is_found_in_the_order_of_the_doors() {
    let body = json!({"_metadata": {"correlationId": "in the body"}});
    let mut headers = Map::new();
    assert_eq!(
        correlation(&headers, &body, &Value::Null),
        Some("in the body")
    );
    headers.insert(PROPERTY.into(), "property".into());
    assert_eq!(correlation(&headers, &body, &Value::Null), Some("property"));
    headers.insert(CORRELATION_ID.as_str().into(), "header".into());
    assert_eq!(correlation(&headers, &body, &Value::Null), Some("header"));
    headers.insert(CORRELATION_ID.as_str().into(), "x".repeat(1000).into());
    assert_eq!(correlation(&headers, &body, &Value::Null), Some("property"));
}

#[test]
fn a_routing_key_of_another_tenant_is_noticed_and_a_queues_own_name_is_none() {
    let owner = ("acme", "webchat");
    for fine in [
        "tenant.acme.channel.webchat.inbound",
        "tenant.acme.channel.webchat.inbound.queue",
        "whatever",
    ] {
        assert_eq!(agrees(owner, fine), Ok(()), "{fine}");
    }
    for wrong in [
        "tenant.other.channel.webchat.inbound",
        "tenant.acme.channel.whatsapp.inbound",
    ] {
        assert_eq!(
            agrees(owner, wrong),
            Err(Fault::WrongTenant("the routing key"))
        );
    }
}

#[test]
fn retries_are_numbers_however_they_are_written() {
    assert_eq!(number(&json!(3)), Some(3));
    assert_eq!(number(&json!("3")), Some(3));
    for strange in [json!(-1), json!("many"), json!(null), json!({})] {
        assert_eq!(number(&strange), None);
    }
}

/// The names of the platform's fields, and kinds of messages.
const WORDS: &[&str] = &[
    "type",
    "message",
    "message.received",
    "from",
    "content",
    "text",
    "image",
    "id",
    "externalId",
    "conversationId",
    "tenantId",
    "acme",
    "metadata",
    "_metadata",
    "correlationId",
    RETRIES,
    "traceparent",
];

/// Stands for the kind that answers, which is none of this room's: it asks for the same of a message.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    tenant_id: String,
    channel: String,
    message: Message,
}

#[derive(Serialize, Deserialize)]
struct Message {
    from: String,
    content: Map<String, Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Job for Answer {
    const KIND: &'static str = "process_message";
    type Services = ();

    async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> {
        Ok(Outcome::complete())
    }
}

fn client() -> Client {
    windlass::testing::client(&Registry::new(()).register::<Answer>())
}

fn read(body: &[u8], headers: &Map<String, Value>) -> Result<NewJob, Fault> {
    let raw = Raw {
        tenant: "acme",
        channel: "webchat",
        body,
        headers,
    };
    job(&client(), raw)
}

proptest! {
    #[test]
    fn whatever_is_delivered_is_the_queues_tenants_job_or_a_fault_in_our_words(
        body in any_json(WORDS),
        headers in any_json(WORDS),
        bytes in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let headers = headers.as_object().cloned().unwrap_or_default();
        for body in [body.to_string().into_bytes(), bytes, b"{\"from\": [\"hunter2\"]".to_vec()] {
            match read(&body, &headers) {
                Ok(job) => {
                    prop_assert_eq!(job.tenant_id.as_deref(), Some("acme"));
                    prop_assert!(job.max_attempts >= 1 && job.correlation_id.is_some());
                }
                Err(fault) => prop_assert!(!fault.to_string().contains("hunter2")),
            }
        }
    }

    #[test]
    fn a_message_comes_out_as_it_was_put_in(
        from in "[0-9]{1,15}",
        text in "\\PC{0,200}",
        wrapped in any::<bool>(),
    ) {
        let message = json!({"id": "m", "from": from, "type": "text", "content": {"text": text}});
        let body = if wrapped {
            json!({"type": RECEIVED, "message": message.clone()})
        } else {
            message.clone()
        };
        let job = read(body.to_string().as_bytes(), &Map::new()).unwrap();
        let args: Value = serde_json::from_str(job.args.as_str()).unwrap();
        prop_assert_eq!(&args["message"], &message);
        prop_assert_eq!(&args["tenantId"], "acme");
    }

    #[test]
    fn headers_of_any_kind_and_depth_are_read(
        name in "[a-z-]{1,20}",
        text in prop::collection::vec(any::<u8>(), 0..40),
        number in any::<i64>(),
        float in any::<f64>(),
        depth in 0_usize..20,
    ) {
        let mut value = AMQPValue::FieldArray(
            vec![
                AMQPValue::LongString(text.into()),
                AMQPValue::LongLongInt(number),
                AMQPValue::Double(float),
                AMQPValue::Void,
            ]
            .into(),
        );
        for _ in 0..depth {
            let mut inner = FieldTable::default();
            inner.insert(name.as_str().into(), value);
            value = AMQPValue::FieldTable(inner);
        }
        let mut table = FieldTable::default();
        table.insert(name.as_str().into(), value);
        let read = headers(&BasicProperties::default().with_headers(table));
        let mut found = &read[&name];
        for _ in 0..depth {
            found = &found[&name];
        }
        prop_assert_eq!(&found[1], &json!(number));
        prop_assert!(found[0].is_string() && found[3].is_null());
    }
}
