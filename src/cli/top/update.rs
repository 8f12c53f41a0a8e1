//! What happens when something happens.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::data::Part;
use super::state::{Act, Mode, State, Tab};

/// Rows that a page key goes over.
const PAGE: usize = 10;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// Time has passed since the last answer.
    Aged(Duration),
    /// A page's data has come, or has not.
    Loaded(Result<Part, String>),
    /// What came of an act.
    Acted(Result<String, String>),
}

/// What is to be done about it.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Ask for the page's data now.
    Load,
    /// Do this.
    Do(Act),
    /// End.
    Quit,
}

/// Takes in what happened.
pub fn update(state: &mut State, event: Event) -> Effect {
    match event {
        Event::Key(key) => pressed(state, key),
        Event::Resized => Effect::None,
        Event::Aged(age) => {
            state.age = age;
            Effect::None
        }
        Event::Loaded(Ok(part)) => {
            state.trouble = None;
            state.age = Duration::ZERO;
            state.take(part);
            Effect::None
        }
        Event::Loaded(Err(why)) => {
            state.trouble = Some(why);
            Effect::None
        }
        Event::Acted(told) => {
            state.notice = Some(told.unwrap_or_else(|why| format!("not done: {why}")));
            Effect::Load
        }
    }
}

fn pressed(state: &mut State, key: KeyEvent) -> Effect {
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return Effect::Quit;
    }
    match &state.mode {
        Mode::Look => looking(state, key.code),
        Mode::Filter => filtering(state, key.code),
        Mode::Confirm(act) => {
            let act = act.clone();
            state.mode = Mode::Look;
            match key.code {
                KeyCode::Char('y' | 'Y') => Effect::Do(act),
                _ => {
                    state.notice = Some("nothing was done".to_owned());
                    Effect::None
                }
            }
        }
    }
}

fn looking(state: &mut State, code: KeyCode) -> Effect {
    state.notice = None;
    let last = state.rows().saturating_sub(1);
    match code {
        KeyCode::Char('q') => return Effect::Quit,
        KeyCode::Char(digit @ '1'..='5') => {
            let place = digit as usize - '1' as usize;
            return turn(state, Tab::ALL[place]);
        }
        KeyCode::Tab | KeyCode::Right => return turn(state, state.tab.step(1)),
        KeyCode::BackTab | KeyCode::Left => {
            return turn(state, state.tab.step(Tab::ALL.len() - 1));
        }
        KeyCode::Down | KeyCode::Char('j') => state.row = (state.row + 1).min(last),
        KeyCode::Up | KeyCode::Char('k') => state.row = state.row.saturating_sub(1),
        KeyCode::PageDown => state.row = (state.row + PAGE).min(last),
        KeyCode::PageUp => state.row = state.row.saturating_sub(PAGE),
        KeyCode::Home => state.row = 0,
        KeyCode::End => state.row = last,
        KeyCode::Char('/') => state.mode = Mode::Filter,
        KeyCode::Esc => {
            state.filter.clear();
            state.row = 0;
        }
        KeyCode::Char('r') => retry(state),
        KeyCode::Char('p') => pause(state),
        _ => {}
    }
    Effect::None
}

fn filtering(state: &mut State, code: KeyCode) -> Effect {
    match code {
        KeyCode::Enter => state.mode = Mode::Look,
        KeyCode::Esc => {
            state.filter.clear();
            state.mode = Mode::Look;
        }
        KeyCode::Backspace => drop(state.filter.pop()),
        KeyCode::Char(letter) if !letter.is_control() => state.filter.push(letter),
        _ => return Effect::None,
    }
    state.row = 0;
    Effect::None
}

fn turn(state: &mut State, tab: Tab) -> Effect {
    if state.tab != tab {
        state.tab = tab;
        state.row = 0;
        state.filter.clear();
    }
    Effect::Load
}

fn retry(state: &mut State) {
    let job = state.shown_jobs().nth(state.row);
    match job.filter(|_| state.tab == Tab::Jobs) {
        Some(job) => state.mode = Mode::Confirm(Act::Retry(job.id.clone())),
        None => state.notice = Some("r runs the chosen job of page 3 again".to_owned()),
    }
}

fn pause(state: &mut State) {
    let queue = state.shown_queues().nth(state.row);
    let Some(queue) = queue.filter(|_| state.tab == Tab::Queues) else {
        state.notice = Some("p pauses the chosen queue of page 2, or ends its pause".to_owned());
        return;
    };
    let name = queue.queue.clone();
    let act = match state.pause_of(&name) {
        Some(_) => Act::Resume(name),
        None => Act::Pause(name),
    };
    state.mode = Mode::Confirm(act);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::data::Job;

    fn press(state: &mut State, code: KeyCode) -> Effect {
        update(state, Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn jobs(ids: &[&str]) -> Event {
        let job = |id: &&str| Job {
            id: (*id).to_owned(),
            ..Job::default()
        };
        Event::Loaded(Ok(Part::Jobs(ids.iter().map(job).collect())))
    }

    #[test]
    fn an_act_is_asked_about_and_the_row_stays_within() {
        let mut state = State::new("here", true);
        assert_eq!(press(&mut state, KeyCode::Char('3')), Effect::Load);
        update(&mut state, jobs(&["a", "b", "c"]));
        press(&mut state, KeyCode::End);
        press(&mut state, KeyCode::Down);
        assert_eq!(press(&mut state, KeyCode::Char('r')), Effect::None);
        let done = press(&mut state, KeyCode::Char('y'));
        assert_eq!(done, Effect::Do(Act::Retry("c".to_owned())));
        press(&mut state, KeyCode::Char('r'));
        assert_eq!(press(&mut state, KeyCode::Enter), Effect::None);
        assert_eq!(state.mode, Mode::Look);
        update(&mut state, jobs(&["a"]));
        assert_eq!(state.row, 0);
    }

    #[test]
    fn a_filter_takes_every_letter() {
        let mut state = State::new("here", true);
        press(&mut state, KeyCode::Char('3'));
        update(&mut state, jobs(&["quiet", "loud"]));
        for letter in "/q".chars() {
            assert_eq!(press(&mut state, KeyCode::Char(letter)), Effect::None);
        }
        assert_eq!(state.rows(), 1);
        press(&mut state, KeyCode::Esc);
        assert_eq!(state.rows(), 2);
        assert_eq!(press(&mut state, KeyCode::Char('q')), Effect::Quit);
    }

    #[test]
    fn a_server_that_is_gone_is_said_and_what_was_known_stays() {
        let mut state = State::new("here", true);
        press(&mut state, KeyCode::Char('3'));
        update(&mut state, jobs(&["a"]));
        assert!(!state.is_old());
        update(&mut state, Event::Loaded(Err("gone".to_owned())));
        assert!(state.is_old());
        assert_eq!(state.rows(), 1);
        update(&mut state, jobs(&["a"]));
        assert!(!state.is_old());
        update(&mut state, Event::Aged(Duration::from_secs(6)));
        assert!(state.is_old());
    }
}
