//! The program that stands in for the daemon, and a namespace that it governs.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_apply::watchdog::{Guardian, Timer};
use plimsoll_apply::{Application, Phase, StateDir};
use plimsoll_lab::LabNamespace;
use rustix::process::{Pid, Signal, kill_process};

pub(crate) const TIME_WAIT: &str = "net/netfilter/nf_conntrack_tcp_timeout_time_wait";
pub(crate) const ESTABLISHED: &str = "net/netfilter/nf_conntrack_tcp_timeout_established";
pub(crate) const UDP: &str = "net/netfilter/nf_conntrack_udp_timeout";

/// The timeouts that are governed, and what they are before.
pub(crate) const BEFORE: [(&str, u32); 3] = [(TIME_WAIT, 120), (ESTABLISHED, 432_000), (UDP, 30)];

/// The example `governed`, which cargo builds for tests beside them.
pub(crate) fn governed() -> PathBuf {
    let tests = env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/governed");
    assert!(program.is_file(), "{} is not there: cargo build -p plimsoll-govern --examples", program.display());
    program
}

/// A namespace and a folder for journals.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) lab: LabNamespace,
    pub(crate) folder: PathBuf,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let lab = LabNamespace::tracking().unwrap();
        let folder = lab.folder().unwrap().join("journals");
        Self { lab, folder }
    }

    pub(crate) fn guardian() -> Guardian {
        Guardian { program: governed(), timer: Timer::None }
    }

    pub(crate) fn sysctl(&self, path: &str) -> u32 {
        let path = Path::new("/proc/sys").join(path);
        self.lab.enter(|| fs::read_to_string(path)).unwrap().unwrap().trim().parse().unwrap()
    }

    pub(crate) fn in_force(&self) -> [(&'static str, u32); 3] {
        BEFORE.map(|(path, _)| (path, self.sysctl(path)))
    }

    pub(crate) fn history(&self) -> Vec<Application> {
        plimsoll_apply::history(&self.folder).unwrap()
    }

    /// Begins to govern by a script of occupancies; `kill_at` is the record at which it kills itself.
    pub(crate) fn hold(&self, script: &str, kill_at: Option<u32>) -> Holding {
        let mut command = Command::new(governed());
        command.arg("hold").arg(self.lab.name()).arg(&self.folder).arg(script);
        command.args(kill_at.map(|at| at.to_string()));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Holding { child, lines, told: Vec::new() }
    }

    /// Waits until every application is at rest; one that was begun by who was killed before there was a watchdog has set nothing.
    pub(crate) fn await_rest(&self) {
        let is_at_rest = |one: &Application| {
            let folder = StateDir::open(&self.folder).unwrap().unwrap();
            one.phase == Phase::Ended || (one.to_undo().is_empty() && !folder.watchdog_lives(one.begun.id))
        };
        await_that(|| self.history().iter().all(is_at_rest), || format!("{:#?}", self.history()));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        watchdogs(&self.folder).into_iter().for_each(kill);
    }
}

/// The program, while it governs.
pub(crate) struct Holding {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    pub(crate) told: Vec<String>,
}

impl Holding {
    /// Reads what it tells until there is this in it, or it has ended.
    pub(crate) fn until(&mut self, wanted: &str) -> bool {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            let found = line.contains(wanted);
            self.told.push(std::mem::take(&mut line));
            if found {
                return true;
            }
        }
        false
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
        while self.until("\u{0}") {}
        self.child.wait().unwrap();
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that comes to be.
pub(crate) fn await_that(is_so: impl Fn() -> bool, told: impl Fn() -> String) {
    let until = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < until, "{}", told());
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn kill(pid: Pid) {
    // It may have ended meanwhile.
    let _ = kill_process(pid, Signal::KILL);
}

/// The watchdogs of a folder of journals.
pub(crate) fn watchdogs(folder: &Path) -> Vec<Pid> {
    let is_watchdog = |line: &[u8]| {
        let mut words = line.split(|byte| *byte == 0);
        words.nth(1) == Some(b"watchdog") && words.any(|word| word == folder.as_os_str().as_encoded_bytes())
    };
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap() {
        let process = process.unwrap();
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let line = fs::read(process.path().join("cmdline"));
        found.extend(pid.filter(|_| line.is_ok_and(|line| is_watchdog(&line))));
    }
    found
}
