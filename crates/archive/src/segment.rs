//! Names of segments.

use std::fmt;

use plimsoll_recording::{UnixMicros, civil, days_since_1970};

/// A segment of a recording: its number, and when it began, to the second. Shown as its files are called, without the ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// Counted from 1 in each directory.
    pub number: u32,
    /// When it began, in seconds since 1970.
    pub began_at_unix_secs: i64,
}

impl Segment {
    pub(crate) const fn new(number: u32, began_at: UnixMicros) -> Self {
        Self { number, began_at_unix_secs: began_at.0.div_euclid(1_000_000) }
    }

    /// What its files are called.
    pub(crate) fn file_name(self) -> String {
        format!("{self}.parquet")
    }

    /// What the files of the segment with a number are called while it is open.
    pub(crate) fn open_name(number: u32) -> String {
        format!(".{number:06}.open")
    }

    /// By what its files are called.
    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let (began, number) = name.strip_suffix(".parquet")?.split_once('-')?;
        let part = |from: usize, to: usize| began.get(from..to)?.parse::<i64>().ok();
        let days = days_since_1970(part(0, 4)?, part(4, 6)?, part(6, 8)?);
        let secs = part(9, 11)? * 3600 + part(11, 13)? * 60 + part(13, 15)?;
        let segment = Self { number: number.parse().ok()?, began_at_unix_secs: days * 86_400 + secs };
        // Whatever does not come out again was no such name.
        (segment.file_name() == name).then_some(segment)
    }

    /// By what its files are called while it is open.
    pub(crate) fn number_of_open_name(name: &str) -> Option<u32> {
        let number = name.strip_prefix('.')?.strip_suffix(".open")?.parse().ok()?;
        (Self::open_name(number) == name).then_some(number)
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, secs) = (self.began_at_unix_secs.div_euclid(86_400), self.began_at_unix_secs.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
        write!(f, "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z-{:06}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_and_read() {
        for (secs, name) in [
            (1_795_658_584, "20261126T020304Z-000001.parquet"),
            (951_782_399, "20000228T235959Z-000001.parquet"),
            (951_782_400, "20000229T000000Z-000001.parquet"),
            (0, "19700101T000000Z-000001.parquet"),
        ] {
            let segment = Segment { number: 1, began_at_unix_secs: secs };
            assert_eq!(segment.file_name(), name);
            assert_eq!(Segment::from_file_name(name), Some(segment));
        }
        let late = Segment { number: 12_345_678, began_at_unix_secs: 0 };
        assert_eq!(Segment::from_file_name(&late.file_name()), Some(late));
    }

    #[test]
    fn other_names_are_none() {
        for name in
            ["x.parquet", "20261126T020304Z-1.parquet", "20261326T020304Z-000001.parquet", "20261126T020304Z", ""]
        {
            assert_eq!(Segment::from_file_name(name), None, "{name}");
        }
        assert_eq!(Segment::number_of_open_name(".000012.open"), Some(12));
        assert_eq!(Segment::number_of_open_name(".12.open"), None);
    }
}
