//! What was tried, on what, what was answered, and what to do.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plimsoll_model::{Sysctl, Untrusted};

use crate::revert::NotRevertible;

/// Why something could not be done. A message tells what was answered: the system's errors are not given as sources beside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused something about a file.
    #[error("cannot {action} {}: {answer}{}", shown(path), help_for(answer))]
    System {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        answer: io::Error,
    },
    /// The kernel did not take a sysctl.
    #[error("cannot write {value} to {sysctl}: {answer}{}", help_for(answer))]
    Write {
        /// Which.
        sysctl: Sysctl,
        /// What was to be written.
        value: u32,
        /// What the system answered.
        answer: io::Error,
    },
    /// A sysctl is not to be written from here.
    #[error("{sysctl} cannot be written here: {answer}{help}")]
    NotWritable {
        /// Which.
        sysctl: Sysctl,
        /// What the system answered.
        answer: io::Error,
        /// What to do.
        help: String,
    },
    /// The kernel has made something else of what was written.
    #[error(
        "{sysctl} is {found} after {written} was written: somebody else writes it too, or the kernel does not take it"
    )]
    NotTaken {
        /// Which.
        sysctl: Sysctl,
        /// What was written.
        written: u32,
        /// What was read.
        found: u32,
    },
    /// Something could not be read. Its message tells its cause already.
    #[error("{0}")]
    Host(plimsoll_host::Error),
    /// The kernel did not do what was asked of an XDP program. Its message tells its cause already.
    #[cfg(feature = "xdp")]
    #[error("{0}")]
    Xdp(plimsoll_xdp::Error),
    /// A program failed.
    #[error("`{command}`: {answer}")]
    Program {
        /// The command line.
        command: String,
        /// What it answered.
        answer: String,
    },
    /// A journal does not say what it should.
    #[error(
        "the journal {} makes no sense{}: {problem}; it is left as it is: look at it, and move it away if it is of no use",
        shown(path), on_line(*line)
    )]
    Journal {
        /// Which.
        path: PathBuf,
        /// On which line, from 1.
        line: Option<usize>,
        /// What is wrong.
        problem: String,
    },
    /// Somebody else writes now.
    #[error(
        "another `plimsoll` is applying, confirming or undoing something at this moment ({} is locked); wait for it, or look at \
         `plimsoll history`",
        shown(path)
    )]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// The folder for journals is not safe.
    #[error(
        "{} is not used: {problem}; it holds what is written to the kernel, so it must be its user's alone (mode 0700)",
        shown(path)
    )]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An edit that could not be undone is not made.
    #[error(transparent)]
    NotRevertible(#[from] NotRevertible),
    /// A namespace is not there.
    #[error(
        "there is no network namespace {name} that can be entered from here; `plimsoll check -v` lists those that there are"
    )]
    NoNamespace {
        /// As it was named.
        name: Untrusted,
    },
    /// Something is not done, by a rule of Plimsoll's own.
    #[error("{0}")]
    Refused(String),
}

impl From<plimsoll_host::Error> for Error {
    fn from(error: plimsoll_host::Error) -> Self {
        Self::Host(error)
    }
}

#[cfg(feature = "xdp")]
impl From<plimsoll_xdp::Error> for Error {
    fn from(error: plimsoll_xdp::Error) -> Self {
        Self::Xdp(error)
    }
}

impl Error {
    pub(crate) fn system(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |answer| Self::System { action, path: path.to_owned(), answer }
    }
}

/// A path, escaped.
pub(crate) fn shown(path: &Path) -> Untrusted {
    Untrusted::from_bytes(path.as_os_str().as_bytes())
}

fn on_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" on line {line}"))
}

fn help_for(answer: &io::Error) -> &'static str {
    match answer.kind() {
        io::ErrorKind::PermissionDenied => " (it takes root)",
        io::ErrorKind::StorageFull => " (make room there, or choose another folder with --state-dir)",
        io::ErrorKind::ReadOnlyFilesystem => " (it is mounted read-only, as containers have it: run this on the host)",
        _ => "",
    }
}
