//! The statements, one per file in `sql/`.

macro_rules! statements {
    ($($name:ident = $file:literal;)+) => {
        $(pub(super) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)+
    };
}

statements! {
    ADMIN_KEY = "admin_key";
    ADMIN_USER = "admin_user";
    ADOPT_DOCUMENT = "adopt_document";
    AGGREGATE_DAYS = "aggregate_days";
    ANALYTICS = "analytics";
    API_KEYS = "api_keys";
    CHANNEL = "channel";
    CHANNEL_SECRET = "channel_secret";
    COLUMNS = "columns";
    CONVERSATION = "conversation";
    CONVERSATIONS_AFTER = "conversations_after";
    CONVERSATION_STATUS = "conversation_status";
    CONVERSATION_WAS = "conversation_was";
    COUNT_USAGE = "count_usage";
    CREATE_CHANNEL = "create_channel";
    CREATE_TENANT = "create_tenant";
    CREATE_WEBHOOK = "create_webhook";
    DELETE_CHUNKS = "delete_chunks";
    DOCUMENT = "document";
    EVENT = "event";
    EXAMINE_DOCUMENTS = "examine_documents";
    FAIL_DOCUMENT = "fail_document";
    FIND_MESSAGE = "find_message";
    FINISH_DOCUMENT = "finish_document";
    HAS_ADMIN_ACCESS = "has_admin_access";
    HAS_MESSAGE = "has_message";
    HIDES_ROWS = "hides_rows";
    HIT = "hit";
    INSERT_CHUNKS = "insert_chunks";
    INSERT_DOCUMENT = "insert_document";
    INSERT_EVENT = "insert_event";
    INSERT_MESSAGE = "insert_message";
    INSERT_METRIC = "insert_metric";
    KEYWORD = "keyword";
    KEYWORD_SCAN = "keyword_scan";
    KNOWN_TENANTS = "known_tenants";
    LAST_AGGREGATED = "last_aggregated";
    LOCK_CONVERSATION = "lock_conversation";
    LOCK_DOCUMENT = "lock_document";
    MARK_PROCESSING = "mark_processing";
    MESSAGE = "message";
    MESSAGES = "messages";
    NEAREST = "nearest";
    NOTE_ADOPTION = "note_adoption";
    OLD_METRICS = "old_metrics";
    OPEN_CHANNELS = "open_channels";
    PRUNE_API_LOGS = "prune_api_logs";
    PRUNE_MESSAGES = "prune_messages";
    PRUNE_METRICS = "prune_metrics";
    RECORD_MESSAGE = "record_message";
    REPLACE_CONTENT = "replace_content";
    RUNTIME = "runtime";
    SET_CONVERSATION_STATUS = "set_conversation_status";
    SET_EXTERNAL_ID = "set_external_id";
    SUBSCRIBED_WEBHOOKS = "subscribed_webhooks";
    TABLES = "tables";
    TENANT = "tenant";
    TENANT_SECRET = "tenant_secret";
    TENANT_USER = "tenant_user";
    TOUCH_ADMIN_API_KEY = "touch_admin_api_key";
    TOUCH_ADMIN_KEY = "touch_admin_key";
    TOUCH_TENANT_API_KEY = "touch_tenant_api_key";
    UNFINISHED_DOCUMENTS = "unfinished_documents";
    UPSERT_CONVERSATION = "upsert_conversation";
    WEBHOOK = "webhook";
    WORD_INDEX = "word_index";
}
