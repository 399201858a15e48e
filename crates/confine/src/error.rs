//! Why a process is not confined.

use std::io;

use rustix::io::Errno;

/// What was tried, and what was answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are other threads, which would not be confined.
    #[error("cannot confine this process: it has {threads} threads; it must be done before the second begins")]
    TooLate {
        /// How many there are.
        threads: usize,
    },
    /// Threads cannot be counted.
    #[error("cannot confine this process: its threads cannot be counted in /proc/self/task: {answer}")]
    Threads {
        /// What the system answered.
        answer: io::Error,
    },
    /// The filter of system calls was refused.
    #[error("cannot refuse system calls: {answer}")]
    SystemCalls {
        /// What was answered.
        answer: seccompiler::Error,
    },
    /// The kernel refused.
    #[error("cannot {action}: {answer}")]
    System {
        /// What was tried, as a verb.
        action: &'static str,
        /// What the system answered.
        answer: Errno,
    },
}
