//! The rulesets in force in a network namespace, as the programs tell them that know them.
//!
//! What is asked registers nothing: nft and iptables-nft only list; iptables-legacy-save is run without `-t`, for with it the kernel makes the table,
//! and only where there are tables.

use std::env;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use plimsoll_model::{Answer, Reading, Unseen, Untrusted};
use plimsoll_rules::{Beside, Ruleset, Told};

use crate::{Error, HostFs, NetFiles, Subsystem};

/// What is read of the rulesets of a namespace.
#[derive(Clone, Debug)]
pub struct Rulesets {
    /// What the programs wrote.
    pub told: Told,
    /// What works with entries beside them.
    pub beside: Beside,
    /// What could not be read; `told` names it, too, so that nobody takes it for nothing.
    pub unseen: Vec<Unseen>,
}

impl Rulesets {
    /// What was told as one ruleset. What is not understood is named in it, so that nothing is taken to be safe beside it.
    pub fn ruleset(&self) -> Ruleset {
        Ruleset::read(&self.told).unwrap_or_else(|error| Ruleset {
            tables: Vec::new(),
            unknown: vec![Untrusted::from_escaped(error.to_string())],
        })
    }
}

/// A program that takes longer is stopped. nft lists a hundred thousand rules in about a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than this is not read.
const MOST_BYTES: u64 = 256 << 20;

impl HostFs {
    /// Reads the rulesets of the calling thread's namespace.
    pub fn rulesets(&self) -> Rulesets {
        let mut told = Told::default();
        let mut unseen = Vec::new();
        let mut keep = |result: Result<String, Error>, needs: &str| {
            result.unwrap_or_else(|error| {
                let gap = Unseen { needs: needs.to_string(), ..error.unseen(Reading::Ruleset) };
                unseen.push(gap);
                String::new()
            })
        };
        told.nft = keep(self.of_nftables(), "the package nftables, and CAP_NET_ADMIN");
        // nft has no words for matches and targets of iptables.
        if told.nft.contains("\"xt\"") {
            let needs = "the package iptables: some rules were written by iptables-nft";
            told.ip_nft = keep(run("iptables-nft-save", &[]), needs);
            told.ip6_nft = keep(run("ip6tables-nft-save", &[]), needs);
        }
        let needs = "the package iptables, and CAP_NET_ADMIN: there are tables that nftables does not show";
        told.ip_legacy = keep(self.of_legacy("ip_tables_names", "iptables-legacy-save"), needs);
        told.ip6_legacy = keep(self.of_legacy("ip6_tables_names", "ip6tables-legacy-save"), needs);
        if [&told.ip_nft, &told.ip6_nft, &told.ip_legacy, &told.ip6_legacy]
            .iter()
            .any(|text| text.contains("--match-set"))
        {
            // Without it the sets may be of any type, and less is proven.
            told.ipsets = run("ipset", &["list", "-terse"]).unwrap_or_default();
        }
        told.gaps =
            unseen.iter().map(|gap| Untrusted::from_escaped(format!("{}: {}", gap.tried, gap.answered))).collect();
        let beside = Beside { balanced: self.balanced().ok().flatten(), replicated: self.is_replicated().ok() };
        Rulesets { told, beside, unseen }
    }

    fn of_nftables(&self) -> Result<String, Error> {
        match self.asking_loads_nothing(Subsystem::NfTables) {
            Answer::Yes => run("nft", &["-j", "list", "ruleset"]),
            // What is not there has no rules.
            Answer::No { .. } => Ok(String::new()),
            Answer::Inconclusive { because } => Err(failed("ask", "nf_tables", io::Error::other(because))),
        }
    }

    fn of_legacy(&self, names: &str, program: &str) -> Result<String, Error> {
        match self.read_net(NetFiles::OfThread, names) {
            Ok(tables) if tables.lines().next().is_some() => run(program, &[]),
            Ok(_) => Ok(String::new()),
            Err(error) if error.is_absent() => Ok(String::new()),
            Err(error) => Err(error),
        }
    }
}

/// Runs a program in the calling thread's namespace, and returns what it wrote.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String, Error> {
    // A user's shell may not look where programs for root are.
    let path = format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default());
    let child = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| failed("run", program, error))?;
    let output = collect(&mut child);
    if output.is_err() {
        // It has ended, or is to.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| failed("wait for", program, error))?;
    let (written, complaint) = output.map_err(|error| failed("read what is written by", program, error))?;
    if !status.success() {
        let complaint = String::from_utf8_lossy(&complaint);
        return Err(failed("run", program, io::Error::other(complaint.trim().to_string())));
    }
    Ok(String::from_utf8_lossy(&written).into_owned())
}

/// What a program writes to its two outputs, within the time that it is given.
fn collect(child: &mut Child) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let (written, complaint) = (child.stdout.take().ok_or_else(gone)?, child.stderr.take().ok_or_else(gone)?);
    let written = read_apart(written);
    let complaint = read_apart(complaint);
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("not done within {} s", PATIENCE.as_secs()));
    let written = written.recv_timeout(PATIENCE).map_err(late)??;
    let complaint = complaint.recv_timeout(PATIENCE).map_err(late)??;
    Ok((written, complaint))
}

/// Reads to the end in a thread of its own, which ends with what it reads from.
fn read_apart(from: impl Read + Send + 'static) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = from.take(MOST_BYTES + 1).read_to_end(&mut bytes).and_then(|read| {
            if u64::try_from(read).is_ok_and(|read| read <= MOST_BYTES) {
                Ok(bytes)
            } else {
                Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {MOST_BYTES} bytes")))
            }
        });
        // Nobody waits any longer where it took too long.
        let _ = sender.send(read);
    });
    receiver
}

fn failed(action: &'static str, program: &str, source: io::Error) -> Error {
    Error::System { action, path: PathBuf::from(program), source }
}
