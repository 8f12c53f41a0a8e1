use metachat_jobs::platform::{
    ChannelType, ConversationStatus, Error, Finished, OpenChannel, Platform, TenantSettings,
};
use serde_json::json;

use super::fixture::{chunk, conversation, failure, message, ready, tenant, vector};

super::on_all!(
    a_tenant_has_its_settings,
    settings_that_make_no_sense_cost_only_themselves,
    a_channel_is_read_with_its_config,
    one_tenant_reads_nothing_of_another,
    one_tenant_changes_nothing_of_another,
);

super::on_both!(channels_that_take_messages_are_listed);

async fn a_tenant_has_its_settings(platform: Platform) {
    assert_eq!(platform.tenant("acme").await.unwrap(), None);
    tenant(&platform, "acme").await;
    let acme = platform.tenant("acme").await.unwrap().unwrap();
    assert_eq!((acme.id.as_str(), acme.name.as_str()), ("acme", "Acme"));
    assert!(acme.enabled);
    assert_eq!(
        acme.settings,
        TenantSettings {
            enable_rag: true,
            ..TenantSettings::default()
        }
    );
    assert_eq!(acme.settings_problems, Vec::<String>::new());
}

async fn settings_that_make_no_sense_cost_only_themselves(platform: Platform) {
    let mut tx = platform.begin("acme").await.unwrap();
    let settings = json!({"brandName": "Acme\0", "enableRag": "yes", "ragConfig": [1]});
    platform
        .create_tenant(&mut tx, "acme", "Acme", &settings)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let acme = platform.tenant("acme").await.unwrap().unwrap();
    assert_eq!(acme.settings.brand_name, "Acme\u{fffd}");
    assert!(!acme.settings.enable_rag);
    assert_eq!(
        acme.settings_problems,
        [
            "enableRag: expected true or false, found text",
            "ragConfig: expected an object, found a list"
        ]
    );
}

async fn channel(platform: &Platform, tenant: &str, kind: ChannelType) -> String {
    let mut tx = platform.begin(tenant).await.unwrap();
    let config = json!({"accessToken": "EAAG"});
    let id = platform
        .create_channel(&mut tx, tenant, kind, &config)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    id
}

async fn a_channel_is_read_with_its_config(platform: Platform) {
    tenant(&platform, "acme").await;
    let id = channel(&platform, "acme", ChannelType::Whatsapp).await;
    let read = platform
        .channel("acme", ChannelType::Whatsapp)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((read.id.as_str(), read.enabled), (id.as_str(), true));
    assert_eq!(read.config["accessToken"], "EAAG");
    assert!(!format!("{read:?}").contains("EAAG"));
    let other = platform
        .channel("acme", ChannelType::Webchat)
        .await
        .unwrap();
    assert_eq!(other, None);
}

async fn one_tenant_reads_nothing_of_another(platform: Platform) {
    let theirs = conversation(&platform, "theirs").await;
    tenant(&platform, "ours").await;
    channel(&platform, "theirs", ChannelType::Whatsapp).await;
    let mut tx = platform.begin("theirs").await.unwrap();
    let new = message(&theirs, "hello", 1);
    platform
        .insert_inbound(
            &mut tx,
            "theirs",
            ChannelType::Whatsapp,
            Some("wamid.1"),
            &new,
        )
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let document = ready(&platform, "theirs", "FAQ", &[chunk(0, "word", &[1.0])]).await;

    for (tenant, visible) in [("theirs", 1), ("ours", 0)] {
        let kind = ChannelType::Whatsapp;
        let query = vector(&[1.0]);
        let seen = [
            usize::from(
                platform
                    .conversation(tenant, &theirs.id)
                    .await
                    .unwrap()
                    .is_some(),
            ),
            usize::from(platform.channel(tenant, kind).await.unwrap().is_some()),
            usize::from(
                platform
                    .document(tenant, &document)
                    .await
                    .unwrap()
                    .is_some(),
            ),
            platform
                .messages(tenant, &theirs.id, 20)
                .await
                .unwrap()
                .len(),
            platform
                .history(tenant, &theirs.id, 20)
                .await
                .unwrap()
                .len(),
            platform
                .nearest(tenant, &query, 5, 0.0)
                .await
                .unwrap()
                .len(),
            platform.keyword(tenant, "word", 5).await.unwrap().len(),
        ];
        assert_eq!(seen, [visible; 7], "as {tenant}");
    }
}

async fn one_tenant_changes_nothing_of_another(platform: Platform) {
    let theirs = conversation(&platform, "theirs").await;
    tenant(&platform, "ours").await;
    let document = ready(&platform, "theirs", "FAQ", &[chunk(0, "word", &[1.0])]).await;
    let new = message(&theirs, "hello", 1);
    let mut tx = platform.begin("ours").await.unwrap();
    let inbound = platform
        .insert_inbound(&mut tx, "ours", ChannelType::Whatsapp, None, &new)
        .await;
    assert!(matches!(inbound, Err(Error::NotFound { .. })));
    let closed = ConversationStatus::Closed;
    let status = platform
        .set_conversation_status(&mut tx, "ours", &theirs.id, &closed)
        .await;
    assert!(matches!(status, Err(Error::NotFound { .. })));
    let content = platform
        .replace_content(&mut tx, "ours", &document, "x")
        .await;
    assert!(matches!(content, Err(Error::NotFound { .. })));
    assert!(
        !platform
            .mark_processing(&mut tx, "ours", &document, 1)
            .await
            .unwrap()
    );
    let failed = platform
        .fail_document(&mut tx, "ours", &document, 1, &failure("x"))
        .await;
    assert!(!failed.unwrap());
    let chunks = platform
        .replace_chunks(&mut tx, "ours", &document, 1, &[])
        .await;
    assert_eq!(chunks.unwrap(), Finished::Gone);
    tx.commit().await.unwrap();

    let read = platform
        .conversation("theirs", &theirs.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.status, ConversationStatus::Active);
    let found = platform.keyword("theirs", "word", 5).await.unwrap();
    assert_eq!(found.len(), 1);
}

async fn channels_that_take_messages_are_listed(platform: Platform) {
    for id in ["b", "a"] {
        tenant(&platform, id).await;
        channel(&platform, id, ChannelType::Whatsapp).await;
    }
    channel(&platform, "a", ChannelType::Messenger).await;
    let open = |tenant: &str, channel| OpenChannel {
        tenant: tenant.to_owned(),
        channel,
    };
    assert_eq!(
        platform.open_channels().await.unwrap(),
        [
            open("a", ChannelType::Messenger),
            open("a", ChannelType::Whatsapp),
            open("b", ChannelType::Whatsapp),
        ]
    );
}
