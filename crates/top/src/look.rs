//! What is coloured how.

use plimsoll_diagnose::thresholds::{FILLING, FULL};
use plimsoll_model::{Severity, Verdict};
use ratatui::style::{Color, Modifier, Style};

/// Whether there are colours. All is told without them, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Sixteen colours, as the terminal has them.
    Coloured,
    /// None: bold, dim and reversed alone.
    Plain,
}

impl Look {
    pub(crate) fn verdict(self, verdict: Verdict) -> Style {
        self.bold_in(match verdict {
            Verdict::Ok => Color::Green,
            Verdict::Warning => Color::Yellow,
            Verdict::Critical => Color::Red,
            Verdict::Unknown => Color::Magenta,
        })
    }

    pub(crate) fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Info => quiet(),
            Severity::Unknown => self.bold_in(Color::Magenta),
            Severity::Warning => self.bold_in(Color::Yellow),
            Severity::Critical => self.bold_in(Color::Red),
        }
    }

    /// How full something is.
    pub(crate) fn fill(self, utilization: Option<f64>) -> Style {
        self.in_colour(match utilization {
            Some(share) if share >= FULL => Color::Red,
            Some(share) if share >= FILLING => Color::Yellow,
            _ => Color::Cyan,
        })
    }

    /// Something that is lost.
    pub(crate) fn loss(self) -> Style {
        self.bold_in(Color::Red)
    }

    fn bold_in(self, colour: Color) -> Style {
        bold().patch(self.in_colour(colour))
    }

    fn in_colour(self, colour: Color) -> Style {
        match self {
            Self::Coloured => Style::new().fg(colour),
            Self::Plain => Style::new(),
        }
    }
}

pub(crate) const fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

pub(crate) const fn quiet() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

pub(crate) const fn chosen() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}
