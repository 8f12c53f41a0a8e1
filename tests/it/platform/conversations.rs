use metachat_jobs::platform::{
    ChannelType, ConversationStatus, Direction, Error, MessageMetric, NewEvent, NewMessage,
    Platform,
};
use serde_json::json;
use tokio::task::JoinSet;

use super::fixture::{at, conversation, message, upsert, user};

super::on_all!(
    an_inbound_message_is_recorded_once_by_eight_jobs_at_a_time,
    a_message_without_any_id_is_known_by_what_it_says,
    a_redelivery_under_another_id_is_known_by_its_external_id,
    two_tenants_may_get_the_same_message_id,
    an_answer_is_recorded_once_by_eight_jobs_at_a_time,
    a_metric_is_recorded_once_by_eight_jobs_at_a_time,
    history_is_the_newest_messages_oldest_first,
    a_human_stays_assigned_and_a_closed_conversation_opens_for_something_new,
    the_last_message_never_moves_back,
    what_a_transaction_did_not_commit_is_not_there,
    a_nul_in_a_message_is_no_obstacle,
    media_are_read_by_their_caption,
    nothing_is_recorded_in_a_conversation_that_is_not_there,
);

/// Records the same thing in eight tasks at once, and counts how many found it new.
async fn eight_times<F>(platform: &Platform, record: impl Fn(Platform, i64) -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for n in 0..8 {
        tasks.spawn(record(platform.clone(), n));
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.len(), 8);
    outcomes.into_iter().filter(|is_new| *is_new).count()
}

async fn an_inbound_message_is_recorded_once_by_eight_jobs_at_a_time(platform: Platform) {
    let known = conversation(&platform, "acme").await;
    let recorded = eight_times(&platform, |platform, n| async move {
        let mut tx = platform.begin("acme").await.unwrap();
        let conversation = platform
            .upsert_conversation(&mut tx, "acme", &user("wa:1", n))
            .await
            .unwrap();
        // Not even the time agrees, so the table's own key would let all of them in.
        let new = message(&conversation, "hello", n);
        let recorded = platform
            .insert_inbound(
                &mut tx,
                "acme",
                ChannelType::Whatsapp,
                Some("wamid.1"),
                &new,
            )
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(recorded.id, "wamid.1");
        recorded.is_new
    })
    .await;
    assert_eq!(recorded, 1);
    let messages = platform.messages("acme", &known.id, 20).await.unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].direction, Direction::Inbound);
    assert_eq!(messages[0].text(), Some("hello"));
}

async fn inbound(platform: &Platform, tenant: &str, id: Option<&str>, new: &NewMessage) -> bool {
    let mut tx = platform.begin(tenant).await.unwrap();
    let recorded = platform
        .insert_inbound(&mut tx, tenant, ChannelType::Whatsapp, id, new)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    recorded.is_new
}

async fn a_message_without_any_id_is_known_by_what_it_says(platform: Platform) {
    let known = conversation(&platform, "acme").await;
    assert!(inbound(&platform, "acme", None, &message(&known, "hello", 1)).await);
    assert!(!inbound(&platform, "acme", None, &message(&known, "hello", 1)).await);
    assert!(inbound(&platform, "acme", None, &message(&known, "hello", 2)).await);
    assert!(inbound(&platform, "acme", None, &message(&known, "hi", 1)).await);
    let empty = NewMessage {
        external_id: Some(String::new()),
        ..message(&known, "hey", 1)
    };
    assert!(inbound(&platform, "acme", Some(""), &empty).await);
    let other = NewMessage {
        external_id: Some(String::new()),
        ..message(&known, "ho", 1)
    };
    assert!(inbound(&platform, "acme", Some(""), &other).await);
    assert!(!inbound(&platform, "acme", Some(""), &other).await);
}

async fn a_redelivery_under_another_id_is_known_by_its_external_id(platform: Platform) {
    let known = conversation(&platform, "acme").await;
    let new = NewMessage {
        external_id: Some("wamid.1".to_owned()),
        ..message(&known, "hello", 1)
    };
    assert!(inbound(&platform, "acme", Some("wamid.1"), &new).await);
    assert!(!inbound(&platform, "acme", Some("envelope-7"), &new).await);
    assert!(!inbound(&platform, "acme", None, &new).await);
}

async fn two_tenants_may_get_the_same_message_id(platform: Platform) {
    let ours = conversation(&platform, "acme").await;
    let theirs = conversation(&platform, "other").await;
    for (tenant, conversation) in [("acme", &ours), ("other", &theirs)] {
        let new = message(conversation, tenant, 1);
        assert!(inbound(&platform, tenant, Some("1"), &new).await);
        assert!(!inbound(&platform, tenant, Some("1"), &new).await);
        let messages = platform
            .messages(tenant, &conversation.id, 20)
            .await
            .unwrap();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].text(), Some(tenant));
    }
}

async fn an_answer_is_recorded_once_by_eight_jobs_at_a_time(platform: Platform) {
    let known = conversation(&platform, "acme").await;
    let recorded = eight_times(&platform, |platform, n| {
        let new = message(&known, "answer", n);
        async move {
            let mut tx = platform.begin("acme").await.unwrap();
            let recorded = platform
                .insert_outbound(&mut tx, "acme", "wamid.1", &new)
                .await
                .unwrap();
            let sent = NewEvent {
                kind: "message.sent".to_owned(),
                key: Some(recorded.id.clone()),
                data: json!({}).into(),
                at: at(n),
            };
            platform.insert_event(&mut tx, "acme", &sent).await.unwrap();
            platform
                .set_external_id(&mut tx, "acme", &recorded.id, "wamid.answer")
                .await
                .unwrap();
            tx.commit().await.unwrap();
            recorded.is_new
        }
    })
    .await;
    assert_eq!(recorded, 1);
    let messages = platform.messages("acme", &known.id, 20).await.unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].direction, Direction::Outbound);
    assert_eq!(messages[0].external_id.as_deref(), Some("wamid.answer"));
    assert_eq!(events(&platform).await, 1);
}

async fn events(platform: &Platform) -> i64 {
    let mut tx = platform.begin("acme").await.unwrap();
    let count = include_str!("queries/count_events.sql");
    if let Some(connection) = tx.postgres() {
        return sqlx::query_scalar(count)
            .fetch_one(connection)
            .await
            .unwrap();
    }
    let connection = tx.sqlite().unwrap();
    sqlx::query_scalar(count)
        .fetch_one(connection)
        .await
        .unwrap()
}

async fn a_metric_is_recorded_once_by_eight_jobs_at_a_time(platform: Platform) {
    let known = conversation(&platform, "acme").await;
    let recorded = eight_times(&platform, |platform, n| {
        let metric = MessageMetric {
            conversation_id: known.id.clone(),
            message_id: "wamid.1".to_owned(),
            sent_at: at(0),
            response_at: Some(at(n)),
            response_time: Some(std::time::Duration::from_millis(1200)),
            rag_used: true,
            rag_similarity: Some(f64::INFINITY),
            rag_chunks_retrieved: Some(0),
            rag_top_document_id: None,
            confidence_score: Some(1e9),
            escalated: false,
            error_occurred: false,
            user_message: Some("hello\0".into()),
        };
        async move {
            let mut tx = platform.begin("acme").await.unwrap();
            let is_new = platform
                .insert_metric(&mut tx, "acme", &metric)
                .await
                .unwrap();
            tx.commit().await.unwrap();
            is_new
        }
    })
    .await;
    assert_eq!(recorded, 1);
}

async fn history_is_the_newest_messages_oldest_first(platform: Platform) {
    let known = conversation(&platform, "acme").await;
    // As they may arrive: in no order.
    for n in (0..25).map(|n| n * 7 % 25) {
        let new = message(&known, &n.to_string(), n);
        assert!(inbound(&platform, "acme", Some(&format!("wamid.{n}")), &new).await);
    }
    let history = platform.history("acme", &known.id, 20).await.unwrap();
    let texts: Vec<_> = history.iter().filter_map(|m| m.text()).collect();
    let newest: Vec<_> = (5..25).map(|n| n.to_string()).collect();
    assert_eq!(texts, newest);
    assert_eq!(history[0].at, at(5));
    let mut listed = platform.messages("acme", &known.id, 20).await.unwrap();
    listed.reverse();
    assert_eq!(listed, history);
}

async fn a_human_stays_assigned_and_a_closed_conversation_opens_for_something_new(
    platform: Platform,
) {
    let known = conversation(&platform, "acme").await;
    assert_eq!(known.status, ConversationStatus::Active);
    let set = async |status| {
        let mut tx = platform.begin("acme").await.unwrap();
        let done = platform
            .set_conversation_status(&mut tx, "acme", &known.id, &status)
            .await;
        done.unwrap();
        tx.commit().await.unwrap();
    };
    set(ConversationStatus::AssignedHuman).await;
    let after = upsert(&platform, "acme", &user("wa:1", 10)).await;
    assert_eq!(after.id, known.id);
    assert_eq!(after.status, ConversationStatus::AssignedHuman);

    set(ConversationStatus::Closed).await;
    let again = upsert(&platform, "acme", &user("wa:1", 10)).await;
    assert_eq!(again.status, ConversationStatus::Closed, "delivered twice");
    let newer = upsert(&platform, "acme", &user("wa:1", 11)).await;
    assert_eq!(newer.status, ConversationStatus::Active);
    let read = platform.conversation("acme", &known.id).await.unwrap();
    assert_eq!(read, Some(newer));
}

async fn the_last_message_never_moves_back(platform: Platform) {
    let first = conversation(&platform, "acme").await;
    assert_eq!(
        upsert(&platform, "acme", &user("wa:1", 60))
            .await
            .last_message_at,
        at(60)
    );
    let late = upsert(&platform, "acme", &user("wa:1", 30)).await;
    assert_eq!((late.id, late.last_message_at), (first.id, at(60)));
}

async fn what_a_transaction_did_not_commit_is_not_there(platform: Platform) {
    let known = conversation(&platform, "acme").await;
    let mut tx = platform.begin("acme").await.unwrap();
    let new = message(&known, "hello", 1);
    let recorded = platform
        .insert_inbound(
            &mut tx,
            "acme",
            ChannelType::Whatsapp,
            Some("wamid.1"),
            &new,
        )
        .await
        .unwrap();
    assert!(recorded.is_new);
    tx.rollback().await.unwrap();
    assert_eq!(platform.messages("acme", &known.id, 20).await.unwrap(), []);
    assert!(inbound(&platform, "acme", Some("wamid.1"), &new).await);
}

async fn a_nul_in_a_message_is_no_obstacle(platform: Platform) {
    let known = conversation(&platform, "acme").await;
    let new = message(&known, "a\0b", 1);
    assert!(inbound(&platform, "acme", Some("wamid\0"), &new).await);
    assert!(!inbound(&platform, "acme", Some("wamid\0"), &new).await);
    let messages = platform.messages("acme", &known.id, 20).await.unwrap();
    assert_eq!(messages[0].text(), Some("a\u{fffd}b"));
}

async fn media_are_read_by_their_caption(platform: Platform) {
    let known = conversation(&platform, "acme").await;
    let new = NewMessage {
        kind: "image".to_owned(),
        content: json!({"media": {"url": "", "mimeType": "image/png", "caption": "my bill"}})
            .into(),
        ..message(&known, "", 1)
    };
    assert!(inbound(&platform, "acme", Some("wamid.1"), &new).await);
    let messages = platform.messages("acme", &known.id, 20).await.unwrap();
    assert_eq!(messages[0].text(), Some("my bill"));
    assert_eq!(messages[0].kind, "image");
    assert!(
        !format!("{messages:?}").contains("my bill"),
        "what people write is not printed"
    );
}

async fn nothing_is_recorded_in_a_conversation_that_is_not_there(platform: Platform) {
    let known = conversation(&platform, "acme").await;
    let new = NewMessage {
        conversation_id: "nowhere".to_owned(),
        ..message(&known, "hello", 1)
    };
    let mut tx = platform.begin("acme").await.unwrap();
    let refused = platform
        .insert_outbound(&mut tx, "acme", "wamid.1", &new)
        .await;
    assert!(matches!(
        refused,
        Err(Error::NotFound {
            what: "conversation"
        })
    ));
}
