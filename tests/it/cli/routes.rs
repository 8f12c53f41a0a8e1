//! Every route that changes something has a command, and every command asks a route that is there.

use std::collections::BTreeSet;

use clap::Parser as _;
use metachat_jobs::cli::Cli;

use crate::api::Api;

const ID: &str = "0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d";
const CRON: &str = "0 9 * * *";

/// Command lines, without the program's name.
const COMMANDS: &[&[&str]] = &[
    &["enqueue", "greet"],
    &["requeue", ID],
    &["snooze", ID, "--until", "2100-01-01T00:00:00Z"],
    &["cancel", ID],
    &["discard", ID],
    &["rerun", ID],
    &["signal", ID, "approved"],
    &["bulk", "cancel", "--all"],
    &["pause", "--queue", "mail"],
    &["resume", "--queue", "mail"],
    &["mute", "0a1b2c3d4e5f"],
    &["unmute", "0a1b2c3d4e5f"],
    &["slots", "mail", "5"],
    &["slots", "mail"],
    &["drain", "w1"],
    &["drain", "w1", "--undo"],
    &["policy", "set", "mail", "{}"],
    &["policy", "clear", "mail"],
    &["flows", "cancel", ID],
    &["flows", "retry", ID, "--from", "report"],
    &["schedules", "pause", "nightly", "--note", "x"],
    &["schedules", "resume", "nightly"],
    &["schedules", "run", "nightly"],
    &[
        "schedules",
        "backfill",
        "nightly",
        "--from",
        "2026-01-01T00:00:00Z",
        "--until",
        "2026-01-02T00:00:00Z",
    ],
    &["schedules", "next", CRON],
    &["outbox", "resend", ID],
    &["outbox", "mark-sent", ID],
    &["quarantine", "replay", ID],
    &["quarantine", "discard", ID],
    &["webhooks", "replay", ID],
    // What reads.
    &["list"],
    &["show", ID],
    &["audit"],
    &["errors"],
    &["queues"],
    &["workers"],
    &["pause"],
    &["trace", "c-1"],
    &["policy", "show", "mail"],
    &["policy", "show"],
    &["flows", "list"],
    &["flows", "show", ID],
    &["schedules", "list"],
    &["schedules", "show", "nightly"],
    &["outbox", "list"],
    &["quarantine", "list"],
    &["quarantine", "show", ID],
    &["webhooks", "deliveries", "w1"],
    &["backup", "list"],
    &["backup", "show", "main", ID],
];

/// Routes that change something and have no command, and why.
const WITHOUT: &[(&str, &str, &str)] = &[
    (
        "POST",
        "/v1/session",
        "signs a browser in; a profile has its key",
    ),
    ("DELETE", "/v1/session", "signs a browser out"),
    (
        "POST",
        "/v1/messages",
        "takes in what people write to a tenant, from a channel",
    ),
    (
        "POST",
        "/v1/flows",
        "a program starts its flow, whose steps it knows",
    ),
    (
        "POST",
        "/v1/jobs/batch",
        "`jobctl enqueue` does it one by one",
    ),
    (
        "POST",
        "/v1/jobs/bulk/preview",
        "changes nothing; `jobctl bulk --dry-run` asks it",
    ),
];

/// The route of a description that a path belongs to.
fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    let fits = |(part, word): (&&str, &&str)| part.starts_with('{') || part == word;
    template.len() == path.len() && template.iter().zip(&path).all(fits)
}

#[tokio::test]
async fn every_action_of_the_api_is_a_command() {
    let described = Api::new().get("/openapi.json").await.json();
    let mut routes = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.insert((method.to_uppercase(), path.clone()));
        }
    }
    let mut asked = BTreeSet::new();
    for words in COMMANDS {
        let cli = Cli::try_parse_from([&["jobctl"], *words].concat()).unwrap();
        let ask = cli.command.ask();
        let (method, path) = ask
            .unwrap_or_else(|why| panic!("{words:?}: {why:?}"))
            .route();
        // The plainer route wins: `schedules/preview` is no schedule.
        let found = routes
            .iter()
            .filter(|(verb, template)| *verb == method && matches(template, &path))
            .min_by_key(|(_, template)| template.matches('{').count());
        let found =
            found.unwrap_or_else(|| panic!("{words:?} asks {method} {path}, which is no route"));
        asked.insert(found.clone());
    }
    for (method, path, why) in WITHOUT {
        let route = ((*method).to_owned(), (*path).to_owned());
        assert!(
            routes.contains(&route),
            "{method} {path} is gone: take it off the list"
        );
        assert!(
            !asked.contains(&route),
            "{method} {path} has a command: {why}"
        );
    }
    let lacking: Vec<_> = routes
        .iter()
        .filter(|(method, _)| method != "GET")
        .filter(|route| !asked.contains(*route))
        .filter(|(method, path)| !WITHOUT.iter().any(|it| it.0 == method && it.1 == path))
        .collect();
    assert!(
        lacking.is_empty(),
        "give each a command, or say above why not: {lacking:?}"
    );
}
