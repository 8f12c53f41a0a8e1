//! The statements, one per file in `sql/`.

macro_rules! statements {
    ($($name:ident = $file:literal;)+) => {
        $(pub(super) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)+
    };
}

statements! {
    BEGIN_SEND = "begin_send";
    COUNT_UNKNOWN = "count_unknown";
    DELETE_QUARANTINED = "delete_quarantined";
    DELIVERIES = "deliveries";
    DELIVERIES_OF_JOB = "deliveries_of_job";
    DELIVERY = "delivery";
    EMBEDDINGS_BEYOND = "embeddings_beyond";
    END_SEND = "end_send";
    FORGET_EMBEDDINGS = "forget_embeddings";
    INSERT_QUARANTINED = "insert_quarantined";
    KEEP_EMBEDDINGS = "keep_embeddings";
    LIST_OUTBOX = "list_outbox";
    LIST_QUARANTINED = "list_quarantined";
    LOSE_SEND = "lose_send";
    OPEN_OUTBOX = "open_outbox";
    OUTBOX_OF_JOB = "outbox_of_job";
    OUTBOX_OF_MESSAGE = "outbox_of_message";
    OUTBOX_ROW = "outbox_row";
    PREPARE_LOCK = "prepare_lock";
    PRUNE_DELIVERIES = "prune_deliveries";
    PRUNE_OUTBOX = "prune_outbox";
    PRUNE_QUARANTINE = "prune_quarantine";
    QUARANTINED = "quarantined";
    QUARANTINED_OF = "quarantined_of";
    READ_EMBEDDINGS = "read_embeddings";
    RECORD_DELIVERY = "record_delivery";
    SETTLE_SEND = "settle_send";
    TOUCH_EMBEDDINGS = "touch_embeddings";
}
