//! The statements, one per file in `sql/`.

macro_rules! statements {
    ($($name:ident = $file:literal;)+) => {
        $(pub(super) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)+
    };
}

statements! {
    EMBEDDINGS_BEYOND = "embeddings_beyond";
    FORGET_EMBEDDINGS = "forget_embeddings";
    KEEP_EMBEDDINGS = "keep_embeddings";
    READ_EMBEDDINGS = "read_embeddings";
    TOUCH_EMBEDDINGS = "touch_embeddings";
}
