//! Why a scenario could not be read.

/// What is wrong with a scenario's text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct Error {
    /// The file, as it was named to the reader.
    pub file: String,
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

impl Error {
    /// A problem at an offset of the text.
    pub(crate) fn at(file: &str, text: &str, offset: usize, problem: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Self { file: file.to_string(), line, problem: problem.into() }
    }
}
