//! Moments as RFC 3339 writes them.

use plimsoll_recording::date_and_time;

/// Seconds since 1970 as a date and time, UTC.
pub(crate) fn rfc3339(unix_secs: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and far below 2^63")]
    let (date, time) = date_and_time(unix_secs.max(0.0) as u64);
    format!("{date}T{time}Z")
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(rfc3339(0.0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_709_251_199.9), "2024-02-29T23:59:59Z");
    }
}
