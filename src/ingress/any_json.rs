//! JSON as nobody sends it, for tests.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Any value whose fields mostly have these names, and whose texts mostly are among them.
pub(super) fn any_json(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let word = move || {
        prop_oneof![
            4 => prop::sample::select(words).prop_map(ToOwned::to_owned),
            1 => "\\PC{0,12}",
        ]
    };
    let leaf = prop_oneof![
        4 => word().prop_map(Value::String),
        1 => any::<i64>().prop_map(|number| json!(number)),
        1 => any::<i64>().prop_map(|number| json!(number.to_string())),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(8, 96, 6, move |inner| {
        let fields = prop::collection::vec((word(), inner.clone()), 0..6);
        prop_oneof![
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            3 => fields.prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}
