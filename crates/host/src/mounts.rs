//! Network namespaces that are mounted somewhere.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use plimsoll_model::Inode;

use crate::{Error, HostFs};

/// A network namespace's file, mounted over another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamespaceMount {
    pub(crate) inode: Inode,
    pub(crate) point: PathBuf,
}

impl HostFs {
    /// The network namespaces that Plimsoll's own mount namespace shows.
    pub(crate) fn namespace_mounts(&self) -> Result<Vec<NamespaceMount>, Error> {
        let text = self.read("/proc/self/mountinfo")?;
        Ok(text.lines().filter_map(|line| namespace_mount(line.bytes())).collect())
    }
}

/// The mount of a line of mountinfo (`proc_pid_mountinfo(5)`), if it is one of a network namespace:
/// `43 42 0:4 net:[4026532177] /run/netns/blue rw shared:2 - nsfs nsfs rw`, with any number of words before the dash.
/// Only blanks part the words: other white space may be in a path.
fn namespace_mount(line: &[u8]) -> Option<NamespaceMount> {
    let mut words = line.split(|byte| *byte == b' ');
    let (root, point) = (words.nth(3)?, words.next()?);
    let file_system = words.skip_while(|word| *word != b"-").nth(1)?;
    if file_system != b"nsfs" || !point.starts_with(b"/") {
        return None;
    }
    let number = root.strip_prefix(b"net:[")?.strip_suffix(b"]")?;
    let inode = Inode(std::str::from_utf8(number).ok()?.parse().ok()?);
    Some(NamespaceMount { inode, point: OsString::from_vec(unescaped(point)).into() })
}

/// Blanks, tabs, newlines and backslashes come as a backslash and three octal digits.
fn unescaped(mut escaped: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(escaped.len());
    while let [first, rest @ ..] = escaped {
        let (byte, rest) = octal(escaped).unwrap_or((*first, rest));
        plain.push(byte);
        escaped = rest;
    }
    plain
}

/// The byte that an escape stands for, and what follows it.
fn octal(escaped: &[u8]) -> Option<(u8, &[u8])> {
    let [b'\\', digits @ ..] = escaped else { return None };
    let (digits, rest) = digits.split_at_checked(3)?;
    if !digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
        return None;
    }
    Some((u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    fn mount(inode: u64, point: &str) -> NamespaceMount {
        NamespaceMount { inode: Inode(inode), point: point.into() }
    }

    #[test]
    fn network_namespaces_are_told_from_other_mounts() {
        let tree = Tree::new();
        let lines = [
            "42 29 0:25 /netns /run/netns rw,nosuid shared:2 - tmpfs tmpfs rw,size=64k",
            "43 42 0:4 net:[4026532177] /run/netns/blue rw shared:2 master:1 - nsfs nsfs rw",
            r"44 42 0:4 net:[5] /srv/a\040b\011c\134d rw - nsfs nsfs rw",
            "45 42 0:4 mnt:[6] /srv/mnt rw - nsfs nsfs rw",
            "46 42 0:4 net:[7] /srv/forged rw - tmpfs nsfs rw",
            "47 42 0:4 net:[8] /srv/a\rb\x0c rw - nsfs nsfs rw",
        ];
        tree.write("proc/self/mountinfo", lines.join("\n"));
        let mounts = tree.host().namespace_mounts().unwrap();
        assert_eq!(
            mounts,
            [mount(4_026_532_177, "/run/netns/blue"), mount(5, "/srv/a b\tc\\d"), mount(8, "/srv/a\rb\x0c")]
        );
    }

    #[test]
    fn what_makes_no_sense_is_no_mount() {
        for line in [
            "",
            "-",
            "   ",
            "1 2 3 net:[4]",
            "1 2 3 net:[4] /x",
            "1 2 3 net:[4] /x -",
            "1 2 3 net:[] /x rw - nsfs",
            "1 2 3 net:[-4] /x rw - nsfs",
            "1 2 3 net:[99999999999999999999] /x rw - nsfs",
            "1 2 3 net:[4 /x rw - nsfs",
            "1 2 3 net:[4] x rw - nsfs",
        ] {
            assert_eq!(namespace_mount(line.as_bytes()), None, "{line}");
        }
        assert_eq!(namespace_mount(b"1 2 3 net:[\xff] /x rw - nsfs"), None);
    }

    #[test]
    fn an_escape_that_is_none_stays_as_it_is() {
        for (escaped, plain) in [
            (r"\", r"\"),
            (r"a\04", r"a\04"),
            (r"\777x", r"\777x"),
            (r"\08x", r"\08x"),
            (r"\+12", r"\+12"),
            (r"\\040", "\\ "),
        ] {
            assert_eq!(unescaped(escaped.as_bytes()), plain.as_bytes(), "{escaped}");
        }
        assert_eq!(unescaped(br"\377"), b"\xff");
    }
}
