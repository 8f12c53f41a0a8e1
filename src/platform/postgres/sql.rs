//! The statements, one per file in `sql/`.

macro_rules! statements {
    ($($name:ident = $file:literal;)+) => {
        $(pub(super) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)+
    };
}

statements! {
    ADD_MONTH = "add_month";
    ADMIN_KEY = "admin_key";
    ADMIN_USER = "admin_user";
    ADOPT_DOCUMENT = "adopt_document";
    AGGREGATE_DAYS = "aggregate_days";
    ANALYTICS = "analytics";
    API_KEYS = "api_keys";
    BEGIN_REINDEX = "begin_reindex";
    CHANNEL = "channel";
    CHANNEL_SECRET = "channel_secret";
    COLUMNS = "columns";
    CONVERSATION = "conversation";
    CONVERSATIONS_AFTER = "conversations_after";
    CONVERSATION_STATUS = "conversation_status";
    COUNT_USAGE = "count_usage";
    CREATE_CHANNEL = "create_channel";
    CREATE_TENANT = "create_tenant";
    CREATE_WEBHOOK = "create_webhook";
    DELETE_CHUNKS = "delete_chunks";
    DOCUMENT = "document";
    DROP_LEFTOVERS = "drop_leftovers";
    EMBEDDING_BTREE = "embedding_btree";
    EMBEDDING_TYPE = "embedding_type";
    END_REINDEX = "end_reindex";
    ENTER = "enter";
    EVENT = "event";
    EXAMINE_DOCUMENTS = "examine_documents";
    FAIL_DOCUMENT = "fail_document";
    FIND_MESSAGE = "find_message";
    FINISH_DOCUMENT = "finish_document";
    HAS_ADMIN_ACCESS = "has_admin_access";
    HAS_MESSAGE = "has_message";
    HIDDEN_TABLES = "hidden_tables";
    HIDES_ROWS = "hides_rows";
    INDEX_HEALTH = "index_health";
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
    MONTH_EXISTS = "month_exists";
    NAME_MONTH = "name_month";
    NEAREST = "nearest";
    NEAREST_EXACT = "nearest_exact";
    NOTE_ADOPTION = "note_adoption";
    OLDEST_TRANSACTION = "oldest_transaction";
    OPEN_CHANNELS = "open_channels";
    PARTITIONED = "partitioned";
    PREPARE_LOCK = "prepare_lock";
    PRUNE_API_LOGS = "prune_api_logs";
    PRUNE_MESSAGES = "prune_messages";
    PRUNE_METRICS = "prune_metrics";
    RECORD_MESSAGE = "record_message";
    REINDEX = "reindex";
    REPLACE_CONTENT = "replace_content";
    ROW_SECURITY = "row_security";
    RUNTIME = "runtime";
    SEARCH_WIDTH = "search_width";
    SET_CONVERSATION_STATUS = "set_conversation_status";
    SET_EXTERNAL_ID = "set_external_id";
    TABLES = "tables";
    TABLE_HEALTH = "table_health";
    TENANT = "tenant";
    TENANT_SECRET = "tenant_secret";
    TENANT_USER = "tenant_user";
    TOUCH_ADMIN_API_KEY = "touch_admin_api_key";
    TOUCH_ADMIN_KEY = "touch_admin_key";
    TOUCH_TENANT_API_KEY = "touch_tenant_api_key";
    UNFINISHED_DOCUMENTS = "unfinished_documents";
    UPSERT_CONVERSATION = "upsert_conversation";
    VECTOR_HOME = "vector_home";
    WEBHOOK = "webhook";
    WORD_INDEX = "word_index";
}
