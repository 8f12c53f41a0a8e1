//! The statements, one file each.

macro_rules! statements {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)*
    };
}

statements! {
    ADD_PARTITIONS = "add_partitions";
    ADOPT = "adopt";
    ADOPT_RUNNING = "adopt_running";
    ADVANCE_SETTINGS = "advance_settings";
    APPLIED = "applied";
    AUDIT = "audit";
    BEAT_WORKER = "beat_worker";
    BUCKETS = "buckets";
    CELLS = "cells";
    CHECKPOINT = "checkpoint";
    CANCEL_REQUESTS = "cancel_requests";
    CLAIM = "claim";
    CLAIM_GOVERNED = "claim_governed";
    COMPLETE = "complete";
    CREATE_SCHEMA = "create_schema";
    DELETE_SETTING = "delete_setting";
    DROP_BUCKETS = "drop_buckets";
    DROP_PARTITION = "drop_partition";
    ELECT = "elect";
    END_UNSTARTED = "end_unstarted";
    ENQUEUE = "enqueue";
    ENQUEUE_COPY = "enqueue_copy";
    ENQUEUE_MANY = "enqueue_many";
    ENQUEUE_ORDERED = "enqueue_ordered";
    EXPIRED = "expired";
    GET = "get";
    GOVERN = "govern";
    GOVERNED_NAMES = "governed_names";
    GOVERNED_QUEUES = "governed_queues";
    GOVERN_QUEUE = "govern_queue";
    HAND_ON = "hand_on";
    HEARTBEAT = "heartbeat";
    KNOWN = "known";
    LIST = "list";
    LOCK_FINISHED = "lock_finished";
    LOCK_JOB = "lock_job";
    LOCK_LINES = "lock_lines";
    LOCK_SCHEMA = "lock_schema";
    LOCK_SETTINGS = "lock_settings";
    LOCK_STUCK_LINES = "lock_stuck_lines";
    LOOK_BACK = "look_back";
    NEXT_DUE = "next_due";
    NOTIFY = "notify";
    NOW = "now";
    PROGRESS = "progress";
    PRUNE = "prune";
    PRUNE_AUDIT = "prune_audit";
    PUT_BUCKETS = "put_buckets";
    PUT_SETTING = "put_setting";
    QUEUES = "queues";
    RECORD_AUDIT = "record_audit";
    REMOVE_WORKER = "remove_worker";
    REPLACE = "replace";
    REQUEST_CANCEL = "request_cancel";
    REQUEUE = "requeue";
    RESCHEDULE = "reschedule";
    RESCUE = "rescue";
    RESIGN = "resign";
    REVIVE = "revive";
    RUNNING = "running";
    REWRITE = "rewrite";
    REWRITE_FINISHED = "rewrite_finished";
    SCHEMA_EXISTS = "schema_exists";
    SCHEMA_VERSION = "schema_version";
    SETTING = "setting";
    SETTINGS = "settings";
    SETTINGS_VERSION = "settings_version";
    SET_ASIDE = "set_aside";
    STUCK_LINES = "stuck_lines";
    UNGOVERN = "ungovern";
    UNGOVERN_QUEUE = "ungovern_queue";
    UNIQUE_EXPIRE = "unique_expire";
    UNIQUE_HOLDER = "unique_holder";
    UNIQUE_PUT = "unique_put";
    UNIQUE_RELEASE = "unique_release";
    UNIQUE_SWEEP = "unique_sweep";
    UNIQUE_TAKE = "unique_take";
    WALK = "walk";
    WORKERS = "workers";
}
