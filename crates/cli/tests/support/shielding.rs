//! A server's namespace with a shield, and a client's with many addresses, joined by a veth pair.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use plimsoll_lab::LabNamespace;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use serde_json::Value;

use super::Run;
use super::applying::Scene;
use super::watching::await_that;

pub(crate) const SYNCOOKIES: &str = "net/ipv4/tcp_syncookies";
pub(crate) const LOOSE: &str = "net/netfilter/nf_conntrack_tcp_loose";

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 8, 255, 1);
/// Behind a router.
const BEHIND: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd08, 0, 0, 0, 0, 0, 1, 1);

/// Addresses of the client.
const CLIENTS: u16 = 48;

/// How long a packet that is dropped is waited for. What is answered comes within a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

/// The client's address of a number, from 1.
pub(crate) fn client(number: u16) -> IpAddr {
    Ipv4Addr::from_bits(0x0a08_0000 + u32::from(number)).into()
}

/// The same of IPv6.
pub(crate) fn client6(number: u16) -> IpAddr {
    Ipv6Addr::new(0xfd08, 0, 0, 0, 0, 0, 0, number).into()
}

/// The two namespaces.
pub(crate) struct Joined {
    pub(crate) scene: Scene,
    client: LabNamespace,
}

impl Joined {
    /// With a server that echoes on port 443.
    pub(crate) fn new() -> Self {
        let joined = Self { scene: Scene::new(), client: LabNamespace::create().expect("a namespace") };
        let server = &joined.scene.lab;
        let ip = |lab: &LabNamespace, arguments: &str| {
            lab.run(&["ip"].into_iter().chain(arguments.split(' ')).collect::<Vec<_>>()).unwrap();
        };
        ip(&joined.client, &format!("link add c0 type veth peer name s0 netns {}", server.name()));
        ip(server, &format!("addr add {SERVER}/16 dev s0"));
        ip(server, &format!("addr add {SERVER6}/64 dev s0 nodad"));
        for number in 1..=CLIENTS {
            ip(&joined.client, &format!("addr add {}/16 dev c0", client(number)));
            ip(&joined.client, &format!("addr add {}/64 dev c0 nodad", client6(number)));
        }
        ip(server, "link set s0 up");
        ip(&joined.client, "link set c0 up");
        for address in [IpAddr::from(SERVER), SERVER6.into()] {
            let listener = server.enter(|| TcpListener::bind((address, 443))).unwrap().expect("a listener");
            echo_all(listener);
        }
        // IPv6 learns later than IPv4 that a link carries, and until then nobody behind it is found: what asks for a neighbour
        // is a multicast, and has no route.
        for (lab, device) in [(server, "s0"), (&joined.client, "c0")] {
            let routes = ["ip", "-6", "route", "show", "table", "local", "type", "multicast", "dev", device];
            await_that("IPv6 on the link", || !lab.run(&routes).unwrap().is_empty());
        }
        // Until neighbours are known, the first connection takes longer.
        joined.await_connection(client(1));
        joined.await_connection(client6(1));
        joined.scene.lab.run(&["conntrack", "-F"]).unwrap();
        joined
    }

    /// Puts the servers into a namespace of their own, behind what was the server's and is a router now.
    pub(crate) fn behind_a_router() -> Behind {
        let (joined, server) = (Self::new(), LabNamespace::create().expect("a namespace"));
        let router = &joined.scene.lab;
        let ip = |lab: &LabNamespace, arguments: &str| {
            lab.run(&["ip"].into_iter().chain(arguments.split(' ')).collect::<Vec<_>>()).unwrap();
        };
        ip(&server, &format!("link add b0 type veth peer name s1 netns {}", router.name()));
        ip(&server, &format!("addr add {BEHIND}/24 dev b0"));
        ip(&server, "link set b0 up");
        ip(router, "addr add 10.9.0.1/24 dev s1");
        ip(router, "link set s1 up");
        ip(&server, "route add default via 10.9.0.1");
        ip(&joined.client, &format!("route add 10.9.0.0/24 via {SERVER}"));
        router.set("net/ipv4/ip_forward", 1).unwrap();
        let listener = server.enter(|| TcpListener::bind((BEHIND, 443))).unwrap().expect("a listener");
        echo_all(listener);
        let behind = Behind { joined, _server: server };
        await_that("an answer of the server behind the router", || behind.open(client(1)).is_ok());
        behind.joined.scene.lab.run(&["conntrack", "-F"]).unwrap();
        behind
    }

    /// `plimsoll shield` in the server's namespace.
    pub(crate) fn on_server(&self, arguments: &[&str]) -> Run {
        let all: Vec<&str> =
            ["shield", "--netns", self.scene.lab.name()].into_iter().chain(arguments.iter().copied()).collect();
        self.scene.plimsoll(&all)
    }

    pub(crate) fn shield(&self, what: &[&str], how: &[&str]) -> Run {
        self.on_server(&[what, how].concat())
    }

    pub(crate) fn enforce_whatever_it_hits(&self) {
        let run = self.on_server(&["--enforce", "--shadow", "0", "--max-collateral", "100%", "--no-watch", "--json"]);
        assert_eq!((run.code, &run.json()["outcome"]), (0, &"enforced".into()), "{run:?}");
    }

    pub(crate) fn status(&self) -> Value {
        let run = self.on_server(&["--status", "--json"]);
        assert_eq!(run.code, 0, "{run:?}");
        run.json()
    }

    pub(crate) fn stop(&self) -> Run {
        self.on_server(&["--stop"])
    }

    pub(crate) fn table_is_there(&self) -> bool {
        self.scene.lab.run(&["nft", "list", "tables"]).unwrap().contains("plimsoll-shield")
    }

    /// The XDP program on the server's interface.
    pub(crate) fn xdp(&self) -> Option<String> {
        let links = self.scene.lab.run(&["ip", "-j", "-d", "link", "show", "s0"]).unwrap();
        let links: Value = serde_json::from_str(&links).unwrap();
        links[0]["xdp"]["prog"]["name"].as_str().map(str::to_string)
    }

    /// Entries of the server's table that an address has opened.
    pub(crate) fn entries_of(&self, source: IpAddr) -> usize {
        self.scene.lab.run(&["conntrack", "-L", "-s", &source.to_string()]).unwrap().lines().count()
    }

    /// The records of an application.
    pub(crate) fn journal(&self, id: u32) -> Vec<Value> {
        let text = fs::read_to_string(self.scene.folder.join(format!("{id:06}.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Connections from an address, one after the other, each of which says something and is answered; how many were.
    pub(crate) fn connect(&self, from: IpAddr, times: u32) -> u32 {
        (0..times)
            .filter(|_| self.open(from).is_ok_and(|mut stream| Self::echoes(&mut stream, 10)))
            .count()
            .try_into()
            .unwrap()
    }

    /// So many connections from an address, each completed and closed at once, to these ports of the server in turn; how many
    /// were.
    pub(crate) fn complete(&self, from: IpAddr, ports: &[u16], times: usize) -> usize {
        let completed = self.client.enter(|| {
            let to = ports.iter().cycle().take(times).map(|port| SocketAddr::new(SERVER.into(), *port));
            to.filter(|to| open(from, *to).is_ok()).count()
        });
        completed.unwrap()
    }

    /// Listens on further ports of the server, for as long as they are kept.
    pub(crate) fn listen(&self, ports: &[u16]) -> Vec<TcpListener> {
        let listen = |port: &u16| TcpListener::bind((SERVER, *port)).expect("a listener");
        self.scene.lab.enter(|| ports.iter().map(listen).collect()).unwrap()
    }

    /// A connection from an address.
    pub(crate) fn open(&self, from: IpAddr) -> io::Result<TcpStream> {
        let to = if from.is_ipv4() { IpAddr::from(SERVER) } else { SERVER6.into() };
        self.client.enter(|| open(from, SocketAddr::new(to, 443))).unwrap()
    }

    /// Whether a connection brings back what is sent.
    pub(crate) fn echoes(stream: &mut TcpStream, bytes: usize) -> bool {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut back = vec![0; bytes];
        stream.write_all(&vec![7; bytes]).is_ok()
            && stream.read_exact(&mut back).is_ok()
            && back.iter().all(|byte| *byte == 7)
    }

    pub(crate) fn await_connection(&self, from: IpAddr) {
        await_that(&format!("an answer to {from}"), || self.connect(from, 1) == 1);
    }

    /// SYNs from an address, whose answers it never sees.
    pub(crate) fn half_open(&self, from: IpAddr, times: u32) {
        self.half_open_to(SocketAddr::new(SERVER.into(), 443), from, times);
    }

    fn half_open_to(&self, to: SocketAddr, from: IpAddr, times: u32) {
        let chain = format!(
            "table inet deaf {{ chain in {{ type filter hook prerouting priority -300; ip daddr {from} drop; }}; }}\n"
        );
        self.client.nft(&chain).unwrap();
        let sent = self.client.enter(|| -> io::Result<()> {
            for _ in 0..times {
                let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
                bind(&socket, &SocketAddr::new(from, 0))?;
                // It is in progress until the socket is closed.
                let _ = connect(&socket, &to);
            }
            Ok(())
        });
        sent.unwrap().unwrap();
        self.client.run(&["nft", "delete", "table", "inet", "deaf"]).unwrap();
    }

    /// SYNs from the server itself, to port 23 of addresses that do not answer.
    pub(crate) fn scan(&self, targets: u16) {
        let sent = self.scene.lab.enter(|| -> io::Result<()> {
            for number in 1..=targets {
                let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
                // What is dropped in the output hook is refused at once (EPERM), or tried again.
                let _ = connect(&socket, &SocketAddr::new(client(number), 23));
            }
            Ok(())
        });
        sent.unwrap().unwrap();
    }

    /// A server that echoes datagrams on port 53, for as long as it is kept.
    pub(crate) fn udp_server(&self) -> SocketAddr {
        let socket = self.scene.lab.enter(|| UdpSocket::bind((SERVER, 53))).unwrap().unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..bytes], from);
            }
        });
        address
    }

    /// Datagrams from an address, each from a port of its own; how many were answered.
    pub(crate) fn ask(&self, from: IpAddr, server: &SocketAddr, times: u32) -> u32 {
        let asked = self.client.enter(|| -> io::Result<u32> {
            let mut answered = 0;
            for _ in 0..times {
                let socket = UdpSocket::bind((from, 0))?;
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.send_to(b"?", server)?;
                answered += u32::from(socket.recv_from(&mut [0; 8]).is_ok());
            }
            Ok(answered)
        });
        asked.unwrap().unwrap()
    }

    /// An established connection to port 22, for as long as it is kept.
    pub(crate) fn log_in(&self, from: IpAddr) -> (TcpListener, TcpStream, TcpStream) {
        let listener = self.scene.lab.enter(|| TcpListener::bind((SERVER, 22))).unwrap().unwrap();
        let stream = self.client.enter(|| open(from, SocketAddr::new(SERVER.into(), 22))).unwrap().unwrap();
        let (accepted, _) = listener.accept().unwrap();
        (listener, stream, accepted)
    }
}

/// A router between the client and a server.
pub(crate) struct Behind {
    pub(crate) joined: Joined,
    _server: LabNamespace,
}

impl Behind {
    /// A connection from an address to the server behind.
    pub(crate) fn open(&self, from: IpAddr) -> io::Result<TcpStream> {
        self.joined.client.enter(|| open(from, SocketAddr::new(BEHIND.into(), 443))).unwrap()
    }

    /// SYNs from an address to the server behind, whose answers it never sees.
    pub(crate) fn half_open(&self, from: IpAddr, times: u32) {
        self.joined.half_open_to(SocketAddr::new(BEHIND.into(), 443), from, times);
    }
}

fn echo_all(listener: TcpListener) {
    thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| drop(thread::spawn(|| echo(stream))));
    });
}

fn open(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let family = if from.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddr::new(from, 0))?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    connect(&socket, &to)?;
    Ok(socket.into())
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..bytes]).is_err() {
            return;
        }
    }
}
