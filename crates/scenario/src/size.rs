//! How large a scenario is played.

use std::fmt;
use std::str::FromStr;

/// A factor on every rate and count.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Size(f64);

impl Size {
    /// The factor: above 0, and at most 1,000.
    pub const fn factor(self) -> f64 {
        self.0
    }

    /// A count at this size, rounded; at least 1 where it was.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    pub(crate) fn of(self, count: u32) -> u32 {
        ((f64::from(count) * self.0).round() as u32).max(count.min(1))
    }
}

impl Default for Size {
    fn default() -> Self {
        Self(1.0)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(factor) if 0.0 < factor && factor <= 1000.0 => Ok(Self(factor)),
            _ => Err("must be a factor above 0 and at most 1000, as 0.5 or 2".to_string()),
        }
    }
}
