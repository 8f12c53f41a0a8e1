//! `jobctl top`: a server, live in a terminal. [`State`] is what is known, [`update`] takes in what
//! happens, [`view`] draws it; only this file has to do with the world.

mod data;
mod look;
mod state;
mod update;
mod view;

use std::io::IsTerminal as _;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self as terminal_event, Event as Pressed, KeyEventKind};
use reqwest::Method;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::ask::{Ask, Shows};
use super::remote::Server;
use super::{Exit, Failure};

pub use data::{Part, load};
pub use state::{Act, State, Tab};
pub use update::{Effect, Event, update};
pub use view::view;

const PULSE: Duration = Duration::from_secs(1);
/// How soon the reader of keys notices that nobody wants them any more.
const PATIENCE: Duration = Duration::from_millis(100);

/// Until it is quit.
pub(super) async fn run(server: &Server, colour: bool, dry: bool) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "top draws on a terminal, and this is none; `--watch` repeats a command anywhere",
        ));
    }
    let mut desk = Desk::new(server, colour, dry);
    // From here on a panic, too, puts the terminal to rights.
    let mut terminal = ratatui::try_init()?;
    let done = desk.run(&mut terminal).await;
    ratatui::restore();
    done
}

struct Desk {
    server: Server,
    state: State,
    dry: bool,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
    /// When the last answer came.
    answered: Instant,
    /// One question at a time.
    asking: bool,
}

impl Desk {
    fn new(server: &Server, colour: bool, dry: bool) -> Self {
        let (sender, events) = mpsc::channel(64);
        Self {
            state: State::new(server.name(), colour),
            server: server.clone(),
            dry,
            events,
            sender,
            answered: Instant::now(),
            asking: false,
        }
    }

    async fn run(&mut self, terminal: &mut DefaultTerminal) -> Result<(), Failure> {
        let cannot = |error| Failure::new(Exit::Failed, format!("signals: {error}"));
        let mut told = signal(SignalKind::terminate()).map_err(cannot)?;
        let mut hung_up = signal(SignalKind::hangup()).map_err(cannot)?;
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let keys = self.sender.clone();
        std::thread::spawn(move || read_keys(&keys));
        loop {
            terminal.draw(|frame| view(&self.state, frame))?;
            let event = tokio::select! {
                _ = told.recv() => return Ok(()),
                _ = hung_up.recv() => return Ok(()),
                _ = pulse.tick() => {
                    self.ask();
                    Event::Aged(self.answered.elapsed())
                }
                event = self.events.recv() => match event {
                    Some(event) => event,
                    None => return Ok(()),
                },
            };
            if let Event::Loaded(loaded) = &event {
                self.asking = false;
                if loaded.is_ok() {
                    self.answered = Instant::now();
                }
            }
            match update(&mut self.state, event) {
                Effect::None => {}
                Effect::Load => self.ask(),
                Effect::Do(act) => self.act(act),
                Effect::Quit => return Ok(()),
            }
        }
    }

    /// Asks for what is shown now.
    fn ask(&mut self) {
        if self.asking {
            return;
        }
        self.asking = true;
        let (server, tab, sender) = (self.server.clone(), self.state.tab(), self.sender.clone());
        tokio::spawn(async move {
            let loaded = load(&server, tab).await;
            // Nobody waits for it any more if this fails.
            let _ = sender.send(Event::Loaded(loaded)).await;
        });
    }

    fn act(&self, act: Act) {
        let (server, sender, dry) = (self.server.clone(), self.sender.clone(), self.dry);
        tokio::spawn(async move {
            let acted = if dry {
                Ok(format!("would {}; nothing was done", act.words()))
            } else {
                perform(&server, &act).await
            };
            let _ = sender.send(Event::Acted(acted)).await;
        });
    }
}

/// Does it, and says so.
pub async fn perform(server: &Server, act: &Act) -> Result<String, String> {
    let asked = asked(act).map_err(Failure::message)?;
    let sent = server.send(&asked).await;
    sent.map_err(Failure::message)?;
    Ok(format!("done: {}", act.words()))
}

fn asked(act: &Act) -> Result<Ask, Failure> {
    let pauses: [&(dyn std::fmt::Display + Sync); 1] = [&"pauses"];
    match act {
        Act::Retry(id) => Ok(Ask::post(&[&"jobs", id, &"requeue"], Shows::Sheet)),
        Act::Pause(queue) => {
            let pause = serde_json::json!({ "queue": queue, "reason": "jobctl top" });
            Ask::new(Method::PUT, &pauses, Shows::Sheet).body(&pause)
        }
        Act::Resume(queue) => {
            let ask = Ask::new(Method::DELETE, &pauses, Shows::Sheet);
            Ok(ask.with("queue", Some(queue)))
        }
    }
}

/// Passes keys on until nobody takes them.
fn read_keys(keys: &mpsc::Sender<Event>) {
    while !keys.is_closed() {
        match terminal_event::poll(PATIENCE) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(_) => return,
        }
        let sent = match terminal_event::read() {
            Ok(Pressed::Key(key)) if key.kind != KeyEventKind::Release => {
                keys.blocking_send(Event::Key(key))
            }
            // It is drawn anew in its new size.
            Ok(Pressed::Resize(..)) => keys.blocking_send(Event::Resized),
            Ok(_) => continue,
            Err(_) => return,
        };
        if sent.is_err() {
            return;
        }
    }
}
