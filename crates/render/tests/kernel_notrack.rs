//! Bypasses on the real kernel: what they name makes no entry in either direction, and nothing else misses its own. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use plimsoll_lab::LabNamespace;
use plimsoll_model::{Bypassed, PolicyProtocol};
use plimsoll_render::{Format, Reasoned, render};
use support::{bypass, host, networks};

/// The host, between a client and a server: 10.1.0.2 – 10.1.0.1, 10.9.0.1 – 10.9.0.2, and the same in IPv6.
struct Ground {
    client: LabNamespace,
    host: LabNamespace,
    server: LabNamespace,
}

impl Ground {
    fn new() -> Self {
        let ground = Self {
            client: LabNamespace::create().unwrap(),
            host: LabNamespace::tracking().unwrap(),
            server: LabNamespace::create().unwrap(),
        };
        for (outer, net) in [(&ground.client, 1), (&ground.server, 9)] {
            let link = format!("to{net}");
            let made = Command::new("ip")
                .args(["-n", ground.host.name(), "link", "add", &link, "type", "veth", "peer", "name", "eth0"])
                .args(["netns", outer.name()])
                .status();
            assert!(made.unwrap().success());
            up(&ground.host, &link, &[format!("10.{net}.0.1/24"), format!("fd00:{net}::1/64")]);
            up(outer, "eth0", &[format!("10.{net}.0.2/24"), format!("fd00:{net}::2/64")]);
            for (family, gateway) in [("-4", format!("10.{net}.0.1")), ("-6", format!("fd00:{net}::1"))] {
                ip(outer, &[family, "route", "add", "default", "via", &gateway]);
            }
        }
        ground.host.set("net/ipv4/ip_forward", 1).unwrap();
        ground.host.set("net/ipv6/conf/all/forwarding", 1).unwrap();
        ground
    }

    fn applies(&self, format: Format, changes: &[Reasoned]) {
        for file in render(format, changes, &host()).files {
            let command: &[&str] = if format == Format::Nft { &["nft", "-f", "-"] } else { &["sh", "-s", "apply"] };
            fed(&self.host, command, &file.text);
        }
    }

    fn takes_back(&self, format: Format, changes: &[Reasoned]) {
        if format == Format::Nft {
            self.host.run(&["nft", "delete", "table", "inet", plimsoll_render::NOTRACK_TABLE]).unwrap();
        } else {
            for file in render(format, changes, &host()).files {
                fed(&self.host, &["sh", "-s", "revert"], &file.text);
            }
        }
    }

    /// Of both families.
    fn entries(&self) -> usize {
        self.host.run(&["conntrack", "-L", "-p", "udp"]).unwrap().lines().count()
    }

    fn forget(&self) {
        self.host.run(&["conntrack", "-F"]).unwrap();
    }
}

fn ip(lab: &LabNamespace, words: &[&str]) {
    assert!(Command::new("ip").args(["-n", lab.name()]).args(words).status().unwrap().success(), "{words:?}");
}

fn up(lab: &LabNamespace, link: &str, addresses: &[String]) {
    for address in addresses {
        // Without duplicate address detection: an address of IPv6 is of use at once.
        let late: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
        ip(lab, &[&["address", "add", address, "dev", link], late].concat());
    }
    ip(lab, &["link", "set", link, "up"]);
}

fn fed(lab: &LabNamespace, command: &[&str], input: &str) {
    let mut child = Command::new("ip")
        .args(["netns", "exec", lab.name()])
        .args(command)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{input}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Asks a service once, and gets its answer.
fn exchange(from: &LabNamespace, to: &LabNamespace, address: &str, port: u16) {
    let any = if address.contains(':') { "[::]" } else { "0.0.0.0" };
    let patience = Some(Duration::from_secs(10));
    let server = to.enter(|| UdpSocket::bind(format!("{any}:{port}")).unwrap()).unwrap();
    let client = from.enter(|| UdpSocket::bind(format!("{any}:0")).unwrap()).unwrap();
    server.set_read_timeout(patience).unwrap();
    client.set_read_timeout(patience).unwrap();
    let mut buffer = [0; 16];
    client.connect(format!("{address}:{port}")).unwrap();
    client.send(b"?").unwrap();
    let (_, whom) = server.recv_from(&mut buffer).unwrap();
    server.send_to(b"!", whom).unwrap();
    client.recv(&mut buffer).unwrap();
}

const FORMATS: [Format; 2] = [Format::Nft, Format::Iptables];

#[test]
fn a_service_of_this_host_makes_no_entry_for_whoever_asks_from_elsewhere() {
    for format in FORMATS {
        let ground = Ground::new();
        let changes = [bypass(PolicyProtocol::Udp, 53, Bypassed::ServedHere, "DNS.")];
        let all = |port| {
            for address in ["10.1.0.1", "[fd00:1::1]"] {
                exchange(&ground.client, &ground.host, address, port);
            }
        };
        all(53);
        assert_eq!(ground.entries(), 2, "tracked without it");
        ground.forget();
        ground.applies(format, &changes);
        all(53);
        assert_eq!(ground.entries(), 0, "{format}");
        all(54);
        // What passes through is not meant, nor what this host asks or says to itself.
        exchange(&ground.client, &ground.server, "10.9.0.2", 53);
        exchange(&ground.host, &ground.server, "10.9.0.2", 53);
        for address in ["127.0.0.1", "[::1]", "10.1.0.1"] {
            exchange(&ground.host, &ground.host, address, 53);
        }
        assert_eq!(ground.entries(), 7, "{format}");
        ground.takes_back(format, &changes);
        ground.forget();
        all(53);
        assert_eq!(ground.entries(), 2, "{format}");
    }
}

#[test]
fn what_this_host_asks_of_some_makes_no_entry_and_of_others_it_does() {
    for format in FORMATS {
        let ground = Ground::new();
        let servers = networks(&["10.9.0.0/25", "fd00:9::2/128"]);
        let changes = [bypass(PolicyProtocol::Udp, 53, Bypassed::AskedFromHere { servers }, "Resolvers.")];
        ground.applies(format, &changes);
        exchange(&ground.host, &ground.server, "10.9.0.2", 53);
        exchange(&ground.host, &ground.server, "[fd00:9::2]", 53);
        assert_eq!(ground.entries(), 0, "{format}");
        exchange(&ground.host, &ground.client, "10.1.0.2", 53);
        exchange(&ground.host, &ground.client, "[fd00:1::2]", 53);
        exchange(&ground.client, &ground.server, "10.9.0.2", 53);
        assert_eq!(ground.entries(), 3, "{format}");
    }
}

#[test]
fn what_passes_between_peers_makes_no_entry_and_between_others_it_does() {
    for format in FORMATS {
        let ground = Ground::new();
        let of = |clients: &[&str], servers: &[&str]| Bypassed::Forwarded {
            clients: networks(clients),
            servers: networks(servers),
        };
        let flows = of(&["10.1.0.0/24", "10.77.0.0/16"], &["10.9.0.2/32"]);
        ground.applies(format, &[bypass(PolicyProtocol::Udp, 8125, flows, "Metrics.")]);
        exchange(&ground.client, &ground.server, "10.9.0.2", 8125);
        assert_eq!(ground.entries(), 0, "{format}");
        // Of IPv6 there are no peers, so none is meant.
        exchange(&ground.client, &ground.server, "[fd00:9::2]", 8125);
        exchange(&ground.host, &ground.server, "10.9.0.2", 8125);
        assert_eq!(ground.entries(), 2, "{format}");
    }
}
