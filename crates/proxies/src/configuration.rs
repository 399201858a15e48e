//! What a configuration says of the connections to its upstreams: the same for every program.

use std::fmt;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use plimsoll_model::Untrusted;
use serde::{Serialize, Serializer};

use crate::{Rewrite, Target};

/// A program that passes requests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// nginx, and what is made of it.
    Nginx,
    /// `HAProxy`.
    Haproxy,
    /// Envoy.
    Envoy,
}

/// What was read of one program's files.
#[derive(Clone, Debug, Serialize)]
pub struct Configuration {
    /// Whose it is.
    pub program: Program,
    /// The files that were read, in the order in which they were.
    #[serde(serialize_with = "all_shown")]
    pub files: Vec<PathBuf>,
    /// Where requests are passed on to.
    pub upstreams: Vec<Upstream>,
    /// What was not understood.
    pub gaps: Vec<Gap>,
}

/// Servers to which requests are passed on, as one.
#[derive(Clone, Debug, Serialize)]
pub struct Upstream {
    /// Its name: of an upstream, a backend, a cluster, or the address where there is no name.
    pub name: Untrusted,
    /// Where it is configured.
    pub place: Place,
    /// Its servers.
    pub targets: Vec<Target>,
    /// Whether connections to them are kept.
    pub keeping: Keeping,
}

/// Whether connections to an upstream are used again.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeping {
    /// They are kept.
    Kept(Pool),
    /// They are not, and that can be changed.
    NotKept {
        /// When one is opened.
        opens: Opens,
        /// Why.
        because: Vec<Reason>,
        /// What to do.
        remedy: Remedy,
    },
    /// They are not, and no line of this program changes that while it does what it does.
    ByNature {
        /// When one is opened.
        opens: Opens,
        /// Why.
        because: Reason,
    },
    /// The configuration does not tell.
    Unknown {
        /// Why it does not.
        because: Vec<Reason>,
    },
}

/// When a connection to an upstream is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opens {
    /// For each connection of a client.
    EachClientConnection,
    /// For each request.
    EachRequest,
}

/// The connections that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// The most of them that are kept idle, in all processes; nothing where the configuration does not bound it.
    pub idle_at_most: Option<u64>,
    /// After how many requests one is closed; nothing where it is not.
    pub requests_a_connection: Option<NonZeroU64>,
}

/// Why something is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Reason {
    /// Which line says so.
    pub place: Place,
    /// What it says.
    pub says: Untrusted,
}

/// What makes a program keep its connections.
#[derive(Clone, Debug, Serialize)]
pub struct Remedy {
    /// How it is written.
    pub write: Write,
    /// What is kept then.
    pub then: Pool,
    /// What to think of before.
    pub cautions: Vec<Untrusted>,
}

/// How a remedy is written.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Write {
    /// Into the files, which are then as valid as they were.
    Rewrites(Vec<Rewrite>),
    /// By whoever makes the configuration, with these words.
    ByHand(Untrusted),
}

/// Something that was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Where.
    pub place: Place,
    /// What it is, and what is not known because of it.
    pub what: Untrusted,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The file.
    #[serde(serialize_with = "one_shown")]
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl Place {
    /// A line of a file.
    pub fn new(file: &Path, line: usize) -> Self {
        Self { file: file.to_path_buf(), line }
    }

    pub(crate) fn says(self, says: impl AsRef<str>) -> Reason {
        Reason { place: self, says: said(says.as_ref()) }
    }

    pub(crate) fn gap(self, what: impl AsRef<str>) -> Gap {
        Gap { place: self, what: said(what.as_ref()) }
    }
}

/// Words of Plimsoll's, in which what comes from a file is escaped already.
pub(crate) fn said(words: &str) -> Untrusted {
    Untrusted::from_escaped(words.to_string())
}

impl Program {
    /// Its name, as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "NGINX",
            Self::Haproxy => "HAProxy",
            Self::Envoy => "Envoy",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", shown(&self.file), self.line)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.says)
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A path, as it can be shown.
pub(crate) fn shown(path: &Path) -> Untrusted {
    Untrusted::from_bytes(path.as_os_str().as_encoded_bytes())
}

fn one_shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    shown(path).serialize(serializer)
}

fn all_shown<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| shown(path)))
}
