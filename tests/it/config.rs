use std::collections::BTreeMap;

use metachat_jobs::config::{Config, Error, Sources};
use metachat_jobs::services::models::ModelOptions;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

fn environment(variables: &[(&str, &str)]) -> Sources {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Sources {
        environment: variables.iter().map(owned).collect(),
        ..Sources::default()
    }
}

fn file(text: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    let sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    (folder, sources)
}

fn refused(sources: &Sources) -> String {
    Config::load(sources).unwrap_err().to_string()
}

#[test]
fn the_defaults_alone_are_valid_and_all_shown() {
    let config = Config::load(&Sources::default()).unwrap();
    assert_eq!(
        (config.server.port, config.server.bind.is_loopback()),
        (3010, true)
    );
    let shown: BTreeMap<_, _> = config
        .settings
        .iter()
        .map(|setting| (setting.key.as_str(), setting.value.as_str()))
        .collect();
    assert_eq!(shown["server.port"], "3010");
    assert_eq!(shown["security.admin_key"], "(not set)");
    assert_eq!(shown["database.url"], "sqlite:metachat-jobs.db");
    assert!(config.settings.iter().all(|setting| setting.from.is_none()));
}

#[test]
fn sealing_keys_come_as_a_list_or_a_text_and_are_never_shown() {
    let (old, new) = (
        "old:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=",
        "new:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    );
    let list = format!("[sealing]\nkeys = [\"{new}\", \"{old}\"]\n");
    let (_folder, listed) = file(&list);
    let text = format!("{new}, {old}");
    let variable = environment(&[("METACHAT_JOBS__SEALING__KEYS", &text)]);
    for sources in [listed, variable] {
        let config = Config::load(&sources).unwrap();
        let ring = config.sealing.ring().unwrap();
        assert_eq!(ring.ids().collect::<Vec<_>>(), ["new", "old"]);
        assert!(!format!("{config:?}").contains("MDEy"), "{config:?}");
    }
    for wrong in ["hunter2", "id:hunter2", "id:aHVudGVyMg=="] {
        let told = refused(&environment(&[("METACHAT_JOBS__SEALING__KEYS", wrong)]));
        assert!(told.starts_with("setting sealing.keys: key 1"), "{told}");
        assert!(
            !told.contains("hunter2") && !told.contains("aHVud"),
            "{told}"
        );
    }
}

#[test]
fn every_default_is_explained() {
    let text = include_str!("../../config/default.toml");
    let mut explained = false;
    for line in text.lines() {
        match line.trim() {
            "" => explained = false,
            line if line.starts_with('#') => explained = true,
            line if line.starts_with('[') => {}
            line => assert!(explained, "{line} has no sentence"),
        }
    }
}

#[test]
fn the_example_for_production_is_valid() {
    let (_folder, mut sources) = file(include_str!("../../config/production.example.toml"));
    sources.environment.insert(
        "DATABASE_URL".to_owned(),
        "postgres://metachat:pw@127.0.0.1/metachat".to_owned(),
    );
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.engine.queues["messages"], 32);
}

#[test]
fn each_layer_goes_over_the_one_before() {
    let (_folder, mut sources) = file("[server]\nport = 1\n[log]\nlevel = \"warn\"");
    let port = |sources: &Sources| Config::load(sources).unwrap().server.port;
    assert_eq!(port(&sources), 1);
    let set = |sources: &mut Sources, name: &str, value: &str| {
        sources
            .environment
            .insert(name.to_owned(), value.to_owned());
    };
    set(&mut sources, "METACHAT_JOBS__SERVER__PORT", "2");
    assert_eq!(port(&sources), 2);
    sources
        .flags
        .push(("server.port".to_owned(), "3".to_owned()));
    assert_eq!(port(&sources), 3);

    let level = |sources: &Sources| Config::load(sources).unwrap().log.level;
    assert_eq!(level(&sources), "warn");
    set(&mut sources, "LOG_LEVEL", "debug");
    assert_eq!(level(&sources), "debug");
    set(&mut sources, "METACHAT_JOBS__LOG__LEVEL", "trace");
    assert_eq!(level(&sources), "trace");

    let settings = Config::load(&sources).unwrap().settings;
    let from = |key: &str| settings.iter().find(|s| s.key == key).unwrap().from.clone();
    assert_eq!(from("server.port").as_deref(), Some("--set"));
    assert_eq!(
        from("log.level").as_deref(),
        Some("METACHAT_JOBS__LOG__LEVEL")
    );
    assert_eq!(from("server.bind"), None);
}

#[test]
fn the_file_may_be_named_by_the_environment() {
    let (_folder, sources) = file("[server]\nport = 7");
    let named = environment(&[(
        "METACHAT_JOBS_CONFIG",
        sources.file.unwrap().to_str().unwrap(),
    )]);
    assert_eq!(Config::load(&named).unwrap().server.port, 7);
}

#[test]
fn queues_are_the_operators_own() {
    let config = Config::load(&environment(&[
        ("METACHAT_JOBS__ENGINE__QUEUES__REPORTS", "3"),
        ("METACHAT_JOBS__ENGINE__QUEUES__DELIVERY", "0"),
    ]))
    .unwrap();
    assert_eq!(config.engine.queues["reports"], 3);
    let served = metachat_jobs::compose::engine_options(&config)
        .unwrap()
        .queues;
    assert!(served.contains(&("reports".to_owned(), 3)));
    assert!(!served.iter().any(|(name, _)| name == "delivery"));
}

#[test]
fn numbers_in_the_environment_keep_their_zeros_where_text_is_meant() {
    let key = "0012345678901234567";
    let config = Config::load(&environment(&[("METACHAT_JOBS__SECURITY__ADMIN_KEY", key)]));
    assert_eq!(config.unwrap().security.admin_key.expose_secret(), key);
}

#[test]
fn an_unknown_key_is_refused_with_its_origin_and_its_neighbours() {
    let (_folder, sources) = file("[server]\nprot = 1");
    let path = sources.file.clone().unwrap();
    let told = refused(&sources);
    assert_eq!(
        told,
        format!(
            "unknown setting server.prot (from {}); did you mean server.port?",
            path.display()
        )
    );

    let told = refused(&environment(&[("METACHAT_JOBS__DATABASE__URI", "x")]));
    assert_eq!(
        told,
        "unknown setting database.uri (from METACHAT_JOBS__DATABASE__URI); did you mean database.url?"
    );

    let told = refused(&environment(&[("METACHAT_JOBS_ADMIN_KEY", "x")]));
    assert_eq!(
        told,
        "unknown setting METACHAT_JOBS_ADMIN_KEY; did you mean METACHAT_JOBS__SECTION__KEY?"
    );

    let mut sources = Sources::default();
    sources.flags.push(("colour".to_owned(), "blue".to_owned()));
    let told = refused(&sources);
    assert_eq!(
        told,
        "unknown setting colour (from --set); take it out, config/default.toml names every setting \
         there is"
    );

    let (_folder, sources) = file("[sever]\nport = 1");
    assert!(refused(&sources).starts_with("unknown setting sever (from "));
}

#[test]
fn a_value_that_cannot_be_used_names_its_key_and_is_not_repeated() {
    let cases: [((&str, &str), &str, &str); 9] = [
        (
            ("METACHAT_JOBS__SERVER__PORT", "hunter2"),
            "server.port (from METACHAT_JOBS__SERVER__PORT)",
            "expected",
        ),
        (
            ("METACHAT_JOBS__SERVER__PORT", "70000"),
            "server.port",
            "expected",
        ),
        (
            ("METACHAT_JOBS__SERVER__BIND", "hunter2"),
            "server.bind",
            "IP address",
        ),
        (
            ("METACHAT_JOBS__SERVER__REQUEST_TIMEOUT_MS", "0"),
            "server.request_timeout_ms",
            "use at least 1",
        ),
        (
            ("METACHAT_JOBS__SECURITY__ADMIN_KEY", "hunter2"),
            "security.admin_key",
            "openssl rand -hex 32",
        ),
        (
            ("DATABASE_URL", "mysql://u:hunter2@db/x"),
            "database.url",
            "sqlite:<file> or postgres://",
        ),
        (("LOG_LEVEL", "hunter2"), "log.level", "use fatal, error"),
        (
            ("METACHAT_JOBS__ENGINE__LEASE_MS", "5"),
            "engine.lease_ms",
            "use 1000 or more",
        ),
        (
            ("METACHAT_JOBS__RETENTION__DEAD_DAYS", "0"),
            "retention.dead_days",
            "nonzero",
        ),
    ];
    for (variable, key, remedy) in cases {
        let told = refused(&environment(&[variable]));
        assert!(told.contains(key), "{told}");
        assert!(told.contains(remedy), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_named_without_quoting_it() {
    let (folder, sources) = file("[security]\nadmin_key = hunter2");
    let told = refused(&sources);
    assert!(told.contains("config.toml is not valid TOML"), "{told}");
    assert!(told.contains("line 2"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");

    let missing = Sources {
        file: Some(folder.path().join("none.toml")),
        ..Sources::default()
    };
    let error = Config::load(&missing).unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }));
    let told = error.to_string();
    assert!(
        told.contains("none.toml") && told.contains("check --config"),
        "{told}"
    );
}

#[test]
fn secrets_are_not_shown() {
    let config = Config::load(&environment(&[
        (
            "METACHAT_JOBS__SECURITY__ADMIN_KEY",
            "hunter2hunter2hunter2",
        ),
        ("DATABASE_URL", "postgres://u:hunter2@db/x"),
    ]))
    .unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("3010"), "what is no secret is shown");
}

#[test]
fn a_rooms_own_defaults_are_those_of_the_file() {
    let config = Config::load(&Sources::default()).unwrap();
    assert_eq!(config.models, ModelOptions::default());
}

#[test]
fn the_platforms_names_are_understood() {
    let config = Config::load(&environment(&[
        ("OLLAMA_BASE_URL", "http://gpu:11434"),
        ("OLLAMA_MODEL", "qwen3"),
        ("DATABASE_URL", ""),
    ]))
    .unwrap();
    assert_eq!(config.models.ollama.base_url, "http://gpu:11434");
    assert_eq!(config.models.ollama.chat_model, "qwen3");
    let url = config.database.url.expose_secret();
    assert_eq!(url, "sqlite:metachat-jobs.db", "empty is not set");
}

/// A value as people write it, mostly wrong.
const VALUE: &str = "\\PC{0,20}|-?[0-9]{1,20}|true|false|\\[[0-9, ]{0,6}\\]|(postgres|sqlite|redis|amqp|http)://?[a-z@:/0-9]{0,20}";

proptest! {
    #[test]
    fn any_setting_is_taken_or_refused_by_its_name(
        place in any::<prop::sample::Index>(),
        value in VALUE,
    ) {
        let defaults = Config::load(&Sources::default()).unwrap();
        let key = &defaults.settings[place.index(defaults.settings.len())].key;
        let sources = Sources {
            flags: vec![(key.clone(), value)],
            ..Sources::default()
        };
        if let Err(error) = Config::load(&sources) {
            let told = error.to_string();
            let room = key.split('.').next().unwrap();
            prop_assert!(told.contains(room), "{}: {}", key, told);
        }
    }

    #[test]
    fn any_file_is_read_or_refused(text in "(\\[?[a-z_.]{1,12}\\]? ?=? ?[\"0-9a-z\\[\\]{}]{0,8}\\n){0,6}|\\PC{0,60}") {
        let (_folder, sources) = file(&text);
        if let Err(error) = Config::load(&sources) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn a_setting_is_as_it_was_written(port in any::<u16>(), rate in 0.0..=1.0_f64) {
        let text = format!("[server]\nport = {port}\n[telemetry]\ntrace_sample_rate = {rate:?}\n");
        let (_folder, sources) = file(&text);
        let config = Config::load(&sources).unwrap();
        prop_assert_eq!(config.server.port, port);
        prop_assert!((config.telemetry.trace_sample_rate - rate).abs() < 1e-9);
    }
}
