//! A network namespace of the lab's own.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use plimsoll_ctnetlink::NewEntry;
use rustix::process::{Pid, Signal, kill_process};

/// Why the lab could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program that the lab runs failed.
    #[error("`{command}`: {answer}")]
    Program {
        /// The command line.
        command: String,
        /// What it wrote to standard error, or why it could not be started.
        answer: String,
    },
    /// The namespace could not be opened or entered.
    #[error("the lab's namespace {name}: {answer}")]
    Namespace {
        /// Its name.
        name: String,
        /// What was answered.
        answer: String,
    },
    /// A TUN device could not be made.
    #[error("making the TUN device {name}: {answer}{needs}")]
    Tun {
        /// Its name.
        name: String,
        /// What was answered.
        answer: String,
        /// What it takes.
        needs: &'static str,
    },
    /// A packet could not be sent, or what came of it not be received.
    #[error("sending a packet by the lab's TUN devices: {answer}")]
    Send {
        /// What was answered.
        answer: String,
    },
    /// Signals cannot be waited for.
    #[error("waiting for signals: {answer}")]
    Signals {
        /// What was answered.
        answer: String,
    },
    /// The scenario is not played.
    #[error(transparent)]
    Refused(#[from] crate::Refusal),
    /// The kernel refused entries.
    #[error(transparent)]
    Entries(#[from] plimsoll_ctnetlink::Error),
}

/// A named network namespace, removed when dropped.
#[derive(Debug)]
pub struct LabNamespace {
    name: String,
    file: File,
}

const PREFIX: &str = "plimsoll-lab";
const DIRECTORY: &str = "/run/netns";

impl LabNamespace {
    /// Makes a namespace with loopback up and nothing tracked.
    pub fn create() -> Result<Self, Error> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        sweep();
        let name = format!("{PREFIX}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        run("ip", &["netns", "add", &name], "")?;
        let file = File::open(Path::new(DIRECTORY).join(&name))
            .map_err(|answer| Error::Namespace { name: name.clone(), answer: answer.to_string() })?;
        let namespace = Self { name, file };
        run("ip", &["-n", &namespace.name, "link", "set", "lo", "up"], "")?;
        Ok(namespace)
    }

    /// Makes a namespace in which packets are tracked: a rule asks for their state.
    pub fn tracking() -> Result<Self, Error> {
        let namespace = Self::create()?;
        namespace.nft(
            "table inet lab { \
                chain in { type filter hook input priority 0; ct state invalid counter; }; \
                chain out { type filter hook output priority 0; ct state invalid counter; }; \
            }\n",
        )?;
        Ok(namespace)
    }

    /// Its name under `/run/netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Loads nftables rules.
    pub fn nft(&self, rules: &str) -> Result<(), Error> {
        run("ip", &["netns", "exec", &self.name, "nft", "-f", "-"], rules).map(drop)
    }

    /// Sets a sysctl of this namespace, by its path below `/proc/sys`.
    pub fn set(&self, sysctl: &str, value: u32) -> Result<(), Error> {
        self.write_sysctl(sysctl, value)?.map_err(|answer| self.sysctl_failed(sysctl, &answer))
    }

    /// Sets a sysctl that not every kernel has.
    pub(crate) fn set_where_there(&self, sysctl: &str, value: u32) -> Result<(), Error> {
        match self.write_sysctl(sysctl, value)? {
            Err(answer) if answer.kind() != io::ErrorKind::NotFound => Err(self.sysctl_failed(sysctl, &answer)),
            _ => Ok(()),
        }
    }

    fn write_sysctl(&self, sysctl: &str, value: u32) -> Result<io::Result<()>, Error> {
        let path = PathBuf::from("/proc/sys").join(sysctl);
        self.enter(|| fs::write(path, value.to_string()))
    }

    fn sysctl_failed(&self, sysctl: &str, answer: &io::Error) -> Error {
        Error::Namespace { name: self.name.clone(), answer: format!("{sysctl}: {answer}") }
    }

    /// Runs commands of ip(8), one a line.
    pub(crate) fn ip(&self, commands: &str) -> Result<(), Error> {
        run("ip", &["-n", &self.name, "-batch", "-"], commands).map(drop)
    }

    /// Makes entries and returns how many were made.
    pub fn fill(&self, entries: impl IntoIterator<Item = NewEntry> + Send) -> Result<u64, Error> {
        Ok(self.enter(|| plimsoll_ctnetlink::create(entries))??)
    }

    /// Runs a closure in a thread that is in this namespace.
    pub fn enter<T: Send>(&self, closure: impl FnOnce() -> T + Send) -> Result<T, Error> {
        plimsoll_host::in_namespace(&self.file, closure)
            .map_err(|error| Error::Namespace { name: self.name.clone(), answer: error.to_string() })
    }

    /// Sends one UDP packet to each of `ports` ports on loopback, so that each asks for an entry, and returns how many
    /// the kernel refused to send.
    pub fn send_udp(&self, ports: std::ops::RangeInclusive<u16>) -> Result<u32, Error> {
        let sent = self.enter(|| -> io::Result<u32> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            Ok(ports.map(|port| u32::from(socket.send_to(b"plimsoll", (Ipv4Addr::LOCALHOST, port)).is_err())).sum())
        })?;
        sent.map_err(|answer| Error::Namespace { name: self.name.clone(), answer: answer.to_string() })
    }

    /// Runs a command in this namespace and returns what it wrote to standard output.
    pub fn run(&self, command: &[&str]) -> Result<String, Error> {
        let mut arguments = vec!["netns", "exec", &self.name];
        arguments.extend(command);
        run("ip", &arguments, "")
    }
}

impl Drop for LabNamespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Whether a namespace of this name is a lab's.
pub(crate) fn is_of_a_lab(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('-'))
}

/// What to do where a program is missing.
pub(crate) fn needed(answer: &str, program: &str) -> String {
    let package = match program {
        "ip" => "iproute2",
        "nft" => "nftables",
        other => other,
    };
    // What ip(8) says of a program that it cannot start, and what starting one here answers (ENOENT).
    if answer.starts_with("exec of ") || answer.ends_with("(os error 2)") {
        format!("; the lab needs it: install the package {package}")
    } else {
        String::new()
    }
}

/// Removes what runs that are gone left behind.
fn sweep() {
    let Ok(directory) = fs::read_dir(DIRECTORY) else { return };
    for entry in directory.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1));
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            end_servers(&name);
            remove(&name);
        }
    }
}

/// Ends the servers that a killed run left in its namespace, and removes their folder.
fn end_servers(name: &str) {
    let inside = run("ip", &["netns", "pids", name], "").unwrap_or_default();
    for pid in inside.lines().filter_map(|pid| Pid::from_raw(pid.trim().parse().ok()?)) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::KILL);
    }
    drop(fs::remove_dir_all(crate::proxy::folder_of(name)));
}

fn remove(name: &str) {
    if let Err(error) = run("ip", &["netns", "delete", name], "") {
        eprintln!("the lab could not remove its namespace: {error}");
    }
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, Error> {
    let command = format!("{program} {}", arguments.join(" "));
    let failed = |answer: String| Error::Program { command: command.clone(), answer };
    let mut child = Command::new(program)
        .args(arguments)
        // Ctrl-C is for the lab alone, which then has to remove what it made.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|answer| failed(format!("{answer}{}", needed(&answer.to_string(), program))))?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(|answer| failed(answer.to_string()))?;
    if !output.status.success() {
        let answer = String::from_utf8_lossy(&output.stderr).trim().to_string();
        // `ip netns exec NAME PROGRAM`.
        let needs = needed(&answer, arguments.get(3).unwrap_or(&program));
        return Err(failed(answer + &needs));
    }
    // What a program does not read it does not need, but then it fails.
    written.map_err(|answer| failed(answer.to_string()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
