//! The table that is printed, row by row as the figures come.

use crate::figures::Spread;

/// What a figure should be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn in_words(self, figure: f64) -> String {
        let (words, goal, is_met) = match self {
            Self::AtLeast(goal) => ("at least", goal, figure >= goal),
            Self::AtMost(goal) => ("at most", goal, figure <= goal),
        };
        format!("{words} {goal}: {}", if is_met { "met" } else { "missed" })
    }
}

/// A figure beside its goal.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) figure: Spread,
    pub(crate) goal: Goal,
    /// What the figure was made of.
    pub(crate) from: String,
}

impl Row {
    pub(crate) fn print(&self) {
        let figure = format!("{} {}", self.figure, self.unit);
        println!("{:44} {figure:34} {}", self.what, self.goal.in_words(self.figure.median));
        println!("  {}", self.from);
    }
}
