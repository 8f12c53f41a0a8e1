//! The statements, one per file in `sql/`.

macro_rules! statements {
    ($($name:ident = $file:literal;)+) => {
        $(pub(super) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)+
    };
}

statements! {
    PREPARE_LOCK = "prepare_lock";
}
