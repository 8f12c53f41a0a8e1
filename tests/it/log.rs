use metachat_jobs::telemetry;
use serde_json::Value;

use crate::lines::Lines;

fn logged(level: &str, events: impl FnOnce()) -> Vec<Value> {
    let lines = Lines::default();
    tracing::dispatcher::with_default(&lines.log(level), events);
    lines.objects()
}

#[test]
fn a_line_is_one_flat_object_with_the_platforms_names() {
    let lines = logged("info", || {
        let outer = tracing::info_span!("outer", correlationId = "c-1", step = "outer");
        let _outer = outer.enter();
        let inner = tracing::info_span!("inner", step = "inner");
        let _inner = inner.enter();
        tracing::warn!(target: "Scope", { job.attempt = 2, step = "event", level = "mine" }, "told");
    });
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(line["level"], "WARN", "a field cannot pose as the level");
    assert_eq!(line["message"], "told");
    assert_eq!(line["scope"], "Scope");
    assert_eq!(line["correlationId"], "c-1");
    assert_eq!(line["job.attempt"], 2);
    assert_eq!(line["step"], "event", "the nearest wins, once");
    assert_eq!(line["pid"], std::process::id());
    assert!(line["hostname"].is_string());
    let time = line["time"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
}

#[test]
fn the_platforms_levels_are_known() {
    let count = |level| logged(level, || tracing::error!("one")).len();
    assert_eq!(
        (count("fatal"), count("silent"), count("off,it=warn")),
        (1, 0, 1)
    );
    assert!(telemetry::level_filter("loud").is_err());
    assert!(telemetry::level_filter("").is_err());
}
