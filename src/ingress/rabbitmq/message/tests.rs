use serde_json::json;

use super::*;

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
