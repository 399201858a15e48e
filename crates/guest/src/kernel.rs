//! The guest's kernel: Debian's package, unpacked, with the lists that depmod(8) makes of its modules.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::contents::output_of;

/// A kernel and its modules.
#[derive(Debug)]
pub(crate) struct Kernel {
    root: PathBuf,
    release: String,
}

/// Which of Debian's kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stock {
    /// Debian 12's.
    #[default]
    Linux6_1,
    /// The newer one that Debian 12 offers.
    Linux6_12,
}

impl Stock {
    /// Where scripts/test unpacks it, below `target`.
    const fn folder(self) -> &'static str {
        match self {
            Self::Linux6_1 => "guest",
            Self::Linux6_12 => "guest-6.12",
        }
    }
}

/// A file of a module, as it goes into the guest.
#[derive(Debug)]
pub(crate) struct ModuleFile {
    pub(crate) path: PathBuf,
    pub(crate) contents: Vec<u8>,
}

/// What says which module needs which, which answers to which request, and which are part of the kernel's image.
const LISTS: [&str; 3] = ["modules.dep", "modules.alias", "modules.builtin"];

/// The same for kmod's modprobe(8) and libkmod; busybox reads the others.
const BINARY_LISTS: [&str; 5] =
    ["modules.dep.bin", "modules.alias.bin", "modules.symbols.bin", "modules.builtin.bin", "modules.builtin.alias.bin"];

impl Kernel {
    /// One of those that scripts/test fetches.
    pub(crate) fn stock(stock: Stock) -> Result<Self, Error> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(stock.folder());
        let missing = || Error::NoKernel { looked_in: root.clone() };
        let kernels = fs::read_dir(root.join("lib/modules")).map_err(|_| missing())?;
        let release = kernels
            .flatten()
            .map(|folder| folder.file_name().to_string_lossy().into_owned())
            .filter(|release| root.join(format!("boot/vmlinuz-{release}")).exists())
            .max()
            .ok_or_else(missing)?;
        Ok(Self { root, release })
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }

    /// The files without which no module can be loaded by its name.
    pub(crate) fn lists(&self) -> Result<Vec<ModuleFile>, Error> {
        let mut lists = Vec::new();
        let mut are_compressed = false;
        for list in LISTS {
            // The lists name modules as they lie in the guest: not compressed.
            let names = self.read(list)?;
            are_compressed |= names.contains(".ko.xz");
            let contents = names.replace(".ko.xz", ".ko").into_bytes();
            lists.push(ModuleFile { path: self.folder().join(list), contents });
        }
        // There names have their lengths before them, so that none can be replaced.
        if !are_compressed {
            for list in BINARY_LISTS {
                let source = self.source(list);
                let contents = fs::read(&source).map_err(Error::file(&source))?;
                lists.push(ModuleFile { path: self.folder().join(list), contents });
            }
        }
        Ok(lists)
    }

    /// A module's file and those of all that it needs; none for what is part of the kernel's image.
    pub(crate) fn module(&self, name: &str) -> Result<Vec<ModuleFile>, Error> {
        if let Some(line) = self.read("modules.dep")?.lines().find(|line| is_module(line.split(':').next(), name)) {
            return line.split_whitespace().map(|file| self.module_file(file.trim_end_matches(':'))).collect();
        }
        if self.read("modules.builtin")?.lines().any(|line| is_module(Some(line), name)) {
            return Ok(Vec::new());
        }
        Err(Error::NoModule { module: name.to_string() })
    }

    fn module_file(&self, file: &str) -> Result<ModuleFile, Error> {
        let path = self.folder().join(file);
        let source = self.root.join(path.strip_prefix("/").unwrap_or(&path));
        if path.extension().is_some_and(|extension| extension == "xz") {
            let contents = output_of("xz", &["--decompress".as_ref(), "--stdout".as_ref(), source.as_os_str()])?;
            return Ok(ModuleFile { path: path.with_extension(""), contents });
        }
        Ok(ModuleFile { path, contents: fs::read(&source).map_err(Error::file(&source))? })
    }

    fn read(&self, list: &str) -> Result<String, Error> {
        let path = self.source(list);
        fs::read_to_string(&path).map_err(Error::file(&path))
    }

    fn source(&self, list: &str) -> PathBuf {
        self.root.join("lib/modules").join(&self.release).join(list)
    }

    /// Where the modules lie in the guest.
    fn folder(&self) -> PathBuf {
        Path::new("/lib/modules").join(&self.release)
    }
}

/// Whether a module's file is of that name; in file names, `-` and `_` are one.
fn is_module(file: Option<&str>, name: &str) -> bool {
    let stem = file.and_then(|file| file.rsplit('/').next()).and_then(|file| file.split(".ko").next());
    stem.is_some_and(|stem| stem.replace('-', "_") == name)
}
