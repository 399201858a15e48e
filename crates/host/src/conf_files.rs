//! Folders of settings files, where a file hides those of its name in later folders.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plimsoll_model::Untrusted;

use crate::host_fs::read_file;
use crate::text::Text;
use crate::{Error, HostFs};

/// A settings file.
pub(crate) struct ConfFile {
    /// Its path, as the host knows it.
    pub(crate) shown: Untrusted,
    pub(crate) text: Text,
}

/// More files than anybody keeps in such folders.
const MOST_FILES: usize = 1000;

/// More bytes than anybody writes into them.
const MOST_BYTES: usize = 4 << 20;

impl HostFs {
    /// The `*.conf` files of folders that rank as they are given, in the order in which they are read: by name,
    /// whatever the folder (sysctl.d(5), modprobe.d(5), modules-load.d(5)). Folders that are missing have none.
    pub(crate) fn conf_files(&self, folders: &[&str]) -> Result<Vec<ConfFile>, Error> {
        let mut by_name: BTreeMap<OsString, PathBuf> = BTreeMap::new();
        for folder in folders {
            for name in self.conf_names(folder)? {
                by_name.entry(name.clone()).or_insert_with(|| Path::new(folder).join(name));
            }
            if by_name.len() > MOST_FILES {
                return Err(too_much("list", self.path(folder)));
            }
        }
        let mut files = Vec::new();
        let mut bytes = 0;
        for path in by_name.into_values() {
            let Some(file) = self.conf_file(&path)? else { continue };
            bytes += file.text.bytes().len();
            if bytes > MOST_BYTES {
                return Err(too_much("read", self.place_of(&path)));
            }
            files.push(file);
        }
        Ok(files)
    }

    /// One settings file; `None` where it is missing, or is no plain file: a link to `/dev/null` says nothing, and
    /// hides those of its name.
    pub(crate) fn conf_file(&self, absolute: &Path) -> Result<Option<ConfFile>, Error> {
        let shown = Untrusted::from_bytes(absolute.as_os_str().as_bytes());
        let path = self.place_of(absolute);
        match path.metadata() {
            Ok(stat) if !stat.is_file() => return Ok(None),
            Ok(_) => {}
            Err(source) => return absent_is_none(Error::System { action: "look at", path, source }),
        }
        match read_file(path) {
            Ok(text) => Ok(Some(ConfFile { shown, text })),
            Err(error) => absent_is_none(error),
        }
    }

    fn conf_names(&self, folder: &str) -> Result<Vec<OsString>, Error> {
        let path = self.path(folder);
        let failed = |source| Error::System { action: "list", path: path.clone(), source };
        let entries = match path.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let is_there = |name: &OsStr| !is_dangling(&path.join(name));
        let mut names = Vec::new();
        for entry in entries.take(MOST_FILES + 1) {
            let name = entry.map_err(failed)?.file_name();
            if name.as_bytes().ends_with(b".conf") && is_there(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

fn too_much(action: &'static str, path: PathBuf) -> Error {
    Error::System { action, path, source: io::Error::other("more settings than anybody has") }
}

/// A link that leads nowhere hides nothing.
fn is_dangling(path: &Path) -> bool {
    path.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn absent_is_none<T>(error: Error) -> Result<Option<T>, Error> {
    if error.is_absent() { Ok(None) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    fn read(tree: &Tree) -> Vec<(String, String)> {
        let files = tree.host().conf_files(&["/etc/x.d", "/run/x.d", "/usr/lib/x.d"]).unwrap();
        let pair = |file: ConfFile| (file.shown.to_string(), String::from_utf8_lossy(file.text.bytes()).into_owned());
        files.into_iter().map(pair).collect()
    }

    #[test]
    fn files_are_read_by_name_and_an_earlier_folder_hides_the_same_name() {
        let tree = Tree::new();
        assert_eq!(read(&tree), []);
        tree.write("usr/lib/x.d/50-b.conf", "vendor");
        tree.write("usr/lib/x.d/10-a.conf", "vendor");
        tree.write("etc/x.d/50-b.conf", "admin");
        tree.write("etc/x.d/README", "no");
        tree.write("run/x.d/60-c.conf/x", "a folder");
        let pair = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        assert_eq!(read(&tree), [pair("/usr/lib/x.d/10-a.conf", "vendor"), pair("/etc/x.d/50-b.conf", "admin")]);
    }

    #[test]
    fn a_link_to_dev_null_hides_and_one_that_leads_nowhere_does_not() {
        let tree = Tree::new();
        tree.write("usr/lib/x.d/a.conf", "a");
        tree.write("usr/lib/x.d/b.conf", "b");
        tree.link("etc/x.d/a.conf", "/dev/null");
        tree.link("etc/x.d/b.conf", "nowhere");
        assert_eq!(read(&tree), [("/usr/lib/x.d/b.conf".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn a_hostile_name_is_escaped_and_too_many_files_are_refused() {
        let tree = Tree::new();
        tree.write("etc/x.d/\u{1b}[2J.conf", "");
        assert_eq!(read(&tree)[0].0, "/etc/x.d/\\u{1b}[2J.conf");
        for number in 0..=MOST_FILES {
            tree.write(&format!("etc/x.d/{number}.conf"), "");
        }
        assert!(tree.host().conf_files(&["/etc/x.d"]).is_err());
    }

    #[test]
    fn files_are_not_read_without_end() {
        let tree = Tree::new();
        tree.write("etc/x.d/a.conf", vec![b'#'; MOST_BYTES / 2]);
        tree.write("etc/x.d/b.conf", vec![b'#'; MOST_BYTES / 2]);
        assert!(tree.host().conf_files(&["/etc/x.d"]).is_ok());
        tree.write("etc/x.d/c.conf", "#");
        let error = tree.host().conf_files(&["/etc/x.d"]).err().unwrap();
        assert!(error.path().ends_with("etc/x.d/c.conf"), "{error}");
    }
}
