//! A journal: one file for each application, a record a line, each on the disk before what it announces is done.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use plimsoll_host::boottime_now;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::Error;
use crate::application::Application;
use crate::record::{Begun, Event, Record};
use crate::state_dir::{StateDir, read_only_otherwise, sync_folder};

/// Room that is reserved for what has still to be written, so that a disk that fills up meanwhile stops no undo.
const RESERVED_BYTES: u64 = 64 << 10;

/// More than this no journal has: 64 changes, each with reason, revert and counts, and every attempt to undo them.
const MOST_BYTES: u64 = 4 << 20;

/// A moment in the life of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It is about to be written.
    Before,
    /// It is on the disk.
    After,
}

/// Told of every record, before and after: shows progress, and lets a test end the process at each.
pub type Observer<'a> = &'a dyn Fn(Moment, &Event);

/// A journal that is being written.
pub struct Journal<'a> {
    file: File,
    path: PathBuf,
    application: Application,
    observer: Observer<'a>,
}

impl<'a> Journal<'a> {
    /// Begins a new one. It is whole from the first moment on that it has its name.
    pub fn begin(folder: &StateDir, begun: Begun, observer: Observer<'a>) -> Result<Self, Error> {
        let path = folder.journal(begun.id);
        let event = Event::Begun(Box::new(begun));
        observer(Moment::Before, &event);
        let record = record(event);
        let temporary = path.with_extension("new");
        let write = || -> io::Result<File> {
            // What a killed process left of one that never began.
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&temporary)?;
            let line = line(&record)?;
            match fallocate(&file, FallocateFlags::KEEP_SIZE, line.len() as u64, RESERVED_BYTES) {
                // A file system that cannot reserve room.
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
                Err(errno) => return Err(errno.into()),
            }
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            Ok(file)
        };
        let file = write().map_err(|answer| {
            // Nothing has begun, so nothing is to be left.
            let _ = fs::remove_file(&temporary);
            Error::System { action: "begin the journal", path: path.clone(), answer }
        })?;
        sync_folder(folder.path())?;
        let application = Application::replay(std::slice::from_ref(&record))
            .map_err(|(_, problem)| Error::Journal { path: path.clone(), line: None, problem })?;
        observer(Moment::After, &record.event);
        Ok(Self { file, path, application, observer })
    }

    /// Goes on with one, whoever has written it so far: under the lock.
    pub fn resume(folder: &StateDir, id: u32, observer: Observer<'a>) -> Result<Self, Error> {
        let path = folder.journal(id);
        let (application, whole) = parse(&path, &content(&path)?)?;
        let open = || -> io::Result<File> {
            // What cannot be written can be undone all the same, and is told as not written down.
            let file = read_only_otherwise(OpenOptions::new().append(true).open(&path), &path)?;
            // Half a record announces what was never begun.
            if file.metadata()?.len() > whole {
                file.set_len(whole)?;
            }
            Ok(file)
        };
        let file = open().map_err(Error::system("go on with the journal", &path))?;
        Ok(Self { file, path, application, observer })
    }

    /// Puts a record on the disk. Only then may what it announces be done.
    pub fn append(&mut self, event: Event) -> Result<(), Error> {
        (self.observer)(Moment::Before, &event);
        let record = record(event);
        let length = self.file.metadata().map_err(Error::system("look at", &self.path))?.len();
        let written =
            line(&record).and_then(|line| self.file.write_all(line.as_bytes())).and_then(|()| self.file.sync_data());
        if let Err(answer) = written {
            // Half a record would be in the way of the next one; it is passed over in reading too.
            let _ = self.file.set_len(length);
            return Err(Error::System { action: "write to the journal", path: self.path.clone(), answer });
        }
        let followed = self.application.follow(&record);
        followed.map_err(|problem| Error::Journal { path: self.path.clone(), line: None, problem })?;
        (self.observer)(Moment::After, &record.event);
        Ok(())
    }

    /// What has become of the application so far.
    pub const fn application(&self) -> &Application {
        &self.application
    }

    /// The same as `append` where what happened has to be known even though it cannot, or need not, be written down.
    pub(crate) fn follow_unwritten(&mut self, event: Event) {
        // What it refuses it has refused to write as well.
        let _ = self.application.follow(&record(event));
    }
}

impl fmt::Debug for Journal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Reads what has become of an application.
pub(crate) fn read(folder: &StateDir, id: u32) -> Result<Application, Error> {
    let path = folder.journal(id);
    parse(&path, &content(&path)?).map(|(application, _)| application)
}

fn content(path: &Path) -> Result<Vec<u8>, Error> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        if read as u64 > MOST_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    };
    read().map_err(Error::system("read", path))
}

/// The application, and how many bytes hold whole records.
fn parse(path: &Path, content: &[u8]) -> Result<(Application, u64), Error> {
    let wrong = |line, problem| Error::Journal { path: path.to_owned(), line: Some(line), problem };
    let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (whole, _torn) = content.split_at(whole);
    let mut records = Vec::new();
    for (index, line) in whole.split_inclusive(|byte| *byte == b'\n').enumerate() {
        records.push(serde_json::from_slice(line).map_err(|error| wrong(index + 1, error.to_string()))?);
    }
    let application = Application::replay(&records).map_err(|(index, problem)| wrong(index + 1, problem))?;
    Ok((application, whole.len() as u64))
}

fn record(event: Event) -> Record {
    let unix_secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Record { unix_secs, boottime_ms: now_ms(), event }
}

fn line(record: &Record) -> io::Result<String> {
    Ok(serde_json::to_string(record)? + "\n")
}

/// `CLOCK_BOOTTIME` in milliseconds.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(boottime_now().as_millis()).unwrap_or(u64::MAX)
}
