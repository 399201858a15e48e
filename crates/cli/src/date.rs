//! Moments as people write them.

use plimsoll_recording::date_and_time;

/// Seconds since 1970 as a date and time, UTC.
pub(crate) fn utc(unix_secs: u64) -> String {
    let (date, time) = date_and_time(unix_secs);
    format!("{date} {time} UTC")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_709_251_199), "2024-02-29 23:59:59 UTC");
        assert_eq!(utc(4_107_542_400), "2100-03-01 00:00:00 UTC");
    }
}
