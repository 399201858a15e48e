//! Dates of days (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").

/// Days of the Gregorian calendar before March of the year 0, up to 1970: years are counted from March on, so that the leap
/// day ends one.
const BEFORE_1970: i64 = 719_468;

/// Days of 400 years.
const ERA: i64 = 146_097;

/// Year, month and day of a day, counted from 1970-01-01.
pub const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + BEFORE_1970;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + (month <= 2) as i64, month, of_month)
}

/// The date and the time of day of a moment in seconds since 1970, UTC, as ISO 8601 writes them.
pub fn date_and_time(unix_secs: u64) -> (String, String) {
    let (days, secs) = (unix_secs / 86_400, unix_secs % 86_400);
    let (year, month, day) = civil(i64::try_from(days).unwrap_or(i64::MAX / 1000));
    let time = format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60);
    (format!("{year:04}-{month:02}-{day:02}"), time)
}

/// The day of a date, counted from 1970-01-01.
pub const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - (month <= 2) as i64;
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day = (153 * month + 2) / 5 + day - 1;
    era * ERA + year * 365 + year / 4 - year / 100 + day - BEFORE_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar_both_ways() {
        for (days, date) in
            [(0, (1970, 1, 1)), (11_016, (2000, 2, 29)), (19_782, (2024, 2, 29)), (47_541, (2100, 3, 1))]
        {
            assert_eq!(civil(days), date);
            assert_eq!(days_since_1970(date.0, date.1, date.2), days);
        }
    }
}
