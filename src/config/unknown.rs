//! Keys that nobody reads: a setting misspelt is a setting missed, so it is refused.

use config::{Map, Value, ValueKind};

use super::Error;

/// Tables whose keys are the operator's own.
const OPEN: [&str; 5] = [
    "backups.places",
    "backups.targets",
    "engine.queues",
    "messages.plans",
    "schedules",
];
/// How alike a key must be to be suggested, of 1.
const ALIKE: f64 = 0.7;
const SUGGESTIONS: usize = 3;

/// Refuses the first key of a layer that the defaults do not have.
pub(super) fn refuse(layer: &Map<String, Value>, known: &Map<String, Value>) -> Result<(), Error> {
    let Some((key, value)) = find(layer, known, "") else {
        return Ok(());
    };
    let origin = origin(value).unwrap_or_default();
    Err(Error::unknown(key.clone(), &origin, suggest(&key, known)))
}

fn find<'l>(
    layer: &'l Map<String, Value>,
    known: &Map<String, Value>,
    path: &str,
) -> Option<(String, &'l Value)> {
    let mut keys: Vec<_> = layer.iter().collect();
    keys.sort_by_key(|(key, _)| *key);
    keys.into_iter().find_map(|(key, value)| {
        let full = join(path, key);
        match (known.get(key).map(|known| &known.kind), &value.kind) {
            (None, _) => Some((full, value)),
            (Some(_), _) if OPEN.contains(&full.as_str()) => None,
            (Some(ValueKind::Table(known)), ValueKind::Table(inner)) => find(inner, known, &full),
            // A value of the wrong type is told when it is read.
            (Some(_), _) => None,
        }
    })
}

fn suggest(key: &str, known: &Map<String, Value>) -> Vec<String> {
    let mut all = Vec::new();
    keys(known, "", &mut all);
    let likeness = |other: &String| strsim::normalized_damerau_levenshtein(key, other);
    all.retain(|other| likeness(other) >= ALIKE);
    all.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
    all.truncate(SUGGESTIONS);
    all
}

fn keys(known: &Map<String, Value>, path: &str, all: &mut Vec<String>) {
    for (key, value) in known {
        let full = join(path, key);
        match &value.kind {
            ValueKind::Table(inner) if !OPEN.contains(&full.as_str()) => keys(inner, &full, all),
            _ => all.push(full),
        }
    }
}

/// A table has no origin of its own, so any value inside tells.
fn origin(value: &Value) -> Option<String> {
    match (value.origin(), &value.kind) {
        (Some(origin), _) => Some(origin.to_owned()),
        (None, ValueKind::Table(inner)) => inner.values().find_map(origin),
        _ => None,
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
