//! What was tried, on what, and what the system answered.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plimsoll_model::{Reading, Unseen, Untrusted};
use rustix::io::Errno;

/// Something that could not be read or done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {action} {}: {source}", shown(path))]
    System {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what: a path, or the name of what is no file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// What was read is not what the kernel is known to write.
    #[error("cannot make sense of {}{}: {problem}{}", shown(path), on_line(*line), quoted(item))]
    Malformed {
        /// In which file.
        path: PathBuf,
        /// On which line, from 1; `None` where it is the whole file.
        line: Option<usize>,
        /// The words in question, as they came; empty where something is missing.
        item: Vec<u8>,
        /// What is wrong with them.
        problem: &'static str,
    },
    /// The files of settings under the root are not those that the machine boots with.
    #[error("cannot tell what the next boot sets: {problem}")]
    NotTheHosts {
        /// Where Plimsoll runs instead.
        problem: &'static str,
    },
    /// A thread could not move into a network namespace (setns(2)).
    #[error("cannot enter the network namespace: {source}{}", rights_to_enter(source))]
    Enter {
        /// What the system answered.
        source: io::Error,
    },
}

impl Error {
    /// The file, or what else was looked at.
    pub fn path(&self) -> &Path {
        match self {
            Self::System { path, .. } | Self::Malformed { path, .. } => path,
            Self::NotTheHosts { .. } => Path::new("/etc"),
            Self::Enter { .. } => Path::new("network namespace"),
        }
    }

    /// Whether what was looked for is not there (ENOENT), or is no longer (ESRCH: the process has ended; ENXIO: the
    /// namespace whose `/proc/<pid>/net` it was has).
    pub fn is_absent(&self) -> bool {
        matches!(self.errno(), Some(Errno::NOENT | Errno::SRCH | Errno::NXIO))
    }

    /// Whether a right is missing (EACCES, EPERM).
    pub fn is_not_permitted(&self) -> bool {
        matches!(self.errno(), Some(Errno::ACCESS | Errno::PERM))
    }

    /// The gap that this leaves in a reading of the host. `needs` is only as good as the error: who knows which right
    /// it takes writes that over it, and in which namespace it was.
    pub fn unseen(&self, reading: Reading) -> Unseen {
        Unseen {
            reading,
            namespace: None,
            tried: self.tried(),
            answered: self.answered(),
            needs: self.needs().to_owned(),
        }
    }

    /// What was tried, and on what.
    pub fn tried(&self) -> Untrusted {
        let action = match self {
            Self::System { action, .. } => action,
            Self::Malformed { .. } => "parse",
            Self::NotTheHosts { .. } => "find the host's own files in",
            Self::Enter { .. } => "enter the",
        };
        Untrusted::from_bytes(&[action.as_bytes(), b" ", self.path().as_os_str().as_bytes()].concat())
    }

    /// What the system answered, or what was wrong with what it gave.
    pub fn answered(&self) -> Untrusted {
        match self {
            Self::System { source, .. } | Self::Enter { source } => Untrusted::from(source.to_string().as_str()),
            Self::NotTheHosts { problem } => Untrusted::from(*problem),
            Self::Malformed { line, item, problem, .. } => {
                let place = line.map_or_else(String::new, |line| format!("line {line}: "));
                let before_item = if item.is_empty() { "" } else { ": " };
                Untrusted::from_bytes(
                    &[place.as_bytes(), problem.as_bytes(), before_item.as_bytes(), item.as_slice()].concat(),
                )
            }
        }
    }

    fn needs(&self) -> &'static str {
        match self {
            Self::NotTheHosts { .. } => "Plimsoll run outside of containers, where the host's own /etc is",
            Self::Enter { .. } if self.is_not_permitted() => "CAP_SYS_ADMIN",
            _ if self.is_not_permitted() => "root",
            _ if matches!(self.errno(), Some(Errno::MFILE | Errno::NFILE)) => "more open files (ulimit -n)",
            // Under whatever root.
            _ if self.errno() == Some(Errno::NOENT) && self.path().iter().any(|part| part == "proc") => {
                "a full /proc, and a kernel that shows it"
            }
            _ if self.is_absent() => "a kernel that shows it",
            Self::Malformed { .. } => "a version of Plimsoll that knows what this kernel writes",
            _ => "the cause of the system's answer removed",
        }
    }

    fn errno(&self) -> Option<Errno> {
        match self {
            Self::System { source, .. } | Self::Enter { source } => Errno::from_io_error(source),
            Self::Malformed { .. } | Self::NotTheHosts { .. } => None,
        }
    }
}

fn shown(path: &Path) -> Untrusted {
    Untrusted::from_bytes(path.as_os_str().as_bytes())
}

fn on_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line}"))
}

fn quoted(item: &[u8]) -> String {
    if item.is_empty() { String::new() } else { format!(": {:?}", Untrusted::from_bytes(item)) }
}

fn rights_to_enter(source: &io::Error) -> &'static str {
    match Errno::from_io_error(source) {
        Some(Errno::PERM) => " (it takes CAP_SYS_ADMIN, here and in the namespace's own user namespace)",
        Some(Errno::INVAL) => " (it is not a network namespace)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_paths_and_words_are_escaped_once_in_every_output() {
        let error = Error::Malformed {
            path: PathBuf::from("/run/netns/\x1b[2J"),
            line: Some(3),
            item: b"a\\\xff\n".to_vec(),
            problem: "is no number",
        };
        assert_eq!(
            error.to_string(),
            r#"cannot make sense of /run/netns/\u{1b}[2J, line 3: is no number: "a\u{5c}\xff\u{a}""#
        );
        let unseen = error.unseen(Reading::Counters);
        assert_eq!(unseen.tried.as_str(), r"parse /run/netns/\u{1b}[2J");
        assert_eq!(unseen.answered.as_str(), r"line 3: is no number: a\u{5c}\xff\u{a}");
    }

    #[test]
    fn missing_and_forbidden_are_told_apart() {
        let of = |errno: Errno| Error::System { action: "read", path: "/x".into(), source: errno.into() };
        for gone in [Errno::NOENT, Errno::SRCH, Errno::NXIO] {
            assert!(of(gone).is_absent() && !of(gone).is_not_permitted());
        }
        assert!(of(Errno::PERM).is_not_permitted() && of(Errno::ACCESS).is_not_permitted());
        assert!(!of(Errno::IO).is_absent() && !of(Errno::IO).is_not_permitted());
    }

    #[test]
    fn what_would_help_depends_on_the_answer_and_the_place() {
        let needs = |path: &str, errno: Errno| {
            Error::System { action: "open", path: path.into(), source: errno.into() }.unseen(Reading::Namespace).needs
        };
        for errno in [Errno::MFILE, Errno::NFILE] {
            assert_eq!(needs("/proc/self/ns/net", errno), "more open files (ulimit -n)");
        }
        assert_eq!(needs("/proc/self/ns/net", Errno::NOENT), "a full /proc, and a kernel that shows it");
        assert_eq!(needs("/host/proc/stat", Errno::NOENT), "a full /proc, and a kernel that shows it");
        assert_eq!(needs("/sys/module", Errno::NOENT), "a kernel that shows it");
        assert_eq!(needs("/proc/7/comm", Errno::SRCH), "a kernel that shows it");
        assert_eq!(needs("/proc/7/comm", Errno::ACCESS), "root");
    }
}
