//! Why a scenario could not be read.

use plimsoll_model::Untrusted;

/// What is wrong with a scenario's text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct Error {
    /// The file, as it was named to the reader.
    pub file: Untrusted,
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong, and what to write instead. It quotes the text.
    pub problem: Untrusted,
}

impl Error {
    /// A problem at an offset of the text.
    pub(crate) fn at(file: &str, text: &str, offset: usize, problem: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Self { file: file.into(), line, problem: problem.into() }
    }
}
