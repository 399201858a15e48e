//! Why somebody could not be told.

use std::io;
use std::time::Duration;

use plimsoll_model::Untrusted;

/// Why somebody could not be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection, or the answer: what is wrong with it, without what is secret in the address.
    #[error("{0}; is it running, and may this host reach it?")]
    Http(Untrusted),
    /// It answered that it cannot take it now.
    #[error("it answered {status}: not now")]
    Later {
        /// The answer's status.
        status: u16,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// It answered that it will not take it.
    #[error("it answered {status}: {answer}")]
    Refused {
        /// The answer's status.
        status: u16,
        /// How the answer begins.
        answer: Untrusted,
    },
    /// It named another address. Nothing goes to where nobody said it should.
    #[error("it answered {status}, which names another address, and that is not followed; is the address right?")]
    Elsewhere {
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

impl Error {
    /// Whether it would be refused the next time too.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Elsewhere { .. } => true,
            Self::Http(_) | Self::Later { .. } | Self::Start { .. } | Self::Ended { .. } | Self::TooSlow { .. } => {
                false
            }
        }
    }

    /// How long the target asks to wait.
    pub(crate) fn asks_to_wait(&self) -> Option<Duration> {
        match self {
            Self::Later { wait, .. } => *wait,
            _ => None,
        }
    }
}
