//! A network namespace of the lab's own.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use plimsoll_ctnetlink::NewEntry;
use rustix::process::{Pid, Signal, kill_process};

use crate::claim::{Claim, NAMESPACES, left_behind};

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
    /// A name for a namespace could not be taken.
    #[error("{}, by which the lab claims a namespace's name: {answer}", path.display())]
    Claim {
        /// The lock file, or the directory of such.
        path: PathBuf,
        /// What was answered.
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
    #[error("sending a packet by the lab's TUN or TAP devices: {answer}")]
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
    claim: Claim,
    file: File,
}

impl LabNamespace {
    /// Makes a namespace with loopback up and nothing tracked.
    pub fn create() -> Result<Self, Error> {
        left_behind().iter().for_each(remove_with_servers);
        let claim = Claim::take()?;
        // What has not been made must not be removed.
        run("ip", &["netns", "add", claim.name()], "").inspect_err(|_| claim.release())?;
        let file = File::open(Path::new(NAMESPACES).join(claim.name()))
            .map_err(|answer| Error::Namespace { name: claim.name().to_string(), answer: answer.to_string() })?;
        let namespace = Self { claim, file };
        run("ip", &["-n", namespace.name(), "link", "set", "lo", "up"], "")?;
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

    /// Makes a namespace that passes packets on between its devices, wherever they come from, and sends nothing of its own accord.
    pub(crate) fn forwarding() -> Result<Self, Error> {
        let namespace = Self::create()?;
        namespace.set("net/ipv4/ip_forward", 1)?;
        namespace.set_where_there("net/ipv6/conf/all/forwarding", 1)?;
        for of in ["all", "default"] {
            namespace.set(&format!("net/ipv4/conf/{of}/rp_filter"), 0)?;
            namespace.set(&format!("net/ipv4/conf/{of}/send_redirects"), 0)?;
            // Nothing is to come out but what was sent.
            for (quiet, value) in [("accept_ra", 0), ("router_solicitations", 0), ("addr_gen_mode", 1)] {
                namespace.set_where_there(&format!("net/ipv6/conf/{of}/{quiet}"), value)?;
            }
        }
        Ok(namespace)
    }

    /// Its name under `/run/netns`.
    pub fn name(&self) -> &str {
        self.claim.name()
    }

    /// A folder of its own, for the files of what runs in it; it goes with the namespace, also where the lab is killed.
    pub fn folder(&self) -> Result<PathBuf, Error> {
        self.claim.own_folder()
    }

    /// Loads nftables rules.
    pub fn nft(&self, rules: &str) -> Result<(), Error> {
        run("ip", &["netns", "exec", self.name(), "nft", "-f", "-"], rules).map(drop)
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
        Error::Namespace { name: self.name().to_string(), answer: format!("{sysctl}: {answer}") }
    }

    /// Runs commands of ip(8), one a line.
    pub(crate) fn ip(&self, commands: &str) -> Result<(), Error> {
        run("ip", &["-n", self.name(), "-batch", "-"], commands).map(drop)
    }

    /// Makes entries and returns how many were made.
    pub fn fill(&self, entries: impl IntoIterator<Item = NewEntry> + Send) -> Result<u64, Error> {
        Ok(self.enter(|| plimsoll_ctnetlink::create(entries))??)
    }

    /// Runs a closure in a thread that is in this namespace.
    pub fn enter<T: Send>(&self, closure: impl FnOnce() -> T + Send) -> Result<T, Error> {
        plimsoll_host::in_namespace(&self.file, closure)
            .map_err(|error| Error::Namespace { name: self.name().to_string(), answer: error.to_string() })
    }

    /// Sends one UDP packet to each of `ports` ports on loopback, so that each asks for an entry, and returns how many
    /// the kernel refused to send.
    pub fn send_udp(&self, ports: std::ops::RangeInclusive<u16>) -> Result<u32, Error> {
        let sent = self.enter(|| -> io::Result<u32> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            Ok(ports.map(|port| u32::from(socket.send_to(b"plimsoll", (Ipv4Addr::LOCALHOST, port)).is_err())).sum())
        })?;
        sent.map_err(|answer| Error::Namespace { name: self.name().to_string(), answer: answer.to_string() })
    }

    /// Runs a command in this namespace and returns what it wrote to standard output.
    pub fn run(&self, command: &[&str]) -> Result<String, Error> {
        let mut arguments = vec!["netns", "exec", self.name()];
        arguments.extend(command);
        run("ip", &arguments, "")
    }
}

impl Drop for LabNamespace {
    fn drop(&mut self) {
        remove(&self.claim);
    }
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

/// Removes what a lab left behind that was killed: its servers still run.
fn remove_with_servers(claim: &Claim) {
    let inside = run("ip", &["netns", "pids", claim.name()], "").unwrap_or_default();
    for pid in inside.lines().map(str::trim) {
        let folder = claim.folder();
        // Others may have gone in to look; servers name their folder when they are started.
        let is_server = fs::read(Path::new("/proc").join(pid).join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&*folder.to_string_lossy()));
        if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw).filter(|_| is_server) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    remove(claim);
}

/// Removes a namespace, and gives its name up: where it cannot be removed the next lab tries again.
fn remove(claim: &Claim) {
    let is_there = Path::new(NAMESPACES).join(claim.name()).symlink_metadata().is_ok();
    match if is_there { run("ip", &["netns", "delete", claim.name()], "") } else { Ok(String::new()) } {
        Ok(_) => claim.release(),
        Err(error) => eprintln!("the lab could not remove its namespace: {error}"),
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
