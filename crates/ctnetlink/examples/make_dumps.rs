//! Makes the dumps in `tests/dumps` again, from the kernel at hand (root, `ip`, `nft`):
//! `cargo run -p plimsoll-ctnetlink --example make_dumps crates/ctnetlink/tests/dumps`
//!
//! `tests/dumps/README.md` says what is in them.
#![allow(clippy::unwrap_used, reason = "a tool for this repository: whatever fails, it ends with the place")]

use std::error::Error;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;

use plimsoll_ctnetlink::{RawDump, TcpState};
use plimsoll_lab::{Kind, LabNamespace, entries};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketType, netlink, recv, send, sendto, socket};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: make_dumps FOLDER")?;
    let folder = Path::new(&folder);

    let mixed = LabNamespace::tracking()?;
    fill_mixed(&mixed)?;
    fs::write(folder.join("mixed.bin"), mixed.enter(dump)?)?;
    fs::write(folder.join("table_statistics.bin"), mixed.enter(|| ask(0x0105, REQUEST))?)?;
    fs::write(folder.join("cpu_statistics.bin"), mixed.enter(|| ask(0x0104, REQUEST | DUMP))?)?;

    let odd = LabNamespace::create()?;
    odd.set("net/netfilter/nf_conntrack_acct", 1)?;
    odd.set("net/netfilter/nf_conntrack_timestamp", 1)?;
    odd.run(&["ip", "address", "add", "198.51.100.1/24", "dev", "lo"])?;
    odd.nft(ODD_RULES)?;
    let held_open = odd.enter(make_odd_traffic)?;
    fs::write(folder.join("odd.bin"), odd.enter(dump)?)?;
    fs::write(folder.join("odd.txt"), odd.run(&["conntrack", "-L", "-f", "ipv4", "-o", "id"])?)?;
    let mut text = fs::OpenOptions::new().append(true).open(folder.join("odd.txt"))?;
    text.write_all(odd.run(&["conntrack", "-L", "-f", "ipv6", "-o", "id"])?.as_bytes())?;
    drop(held_open);
    Ok(())
}

/// TCP in every state, assured and not, and the other kinds that the lab makes.
fn fill_mixed(namespace: &LabNamespace) -> Result<(), plimsoll_lab::Error> {
    for state in TcpState::ALL {
        namespace.fill(entries(Kind::AssuredTcp(*state), 0, 15))?;
        namespace.fill(entries(Kind::Tcp(*state), 0, 10))?;
    }
    for (kind, count) in [
        (Kind::UdpUnreplied, 40),
        (Kind::UdpStream, 40),
        (Kind::Ipv6, 40),
        (Kind::DestinationNat, 20),
        (Kind::Generic(253), 10),
    ] {
        namespace.fill(entries(kind, 0, count))?;
    }
    Ok(())
}

const ODD_RULES: &str = r#"table inet odd {
    ct helper ftp { type "ftp" protocol tcp; }
    chain zones {
        type filter hook output priority -300;
        udp dport 7007 ct zone set 7
        udp dport 7008 ct original zone set 8
        udp dport 7009 ct reply zone set 9
    }
    chain out {
        type filter hook output priority 0;
        tcp dport 21 ct helper set "ftp"
        udp dport 7001 ct mark set 0xdecade
        udp dport 7002 ct label set 5
        ct state invalid counter
    }
    chain in { type filter hook input priority 0; ct state invalid counter; }
    chain destination {
        type nat hook output priority -100;
        ip daddr 198.51.100.80 tcp dport 80 dnat ip to 127.0.0.1:8080
    }
    chain source {
        type nat hook postrouting priority 100;
        udp dport 7003 snat ip to 198.51.100.1
    }
}
"#;

/// One flow of each odd kind; returns what must stay open until the table is dumped.
fn make_odd_traffic() -> Vec<OwnedFd> {
    let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);

    // Echo requests, identifier 0x1234; the kernel answers them.
    send_raw(v4, 1, &[8, 0, 0xe5, 0xca, 0x12, 0x34, 0, 1]);
    send_raw(v6, 58, &[128, 0, 0, 0, 0x12, 0x34, 0, 1]);
    // GRE, version 0.
    send_raw(v4, 47, &[0, 0, 0x08, 0]);
    // SCTP from port 1000 to 2000, INIT.
    send_raw(v4, 132, &[&[3, 232, 7, 208, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20][..], &[1; 16]].concat());
    // For experiments (RFC 3692).
    send_raw(v4, 253, b"plimsoll");

    for port in [7001, 7002, 7003, 7007, 7008, 7009] {
        let from = UdpSocket::bind((v4, port - 1000)).unwrap();
        from.send_to(b"plimsoll", (v4, port)).unwrap();
    }

    let web = TcpListener::bind((v4, 8080)).unwrap();
    let visit = connect(SocketAddr::from(([198, 51, 100, 80], 80)));
    let ftp = TcpListener::bind((v4, 21)).unwrap();
    let control = connect(SocketAddr::from((v4, 21)));
    vec![web.into(), visit.into(), ftp.into(), control.into()]
}

fn send_raw(to: IpAddr, protocol: u8, packet: &[u8]) {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let protocol = Protocol::from_raw(u32::from(protocol).try_into().unwrap());
    let socket = socket(family, SocketType::RAW, Some(protocol)).unwrap();
    sendto(&socket, packet, SendFlags::empty(), &SocketAddr::new(to, 0)).unwrap();
}

fn connect(to: SocketAddr) -> TcpStream {
    TcpStream::connect(to).unwrap()
}

/// The table as the kernel sends it: each datagram behind its length (32 bits, little endian).
fn dump() -> Vec<u8> {
    let mut out = Vec::new();
    let mut dump = RawDump::start().unwrap();
    while let Some(datagram) = dump.next_datagram().unwrap() {
        append(&mut out, datagram);
    }
    out
}

const REQUEST: u16 = 0x1;
const DUMP: u16 = 0x300;

/// The first datagram that answers a request without attributes.
fn ask(kind: u16, flags: u16) -> Vec<u8> {
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, Some(netlink::NETFILTER)).unwrap();
    let header = [&20_u32.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 12]].concat();
    send(&socket, &header, SendFlags::empty()).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let (_, length) = recv(&socket, &mut buffer[..], RecvFlags::empty()).unwrap();
    let mut out = Vec::new();
    append(&mut out, &buffer[..length]);
    out
}

fn append(out: &mut Vec<u8>, datagram: &[u8]) {
    out.extend_from_slice(&u32::try_from(datagram.len()).unwrap().to_le_bytes());
    out.extend_from_slice(datagram);
}
