//! `plimsoll record` while it runs, and what it has written.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_archive::Archive;
use plimsoll_lab::LabNamespace;
use plimsoll_recording::{Change, ChangeKind, IdleGap, Life};
use tempfile::TempDir;

use super::{PLIMSOLL, Run};

/// A folder that is removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of something in it.
    pub(crate) fn of(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_string()
    }
}

/// A recorder that runs; killed when dropped.
#[derive(Debug)]
pub(crate) struct Recorder(Option<Child>);

impl Recorder {
    /// `plimsoll record`, with these arguments.
    pub(crate) fn begin(arguments: &[&str]) -> Self {
        let mut command = Command::new(PLIMSOLL);
        command.arg("record").args(arguments);
        Self::of(command)
    }

    pub(crate) fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(command.spawn().expect("plimsoll runs")))
    }

    /// One that listens to the events of a namespace, and does already.
    pub(crate) fn listening(namespace: &LabNamespace, to: &str, more: &[&str]) -> Self {
        let arguments: Vec<&str> =
            ["--to", to, "--netns", namespace.name()].into_iter().chain(more.iter().copied()).collect();
        let mut recorder = Self::begin(&arguments);
        until("somebody listens", || {
            assert!(recorder.is_running(), "{:?}", recorder.take());
            listeners(namespace) > 0
        });
        recorder
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.as_mut().is_some_and(|child| child.try_wait().expect("it is ours").is_none())
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.0.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
    }

    /// Stops it, as Ctrl-Z does; returns when all of its threads stand still.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
        let tasks = format!("/proc/{}/task", self.0.as_ref().expect("it runs").id());
        until("it stands still", || {
            fs::read_dir(&tasks).unwrap().all(|task| {
                let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
                status.lines().any(|line| line.starts_with("State:\tT"))
            })
        });
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Run {
        self.take()
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn interrupt(self) -> Run {
        self.signal("-INT");
        self.end()
    }

    /// Kills it.
    pub(crate) fn kill(mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    fn take(&mut self) -> Run {
        let output = self.0.take().expect("it was not waited for").wait_with_output().expect("plimsoll runs");
        Run {
            code: output.status.code().unwrap_or_else(|| panic!("killed: {output:?}")),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How many sockets of a namespace listen to events of entries.
pub(crate) fn listeners(namespace: &LabNamespace) -> usize {
    let sockets = namespace.run(&["cat", "/proc/net/netlink"]).unwrap();
    let listens = |line: &&str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let groups = cells.get(3).and_then(|groups| u32::from_str_radix(groups, 16).ok());
        // NETLINK_NETFILTER, and its groups 1 to 3.
        cells.get(1) == Some(&"12") && groups.is_some_and(|groups| groups & 0b111 != 0)
    };
    sockets.lines().filter(listens).count()
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Everything in a recording.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) lives: Vec<Life>,
    pub(crate) gaps: Vec<IdleGap>,
    pub(crate) changes: Vec<Change>,
}

impl Rows {
    pub(crate) fn of(recording: impl AsRef<Path>) -> Self {
        let archive = Archive::open(recording.as_ref()).unwrap();
        for reading in archive.readings().unwrap() {
            reading.unwrap();
        }
        Self {
            lives: archive.lives().unwrap().map(Result::unwrap).collect(),
            gaps: archive.gaps().unwrap().map(Result::unwrap).collect(),
            changes: archive.changes().unwrap().map(Result::unwrap).collect(),
        }
    }

    pub(crate) fn changes_of(&self, kind: ChangeKind) -> Vec<&Change> {
        self.changes.iter().filter(|change| change.kind == kind).collect()
    }

    pub(crate) fn lives_of(&self, client: IpAddr) -> Vec<&Life> {
        self.lives.iter().filter(|life| life.original.source == client).collect()
    }
}

/// Names of what lies in a recording's folders, hidden files too.
pub(crate) fn files(recording: impl AsRef<Path>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for table in fs::read_dir(recording).unwrap() {
        files.extend(fs::read_dir(table.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    files.sort();
    files
}

/// Those of segments that are open.
pub(crate) fn open_files(recording: impl AsRef<Path>) -> Vec<PathBuf> {
    let is_open = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "open");
    files(recording).into_iter().filter(is_open).collect()
}
