//! A timeout that a recording recommends, in force on the kernel: real connections through a router that translates. One whose
//! entry is lost hears nothing any more, and would notice. Needs root, `ip` and `nft`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_draw::Draw;
use plimsoll_lab::LabNamespace;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use serde_json::Value;
use support::plimsoll;
use support::recording::{Folder, Recorder};

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 79, 0, 2), 7000);
const ESTABLISHED: &str = "nf_conntrack_tcp_timeout_established";
const IN_FORCE_SECS: u32 = 60;
/// What is promised of the flows.
const BORNE: f64 = 0.1;

const LIVE: u8 = 100;
const FORGOTTEN: u8 = 120;
/// One is forgotten so often: for longer than the timeout in force before the recording is half over.
const FORGETS_EVERY: Duration = Duration::from_millis(500);
/// Traffic before anybody records.
const BEFORE: Duration = Duration::from_secs(15);
/// A live connection is silent for so long, in milliseconds.
const SILENT_FROM: u32 = 2000;
const SILENT_UP_TO: u32 = 17_000;
/// An answer that is later than this will not come.
const PATIENCE: Duration = Duration::from_secs(4);

/// Clients, whose addresses a router translates, and a server.
struct Net {
    clients: LabNamespace,
    router: LabNamespace,
    servers: LabNamespace,
}

impl Net {
    fn build() -> Self {
        let [clients, router, servers] = [(); 3].map(|()| LabNamespace::create().unwrap());
        let ip = |namespace: &LabNamespace, command: &str| {
            let words: Vec<&str> = ["ip"].into_iter().chain(command.split(' ')).collect();
            namespace.run(&words).unwrap();
        };
        for (other, name, net) in [(&clients, "clients", "10.78.0"), (&servers, "servers", "10.79.0")] {
            ip(&router, &format!("link add {name} type veth peer name router netns {}", other.name()));
            for (namespace, device, host) in [(&router, name, 1), (other, "router", 2)] {
                ip(namespace, &format!("address add {net}.{host}/24 dev {device}"));
                ip(namespace, &format!("link set {device} up"));
            }
        }
        // All addresses of this net are the clients' own.
        ip(&clients, "route add local 10.77.0.0/24 dev lo");
        ip(&clients, "route add default via 10.78.0.1");
        ip(&router, "route add 10.77.0.0/24 via 10.78.0.2");
        router.set("net/ipv4/ip_forward", 1).unwrap();
        router
            .nft(
                "table ip nat { chain out { type nat hook postrouting priority 100; oifname servers masquerade; }; }\n",
            )
            .unwrap();
        let net = Self { clients, router, servers };
        net.set_established(IN_FORCE_SECS);
        net
    }

    fn set_established(&self, secs: u32) {
        self.router.set(&format!("net/netfilter/{ESTABLISHED}"), secs).unwrap();
    }

    /// Connects from the client of a number.
    fn connect(&self, client: u8) -> TcpStream {
        let connected = self.clients.enter(|| -> rustix::io::Result<OwnedFd> {
            let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
            bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, client), 0))?;
            connect(&socket, &SERVER)?;
            Ok(socket)
        });
        let stream = TcpStream::from(connected.unwrap().unwrap());
        stream.set_nonblocking(true).unwrap();
        stream
    }
}

/// The client's end of a connection, which asks the other one to answer after a silence.
struct Asking {
    stream: TcpStream,
    /// When the answer is due; `None` where none is awaited.
    due: Option<Instant>,
    goes_on: bool,
    is_broken: bool,
}

impl Asking {
    fn ask(&mut self, silence: Duration) {
        let millis = u32::try_from(silence.as_millis()).unwrap();
        self.is_broken |= self.stream.write_all(&millis.to_be_bytes()).is_err();
        self.due = Some(Instant::now() + silence);
    }

    fn go_on(&mut self, draw: &mut Draw) {
        let Some(due) = self.due.filter(|_| !self.is_broken) else { return };
        match self.stream.read(&mut [0]) {
            Ok(1) if self.goes_on => self.ask(silence(draw)),
            Ok(1) => self.due = None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_broken = due.elapsed() > PATIENCE,
            _ => self.is_broken = true,
        }
    }
}

/// The server's end.
struct Answering {
    stream: TcpStream,
    due: Option<Instant>,
}

impl Answering {
    /// Goes on, unless the connection is over.
    fn goes_on(&mut self) -> bool {
        if let Some(due) = self.due {
            return due > Instant::now() || self.stream.write_all(b"!").map(|()| self.due = None).is_ok();
        }
        let mut millis = [0; 4];
        match self.stream.read(&mut millis) {
            Ok(4) => self.due = Some(Instant::now() + Duration::from_millis(u32::from_be_bytes(millis).into())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => return false,
        }
        true
    }
}

fn silence(draw: &mut Draw) -> Duration {
    let millis = SILENT_FROM + draw.below(SILENT_UP_TO - SILENT_FROM);
    Duration::from_millis(millis.into())
}

/// All connections, moved on by one thread.
struct Traffic<'a> {
    net: &'a Net,
    listener: TcpListener,
    answering: Vec<Answering>,
    live: Vec<Asking>,
    forgotten: Vec<Asking>,
    draw: Draw,
}

impl<'a> Traffic<'a> {
    fn begin(net: &'a Net) -> Self {
        let listener = net.servers.enter(|| TcpListener::bind(SERVER)).unwrap().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (answering, live, forgotten) = (Vec::new(), Vec::new(), Vec::new());
        Self { net, listener, answering, live, forgotten, draw: Draw::new(1) }
    }

    /// Live connections, in place of those that there were.
    fn open_live(&mut self) {
        self.live.clear();
        for client in 1..=LIVE {
            let mut live = Asking { stream: self.net.connect(client), due: None, goes_on: true, is_broken: false };
            live.ask(silence(&mut self.draw));
            self.live.push(live);
        }
    }

    /// A connection that is answered at once, and never used again.
    fn forget_another(&mut self) {
        let client = LIVE + 1 + u8::try_from(self.forgotten.len()).unwrap();
        let mut forgotten = Asking { stream: self.net.connect(client), due: None, goes_on: false, is_broken: false };
        forgotten.ask(Duration::ZERO);
        self.forgotten.push(forgotten);
    }

    fn go_on_while(&mut self, mut lasts: impl FnMut(&mut Self) -> bool) {
        while lasts(self) {
            while let Ok((stream, _)) = self.listener.accept() {
                stream.set_nonblocking(true).unwrap();
                self.answering.push(Answering { stream, due: None });
            }
            self.answering.retain_mut(Answering::goes_on);
            for asking in self.live.iter_mut().chain(&mut self.forgotten) {
                asking.go_on(&mut self.draw);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn go_on_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.go_on_while(|_| Instant::now() < end);
    }

    fn broken(&self) -> usize {
        self.live.iter().filter(|live| live.is_broken).count()
    }
}

/// What a recording recommends for established connections, and all that it says of them.
fn recommended(recording: &str, router: &LabNamespace) -> (u32, Value) {
    let borne = format!("{}%", BORNE * 100.0);
    let arguments =
        ["plan", "--from", recording, "--netns", router.name(), "--below-rails", "--max-false-kill-rate", &borne];
    let arguments: Vec<&str> = arguments.into_iter().chain(["--json"]).collect();
    let plan = plimsoll(&arguments).json();
    let timeouts = plan["measured"]["timeouts"].as_array().unwrap_or_else(|| panic!("{plan:#}"));
    let of_it = timeouts.iter().find(|of| of["timeout"] == ESTABLISHED).unwrap_or_else(|| panic!("{plan:#}"));
    let secs = of_it["recommended"]["secs"].as_u64().unwrap_or_else(|| panic!("{of_it:#}"));
    (u32::try_from(secs).unwrap(), of_it.clone())
}

#[test]
fn what_a_recording_recommends_breaks_no_more_than_promised() {
    let (net, folder) = (Net::build(), Folder::new());
    let to = folder.of("router.rec");
    let mut traffic = Traffic::begin(&net);
    let began = Instant::now();
    traffic.open_live();
    let go_on = |traffic: &mut Traffic<'_>| {
        let is_time = began.elapsed() >= FORGETS_EVERY * u32::try_from(traffic.forgotten.len()).unwrap();
        if is_time && traffic.forgotten.len() < FORGOTTEN.into() {
            traffic.forget_another();
        }
    };
    traffic.go_on_while(|traffic| {
        go_on(traffic);
        began.elapsed() < BEFORE
    });
    let mut recorder = Recorder::begin(&[
        "--to",
        &to,
        "--netns",
        net.router.name(),
        "--duration",
        "100s",
        "--look-every",
        "1s",
        "--read-every",
        "2s",
        "--timeouts-unchanged",
    ]);
    traffic.go_on_while(|traffic| {
        go_on(traffic);
        recorder.is_running()
    });
    let run = recorder.end();
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!((traffic.broken(), traffic.forgotten.len()), (0, FORGOTTEN.into()), "under {IN_FORCE_SECS} s");

    let (secs, measured) = recommended(&to, &net.router);
    println!("recommended: {secs} s, {}", measured["recommended"]["because"]);
    assert!((15..IN_FORCE_SECS).contains(&secs), "{measured:#}");

    net.set_established(secs);
    traffic.open_live();
    traffic.go_on_for(Duration::from_secs(45));
    let broken = traffic.broken();
    println!("under {secs} s {broken} of {LIVE} break");
    assert!(broken as f64 <= BORNE * f64::from(LIVE), "{broken} of {LIVE} break under {secs} s");

    // It would have been noticed.
    let too_short = 8;
    net.set_established(too_short);
    traffic.open_live();
    traffic.go_on_for(Duration::from_secs(25));
    let broken = traffic.broken();
    println!("under {too_short} s {broken} of {LIVE} break");
    assert!(broken > usize::from(LIVE) / 2, "only {broken} of {LIVE} break under {too_short} s");
}
