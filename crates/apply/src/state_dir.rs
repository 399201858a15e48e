//! The folder that journals are kept in, and the lock that lets one process write at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::Error;

/// Where journals are kept if nothing else is said.
pub const STATE_DIR: &str = "/var/lib/plimsoll";

/// Journals that are kept; of older ones those that nothing is left to be done about are removed.
pub const MOST_JOURNALS: usize = 200;

/// How long another process, which holds the lock for the length of a few writes, is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long somebody may be looking whether a watchdog lives.
const A_LOOK: Duration = Duration::from_secs(1);

/// The folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    path: PathBuf,
}

/// The right to write, given up when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl StateDir {
    /// The folder, made if it is not there (0700).
    pub fn create(path: &Path) -> Result<Self, Error> {
        make_folder(path, DirBuilder::new().mode(0o700))?;
        Self::open(path)?.ok_or_else(|| Error::Unsafe { path: path.to_owned(), problem: "it has just vanished" })
    }

    /// The folder, if it is there.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::system("look at", path)(error)),
        };
        let refused = |problem| Err(Error::Unsafe { path: path.to_owned(), problem });
        if !metadata.is_dir() {
            return refused("it is no folder");
        }
        let own = rustix::process::geteuid().as_raw();
        if metadata.uid() != own && own == 0 {
            return refused("it belongs to another user");
        }
        if metadata.mode() & 0o022 != 0 {
            return refused("others may write to it");
        }
        let path = path.canonicalize().map_err(Error::system("look at", path))?;
        Ok(Some(Self { path }))
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the right to write, waiting for whoever has it.
    pub fn lock(&self, patience: Duration) -> Result<Lock, Error> {
        self.lock_file("lock", patience)
    }

    /// What the watchdog of an application holds while it lives. Whoever looks whether it does has it for a moment.
    pub(crate) fn watchdog_lock(&self, id: u32) -> Result<Lock, Error> {
        self.lock_file(&watchdog_file(id), A_LOOK)
    }

    /// What whoever looks after a shield that drops holds meanwhile.
    pub(crate) fn vigil_lock(&self, id: u32, patience: Duration) -> Result<Lock, Error> {
        self.lock_file(&vigil_file(id), patience)
    }

    /// Whether the watchdog of an application lives. It makes no file: who looks writes nothing.
    pub fn watchdog_lives(&self, id: u32) -> bool {
        let Ok(file) = File::open(self.path.join(watchdog_file(id))) else { return false };
        matches!(flock(&file, FlockOperation::NonBlockingLockShared), Err(Errno::WOULDBLOCK))
    }

    fn lock_file(&self, name: &str, patience: Duration) -> Result<Lock, Error> {
        let path = self.path.join(name);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        // On a disk that the kernel has made read-only, after an error, undoing goes on: who began made the file.
        let file = read_only_otherwise(file, &path).map_err(Error::system("open", &path))?;
        let until = Instant::now() + patience;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _file: file }),
                // flock(2) takes no time limit.
                Err(Errno::WOULDBLOCK) if Instant::now() < until => thread::sleep(Duration::from_millis(20)),
                Err(Errno::WOULDBLOCK) => return Err(Error::Busy { path }),
                Err(errno) => return Err(Error::system("lock", &path)(errno.into())),
            }
        }
    }

    /// The numbers of the applications, the oldest first.
    pub fn ids(&self) -> Result<Vec<u32>, Error> {
        let listed = || -> io::Result<Vec<u32>> {
            let mut ids = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                ids.extend(entry?.file_name().to_str().and_then(id_of));
            }
            Ok(ids)
        };
        let mut ids = listed().map_err(Error::system("list", &self.path))?;
        ids.sort_unstable();
        Ok(ids)
    }

    /// The journal of an application.
    pub fn journal(&self, id: u32) -> PathBuf {
        self.path.join(format!("{id:06}.jsonl"))
    }

    /// Removes what belongs to an application about which nothing is left to be done.
    pub(crate) fn remove(&self, id: u32) -> Result<(), Error> {
        // They are not there where the application had no watchdog, or is no shield that was enforced.
        for file in [watchdog_file(id), vigil_file(id)] {
            let _ = fs::remove_file(self.path.join(file));
        }
        let path = self.journal(id);
        fs::remove_file(&path).map_err(Error::system("remove", &path))
    }
}

/// A file opened for reading alone, where its file system is read-only.
pub(crate) fn read_only_otherwise(opened: io::Result<File>, path: &Path) -> io::Result<File> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(path).map_err(|_| error),
        opened => opened,
    }
}

fn watchdog_file(id: u32) -> String {
    format!("{id:06}.watchdog")
}

fn vigil_file(id: u32) -> String {
    format!("{id:06}.vigil")
}

fn id_of(name: &str) -> Option<u32> {
    name.strip_suffix(".jsonl").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// Makes a folder, and those above it, if it is not there; and makes each of their names last.
pub(crate) fn make_folder(path: &Path, builder: &DirBuilder) -> Result<(), Error> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && above != path => {
            make_folder(above, builder)?;
            builder.create(path)
        }
        at_once => at_once,
    };
    match made {
        Ok(()) => sync_folder(above),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(Error::system("make the folder", path)(error)),
    }
}

/// Makes what was done in a folder last.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(Error::system("write out the folder", path))
}
