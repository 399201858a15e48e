//! Why somebody could not be told.

use std::io;
use std::time::Duration;

/// Why somebody could not be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection, or the answer.
    #[error("{0}; is it running, and may this host reach it?")]
    Http(#[source] Box<ureq::Error>),
    /// It answered, and did not take it.
    #[error("it answered {status}, and not that it took the notice; is this the address that it redirects to?")]
    NotTaken {
        /// The answer's status.
        status: u16,
    },
    /// The program could not be started.
    #[error("starting {program}: {answered}")]
    Start {
        /// What was to be run.
        program: String,
        /// What the system answered.
        #[source]
        answered: io::Error,
    },
    /// The program said that it failed.
    #[error("{program} ended with {status}")]
    Ended {
        /// What was run.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// The program took too long, and was killed.
    #[error("{program} had not ended after {} s, and was killed", after.as_secs())]
    TooSlow {
        /// What was run.
        program: String,
        /// How long it was waited for.
        after: Duration,
    },
}

impl From<ureq::Error> for Error {
    fn from(error: ureq::Error) -> Self {
        Self::Http(Box::new(error))
    }
}
