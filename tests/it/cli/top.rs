//! `jobctl top`: what it draws of a real server, and as a program in a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use metachat_jobs::cli::top::{Act, Effect, Event, State, Tab, load, perform, update, view};
use metachat_jobs::cli::{Server, open};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use rustix::process::{Pid, Signal, kill_process};

use super::house::{House, JOB};
use super::pty::Pty;
use crate::program::KEY;

async fn server(house: &House) -> Server {
    let config = house.path().join("config").display().to_string();
    let environment: BTreeMap<String, String> = [
        ("XDG_CONFIG_HOME".to_owned(), config),
        ("KEY_OF_HERE".to_owned(), KEY.to_owned()),
    ]
    .into();
    open("here", &environment)
        .await
        .unwrap_or_else(|why| panic!("{why:?}"))
}

fn press(state: &mut State, code: KeyCode) -> Effect {
    update(state, Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn drawn(state: &State) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(132, 16)).unwrap();
    terminal.draw(|frame| view(state, frame)).unwrap();
    terminal
}

/// With ids, times and users that differ from run to run made the same.
fn still(state: &State, ids: &[&str]) -> String {
    let mut text = drawn(state).backend().to_string();
    for id in ids {
        text = text.replace(id, &"i".repeat(id.len()));
    }
    let letters: Vec<char> = text.chars().collect();
    let clock = |window: &[char]| {
        let shape: String = window
            .iter()
            .map(|c| if c.is_ascii_digit() { '0' } else { *c })
            .collect();
        shape == "0000-00-00 00:00:00"
    };
    let mut still = letters.clone();
    for (at, window) in letters.windows(19).enumerate() {
        if clock(window) {
            still[at..at + 19].copy_from_slice(&"yyyy-mm-dd hh:mm:ss".chars().collect::<Vec<_>>());
        }
    }
    let text: String = still.into_iter().collect();
    let user = text
        .split("jobctl:")
        .nth(1)
        .and_then(|rest| rest.split(')').next());
    match user.map(str::to_owned) {
        Some(user) => text.replace(&format!("jobctl:{user})"), "jobctl:user)"),
        None => text,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_shows_what_the_server_tells() {
    let house = House::new().await;
    let later = house.done(&[&JOB[..], &["--delay-ms", "6000000"]].concat());
    let dead = house.done(&[
        "enqueue",
        "ingest_document",
        r#"{"tenantId":"rival","documentId":"d-2"}"#,
    ]);
    house.done(&["discard", &dead]);
    house.done(&["pause", "--queue", "documents", "--reason", "\u{1b}[31m"]);
    let server = server(&house).await;
    let mut state = State::new(server.name(), true);
    for tab in Tab::ALL {
        let digit = KeyCode::Char(char::from(b'1' + tab as u8));
        assert_eq!(press(&mut state, digit), Effect::Load);
        let part = load(&server, state.tab()).await.unwrap();
        update(&mut state, Event::Loaded(Ok(part)));
        let page = still(&state, &[&later, &dead]);
        match tab {
            // What is counted by minutes comes when it comes.
            Tab::Overview => {
                assert!(page.contains("available  0"), "{page}");
                assert!(page.contains("1 scheduled, 0 to be retried"), "{page}");
                assert!(page.contains("pauses     1"), "{page}");
                assert!(page.contains("● live"), "{page}");
            }
            Tab::Schedules => assert!(page.contains("there are none"), "{page}"),
            Tab::Queues => insta::assert_snapshot!("queues", page),
            Tab::Jobs => insta::assert_snapshot!("jobs", page),
            Tab::Errors => insta::assert_snapshot!("errors", page),
        }
    }

    press(&mut state, KeyCode::Char('3'));
    let coloured = |state: &State| {
        let terminal = drawn(state);
        let cells = &terminal.backend().buffer().content;
        cells.iter().any(|cell| cell.fg != Color::Reset)
    };
    assert!(coloured(&state));
    for letter in "/rival".chars() {
        press(&mut state, KeyCode::Char(letter));
    }
    press(&mut state, KeyCode::Enter);
    let page = still(&state, &[]);
    assert!(page.contains(&dead) && !page.contains(&later), "{page}");
    press(&mut state, KeyCode::Char('r'));
    assert!(still(&state, &[]).contains(&format!("run job {dead} again now? y does it")));
    let retry = Act::Retry(dead.clone());
    assert_eq!(
        press(&mut state, KeyCode::Char('y')),
        Effect::Do(retry.clone())
    );
    let acted = perform(&server, &retry).await;
    assert_eq!(acted, Ok(format!("done: run job {dead} again now")));
    update(&mut state, Event::Acted(acted));
    assert_eq!(house.json(&["show", &dead])["state"], "available");

    drop(house);
    let why = load(&server, state.tab()).await.unwrap_err();
    update(&mut state, Event::Loaded(Err(why)));
    let page = still(&state, &[]);
    assert!(
        page.contains("○ stale") && page.contains("cannot be reached"),
        "{page}"
    );
    assert!(page.contains(&dead), "what was known stays: {page}");
    let mut plain = State::new("here", false);
    update(&mut plain, Event::Loaded(Err("gone".to_owned())));
    assert!(!coloured(&plain));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_are_shown_in_words() {
    let house = House::with_role("all").await;
    let server = server(&house).await;
    let mut state = State::new(server.name(), true);
    press(&mut state, KeyCode::Char('5'));
    for letter in "/partitions".chars() {
        press(&mut state, KeyCode::Char(letter));
    }
    let mut pulse = tokio::time::interval(Duration::from_millis(50));
    let shown = async {
        loop {
            pulse.tick().await;
            let part = load(&server, Tab::Schedules).await.unwrap();
            update(&mut state, Event::Loaded(Ok(part)));
            let page = still(&state, &[]);
            if page.contains("partitions_ahead") {
                return page;
            }
        }
    };
    let page = tokio::time::timeout(Duration::from_secs(30), shown)
        .await
        .unwrap();
    assert!(page.contains("active") && page.contains("(UTC)"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_used_in_a_terminal_and_leaves_it_as_it_was() {
    let mut house = House::new().await;
    let id = house.done(&[&JOB[..], &["--delay-ms", "6000000"]].concat());
    let mut terminal = Pty::start(&mut house.command(&["top", "--profile", "here"]));
    terminal.sees("● live");
    terminal.sees("1 scheduled");
    assert!(terminal.screen().alternate_screen() && !terminal.is_cooked());
    terminal.press("3");
    terminal.sees(&id);
    terminal.press("r");
    terminal.sees("y does it");
    terminal.press("y");
    terminal.sees("done: run job");
    assert_eq!(house.json(&["show", &id])["state"], "available");
    terminal.press("\t\t\t\t");
    terminal.sees("AVAILABLE");
    terminal.press("p");
    terminal.sees("? y does it");
    terminal.press("y");
    terminal.sees("done: pause queue");
    assert_eq!(
        house.json(&["pause"])["pauses"].as_array().unwrap().len(),
        1
    );
    terminal.press("/none\r");
    terminal.sees("none match; esc shows all");
    house.server = None;
    terminal.sees("○ stale");
    terminal.press("q");
    terminal.is_left();
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    assert!(terminal.is_cooked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_leaves_the_terminal_as_it_was_when_it_is_told_to_stop() {
    let house = House::new().await;
    let mut command = house.command(&["top", "--profile", "here", "--dry-run"]);
    let mut terminal = Pty::start(command.env("NO_COLOR", "1"));
    terminal.sees("● live");
    let written = terminal.screen().contents_formatted();
    let colour = written
        .windows(5)
        .any(|it| it.starts_with(b"\x1b[3") && it[4] == b'm');
    assert!(!colour, "{:?}", String::from_utf8_lossy(&written));
    let id = i32::try_from(terminal.child.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    terminal.is_left();
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    assert!(terminal.is_cooked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_wants_a_terminal_a_profile_and_a_person() {
    let house = House::new().await;
    for (told, said) in [
        (house.run(&["top"]), "draws on a terminal"),
        (house.run(&["top", "--json"]), "is for people"),
        (house.direct(&["top"]), "name a profile"),
    ] {
        assert_eq!(told.code, Some(2), "{told:?}");
        assert!(told.err.contains(said), "{told:?}");
    }
}
