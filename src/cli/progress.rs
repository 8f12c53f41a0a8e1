//! How far long work is, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar, once there is something to show and a screen to show it on.
pub(super) struct Bar {
    screen: bool,
    bar: Option<ProgressBar>,
}

impl Bar {
    pub(super) fn new(screen: bool) -> Self {
        Self { screen, bar: None }
    }

    /// Whether it was shown: elsewhere than on a screen it is not.
    pub(super) fn show(&mut self, done: u64, total: Option<u64>, words: &str) -> bool {
        if !self.screen {
            return false;
        }
        let bar = self.bar.get_or_insert_with(|| started(total.is_some()));
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
        bar.set_message(words.to_owned());
        true
    }

    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn started(bounded: bool) -> ProgressBar {
    let (bar, template) = if bounded {
        (
            ProgressBar::new(0),
            "{bar:40} {percent:>3}%  {msg}  {eta} to go",
        )
    } else {
        (ProgressBar::new_spinner(), "{spinner} {msg}  {per_sec}")
    };
    // The plain look stands where the template should be wrong.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
