//! The statements, one per file in `sql/`.

macro_rules! statements {
    ($($name:ident = $file:literal;)+) => {
        $(pub(super) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)+
    };
}

statements! {
    DELETE_QUARANTINED = "delete_quarantined";
    EMBEDDINGS_BEYOND = "embeddings_beyond";
    FORGET_EMBEDDINGS = "forget_embeddings";
    INSERT_QUARANTINED = "insert_quarantined";
    KEEP_EMBEDDINGS = "keep_embeddings";
    LIST_QUARANTINED = "list_quarantined";
    QUARANTINED = "quarantined";
    READ_EMBEDDINGS = "read_embeddings";
    TOUCH_EMBEDDINGS = "touch_embeddings";
}
