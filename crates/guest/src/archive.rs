//! An archive in cpio's "newc" format, as the kernel unpacks it into its first root
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// An archive that grows. Every file may be executed: a script or a library need not be told from data.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    present: BTreeSet<PathBuf>,
}

impl Archive {
    /// Adds a file, and the folders in which it lies; what is there already stays.
    pub(crate) fn add(&mut self, path: &Path, contents: &[u8]) {
        if let Some(folder) = path.parent() {
            self.add_folder(folder);
        }
        self.add_new(path, PROGRAM, contents);
    }

    /// Adds a folder, and those in which it lies.
    pub(crate) fn add_folder(&mut self, path: &Path) {
        let mut folders: Vec<_> = path.ancestors().filter(|folder| folder.file_name().is_some()).collect();
        folders.reverse();
        for folder in folders {
            self.add_new(folder, DIRECTORY, &[]);
        }
    }

    /// The archive, ended.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.append("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn add_new(&mut self, path: &Path, mode: u32, contents: &[u8]) {
        if self.present.insert(path.to_path_buf()) {
            self.append(path.to_string_lossy().trim_start_matches('/'), mode, contents);
        }
    }

    fn append(&mut self, name: &str, mode: u32, contents: &[u8]) {
        let (size, name_size) = (contents.len(), name.len() + 1);
        // What is zero or one: inode, user, group, links, time; four numbers of devices; checksum.
        let header = format!(
            "070701{:08X}{mode:08X}{:08X}{:08X}{:08X}{:08X}{size:08X}{:032X}{name_size:08X}{:08X}{name}\0",
            0, 0, 0, 1, 0, 0, 0
        );
        self.bytes.extend_from_slice(header.as_bytes());
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    /// Names and contents end at a multiple of four bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_what_is_in_them_and_once() {
        let mut archive = Archive::default();
        archive.add(Path::new("/bin/sh"), b"shell");
        archive.add(Path::new("/bin/nft"), b"");
        archive.add(Path::new("/bin/sh"), b"another");
        let bytes = archive.finish();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let names: Vec<_> =
            text.split("070701").skip(1).map(|entry| entry[104..].split('\0').next().unwrap()).collect();
        assert_eq!(names, ["bin", "bin/sh", "bin/nft", "TRAILER!!!"]);
        assert!(text.contains("shell") && !text.contains("another"));
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn a_header_is_as_long_as_the_kernel_takes_it_to_be() {
        let bytes = Archive::default().finish();
        assert_eq!(bytes.len(), (110 + "TRAILER!!!\0".len()).next_multiple_of(4));
    }
}
