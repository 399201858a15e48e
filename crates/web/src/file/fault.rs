//! What is wrong with a web configuration file.

use std::fmt;

/// What is wrong with the web configuration file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// On which line, from 1.
    pub line: usize,
    /// Under which key, such as `tls_server_config.cert_file`; empty where it is under none.
    pub key: String,
    /// What is wrong, escaped.
    pub problem: String,
}

impl Fault {
    pub(crate) fn at(line: usize, key: &str, problem: impl Into<String>) -> Self {
        Self { line, key: key.to_owned(), problem: problem.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if !self.key.is_empty() {
            write!(f, ", {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}
