//! A file whose name is a namespace's, if it is one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use plimsoll_model::{Reading, Unseen, Untrusted};

use crate::Error;
use crate::search::Candidate;

/// What a file's name is to the namespace.
pub(crate) type NameBy = fn(&mut Candidate, &OsStr);

/// A file that was listed. `ip netns add` makes an empty file first and mounts the namespace over it later; `ip netns
/// delete` unmounts first and removes the file later. In between it is a plain file.
pub(crate) struct NamedFile {
    pub(crate) path: PathBuf,
    pub(crate) names: NameBy,
}

impl NamedFile {
    pub(crate) fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// Whether it is what nobody mounts a namespace over: a directory, a device.
    pub(crate) fn is_surely_no_namespace(&self) -> bool {
        self.path.metadata().is_ok_and(|stat| !stat.is_file())
    }

    /// The gap that it leaves where it has stayed what it is.
    pub(crate) fn unseen(&self, error: &Error) -> Unseen {
        if !matches!(error, Error::Malformed { .. }) {
            return error.unseen(Reading::Namespace);
        }
        let tried = [b"open the network namespace ", self.path.as_os_str().as_bytes()].concat();
        Unseen {
            reading: Reading::Namespace,
            namespace: None,
            tried: Untrusted::from_bytes(&tried),
            answered: Untrusted::from("it is a plain file: left over, or mounted where Plimsoll cannot see it"),
            needs: format!("{} if it is left over; else Plimsoll run in the host's mount namespace", self.removal()),
        }
    }

    /// How to remove it. Docker's files are not `ip`'s to delete, and a name that a shell or `ip` could take for
    /// something else is not put in a command that somebody may copy.
    fn removal(&self) -> String {
        let is_ips = !self.path.parent().is_some_and(|parent| parent.ends_with("docker/netns"));
        let is_plain = |name: &&str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !name.starts_with('-') && name.bytes().all(plain)
        };
        match self.name().to_str().filter(is_plain) {
            Some(name) if is_ips => format!("`ip netns delete {name}`"),
            _ => "the file removed".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_harmless_name_is_put_in_a_command() {
        let removal = |path: &str| NamedFile { path: path.into(), names: |_, _| {} }.removal();
        assert_eq!(removal("/run/netns/a-b_c.1"), "`ip netns delete a-b_c.1`");
        for path in ["/run/netns/a b", "/run/netns/$(x)", "/run/netns/\u{1b}", "/run/netns/-all", "/run/docker/netns/a"]
        {
            assert_eq!(removal(path), "the file removed", "{path}");
        }
    }
}
