//! Moments as RFC 3339 writes them.

use plimsoll_recording::civil;

/// Seconds since 1970 as a date and time, UTC.
pub(crate) fn rfc3339(unix_secs: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 are far below 2^63")]
    let secs = unix_secs.max(0.0) as i64;
    let (year, month, day) = civil(secs.div_euclid(86_400));
    let of_day = secs.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
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
