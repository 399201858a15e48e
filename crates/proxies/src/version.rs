//! A program's version, on which its defaults depend.

use std::fmt;
use std::str::FromStr;

/// A version of three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

/// That a text is no version.
#[derive(Debug, thiserror::Error)]
#[error("a version is numbers with dots between them, as in 1.22.1")]
pub struct NoVersion;

impl FromStr for Version {
    type Err = NoVersion;

    /// Takes the numbers at the beginning: Debian's `2.6.12-1+deb12u4` is 2.6.12.
    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let numbers = text.split(|c: char| c != '.' && !c.is_ascii_digit()).next().unwrap_or_default();
        let mut numbers = numbers.split('.').map(str::parse);
        let first = numbers.next().and_then(Result::ok).ok_or(NoVersion)?;
        let second = numbers.next().and_then(Result::ok).ok_or(NoVersion)?;
        Ok(Self(first, second, numbers.next().and_then(Result::ok).unwrap_or(0)))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}
