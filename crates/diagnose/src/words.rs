//! Numbers and sentences as people read them.

use plimsoll_model::Interval;

/// With commas between thousands: `262,144`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage: `76.3%`. Never rounded to 0 or 100 when it is neither.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.1 {
        "<0.1%".to_string()
    } else if percent > 99.9 && percent < 100.0 {
        ">99.9%".to_string()
    } else {
        format!("{percent:.1}%")
    }
}

/// A share with its interval, `34.2% (33.3–35.1)`, or alone where it is exact.
pub fn share(share: &Interval) -> String {
    if share.half_width() == 0.0 {
        percent(share.value)
    } else {
        format!("{} ({:.1}–{:.1})", percent(share.value), share.low * 100.0, share.high * 100.0)
    }
}

/// Bytes with a unit: `96 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value >= 10.0 || unit == 0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A number of seconds with its two largest units: `2 h 5 min`.
pub fn duration(secs: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let largest = UNITS.iter().position(|(unit_secs, _)| secs >= *unit_secs).unwrap_or(UNITS.len() - 1);
    let (unit_secs, unit) = UNITS[largest];
    let mut text = format!("{} {unit}", secs / unit_secs);
    if let Some((next_secs, next)) = UNITS.get(largest + 1)
        && secs % unit_secs / next_secs > 0
    {
        text.push_str(&format!(" {} {next}", secs % unit_secs / next_secs));
    }
    text
}

/// A rate: one decimal below ten, none above.
pub fn rate(per_sec: f64) -> String {
    if per_sec < 10.0 { format!("{per_sec:.1}") } else { grouped(rounded(per_sec)) }
}

/// The nearest whole number; 0 for what is less.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "made to be neither")]
pub fn rounded(number: f64) -> u64 {
    number.round().clamp(0.0, 2_f64.powi(53)) as u64
}

/// Text broken between words into lines of at most `width` letters, each ended; the first begins with `first`, the others with as many
/// spaces.
pub fn wrapped(first: &str, text: &str, width: usize) -> String {
    let indent = first.chars().count();
    let mut wrapped = first.to_string();
    let mut column = indent;
    for (index, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > width {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            column = indent;
        } else if index > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped.push('\n');
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_threes() {
        assert_eq!([0, 999, 1000, 262_144, 1_000_000].map(grouped), ["0", "999", "1,000", "262,144", "1,000,000"]);
    }

    #[test]
    fn almost_nothing_is_not_nothing_and_almost_all_is_not_all() {
        assert_eq!([0.0, 0.0004, 0.7634, 0.9999, 1.0].map(percent), ["0.0%", "<0.1%", "76.3%", ">99.9%", "100.0%"]);
    }

    #[test]
    fn durations_have_two_units() {
        assert_eq!(
            [0, 59, 60, 7500, 432_000, 90_000].map(duration),
            ["0 s", "59 s", "1 min", "2 h 5 min", "5 d", "1 d 1 h"]
        );
    }

    #[test]
    fn bytes_have_a_unit() {
        assert_eq!([512, 1536, 67_108_864, 3 << 30].map(bytes), ["512 B", "1.5 KiB", "64 MiB", "3.0 GiB"]);
    }

    #[test]
    fn lines_are_broken_between_words_and_indented() {
        let lines = wrapped("  1. ", &"word ".repeat(40), 60);
        assert!(lines.lines().count() > 1);
        assert!(lines.lines().all(|line| line.chars().count() <= 60));
        assert!(lines.lines().skip(1).all(|line| line.starts_with("     word")));
    }

    #[test]
    fn a_word_that_is_too_long_is_left_whole() {
        let long = "x".repeat(300);
        assert_eq!(wrapped("- ", &long, 60), format!("- {long}\n"));
    }
}
