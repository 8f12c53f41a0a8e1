//! Colours, where they are wanted (NO_COLOR); every state has its word anyway.

use ratatui::style::{Color, Modifier, Style};

#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) colour: bool,
}

impl Look {
    fn coloured(self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    pub(super) fn accent(self) -> Style {
        self.coloured(Color::Blue).add_modifier(Modifier::BOLD)
    }

    pub(super) fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    pub(super) fn warning(self) -> Style {
        self.coloured(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    #[expect(clippy::unused_self, reason = "asked as its siblings are")]
    pub(super) fn muted(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The chosen row: seen without colours, too.
    #[expect(clippy::unused_self, reason = "asked as its siblings are")]
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn of_state(self, state: &str) -> Style {
        match state {
            "dead" | "failed" | "error" => self.bad(),
            "retryable" | "paused" | "retired" => self.warning(),
            "completed" | "active" => self.good(),
            "running" => self.coloured(Color::Cyan),
            "available" => self.coloured(Color::Blue),
            "waiting" => self.coloured(Color::Magenta),
            _ => Style::new(),
        }
    }
}
