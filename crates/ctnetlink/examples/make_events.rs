//! Makes `tests/dumps/events.bin` again, from the kernel at hand (root, `ip`, `nft`, `conntrack`), and tells what is in it:
//! `cargo run -p plimsoll-ctnetlink --example make_events crates/ctnetlink/tests/dumps`
#![allow(clippy::unwrap_used, reason = "a tool for this repository: whatever fails, it ends with the place")]

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use plimsoll_ctnetlink::parse::parse_events;
use plimsoll_ctnetlink::{Change, Changer, Dump, EventKind, Listener, Received, Unknowns};
use plimsoll_lab::LabNamespace;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

const RULES: &str = r"table inet events {
    chain in { type filter hook input priority 0; ct state invalid counter; }
    chain destination {
        type nat hook output priority -100;
        ip daddr 198.51.100.80 tcp dport 80 dnat ip to 127.0.0.1:8080
    }
}
";

/// Time enough for what is tested, and little enough for expiry to be awaited.
const SHORT: [&str; 4] = ["udp_timeout", "udp_timeout_stream", "tcp_timeout_time_wait", "tcp_timeout_close"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: make_events FOLDER")?;
    let namespace = LabNamespace::create()?;
    namespace.nft(RULES)?;
    namespace.run(&["ip", "address", "add", "198.51.100.1/24", "dev", "lo"])?;
    namespace.set("net/netfilter/nf_conntrack_acct", 1)?;
    namespace.set("net/netfilter/nf_conntrack_timestamp", 1)?;
    for timeout in SHORT {
        namespace.set(&format!("net/netfilter/nf_conntrack_{timeout}"), 1)?;
    }
    let mut file = Vec::new();
    namespace.enter(|| {
        let mut listener = Listener::subscribe(1 << 20).unwrap();
        let mut take = |what: &str, ended: usize| take(&mut listener, &mut file, what, ended);

        tcp_life(SocketAddr::new(V4, 8080), V4);
        take("TCP", 1);
        tcp_life(SocketAddr::new(V6, 8080), V6);
        take("TCP over IPv6", 1);
        tcp_life(SocketAddr::from(([198, 51, 100, 80], 80)), V4);
        take("TCP with translated destination", 1);
        let _ = TcpStream::connect((V4, 9)).unwrap_err();
        take("TCP, refused", 1);
        let (client, server) = (UdpSocket::bind((V4, 6001)).unwrap(), UdpSocket::bind((V4, 7001)).unwrap());
        client.send_to(b"plimsoll", (V4, 7001)).unwrap();
        take("UDP without reply", 1);
        client.send_to(b"plimsoll", (V4, 7001)).unwrap();
        server.send_to(b"plimsoll plimsoll", (V4, 6001)).unwrap();
        take("UDP with reply", 1);
    })?;
    // From here on entries have much time left when they end.
    for timeout in SHORT {
        namespace.set(&format!("net/netfilter/nf_conntrack_{timeout}"), 100)?;
    }
    namespace.enter(|| {
        let mut listener = Listener::subscribe(1 << 20).unwrap();
        let client = UdpSocket::bind((V4, 6002)).unwrap();
        let server = UdpSocket::bind((V4, 7002)).unwrap();
        client.send_to(b"plimsoll", (V4, 7002)).unwrap();
        let key = {
            let mut dump = Dump::start().unwrap();
            let batch = dump.next_batch().unwrap().unwrap();
            batch.entries(&mut Unknowns::default()).next().unwrap().unwrap().key()
        };
        Changer::open().unwrap().make(Change::Expire { after_secs: 50 }, &[key]).unwrap();
        namespace.run(&["conntrack", "-D", "-p", "udp"]).unwrap();
        take(&mut listener, &mut file, "UDP, given less time and deleted by processes", 1);
        drop(server);
    })?;
    fs::write(Path::new(&folder).join("events.bin"), file)?;
    Ok(())
}

/// A connection from the first SYN to the last FIN; the client closes first.
fn tcp_life(to: SocketAddr, at: IpAddr) {
    let listener = TcpListener::bind((at, 8080)).unwrap();
    let mut client = TcpStream::connect(to).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"plimsoll").unwrap();
    server.read_exact(&mut [0; 8]).unwrap();
    drop(client);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
}

/// Appends what comes until so many entries have ended, each datagram behind its length (32 bits, little endian).
fn take(listener: &mut Listener, file: &mut Vec<u8>, what: &str, mut ended: usize) {
    println!("{what}:");
    let until = Instant::now() + Duration::from_secs(20);
    while ended > 0 {
        assert!(Instant::now() < until, "{what}: nothing came");
        // A dump frees what has expired.
        let _ = Dump::start().unwrap().next_batch().unwrap();
        let Received::Events(batch) = listener.receive(Duration::from_millis(100)).unwrap() else { continue };
        for datagram in batch.datagrams() {
            file.extend_from_slice(&u32::try_from(datagram.len()).unwrap().to_le_bytes());
            file.extend_from_slice(datagram);
            for event in parse_events(datagram, &mut Unknowns::default()) {
                let event = event.unwrap();
                println!("  {} bytes: {event:?}", datagram.len());
                ended -= usize::from(event.kind == EventKind::Destroy);
            }
        }
    }
}
