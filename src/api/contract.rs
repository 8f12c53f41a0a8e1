//! What the description says of all operations alike: the answers that what surrounds the handlers may give,
//! and what is asked of parameters that many of them have.

use serde_json::{Map, Value, json};

const PROBLEM_JSON: &str = "application/problem+json";
const METHODS: [&str; 6] = ["get", "put", "post", "delete", "patch", "head"];

/// What any operation may answer.
const ALWAYS: &[(&str, &str)] = &[
    ("400", "A parameter or header is not valid"),
    ("408", "The request did not come whole in time"),
    ("500", "A defect of this program"),
    (
        "503",
        "The database is out of reach, too much is asked at once, or it took too long",
    ),
];
/// What an operation may answer besides that needs a credential,
const GUARDED: &[(&str, &str)] = &[
    ("401", "The credential is missing or wrong"),
    ("403", "The credential does not allow it"),
];
/// that takes parameters,
const WITH_PARAMETERS: &[(&str, &str)] = &[("422", "A field is not valid")];
/// and that takes a body.
const WITH_BODY: &[(&str, &str)] = &[
    ("413", "The body, or a job's args, are too large"),
    ("415", "The body is not declared as JSON"),
    ("422", "A field is not valid"),
];

/// The same description, with what holds for all.
pub(super) fn completed(mut document: Value) -> Value {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return document;
    };
    for (path, item) in paths {
        for method in METHODS {
            if let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) {
                complete(path, method, operation);
            }
        }
    }
    document
}

fn complete(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let is_open = operation.get("security") == Some(&json!([{}]));
    let has_body = operation.contains_key("requestBody");
    let mut may = ALWAYS.to_vec();
    if !is_open {
        may.extend(GUARDED);
    }
    if let Some(parameters) = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
    {
        may.extend(WITH_PARAMETERS);
        for parameter in parameters {
            take_null_out(parameter);
            constrain(path, parameter);
        }
    }
    if has_body {
        may.extend(WITH_BODY);
    }
    let Some(responses) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    for (status, description) in may {
        let missing = || problem(description);
        responses.entry(status).or_insert_with(missing);
    }
    if method == "get" && !is_open {
        tell_of_tags(responses);
    }
    responses.values_mut().for_each(name_problems);
}

fn problem(description: &str) -> Value {
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    json!({"description": description, "content": {PROBLEM_JSON: {"schema": schema}}})
}

/// A problem is always sent as one.
fn name_problems(response: &mut Value) {
    let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else {
        return;
    };
    let is_problem = content
        .get("application/json")
        .and_then(|json| json.pointer("/schema/$ref"))
        .is_some_and(|name| name == "#/components/schemas/Problem");
    if is_problem && let Some(problem) = content.remove("application/json") {
        content.insert(PROBLEM_JSON.to_owned(), problem);
    }
}

fn tell_of_tags(responses: &mut Map<String, Value>) {
    let Some(ok) = responses.get_mut("200").and_then(Value::as_object_mut) else {
        return;
    };
    let is_json = ok
        .get("content")
        .is_some_and(|content| content.get("application/json").is_some());
    if !is_json {
        return;
    }
    let tag = json!({"schema": {"type": "string"}, "description": "Send it as if-none-match"});
    if let Some(headers) = ok
        .entry("headers")
        .or_insert_with(|| json!({}))
        .as_object_mut()
    {
        headers.entry("etag").or_insert(tag);
    }
    let same = json!({"description": "It is as if-none-match says it is known"});
    responses.entry("304").or_insert(same);
}

/// A parameter that is not wanted is left out: there is no null in an address or a header.
fn take_null_out(parameter: &mut Value) {
    let Some(types) = parameter.pointer_mut("/schema/type") else {
        return;
    };
    if let Value::Array(all) = types {
        all.retain(|one| one != "null");
        if let [only] = &mut all[..] {
            *types = only.take();
        }
    }
}

/// What parameters of one name must be, wherever they are.
fn constrain(path: &str, parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default();
    let id = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
    let rules = match (name, path) {
        ("range", "/v1/stats") => json!({"minimum": 60, "maximum": 2_678_400}),
        ("step", "/v1/stats") => json!({"minimum": 60, "maximum": 2_678_400, "multipleOf": 60}),
        ("limit", "/v1/schedules/{name}/ticks") => json!({"minimum": 1, "maximum": 1000}),
        ("limit", _) => json!({"minimum": 1, "maximum": 500}),
        ("idempotency-key", "/v1/flows") => {
            json!({"pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"})
        }
        ("idempotency-key", _) => json!({"pattern": "^[!-~]{1,255}$"}),
        ("if-match", _) => json!({"pattern": "^\"[0-9]{1,18}\"$", "examples": ["\"7\""]}),
        ("last-event-id", _) | ("cursor", "/v1/quarantine") => {
            let named = id.trim_start_matches('^');
            let pattern = format!("^[0-9]{{1,16}}\\.{named}");
            json!({"pattern": pattern, "minLength": 38, "maxLength": 53})
        }
        // As the list writes it: without dashes.
        ("after", "/v1/jobs") => json!({"pattern": "^[0-9a-f]{32}$"}),
        ("after", "/v1/flows") => json!({"pattern": id}),
        ("after", "/v1/flows/{id}") => json!({"format": "int64", "maximum": u32::MAX}),
        ("id", "/v1/backups/{target}/{id}") => {
            json!({"pattern": "^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$"})
        }
        ("state", "/v1/jobs" | "/v1/events") => {
            let state = "(scheduled|available|running|retryable|waiting|completed|cancelled|dead)";
            json!({"pattern": format!("^{state}(,{state})*$")})
        }
        ("state", "/v1/outbox") => {
            json!({"enum": ["pending", "sending", "sent", "unknown", "failed"]})
        }
        _ => return,
    };
    if let (Some(schema), Value::Object(rules)) = (parameter["schema"].as_object_mut(), rules) {
        schema.extend(rules);
    }
}
