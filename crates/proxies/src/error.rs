//! Why a configuration could not be read.

use std::path::PathBuf;

use plimsoll_model::Untrusted;

use crate::configuration::{Place, shown};

/// Why a configuration could not be read.
#[derive(Debug, thiserror::Error)]
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
    /// A file, or all of them, are larger than is read.
    #[error("{}: more than {limit_bytes} bytes of configuration, which is as far as it is read", shown(file))]
    TooLarge {
        /// The file at which it was too much.
        file: PathBuf,
        /// How much is read.
        limit_bytes: usize,
    },
    /// More files than are read.
    #[error("{}: more than {limit} files; the files that are included include each other again and again", shown(file))]
    TooManyFiles {
        /// The file at which it was too much.
        file: PathBuf,
        /// How many are read.
        limit: usize,
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
}
