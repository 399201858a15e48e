//! What can go wrong, told with what was tried, on what, what was answered, and what to do.

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plimsoll_model::Untrusted;

/// Why a recording could not be written or read.
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
    /// The disk is full, or the user's share of it.
    #[error(
        "cannot {action} {}: {answer}; what was closed before can be read; make room there, or give the recording less to fill",
        shown(path)
    )]
    Full {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        answer: io::Error,
    },
    /// Rows could not be made into a file.
    #[error("cannot write {}: {problem}; this is a fault in Plimsoll: please report it", shown(path))]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What the encoder says.
        problem: String,
    },
    /// An earlier error ended the recording.
    #[error("nothing is written to {} any more, since an earlier write failed; begin anew", shown(path))]
    Over {
        /// The recording.
        path: PathBuf,
    },
    /// The directory holds something else.
    #[error("{} is not a recording's: it holds {}; choose an empty or new directory", shown(path), shown(found))]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// What lies in it.
        found: PathBuf,
    },
    /// The directory holds a recording of another kind.
    #[error(
        "{} holds a recording whose {what} is {theirs}, and this one's is {ours}; choose another directory",
        shown(path)
    )]
    OtherOrigin {
        /// The directory.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// Of what lies there.
        theirs: Untrusted,
        /// Of what was to be written.
        ours: Untrusted,
    },
    /// Somebody else writes there.
    #[error("another process records into {}; end it, or choose another directory", shown(path))]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// There is no recording.
    #[error(
        "{} holds no recording: none of the folders lives, gaps, readings and changes has a closed segment; name the \
         directory that `plimsoll record` wrote, and if it still records its first segment, wait until that is closed",
        shown(path)
    )]
    NoRecording {
        /// What was looked at.
        path: PathBuf,
    },
    /// Only regular files are opened.
    #[error("{} is not read: it is no regular file", shown(path))]
    NotAFile {
        /// What it is called.
        path: PathBuf,
    },
    /// A newer version wrote it.
    #[error(
        "{} is of version {version} of the format, and this Plimsoll reads version {}; read it with a newer one",
        shown(path),
        crate::footer::VERSION
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// A file is broken, or is something else.
    #[error(
        "cannot read {}{}: {problem}; if it was copied, copy it again; without it the rest can be read",
        shown(path),
        in_column(*column)
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// The column, where it is one's fault.
        column: Option<&'static str>,
        /// What is wrong.
        problem: Problem,
    },
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is no Parquet file.
    #[error("it is no Parquet file, or its end is missing")]
    NotParquet,
    /// Its footer is longer than it can be.
    #[error("its footer says to be {says} bytes long, and {most} are the most that is read")]
    Footer {
        /// What it says.
        says: u64,
        /// The most.
        most: u64,
    },
    /// Its footer makes no sense.
    #[error("its footer makes no sense: {0}")]
    Metadata(Untrusted),
    /// A piece of what a recording says of itself is not there, or makes no sense.
    #[error("its footer has no {key} that makes sense")]
    Origin {
        /// The name of the piece.
        key: &'static str,
    },
    /// It holds another table than its folder says.
    #[error("it holds the table {found}")]
    Table {
        /// The table.
        found: Untrusted,
    },
    /// A column is not there.
    #[error("it has no such column")]
    NoColumn,
    /// A column is of another type.
    #[error("the column is of another type than it must be")]
    Type,
    /// A way of laying out values that Plimsoll does not write.
    #[error("it is written with {what} ({number}), which Plimsoll does not read")]
    Unsupported {
        /// What of it.
        what: &'static str,
        /// Its number in the Parquet format.
        number: i64,
    },
    /// A page is larger than pages are.
    #[error("a page says to be {says} bytes long, and {most} are the most that is read")]
    Page {
        /// What it says.
        says: u64,
        /// The most.
        most: u64,
    },
    /// More than there can be.
    #[error("it says to have more than {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most that is read.
        most: u64,
    },
    /// Something breaks off or contradicts itself.
    #[error("{0} makes no sense: the file is damaged")]
    Damaged(&'static str),
    /// A value is missing where there must be one.
    #[error("a value is missing")]
    Absent,
    /// Text that is not what it should be.
    #[error("\"{text}\" is not {what}")]
    Text {
        /// Its beginning.
        text: Untrusted,
        /// What it should be.
        what: &'static str,
    },
    /// A number out of range.
    #[error("{number} is out of range")]
    Number {
        /// The number.
        number: i64,
    },
    /// A weight or share that is none.
    #[error("{value} is no amount")]
    Amount {
        /// The value.
        value: f64,
    },
    /// The two lists of a path have different lengths.
    #[error("a row has {states} states and {moments} moments for them")]
    Path {
        /// States.
        states: usize,
        /// Moments.
        moments: usize,
    },
}

impl Problem {
    pub(crate) fn text(bytes: &[u8], what: &'static str) -> Self {
        Self::Text { text: Untrusted::from_bytes(bytes.get(..64).unwrap_or(bytes)), what }
    }
}

impl Error {
    pub(crate) fn system(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |answer| {
            let path = path.to_owned();
            match answer.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { action, path, answer },
                _ => Self::System { action, path, answer },
            }
        }
    }
}

/// A path, escaped.
fn shown(path: &Path) -> Untrusted {
    Untrusted::from_bytes(path.as_os_str().as_bytes())
}

fn in_column(column: Option<&'static str>) -> impl fmt::Display {
    fmt::from_fn(move |f| match column {
        Some(column) => write!(f, ", column {column}"),
        None => Ok(()),
    })
}

fn help_for(answer: &io::Error) -> &'static str {
    match answer.kind() {
        io::ErrorKind::PermissionDenied => " (it takes the rights of whom it belongs to, or root)",
        io::ErrorKind::ReadOnlyFilesystem => " (it is mounted read-only: choose another directory)",
        _ => "",
    }
}
