//! The statements, one per file in `sql/`.

macro_rules! statements {
    ($($name:ident = $file:literal;)+) => {
        $(pub(super) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)+
    };
}

statements! {
    ACCESS_KEY = "access_key";
    ACCESS_KEYS = "access_keys";
    ADD_SIGN_IN_LINK = "add_sign_in_link";
    BEGIN_SEND = "begin_send";
    COUNT_UNKNOWN = "count_unknown";
    DELETE_QUARANTINED = "delete_quarantined";
    DELIVERIES = "deliveries";
    DELIVERIES_OF_JOB = "deliveries_of_job";
    DELIVERY = "delivery";
    EMBEDDINGS_BEYOND = "embeddings_beyond";
    END_SEND = "end_send";
    END_SESSION = "end_session";
    END_SESSIONS_OF = "end_sessions_of";
    FORGET_EMBEDDINGS = "forget_embeddings";
    HAS_ACCESS_KEYS = "has_access_keys";
    INSERT_ACCESS_KEY = "insert_access_key";
    INSERT_QUARANTINED = "insert_quarantined";
    KEEP_EMBEDDINGS = "keep_embeddings";
    LIST_OUTBOX = "list_outbox";
    LIST_QUARANTINED = "list_quarantined";
    LOSE_SEND = "lose_send";
    OPEN_OUTBOX = "open_outbox";
    OPEN_SESSION = "open_session";
    OUTBOX_OF_JOB = "outbox_of_job";
    OUTBOX_OF_MESSAGE = "outbox_of_message";
    OUTBOX_ROW = "outbox_row";
    PRUNE_DELIVERIES = "prune_deliveries";
    PRUNE_OUTBOX = "prune_outbox";
    PRUNE_QUARANTINE = "prune_quarantine";
    PRUNE_SESSIONS = "prune_sessions";
    QUARANTINED = "quarantined";
    QUARANTINED_OF = "quarantined_of";
    READ_EMBEDDINGS = "read_embeddings";
    RECORD_DELIVERY = "record_delivery";
    REVOKE_ACCESS_KEY = "revoke_access_key";
    SESSION = "session";
    SETTLE_SEND = "settle_send";
    TAKE_SIGN_IN_LINK = "take_sign_in_link";
    TOUCH_ACCESS_KEY = "touch_access_key";
    TOUCH_EMBEDDINGS = "touch_embeddings";
    TOUCH_SESSION = "touch_session";
}
