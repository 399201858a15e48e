//! Spans of time, as scenarios write them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// The longest that a scenario can speak of: ten years.
const MOST_SECS: f64 = 10.0 * 365.0 * 86_400.0;

/// Seconds, with a fraction if need be.
pub(crate) fn secs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Number::deserialize(deserializer)?.secs().map_err(de::Error::custom)
}

/// Seconds that need not be there.
pub(crate) fn optional_secs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    secs(deserializer).map(Some)
}

/// Ten years are the most that a scenario speaks of, and 584 would fit.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// TOML tells `1` and `1.0` apart.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Number {
    Whole(u32),
    Broken(f64),
}

impl Number {
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::Whole(number) => number.into(),
            Self::Broken(number) => number,
        }
    }

    pub(crate) fn secs(self) -> Result<Duration, String> {
        let value = self.value();
        if (0.0..=MOST_SECS).contains(&value) {
            Ok(Duration::from_secs_f64(value))
        } else {
            Err(format!("not a number of seconds that a scenario can speak of: write one of 0 to {MOST_SECS}"))
        }
    }
}

/// `5s`, `20ms`, `2m`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no span of time: write it as 20ms, 1.5s or 2m");
    let (number, unit_secs) = match text {
        _ if text.ends_with("ms") => (text.trim_end_matches("ms"), 0.001),
        _ if text.ends_with('s') => (text.trim_end_matches('s'), 1.0),
        _ if text.ends_with('m') => (text.trim_end_matches('m'), 60.0),
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Number::Broken(number * unit_secs).secs().map_err(|_| wrong())
}
