//! Connections to the daemon that are not tracked, so that they get through when the table is full.
//!
//! The rules are in a table of their own that belongs to a process (`flags owner`, Linux 5.12): the kernel removes it when that
//! process ends. It is `nft`, which reads its commands from this program, and ends when this program does, however that ends.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The table's name.
pub const TABLE: &str = "plimsoll-watch";

/// The rules are there within this time, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether they are.
const LOOK: Duration = Duration::from_millis(20);

/// Rules that are there as long as this is.
#[derive(Debug)]
pub struct Untracked {
    nft: Child,
}

/// The rules could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program that makes them.
    #[error(
        "running nft, which makes the rules for connections that are not tracked: {0}; the package nftables has it"
    )]
    Run(#[source] io::Error),
    /// What it or the kernel answered.
    #[error("nft did not make the rules for connections that are not tracked: {0}")]
    Refused(String),
}

impl Untracked {
    /// Leaves connections to these addresses untracked.
    pub fn begin(addresses: &[SocketAddr]) -> Result<Self, Error> {
        let rules = rules(addresses);
        nft(&["--check", "--file", "-"], &rules)?;
        let mut nft = Command::new("nft")
            .arg("--interactive")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::Run)?;
        let written = nft.stdin.as_mut().map(|input| input.write_all(rules.as_bytes()).and_then(|()| input.flush()));
        let untracked = Self { nft };
        written.unwrap_or(Ok(())).map_err(Error::Run)?;
        await_rules()?;
        Ok(untracked)
    }

    /// Whether the program that holds them goes on.
    pub fn is_there(&mut self) -> bool {
        matches!(self.nft.try_wait(), Ok(None))
    }
}

impl Drop for Untracked {
    fn drop(&mut self) {
        // It ends with its input, and the table with it.
        self.nft.stdin = None;
        let _ = self.nft.wait();
    }
}

/// Waits until the kernel has the rules.
fn await_rules() -> Result<(), Error> {
    let until = Instant::now() + PATIENCE;
    loop {
        match nft(&["list", "table", "inet", TABLE], "") {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// Runs `nft`, and returns what it complains of.
fn nft(arguments: &[&str], input: &str) -> Result<(), Error> {
    let mut child = Command::new("nft")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::Run)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read it complains of something else.
        let _ = stdin.write_all(input.as_bytes());
    }
    let mut complaint = String::new();
    if let Some(stderr) = child.stderr.take() {
        // What is no text is left out; whether it failed is told by its status.
        let _ = stderr.take(4096).read_to_string(&mut complaint);
    }
    let status = child.wait().map_err(Error::Run)?;
    if status.success() { Ok(()) } else { Err(Error::Refused(complaint.trim().replace('\n', "; "))) }
}

/// The table, in one line, as `nft --interactive` takes commands.
fn rules(addresses: &[SocketAddr]) -> String {
    let rules: String = addresses.iter().map(|address| rules_of(*address)).collect();
    let chain = |hook| format!("chain {hook} {{ type filter hook {hook} priority raw; policy accept; {rules} }}; ");
    format!("add table inet {TABLE} {{ flags owner; {}{}}}\n", chain("prerouting"), chain("output"))
}

/// What comes to an address, and what it answers.
fn rules_of(address: SocketAddr) -> String {
    let port = address.port();
    let [to, from] = match address.ip() {
        ip if ip.is_unspecified() => ["fib daddr type local".to_string(), "fib saddr type local".to_string()],
        IpAddr::V4(ip) => [format!("ip daddr {ip}"), format!("ip saddr {ip}")],
        IpAddr::V6(ip) => [format!("ip6 daddr {ip}"), format!("ip6 saddr {ip}")],
    };
    format!("{to} tcp dport {port} notrack; {from} tcp sport {port} notrack; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_concern_the_listener_alone_and_both_directions() {
        let rules = rules(&["127.0.0.1:9754".parse().unwrap(), "[::]:9755".parse().unwrap()]);
        assert_eq!(rules.lines().count(), 1);
        for rule in [
            "ip daddr 127.0.0.1 tcp dport 9754 notrack;",
            "ip saddr 127.0.0.1 tcp sport 9754 notrack;",
            "fib daddr type local tcp dport 9755 notrack;",
            "fib saddr type local tcp sport 9755 notrack;",
        ] {
            assert_eq!(rules.matches(rule).count(), 2, "{rules}");
        }
    }
}
