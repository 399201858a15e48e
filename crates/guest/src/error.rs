//! What can go wrong with a guest.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a guest did not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program is not installed here.
    #[error("the program {program} is not here; {remedy}")]
    NoProgram {
        /// Its name.
        program: String,
        /// What installs it.
        remedy: String,
    },
    /// The stock kernel is not here.
    #[error("no kernel in {}: scripts/test puts Debian's there (linux-image-cloud-amd64, unpacked, after depmod)", .looked_in.display())]
    NoKernel {
        /// Where it should be.
        looked_in: PathBuf,
    },
    /// The stock kernel has no such module.
    #[error("the guest's kernel has no module {module}")]
    NoModule {
        /// Its name.
        module: String,
    },
    /// A file could not be read or written.
    #[error("{}: {answer}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        answer: io::Error,
    },
    /// A program could not be run, or failed.
    #[error("`{command}`: {answer}")]
    Program {
        /// The command line.
        command: String,
        /// What it answered.
        answer: String,
    },
    /// The machine was still running when its time was up.
    #[error("the guest did not end within {} s; it was killed. Its console:\n{console}", .timeout.as_secs())]
    TimeUp {
        /// The time that it had.
        timeout: Duration,
        /// What its console shows.
        console: String,
    },
    /// The machine ended before its script did, or what it recorded is not what a script records.
    #[error("the guest's transcript {problem}. Its console:\n{console}")]
    Transcript {
        /// What is wrong with it.
        problem: String,
        /// What its console shows.
        console: String,
    },
    /// The script ended with another exit code than 0.
    #[error("the guest's script ended with {exit_code}. Its console:\n{console}")]
    Script {
        /// The exit code.
        exit_code: u8,
        /// What its console shows; the commands that were run are in it.
        console: String,
    },
    /// The script recorded no step of that name.
    #[error("the guest's script recorded no step {name:?}")]
    NoStep {
        /// The name.
        name: String,
    },
}

impl Error {
    /// A program that is missing.
    pub(crate) fn no_program(program: &str) -> Self {
        let package = match program {
            "qemu-system-x86_64" => Some("qemu-system-x86"),
            "busybox" => Some("busybox-static"),
            "nft" => Some("nftables"),
            "xz" => Some("xz-utils"),
            "conntrack" | "ipset" | "ipvsadm" => Some(program),
            "ip" => Some("iproute2"),
            "iptables-legacy" | "iptables-legacy-restore" | "iptables-legacy-save" => Some("iptables"),
            "systemctl" | "journalctl" => Some("systemd"),
            _ => None,
        };
        let remedy = package.map_or("install what has it".to_string(), |package| format!("apt-get install {package}"));
        Self::NoProgram { program: program.to_string(), remedy }
    }

    /// A file's error.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |answer| Self::File { path, answer }
    }
}
