//! The program on interfaces of the running kernel. Needs root, `ip` and `nft`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests, too, fail by panicking")]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use aya::programs::loaded_programs;
use plimsoll_host::{boottime_now, monotonic_now};
use plimsoll_lab::{HandPacket, LabNamespace, Payload, Side, Tap};
use plimsoll_xdp::{
    Action, At, Attached, Config, Counts, Dropped, Error, Found, Limit, Outcome, Passed, Ports, Rate, Rates, Reason,
    Room, Scope, Way, XdpMode, elsewhere,
};

/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_mins(1);

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A namespace with an Ethernet card whose wire is the test.
struct Wire {
    lab: LabNamespace,
    tap: Tap,
}

impl Wire {
    fn new() -> Self {
        let lab = LabNamespace::create().unwrap();
        let tap = Tap::create(&lab, "tap0").unwrap();
        lab.run(&["ip", "link", "set", "tap0", "address", "02:00:00:00:00:01", "up"]).unwrap();
        lab.run(&["ip", "address", "add", "192.0.2.1/24", "dev", "tap0"]).unwrap();
        lab.run(&["ip", "address", "add", "2001:db8::1/64", "dev", "tap0", "nodad"]).unwrap();
        Self { lab, tap }
    }

    fn attach(&self, config: &Config) -> Attached {
        self.lab.enter(|| Attached::attach("tap0", Way::Best, config)).unwrap().unwrap()
    }

    fn find(&self) -> Option<Attached> {
        self.lab.enter(|| Attached::find("tap0")).unwrap().unwrap()
    }

    fn detach(&self, attached: Attached) -> Counts {
        self.lab.enter(|| attached.detach()).unwrap().unwrap().counts
    }

    fn send(&self, kind: u16, packet: &[u8]) {
        self.tap.send(&frame(&[], kind, packet)).unwrap();
    }

    /// Whether a datagram gets to a socket, from each source.
    fn udp_that_arrives(&self, from: &[&str]) -> Vec<bool> {
        let socket = self.lab.enter(|| UdpSocket::bind("[::]:7")).unwrap().unwrap();
        socket.set_nonblocking(true).unwrap();
        let arrives = |from: &&str| {
            let packet = packet(from, 7, Payload::Udp(16));
            self.send(kind_of(from), &packet);
            socket.recv(&mut [0; 64]).is_ok()
        };
        from.iter().map(arrives).collect()
    }
}

/// The other end of an address's flow.
fn here(from: IpAddr, port: u16) -> SocketAddr {
    let address = if from.is_ipv4() { "192.0.2.1" } else { "2001:db8::1" };
    SocketAddr::new(address.parse().unwrap(), port)
}

fn packet(from: &str, port: u16, payload: Payload) -> Vec<u8> {
    let from: IpAddr = from.parse().unwrap();
    HandPacket { from: Side::Client, client: SocketAddr::new(from, 5000), server: here(from, port), payload }.datagram()
}

fn tcp(flags: u8) -> Payload {
    Payload::Tcp { flags, sequence: 1, acknowledgement: 0, window: 1000, bytes: 0 }
}

fn kind_of(from: &str) -> u16 {
    if from.contains(':') { 0x86dd } else { 0x0800 }
}

fn frame(tags: &[u16], kind: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 7]);
    }
    frame.extend(kind.to_be_bytes());
    frame.extend(packet);
    frame
}

fn syn(from: &str, port: u16, tags: &[u16]) -> Vec<u8> {
    frame(tags, kind_of(from), &packet(from, port, tcp(SYN)))
}

fn config() -> Config {
    Config {
        until: boottime_now() + Duration::from_hours(1),
        action: Action::Enforce,
        owner: 7,
        allowed: Vec::new(),
        dropped: Vec::new(),
        scope: Scope::All,
        tcp: None,
        udp: None,
        room: Room::default(),
    }
}

fn dropped(networks: &[&str]) -> Vec<Dropped> {
    let until = boottime_now() + Duration::from_hours(1);
    networks.iter().map(|network| Dropped { network: network.parse().unwrap(), until }).collect()
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// A burst, and nothing more within a test.
fn burst(packets: u32) -> Rate {
    Rate::each(Duration::from_hours(1), number(packets)).unwrap()
}

fn limit(ports: &[u16], rates: Rates) -> Limit {
    Limit { ports: Ports::These(ports.iter().copied().collect::<BTreeSet<u16>>()), rates: Some(rates) }
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = monotonic_now() + PATIENCE;
    while !holds() {
        assert!(monotonic_now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn packets_of_listed_sources_are_dropped_and_those_of_allowed_ones_pass() {
    let wire = Wire::new();
    let from = ["192.0.2.66", "192.0.2.7", "192.0.2.70", "2001:db8::66", "2001:db8::7"];
    assert_eq!(wire.udp_that_arrives(&from), [true; 5], "nothing is attached");
    let attached = wire.attach(&Config {
        allowed: vec!["192.0.2.70/32".parse().unwrap()],
        dropped: dropped(&["192.0.2.64/28", "2001:db8::66/128"]),
        ..config()
    });
    assert_eq!(attached.mode(), XdpMode::Native, "{:?}", attached.not_native());
    assert_eq!(wire.udp_that_arrives(&from), [false, true, true, false, true]);
    let counts = attached.status().unwrap().counts;
    assert_eq!(counts.of(Outcome::Dropped(Reason::Listed)), 2, "{counts:?}");
    assert_eq!(counts.of(Outcome::Passed(Passed::Allowed)), 1, "{counts:?}");
    wire.detach(attached);
    assert_eq!(wire.udp_that_arrives(&from), [true; 5]);
}

#[test]
fn behind_a_driver_without_xdp_the_program_does_the_same_and_says_so() {
    let lab = LabNamespace::create().unwrap();
    // The loopback device has no ndo_bpf.
    let config = Config { dropped: dropped(&["127.0.0.66/32"]), ..config() };
    let attached = lab.enter(|| Attached::attach("lo", Way::Best, &config)).unwrap().unwrap();
    assert_eq!(attached.mode(), XdpMode::Generic);
    assert!(attached.not_native().unwrap().to_string().contains("not supported"), "{:?}", attached.not_native());
    let arrives = |from: [u8; 4]| {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        // Loopback may hand it on in a softirq's own thread.
        receiver.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let sender = UdpSocket::bind((Ipv4Addr::from(from), 0)).unwrap();
        sender.send_to(b"plimsoll", receiver.local_addr().unwrap()).unwrap();
        receiver.recv(&mut [0; 8]).is_ok()
    };
    assert_eq!(lab.enter(|| [arrives([127, 0, 0, 66]), arrives([127, 0, 0, 67])]).unwrap(), [false, true]);
    let counts = lab.enter(|| attached.detach()).unwrap().unwrap().counts;
    assert_eq!((counts.dropped(), counts.passed()), (1, 1), "{counts:?}");
    let error = lab.enter(|| Attached::attach("lo", Way::Native, &config)).unwrap().unwrap_err();
    assert!(error.to_string().contains("Drop by rules (nft) instead"), "{error}");
}

/// Both ends with real sockets, over veth.
#[test]
fn a_source_over_its_limit_begins_no_connection_and_keeps_those_that_it_has() {
    let (clients, servers) = (LabNamespace::create().unwrap(), LabNamespace::create().unwrap());
    clients.run(&["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", servers.name()]).unwrap();
    for (lab, device, addresses) in
        [(&clients, "v0", &["10.0.0.2/16", "10.0.1.3/16"][..]), (&servers, "v1", &["10.0.0.1/16"])]
    {
        lab.run(&["ip", "link", "set", device, "up"]).unwrap();
        for address in addresses {
            lab.run(&["ip", "address", "add", address, "dev", device]).unwrap();
        }
    }
    let listener = servers.enter(|| TcpListener::bind("10.0.0.1:80")).unwrap().unwrap();
    let config = Config { tcp: Some(limit(&[80], Rates::Source(burst(3)))), ..config() };
    let attached = servers.enter(|| Attached::attach("v1", Way::Best, &config)).unwrap().unwrap();
    assert_eq!(attached.mode(), XdpMode::Generic, "veth");

    let first: SocketAddr = "10.0.0.2:0".parse().unwrap();
    let connected: Vec<TcpStream> = (0..3).map(|_| connect(&clients, first, PATIENCE).unwrap()).collect();
    assert!(connect(&clients, first, Duration::from_millis(500)).is_none(), "a fourth");
    assert!(connect(&clients, "10.0.1.3:0".parse().unwrap(), PATIENCE).is_some(), "of another source");
    let (mut here, mut there) = (&connected[0], listener.accept().unwrap().0);
    here.write_all(b"plimsoll").unwrap();
    let mut read = [0; 8];
    there.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"plimsoll");
    let counts = servers.enter(|| attached.detach()).unwrap().unwrap().counts;
    assert!(counts.of(Outcome::Dropped(Reason::OverSource)) >= 1, "{counts:?}");
    assert_eq!(counts.of(Outcome::Passed(Passed::WithinLimit)), 4, "{counts:?}");
}

/// Connects from an address; `None` if it takes longer.
fn connect(lab: &LabNamespace, from: SocketAddr, patience: Duration) -> Option<TcpStream> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
    let to: SocketAddr = "10.0.0.1:80".parse().unwrap();
    lab.enter(|| {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
        bind(&socket, &from).unwrap();
        // It is in progress then.
        let _ = connect(&socket, &to);
        let stream = TcpStream::from(socket);
        let deadline = monotonic_now() + patience;
        while stream.peer_addr().is_err() {
            if monotonic_now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        stream.set_nonblocking(false).unwrap();
        Some(stream)
    })
    .unwrap()
}

#[test]
fn syns_are_limited_by_source_and_prefix_in_both_versions_of_ip_and_behind_vlan_tags() {
    let wire = Wire::new();
    let config = Config { tcp: Some(limit(&[80], Rates::Both { source: burst(2), prefix: burst(3) })), ..config() };
    let attached = wire.attach(&config);
    let outcomes = |frames: &[Vec<u8>]| -> Vec<Outcome> {
        let outcome = |frame: &Vec<u8>| {
            let before = attached.status().unwrap().counts;
            wire.tap.send(frame).unwrap();
            let after = attached.status().unwrap().counts;
            let changed = after.all().zip(before.all()).find(|((_, after), (_, before))| after != before);
            changed.expect("it was not counted").0.0
        };
        frames.iter().map(outcome).collect()
    };
    let (within, over_source, over_prefix, unlimited) = (
        Outcome::Passed(Passed::WithinLimit),
        Outcome::Dropped(Reason::OverSource),
        Outcome::Dropped(Reason::OverPrefix),
        Outcome::Passed(Passed::Unlimited),
    );
    for [first, second, third, elsewhere] in [
        ["192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.3.2"],
        ["2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8:0:1::2"],
    ] {
        let syn = |from| syn(from, 80, &[]);
        assert_eq!(
            outcomes(&[syn(first), self::syn(first, 80, &[0x88a8, 0x8100]), self::syn(first, 80, &[0x8100])]),
            [within, within, over_source]
        );
        assert_eq!(outcomes(&[syn(second), syn(second), syn(third)]), [within, over_prefix, over_prefix]);
        assert_eq!(outcomes(&[syn(elsewhere), self::syn(first, 81, &[])]), [within, unlimited]);
        let of_flow = frame(&[], kind_of(first), &packet(first, 80, tcp(SYN | ACK)));
        assert_eq!(
            outcomes(&[of_flow, frame(&[], kind_of(first), &packet(first, 80, Payload::Udp(8)))]),
            [unlimited; 2]
        );
    }
    // A fragment has no ports; one that breaks off is the kernel's to judge.
    let mut fragment = packet("192.0.2.2", 80, tcp(SYN));
    fragment[6..8].copy_from_slice(&[0x20, 1]);
    let half = packet("192.0.2.2", 80, tcp(SYN))[..30].to_vec();
    assert_eq!(
        outcomes(&[frame(&[], 0x0800, &fragment), frame(&[], 0x0800, &half), frame(&[], 0x0806, &[0; 28])]),
        [Passed::Fragment, Passed::Malformed, Passed::NotIp].map(Outcome::Passed)
    );
}

#[test]
fn a_bucket_fills_again_with_time() {
    let wire = Wire::new();
    let rate = Rate::each(Duration::from_millis(200), number(1)).unwrap();
    let attached = wire.attach(&Config { udp: Some(limit(&[9], Rates::Source(rate))), ..config() });
    let datagram = packet("192.0.2.2", 9, Payload::Udp(8));
    await_that("a third packet passes", || {
        wire.send(0x0800, &datagram);
        attached.status().unwrap().counts.of(Outcome::Passed(Passed::WithinLimit)) == 3
    });
}

#[test]
fn in_shadow_it_only_counts_and_enforcing_begins_and_ends_without_losing_a_count() {
    let wire = Wire::new();
    let shadow = Config { action: Action::Shadow, dropped: dropped(&["192.0.2.66/32"]), ..config() };
    let mut attached = wire.attach(&shadow);
    let from = ["192.0.2.66", "192.0.2.7"];
    assert_eq!(wire.udp_that_arrives(&from), [true, true]);
    attached.update(&Config { action: Action::Enforce, ..shadow.clone() }).unwrap();
    assert_eq!(wire.udp_that_arrives(&from), [false, true]);
    attached
        .update(&Config { action: Action::Enforce, dropped: dropped(&["192.0.2.7/32"]), ..shadow.clone() })
        .unwrap();
    assert_eq!(wire.udp_that_arrives(&from), [true, false]);
    attached.update(&shadow).unwrap();
    assert_eq!(wire.udp_that_arrives(&from), [true, true]);

    let status = wire.find().unwrap().status().unwrap();
    assert_eq!(status, attached.status().unwrap());
    assert_eq!((status.action, status.until), (Action::Shadow, shadow.until));
    let of_each = [Outcome::WouldDrop(Reason::Listed), Outcome::Dropped(Reason::Listed)];
    assert_eq!(of_each.map(|outcome| status.counts.of(outcome)), [2, 2]);
}

#[test]
fn killed_it_goes_on_until_its_time_is_over_and_then_lets_everything_pass() {
    let wire = Wire::new();
    let from = ["192.0.2.66", "192.0.2.7"];
    let mut hold = Command::new("ip")
        .args(["netns", "exec", wire.lab.name()])
        .arg(support::example("hold_filter"))
        .args(["tap0", "4000", "192.0.2.66/32"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut says = String::new();
    BufReader::new(hold.stdout.take().unwrap()).read_line(&mut says).unwrap();
    assert!(says.starts_with("Native"), "{says}");
    hold.kill().unwrap();
    hold.wait().unwrap();

    let attached = wire.find().expect("it is attached still");
    let until = attached.status().unwrap().until;
    let arrives = wire.udp_that_arrives(&from);
    // A machine may have stood still for so long that it was over already.
    assert!(arrives == [false, true] || boottime_now() > until, "{arrives:?}");
    await_that("the source's packets arrive", || wire.udp_that_arrives(&from) == [true, true]);
    assert!(boottime_now() >= until, "it ended before its time");
    let disarmed = wire.detach(wire.find().unwrap()).of(Outcome::Passed(Passed::Disarmed));
    assert!(disarmed >= 2, "{disarmed}");
    assert!(wire.find().is_none());
}

#[test]
fn detached_it_leaves_nothing() {
    let wire = Wire::new();
    let attached = wire.attach(&config());
    let id = xdp_id(&wire).expect("it is attached");
    let again = wire.find().unwrap();
    wire.detach(attached);
    assert_eq!(xdp_id(&wire), None);
    // Who comes too late changes nothing.
    assert!(wire.lab.enter(|| again.detach()).unwrap().is_err());
    await_that("the program is freed", || !is_loaded(id));
}

#[test]
fn no_program_that_is_there_is_replaced_and_none_but_plimsolls_is_detached() {
    let wire = Wire::new();
    let ours = wire.attach(&config());
    let refused = || wire.lab.enter(|| Attached::attach("tap0", Way::Best, &config())).unwrap().unwrap_err();
    assert!(matches!(refused(), Error::Attached { .. }), "{}", refused());
    wire.detach(ours);

    // The same program by another name is somebody else's.
    let object = include_bytes!("../bpf/filter.o");
    let object: Vec<u8> = replaced(object, b"plimsoll_xdp", b"somebody_xdp");
    let mut ebpf = aya::EbpfLoader::new().btf(None).load(&object).unwrap();
    let program: &mut aya::programs::Xdp = ebpf.program_mut("somebody_xdp").unwrap().try_into().unwrap();
    program.load().unwrap();
    for mode in [aya::programs::xdp::XdpMode::Skb, aya::programs::xdp::XdpMode::Driver] {
        let link = wire.lab.enter(|| program.attach("tap0", mode)).unwrap().unwrap();
        let error = refused();
        assert!(matches!(error, Error::Occupied { .. }), "{error}");
        assert!(error.to_string().contains("somebody_xdp"), "{error}");
        assert!(wire.find().is_none());
        program.detach(link).unwrap();
    }
    wire.detach(wire.attach(&config()));
}

/// What another version calls its maps, or how many it has, keeps none of its stages there for ever.
#[test]
fn of_another_versions_program_it_is_known_whose_it_is_and_it_is_detached() {
    let wire = Wire::new();
    let other = replaced(include_bytes!("../bpf/filter.o"), b"\0sources\0", b"\0origins\0");
    let mut ebpf = aya::EbpfLoader::new().btf(None).load(&other).unwrap();
    let mut orders: aya::maps::Array<_, [u64; 12]> = ebpf.take_map("config").unwrap().try_into().unwrap();
    let mut words = [0; 12];
    // Until when, and its owner.
    (words[0], words[2]) = (7_000_000_000, 31);
    orders.set(0, words, 0).unwrap();
    let program: &mut aya::programs::Xdp = ebpf.program_mut("plimsoll_xdp").unwrap().try_into().unwrap();
    program.load().unwrap();
    let index = wire.lab.enter(|| index_of("tap0")).unwrap();
    let file = program.fd().unwrap().as_fd();
    wire.lab.enter(|| plimsoll_ctnetlink::attach_xdp(index, file, XdpMode::Native)).unwrap().unwrap();

    let error = wire.lab.enter(|| Attached::find("tap0")).unwrap().unwrap_err();
    assert!(matches!(error, Error::OtherVersion { .. }), "{error}");
    let At::Found(found) = wire.lab.enter(|| Found::at(index)).unwrap().unwrap() else { panic!("it is there") };
    assert_eq!(found.owner(), 31);
    // Of who is in another namespace it is not on an interface of this one.
    assert_eq!(wire.lab.enter(|| elsewhere(31)).unwrap().unwrap(), None);
    let lab = LabNamespace::create().unwrap();
    assert_eq!(lab.enter(|| elsewhere(31)).unwrap().unwrap(), Some(Duration::from_secs(7)));
    assert!(matches!(lab.enter(|| Found::at(i32::MAX)).unwrap().unwrap(), At::NoInterface));
    wire.lab.enter(|| found.detach()).unwrap().unwrap();
    assert!(matches!(wire.lab.enter(|| Found::at(index)).unwrap().unwrap(), At::Vacant));
}

fn index_of(interface: &str) -> i32 {
    let links = plimsoll_ctnetlink::links().unwrap();
    links.into_iter().find(|link| link.name.as_str() == interface).unwrap().index
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    for at in places {
        bytes[at..at + from.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn an_interface_that_was_given_the_name_meanwhile_gets_no_program() {
    let lab = LabNamespace::create().unwrap();
    let make = || {
        lab.run(&["ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1"]).unwrap();
        lab.enter(|| index_of("d0")).unwrap()
    };
    let attach = |index| lab.enter(|| Attached::attach_at(index, "d0", Way::Generic, &config())).unwrap();
    let before = make();
    lab.run(&["ip", "link", "delete", "d0"]).unwrap();
    let anew = make();
    let error = attach(before).unwrap_err();
    assert!(matches!(error, Error::Another { index, found, .. } if (index, found) == (before, anew)), "{error}");
    assert!(lab.enter(Attached::all).unwrap().unwrap().is_empty());
    attach(anew).unwrap();
    assert_eq!(lab.enter(Attached::all).unwrap().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_is_said() {
    let wire = Wire::new();
    let error = wire.lab.enter(|| Attached::attach("eth7", Way::Best, &config())).unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no network interface eth7 in this network namespace (`ip link` lists them)"
    );
    let room = Room { listed: number(2), ..Room::default() };
    let dropped = dropped(&["10.0.0.0/8", "10.0.0.1/32", "10.0.0.2/32"]);
    let error = wire
        .lab
        .enter(|| Attached::attach("tap0", Way::Best, &Config { dropped, room, ..config() }))
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, Error::TooMany { networks: 3, version: 4, room: 2 }), "{error}");
    assert_eq!(xdp_id(&wire), None);
    assert!(wire.lab.enter(Attached::all).unwrap().unwrap().is_empty());
    let attached = wire.attach(&config());
    let all = wire.lab.enter(Attached::all).unwrap().unwrap();
    let statuses = [all.first().unwrap(), &attached].map(|attached| attached.status().unwrap());
    assert_eq!(statuses[0], statuses[1]);
    assert_eq!((all.len(), statuses[0].interface.as_str()), (1, "tap0"));
}

fn xdp_id(wire: &Wire) -> Option<u32> {
    let links = wire.lab.enter(plimsoll_ctnetlink::links).unwrap().unwrap();
    let link = links.into_iter().find(|link| link.name.as_str() == "tap0").unwrap();
    link.xdp.first().map(|program| program.id)
}

#[test]
fn it_is_told_whose_packets_were_dropped_and_how_many_of_whom_that_is_known_no_more() {
    let wire = Wire::new();
    let room = Room { hits: number(256), ..Room::default() };
    let limited = Limit { ports: Ports::These([7].into()), rates: None };
    let config = Config {
        dropped: dropped(&["192.0.2.64/26", "2001:db8::/32"]),
        scope: Scope::Limited,
        udp: Some(limited),
        room,
        ..config()
    };
    let mut attached = wire.attach(&Config { action: Action::Shadow, ..config.clone() });
    assert_eq!(wire.udp_that_arrives(&["192.0.2.66"]), [true]);
    assert!(attached.hits().unwrap().is_empty(), "in shadow nobody's are dropped");
    attached.update(&config).unwrap();
    let before = boottime_now();
    let from = ["192.0.2.66", "192.0.2.66", "2001:db8::6", "192.0.2.7"];
    assert_eq!(wire.udp_that_arrives(&from), [false, false, false, true]);
    // Nothing but what is limited is dropped of who is listed.
    wire.send(0x0800, &packet("192.0.2.66", 8, Payload::Udp(8)));
    wire.send(0x0800, &packet("192.0.2.66", 7, tcp(SYN)));
    let hits = attached.hits().unwrap();
    let of = |source: &str| hits.iter().find(|hit| hit.source == source.parse::<IpAddr>().unwrap()).unwrap();
    assert_eq!((hits.len(), of("192.0.2.66").packets, of("2001:db8::6").packets), (2, 2, 1), "{hits:?}");
    assert!(hits.iter().all(|hit| hit.last >= before && hit.last <= boottime_now()), "{hits:?}");
    let status = attached.status().unwrap();
    assert_eq!((status.owner, status.counts.dropped()), (7, 3));

    for number in 0..2000 {
        wire.send(0x86dd, &packet(&format!("2001:db8::1:{number:x}"), 7, Payload::Udp(8)));
    }
    let dropped = attached.status().unwrap().counts.dropped();
    let (hits, unnoted) = (attached.hits().unwrap(), attached.unnoted().unwrap());
    let noted: u64 = hits.iter().map(|hit| hit.packets).sum();
    assert_eq!((dropped, hits.len(), noted + unnoted.packets), (2003, 256, 2003), "{unnoted:?}");
    attached.forget(hits.into_iter().map(|hit| hit.source)).unwrap();
    assert_eq!(wire.udp_that_arrives(&["2001:db8::6"]), [false]);
    assert_eq!(attached.hits().unwrap().len(), 1);
}

fn is_loaded(id: u32) -> bool {
    loaded_programs().flatten().any(|program| program.id() == id)
}
