//! Why a configuration could not be read.

use std::path::{Path, PathBuf};

use plimsoll_model::Untrusted;

use crate::budget::{Counted, Stop};
use crate::configuration::{Place, shown};

/// Why a configuration could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file with which a configuration begins could not be read.
    #[error("reading {}: {answer}; name the file with which the program was started", shown(file))]
    Read {
        /// The file.
        file: PathBuf,
        /// What was answered.
        answer: String,
    },
    /// More of something than is read.
    #[error(
        "{}: more than {limit} {counted}, which is as far as a configuration is read; nothing of it is told",
        shown(file)
    )]
    TooMuch {
        /// The file or folder at which it was too much.
        file: PathBuf,
        /// Of what.
        counted: Counted,
        /// How many are read.
        limit: usize,
    },
    /// The time that it may take was over.
    #[error("{}: the time that reading the configuration may take was over; nothing of it is told", shown(file))]
    Late {
        /// The file or folder at which it was.
        file: PathBuf,
    },
    /// A file includes itself, perhaps through others.
    #[error("{place}: {} includes itself", shown(file))]
    Cycle {
        /// Where it is included again.
        place: Place,
        /// The file.
        file: PathBuf,
    },
    /// The text is not of the program's language: the program would not start with it.
    #[error("{place}: {problem}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong.
        problem: Untrusted,
    },
}

impl Error {
    pub(crate) fn syntax(place: Place, problem: &str) -> Self {
        Self::Syntax { place, problem: problem.into() }
    }

    /// Of a text that is not read to its end: `syntax` tells where its fault is.
    pub(crate) fn stopped<F>(stop: Stop<F>, file: &Path, syntax: impl FnOnce(F) -> Self) -> Self {
        match stop {
            Stop::Fault(fault) => syntax(fault),
            Stop::Short(short) => short.at(file),
        }
    }
}
