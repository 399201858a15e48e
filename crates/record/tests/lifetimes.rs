//! Lives of all kinds, as the running kernel tells them: protocols, translations, and every way to end but eviction, which
//! takes a full table. Needs root, `ip`, `nft` and `conntrack`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use plimsoll_lab::{ByHand, HandPacket, Payload, Side};
use plimsoll_model::{Layer4, Protocol, TcpState};
use plimsoll_recording::{Began, End, Life, Sight, State, Translation};
use support::watched::{lives, recorded};
use support::{ACK, Flow, RST, SYN, WISHES, sleep_until, until};

use TcpState::{Close, Established, FinWait, LastAck, SynRecv, SynSent, TimeWait};

/// Seconds; of the others none passes meanwhile.
const TIMEOUTS: [(&str, u32); 9] = [
    ("udp_timeout", 1),
    ("udp_timeout_stream", 2),
    ("icmp_timeout", 1),
    ("icmpv6_timeout", 1),
    ("tcp_timeout_established", 2),
    ("tcp_timeout_syn_sent", 60),
    ("tcp_timeout_syn_recv", 60),
    ("tcp_timeout_time_wait", 2),
    ("tcp_timeout_close", 1),
];

const RULES: &str = "table ip nat { \
    chain to { type nat hook prerouting priority -100; \
        tcp dport 7001 dnat to 198.51.100.7:8080; tcp dport 7003 dnat to 198.51.100.7:8080; }; \
    chain from { type nat hook postrouting priority 100; \
        ip daddr 192.0.2.1 tcp dport 7002 snat to 203.0.113.9; ip daddr 198.51.100.7 tcp sport 40002 snat to 203.0.113.9; }; \
}\n";

fn tcp(states: &[TcpState]) -> Vec<State> {
    states.iter().map(|state| State::Tcp(*state)).collect()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A flow over IPv6.
fn over_ipv6(number: u16, port: u16) -> Flow {
    let client = SocketAddr::new(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, number).into(), 40_000);
    Flow::between(client, SocketAddr::new(address("2001:db8:2::1"), port))
}

fn echo(router: &ByHand, flow: &Flow, from: Side) {
    router.send(&HandPacket { from, client: flow.client, server: flow.server, payload: Payload::Echo }).unwrap();
}

/// A connection through a translation: its ends know other addresses.
fn open_translated(router: &ByHand, client: Flow, seen_by_server: (SocketAddr, SocketAddr)) {
    let (source, destination) = seen_by_server;
    let mut ours = client;
    ours.tcp(router, Side::Client, SYN, 0);
    let answer = Payload::Tcp { flags: SYN | ACK, sequence: 0, acknowledgement: 1, window: 0xffff, bytes: 0 };
    router.send(&HandPacket { from: Side::Server, client: source, server: destination, payload: answer }).unwrap();
    let last = Payload::Tcp { flags: ACK, sequence: 1, acknowledgement: 1, window: 0xffff, bytes: 0 };
    router.send(&HandPacket { from: Side::Client, client: ours.client, server: ours.server, payload: last }).unwrap();
}

/// What is expected of the lives of a flow, by its port.
struct Expected {
    port: u16,
    name: &'static str,
    steps: Vec<State>,
    end: End,
    /// At least so long, and no more than what it takes to be reaped longer.
    lasts: Duration,
}

fn of_port(lives: &[Life], port: u16) -> Vec<&Life> {
    let has = |life: &&Life| match life.original.layer4 {
        Layer4::Ports { destination, .. } => destination == port,
        Layer4::Icmp { id, .. } => id == port,
        Layer4::None => false,
    };
    lives.iter().filter(has).collect()
}

fn play(router: &ByHand) {
    let unanswered = Flow::new(1, 1001);
    unanswered.udp(router, Side::Client);

    let answered = Flow::new(2, 1002);
    answered.udp(router, Side::Client);
    answered.udp(router, Side::Server);

    let stream = Flow::new(3, 1003);
    // A stream is one that goes on for more than two seconds (`nf_conntrack_udp_packet`), and no packet is so far from the
    // last one that it expires.
    let began = Instant::now();
    for tenth in 0..25 {
        sleep_until(began + Duration::from_millis(100) * tenth);
        stream.udp(router, Side::Client);
        stream.udp(router, Side::Server);
    }

    let mut ping = Flow::new(4, 1004);
    ping.client.set_port(1004);
    echo(router, &ping, Side::Client);
    echo(router, &ping, Side::Server);
    let mut ping6 = over_ipv6(5, 1005);
    ping6.client.set_port(1005);
    echo(router, &ping6, Side::Client);

    over_ipv6(6, 1006).udp(router, Side::Client);
    let mut closed6 = over_ipv6(7, 1007);
    closed6.open(router);
    closed6.close(router);

    Flow::new(8, 1008).open(router);
    Flow::new(9, 1009).open(router);
    router.namespace().run(&["conntrack", "-D", "-p", "tcp", "--dport", "1009"]).unwrap();

    Flow::new(10, 1010).be_refused(router);

    let mut reset = Flow::new(11, 1011);
    reset.open(router);
    reset.tcp(router, Side::Client, RST | ACK, 0);

    let mut reopened = Flow::new(12, 1012);
    reopened.open(router);
    reopened.close(router);
    Flow::later(12, 1012).tcp(router, Side::Client, SYN, 0);
    router.namespace().run(&["conntrack", "-D", "-p", "tcp", "--dport", "1012"]).unwrap();

    let translated = |number: u32, port: u16, seen_by_server: (&str, &str)| {
        let mut flow = Flow::new(number, port);
        if port == 7003 {
            flow.client.set_port(40_002);
        }
        let seen = (seen_by_server.0.parse().unwrap(), seen_by_server.1.parse().unwrap());
        open_translated(router, flow, seen);
    };
    translated(13, 7001, ("10.0.0.14:40000", "198.51.100.7:8080"));
    translated(14, 7002, ("203.0.113.9:40000", "192.0.2.1:7002"));
    translated(15, 7003, ("203.0.113.9:40002", "198.51.100.7:8080"));
}

#[test]
fn lives_of_all_protocols_translations_and_ends() {
    use State::{Assured, Replied, Unreplied};
    let router = ByHand::build().unwrap();
    router.namespace().nft(RULES).unwrap();
    for (name, secs) in TIMEOUTS {
        router.namespace().set(&format!("net/netfilter/nf_conntrack_{name}"), secs).unwrap();
    }
    let (rows, recorded, ()) = recorded(router.namespace(), WISHES, |watched| {
        play(&router);
        until("all are over", || watched.lives().len() >= 16);
    });
    assert_eq!((recorded.losses, recorded.unknown), (0, 0), "{recorded:?}");
    let lives = lives(&rows);
    assert_eq!(lives.len(), 16, "{lives:#?}");

    let open = [SynSent, SynRecv, Established];
    let closed = [SynSent, SynRecv, Established, FinWait, LastAck, TimeWait];
    let expected = |port, name, steps, end, secs| Expected { port, name, steps, end, lasts: Duration::from_secs(secs) };
    let all = [
        expected(1001, "UDP without an answer", vec![Unreplied], End::Expired, 1),
        expected(1002, "UDP with one", vec![Unreplied, Replied], End::Expired, 1),
        expected(1003, "UDP both ways", vec![Unreplied, Replied, Assured], End::Expired, 2 + 2),
        expected(1004, "echo", vec![Unreplied, Replied], End::Expired, 1),
        expected(1005, "echo over IPv6", vec![Unreplied], End::Expired, 1),
        expected(1006, "UDP over IPv6", vec![Unreplied], End::Expired, 1),
        expected(1007, "TCP over IPv6", tcp(&closed), End::Expired, 2),
        expected(1008, "silence", tcp(&open), End::Expired, 2),
        expected(1009, "deletion", tcp(&open), End::Deleted, 0),
        expected(1010, "refusal", tcp(&[SynSent]), End::Reset, 0),
        expected(1011, "reset", tcp(&[SynSent, SynRecv, Established, Close]), End::Reset, 1),
        expected(7001, "destination translated", tcp(&open), End::Expired, 2),
        expected(7002, "source translated", tcp(&open), End::Expired, 2),
        expected(7003, "both translated", tcp(&open), End::Expired, 2),
    ];
    for Expected { port, name, steps, end, lasts } in all {
        let [life] = of_port(&lives, port)[..] else { panic!("{name}: {:#?}", of_port(&lives, port)) };
        assert_eq!((states(life), life.end, life.sight), (steps, end, Sight::Whole), "{name}: {life:#?}");
        let Began::At(began) = life.began else { panic!("{name}: {life:#?}") };
        let lasted = life.ended_at.since(began);
        // The event of its beginning may be taken late.
        let at_least = lasts.saturating_sub(Duration::from_millis(500));
        assert!(at_least <= lasted && lasted < lasts + Duration::from_secs(3), "{name}: {lasted:?}");
        assert!(life.steps.windows(2).all(|pair| pair[0].at <= pair[1].at), "{name}: {life:#?}");
    }

    let [first, second] = of_port(&lives, 1012)[..] else { panic!("{:#?}", of_port(&lives, 1012)) };
    assert_eq!((states(first), first.end, first.sight), (tcp(&closed), End::Reopened, Sight::Whole));
    assert_eq!((states(second), second.end, second.sight), (tcp(&[SynSent]), End::Deleted, Sight::Whole));
    assert!(first.ended_at <= second.began.first_seen());

    for (port, translation, source, destination) in [
        (1008, Translation::None, "192.0.2.1", "10.0.0.9"),
        (7001, Translation::Destination, "198.51.100.7", "10.0.0.14"),
        (7002, Translation::Source, "192.0.2.1", "203.0.113.9"),
        (7003, Translation::Both, "198.51.100.7", "203.0.113.9"),
    ] {
        let life = of_port(&lives, port)[0];
        assert_eq!(Translation::of(life.status), translation, "{life:#?}");
        let reply = life.reply;
        assert_eq!((reply.source, reply.destination), (address(source), address(destination)), "{life:#?}");
    }
    assert_eq!(of_port(&lives, 1004)[0].original.protocol, Protocol::ICMP);
    assert_eq!(of_port(&lives, 1005)[0].original.protocol, Protocol::ICMPV6);
    assert_eq!(of_port(&lives, 1006)[0].original.protocol, Protocol::UDP);
}

fn states(life: &Life) -> Vec<State> {
    life.steps.iter().map(|step| step.state).collect()
}
