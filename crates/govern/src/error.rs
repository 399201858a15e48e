//! What was tried, on what, what was answered, and what to do.

/// Why a step could not be taken. Its message tells its cause: none is given as a source beside it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// By what sets and undoes.
    #[error("{0}")]
    Apply(plimsoll_apply::Error),
    /// The namespace is not there.
    #[error("{0}")]
    Namespace(plimsoll_observe::Error),
    /// The namespace cannot be entered.
    #[error("entering the network namespace {namespace}: {answer}")]
    Enter {
        /// Its name.
        namespace: String,
        /// What was answered.
        answer: plimsoll_observe::Unvisited,
    },
    /// Entries could not be trimmed.
    #[error("trimming: {0}")]
    Trim(plimsoll_trim::Error),
}

impl From<plimsoll_apply::Error> for Error {
    fn from(error: plimsoll_apply::Error) -> Self {
        Self::Apply(error)
    }
}

impl From<plimsoll_observe::Error> for Error {
    fn from(error: plimsoll_observe::Error) -> Self {
        Self::Namespace(error)
    }
}

impl From<plimsoll_trim::Error> for Error {
    fn from(error: plimsoll_trim::Error) -> Self {
        Self::Trim(error)
    }
}
