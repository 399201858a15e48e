//! A namespace to which changes are applied, and a folder for their journals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_apply::{Application, Phase, StateDir};
use plimsoll_lab::LabNamespace;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{PLIMSOLL, Run};

/// A namespace and a folder for journals.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) lab: LabNamespace,
    pub(crate) folder: PathBuf,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let lab = LabNamespace::tracking().expect("a namespace");
        let folder = lab.folder().expect("a folder").join("journals");
        Self { lab, folder }
    }

    /// `plimsoll` with these journals, to be run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PLIMSOLL);
        command.args(arguments).env("PLIMSOLL_STATE_DIR", &self.folder);
        command
    }

    pub(crate) fn plimsoll(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments))
    }

    /// A sysctl's value in the namespace, by its path.
    pub(crate) fn sysctl(&self, path: &str) -> u32 {
        let path = Path::new("/proc/sys").join(path);
        self.lab.enter(|| fs::read_to_string(path)).unwrap().unwrap().trim().parse().unwrap()
    }

    pub(crate) fn last(&self) -> Option<Application> {
        plimsoll_apply::history(&self.folder).unwrap().pop()
    }

    /// Waits until nothing is being done any more, by whichever process was left.
    pub(crate) fn await_rest(&self) {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            match self.last() {
                None => return,
                Some(application) if application.phase == Phase::Ended => return,
                // Killed before there was a watchdog.
                Some(application) if application.to_undo().is_empty() && !self.is_watched(&application) => return,
                Some(application) => assert!(Instant::now() < until, "{application:#?}"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn is_watched(&self, application: &Application) -> bool {
        StateDir::open(&self.folder).unwrap().unwrap().watchdog_lives(application.begun.id)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        kill_watchdogs(&self.folder);
    }
}

/// Kills the watchdogs of a folder of journals.
pub(crate) fn kill_watchdogs(folder: &Path) {
    for pid in watchdogs(folder) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::KILL);
    }
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

pub(crate) const TIME_WAIT: &str = "net/netfilter/nf_conntrack_tcp_timeout_time_wait";
pub(crate) const UDP: &str = "net/netfilter/nf_conntrack_udp_timeout";

pub(crate) const POLICY: &str = r#"{"schema":"plimsoll.plan/1","namespace":"elsewhere","changes":[{"why":"one \u001b[2Jservice",
    "edit":{"kind":"policy","protocol":"udp","port":9999,
    "timeouts":[{"sysctl":"net.netfilter.nf_conntrack_udp_timeout","secs":300}]}}]}"#;

/// What sets a timeout in a scene's namespace, without watching.
pub(crate) fn apply<'a>(scene: &'a Scene, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["apply", "--netns", scene.lab.name(), "--soak", "0"];
    arguments.extend(more);
    arguments
}

/// Beside the journals: a folder that is not there yet is made by `plimsoll`.
pub(crate) fn write_plan(scene: &Scene, plan: &str) -> String {
    let _: Value = serde_json::from_str(plan).expect("JSON");
    let path = scene.folder.with_extension("json");
    fs::write(&path, plan).unwrap();
    path.display().to_string()
}
