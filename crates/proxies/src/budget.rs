//! How much of one program's configuration is read and kept, and for how long.
//!
//! Whoever may start a program decides what its files hold, and whoever reads them is often a daemon with little memory and less time.

use std::fmt;
use std::path::Path;

use crate::Error;

/// The most that is read and kept of one program's configuration. More of it is an error: half of a configuration tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all its files together.
    pub bytes: usize,
    /// Files that are read or tried.
    pub files: usize,
    /// Folders that are looked through, and the names in them.
    pub names: usize,
    /// Words of files, keys and values of documents. Each takes some 100 to 500 bytes of memory.
    pub words: usize,
}

impl Limits {
    /// For somebody who waits for an answer: ten thousand servers of NGINX have some 200,000 words.
    pub const ONCE: Self = Self { bytes: 16 << 20, files: 4096, names: 100_000, words: 300_000 };
    /// For a daemon that asks again and again: less than 20 MB of memory.
    pub const OFTEN: Self = Self { bytes: 1 << 20, files: 512, names: 10_000, words: 30_000 };
    /// For what a program tells of itself. A dump of Envoy with ten thousand clusters has some 30 MB.
    pub const DUMP: Self = Self { bytes: 64 << 20, files: 1, names: 0, words: 3_000_000 };
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// [`Limits::bytes`]
    Bytes,
    /// [`Limits::files`]
    Files,
    /// [`Limits::names`]
    Names,
    /// [`Limits::words`]
    Words,
}

/// What is left of the limits and the time.
pub(crate) struct Budget<'a> {
    limits: Limits,
    left: Limits,
    is_late: &'a dyn Fn() -> bool,
}

/// That nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Short {
    Of(Counted, usize),
    OfTime,
}

/// Why a text is not read to its end: a fault in it, or nothing is left.
#[derive(Debug)]
pub(crate) enum Stop<F> {
    Fault(F),
    Short(Short),
}

impl<'a> Budget<'a> {
    pub(crate) fn new(limits: Limits, is_late: &'a dyn Fn() -> bool) -> Self {
        Self { limits, left: limits, is_late }
    }

    /// Takes something that is counted.
    pub(crate) fn spend(&mut self, what: Counted, count: usize) -> Result<(), Short> {
        self.look()?;
        let (limit, left) = (what.of(&mut self.limits), what.of(&mut self.left));
        *left = left.checked_sub(count).ok_or(Short::Of(what, *limit))?;
        Ok(())
    }

    /// How much of something is left.
    pub(crate) fn left(&mut self, what: Counted) -> usize {
        *what.of(&mut self.left)
    }

    /// Looks at the clock.
    pub(crate) fn look(&self) -> Result<(), Short> {
        if (self.is_late)() { Err(Short::OfTime) } else { Ok(()) }
    }
}

impl Counted {
    fn of(self, limits: &mut Limits) -> &mut usize {
        match self {
            Self::Bytes => &mut limits.bytes,
            Self::Files => &mut limits.files,
            Self::Names => &mut limits.names,
            Self::Words => &mut limits.words,
        }
    }
}

impl Short {
    /// As an error, with the file at which it was.
    pub(crate) fn at(self, file: &Path) -> Error {
        let file = file.to_path_buf();
        match self {
            Self::Of(counted, limit) => Error::TooMuch { file, counted, limit },
            Self::OfTime => Error::Late { file },
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Files => "files",
            Self::Names => "names in folders",
            Self::Words => "words",
        })
    }
}
