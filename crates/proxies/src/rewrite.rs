//! Changes of a text: what to write, and where.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plimsoll_model::Untrusted;
use serde::{Serialize, Serializer};

use crate::Place;
use crate::configuration::shown;

/// A change of one place of a file: bytes that are removed, and what is written instead of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Rewrite {
    /// Where.
    pub place: Place,
    /// The byte of the file at which it begins.
    pub offset: usize,
    /// The bytes there, which go; none for what is only put in.
    #[serde(serialize_with = "escaped")]
    pub removes: Vec<u8>,
    /// What is written, exactly: with its line breaks and indentation.
    #[serde(serialize_with = "escaped")]
    pub writes: Vec<u8>,
}

/// That rewrites do not fit a file.
#[derive(Debug, thiserror::Error)]
pub enum Stale {
    /// It is no longer as it was read.
    #[error("{place}: the file has changed since it was read; read it again")]
    Changed {
        /// Where.
        place: Place,
    },
    /// Two rewrites change the same bytes.
    #[error(
        "{place}: two changes of the same place; make one, read the file again, and see whether the other is needed"
    )]
    Overlap {
        /// Where.
        place: Place,
    },
    /// More of them belong to other files than to this one.
    #[error("nothing is to be written to {}", shown(file))]
    OtherFile {
        /// The file.
        file: PathBuf,
    },
}

/// A file's text with those of the rewrites that belong to it. What several of them have alike is written once.
pub fn rewritten<'a>(
    file: &Path,
    text: &[u8],
    rewrites: impl IntoIterator<Item = &'a Rewrite>,
) -> Result<Vec<u8>, Stale> {
    let mut seen = HashSet::new();
    let own = rewrites.into_iter().filter(|rewrite| rewrite.place.file == file && seen.insert(*rewrite));
    let mut own: Vec<&Rewrite> = own.collect();
    if own.is_empty() {
        return Err(Stale::OtherFile { file: file.to_path_buf() });
    }
    // A stable sort: what is put in at one place stays in its order.
    own.sort_by_key(|rewrite| rewrite.offset);
    let (mut new, mut rest, mut at) = (Vec::new(), text, 0);
    for rewrite in own {
        let place = || rewrite.place.clone();
        let before = rewrite.offset.checked_sub(at).ok_or_else(|| Stale::Overlap { place: place() })?;
        let (kept, after) = rest.split_at_checked(before).ok_or_else(|| Stale::Changed { place: place() })?;
        rest = after.strip_prefix(rewrite.removes.as_slice()).ok_or_else(|| Stale::Changed { place: place() })?;
        new.extend_from_slice(kept);
        new.extend_from_slice(&rewrite.writes);
        at = rewrite.offset + rewrite.removes.len();
    }
    new.extend_from_slice(rest);
    Ok(new)
}

impl fmt::Display for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [removes, writes] = [&self.removes, &self.writes].map(|bytes| trimmed(bytes));
        match (removes.as_str(), writes.as_str()) {
            ("", writes) => write!(f, "{}: insert `{writes}`", self.place),
            (removes, "") => write!(f, "{}: remove `{removes}`", self.place),
            (removes, writes) => write!(f, "{}: instead of `{removes}` write `{writes}`", self.place),
        }
    }
}

/// In one line.
fn trimmed(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    Untrusted::from(text.split_whitespace().collect::<Vec<_>>().join(" ").as_str()).to_string()
}

fn escaped<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    Untrusted::from_bytes(bytes).serialize(serializer)
}

/// A text that was read, in which places are found.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    /// Where its line breaks are, once somebody has asked.
    breaks: OnceCell<Vec<usize>>,
}

impl Source {
    pub(crate) fn new(path: &Path, bytes: Vec<u8>) -> Self {
        Self { path: path.to_path_buf(), bytes, breaks: OnceCell::new() }
    }

    /// The line of a byte.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let breaks = self.breaks.get_or_init(|| {
            let bytes = self.bytes.iter().enumerate();
            bytes.filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect()
        });
        Place::new(&self.path, 1 + breaks.partition_point(|at| *at < offset))
    }

    /// Writes something else in place of some bytes.
    pub(crate) fn replace(&self, at: Range<usize>, writes: impl Into<Vec<u8>>) -> Rewrite {
        let removes = self.bytes.get(at.clone()).unwrap_or_default().to_vec();
        Rewrite { place: self.place(at.start), offset: at.start, removes, writes: writes.into() }
    }

    /// Puts lines in behind a statement that ends at `end`, indented as the line on which it begins is.
    pub(crate) fn insert_behind(&self, begin: usize, end: usize, lines: &[String]) -> Rewrite {
        let Some(indentation) = self.indentation(begin) else {
            return self.replace(end..end, format!(" {}", lines.join(" ")));
        };
        // What is left on the line, if it is a comment, stays with the statement.
        let rest = self.bytes.get(end..).unwrap_or_default();
        let rest = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let is_comment = rest.trim_ascii().first().is_none_or(|byte| *byte == b'#');
        let at = if is_comment { end + rest.trim_ascii_end().len() } else { end };
        let newline = self.newline();
        let lines = lines.iter().map(|line| format!("{newline}{indentation}{line}"));
        self.replace(at..at, lines.collect::<String>())
    }

    /// Puts lines in before what begins at `at`, indented by `deeper` than that is.
    pub(crate) fn insert_before(&self, at: usize, deeper: &str, lines: &[String]) -> Rewrite {
        let Some(indentation) = self.indentation(at) else {
            let gap = if self.bytes.get(..at).is_none_or(|before| before.ends_with(b" ")) { "" } else { " " };
            let lines = lines.iter().filter(|line| !line.is_empty()).map(|line| format!("{line} "));
            return self.replace(at..at, gap.to_string() + &lines.collect::<String>());
        };
        let newline = self.newline();
        let lines = lines.iter().map(|line| match line.as_str() {
            "" => newline.to_string(),
            line => format!("{indentation}{deeper}{line}{newline}"),
        });
        let start = at.saturating_sub(indentation.len());
        self.replace(start..start, lines.collect::<String>())
    }

    /// What stands before a byte on its line, if that is nothing but space.
    fn indentation(&self, at: usize) -> Option<String> {
        let before = self.bytes.get(..at)?;
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let before = before.get(start..)?;
        let is_space = before.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        is_space.then(|| String::from_utf8_lossy(before).into_owned())
    }

    fn newline(&self) -> &'static str {
        let first = self.bytes.iter().position(|byte| *byte == b'\n').and_then(|at| at.checked_sub(1));
        if first.and_then(|at| self.bytes.get(at)) == Some(&b'\r') { "\r\n" } else { "\n" }
    }
}
