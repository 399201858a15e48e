//! Amounts as they are written on the command line.

use std::fmt;
use std::str::FromStr;

use plimsoll_diagnose::words::bytes;

/// A host's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ram {
    pub(crate) bytes: u64,
}

impl fmt::Display for Ram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bytes(self.bytes))
    }
}

impl FromStr for Ram {
    type Err = String;

    /// `16G`, `512MiB`, `1.5T`: powers of 1024, whatever the unit is called.
    fn from_str(text: &str) -> Result<Self, String> {
        const UNITS: [(char, u32); 4] = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
        // No host has more.
        const MOST: f64 = (1_u64 << 50) as f64;
        let upper = text.to_uppercase();
        let short = upper.trim_end_matches('B').trim_end_matches('I');
        let unit = UNITS.iter().find_map(|(unit, bits)| Some((short.strip_suffix(*unit)?, *bits)));
        let wrong = || "must be a number of bytes with its unit, as 16G or 512M".to_string();
        let (number, bits) = unit.ok_or_else(wrong)?;
        let value = number.parse::<f64>().map_err(|_| wrong())? * (1_u64 << bits) as f64;
        if !(1.0..=MOST).contains(&value) {
            return Err("must be above 0 and at most 1024T".to_string());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the bounds just checked")]
        Ok(Self { bytes: value as u64 })
    }
}

/// A share of a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, whole) = match text.strip_suffix('%') {
            Some(number) => (number, 100.0),
            None => (text, 1.0),
        };
        match number.parse::<f64>().map(|number| number / whole) {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            _ => Err("must be a share of 0 to 1, or a percentage, as 0.8 or 80%".to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_in_powers_of_1024() {
        for (text, bytes) in [("16G", 16 << 30), ("16GiB", 16 << 30), ("512m", 512 << 20), ("1.5T", 3 << 39)] {
            assert_eq!(text.parse(), Ok(Ram { bytes }), "{text}");
        }
        for wrong in ["", "16", "G", "-1G", "0G", "nanG", "infG", "9999T", "1e99T", "16 P"] {
            assert!(wrong.parse::<Ram>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_a_number_up_to_1_or_a_percentage() {
        assert_eq!(["0.8", "80%", "0", "100%"].map(str::parse), [0.8, 0.8, 0.0, 1.0].map(|n| Ok(Share(n))));
        for wrong in ["", "80", "-1%", "101%", "nan", "x"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }
}
