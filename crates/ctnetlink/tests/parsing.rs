//! Dumps of a real kernel, parsed: `tests/dumps/README.md` says how each was made.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests, too, fail by panicking")]

use std::collections::{BTreeMap, HashMap};

use plimsoll_ctnetlink::parse::{parse_cpu_statistics, parse_datagram, parse_table_statistics};
use plimsoll_ctnetlink::{
    Counter, Entry, Extension, Extensions, Layer4, NewEntry, Problem, Protocol, ProtocolState, SctpState, Status,
    TcpState, Tuple, Unknowns, Zone,
};
use plimsoll_lab::{Kind, entries};

#[path = "common/dumps.rs"]
#[allow(dead_code, reason = "events are in events.rs")]
mod dumps;
#[path = "common/listing.rs"]
mod listing;
#[path = "common/messages.rs"]
#[allow(dead_code, reason = "the places are for hostile.rs")]
mod messages;

use dumps::{MIXED, ODD, datagrams};
use listing::Line;
use messages::{Attribute, Message, Value};

/// An entry with what stays in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    entry: Entry,
    helper: Option<Vec<u8>>,
    labels: Option<Vec<u8>>,
}

fn parse(datagram: &[u8], unknowns: &mut Unknowns) -> Vec<Owned> {
    let own = |bytes: &[u8]| bytes.to_vec();
    parse_datagram(datagram, unknowns)
        .map(|dumped| dumped.unwrap())
        .map(|dumped| Owned { entry: dumped.entry, helper: dumped.helper.map(own), labels: dumped.labels.map(own) })
        .collect()
}

fn parse_file(file: &[u8], unknowns: &mut Unknowns) -> Vec<Owned> {
    datagrams(file).into_iter().flat_map(|datagram| parse(datagram, unknowns)).collect()
}

#[test]
fn a_mixed_dump_holds_exactly_what_was_made() {
    let mut unknowns = Unknowns::default();
    let mut found: HashMap<Tuple, Owned> = HashMap::new();
    for owned in parse_file(MIXED, &mut unknowns) {
        assert_eq!(found.insert(owned.entry.original, owned), None, "twice");
    }
    let made: Vec<NewEntry> = TcpState::ALL
        .iter()
        .flat_map(|state| entries(Kind::AssuredTcp(*state), 0, 15).chain(entries(Kind::Tcp(*state), 0, 10)))
        .chain(entries(Kind::UdpUnreplied, 0, 40))
        .chain(entries(Kind::UdpStream, 0, 40))
        .chain(entries(Kind::Ipv6, 0, 40))
        .chain(entries(Kind::DestinationNat, 0, 20))
        .chain(entries(Kind::Generic(253), 0, 10))
        .collect();
    assert_eq!(made.len(), 400);
    for new in made {
        let Owned { entry, helper, labels } = found.remove(&new.original).unwrap();
        assert_eq!(entry.reply, new.reply);
        assert_eq!(entry.status, new.status.and(Status::CONFIRMED));
        assert_eq!(entry.state, new.tcp_state.map_or(ProtocolState::None, ProtocolState::Tcp));
        // They were captured within a second or two.
        assert!(entry.remaining_secs.is_some_and(|secs| (3597..=3600).contains(&secs)), "{entry:?}");
        assert_eq!((entry.zone, entry.mark), (Zone(0), 0));
        // ctnetlink makes every entry with room for SYN proxy's data, and shows it.
        let mut extensions = Extensions::default();
        extensions.insert(Extension::Synproxy);
        assert_eq!(entry.extensions, extensions);
        assert_eq!((helper, labels), (None, None));
    }
    assert!(found.is_empty());
    // The generic tracker's protocols are the only thing without a name.
    assert_eq!(unknowns, Unknowns { protocols: BTreeMap::from([(253, 10)]), ..Unknowns::default() });
}

#[test]
fn an_odd_dump_holds_what_conntrack_lists() {
    let mut unknowns = Unknowns::default();
    let mut lines: Vec<Line> = parse_file(ODD, &mut unknowns).into_iter().map(|owned| Line::of(&owned.entry)).collect();
    lines.sort();
    assert_eq!(lines, listing::read(include_str!("dumps/odd.txt")));
    assert_eq!(unknowns, Unknowns { protocols: BTreeMap::from([(253, 1)]), ..Unknowns::default() });
}

#[test]
fn odd_entries_are_exactly_what_they_are() {
    let odd = parse_file(ODD, &mut Unknowns::default());
    let v4 = |text: &str| text.parse().unwrap();
    let ports = |source, destination| Layer4::Ports { source, destination };
    let local = |protocol, layer4| Tuple { source: v4("127.0.0.1"), destination: v4("127.0.0.1"), protocol, layer4 };
    let of = |protocol, layer4| {
        let original = local(protocol, layer4);
        odd.iter().find(|owned| owned.entry.original == original).unwrap_or_else(|| panic!("no {original:?}")).clone()
    };
    let udp = |port| of(Protocol::UDP, ports(port - 1000, port));
    let replied = Status::CONFIRMED.and(Status::SEEN_REPLY);
    // What NAT looked at and left as it was carries IPS_SRC_NAT_DONE and IPS_DST_NAT_DONE.
    let looked_at = Status(0x180);

    let ping = of(Protocol::ICMP, Layer4::Icmp { id: 0x1234, kind: 8, code: 0 }).entry;
    assert_eq!(ping.reply, local(Protocol::ICMP, Layer4::Icmp { id: 0x1234, kind: 0, code: 0 }));
    assert_eq!(ping.status, replied.and(looked_at));
    assert_eq!((ping.state, ping.remaining_secs), (ProtocolState::None, Some(29)));

    let ping6 = odd.iter().find(|owned| owned.entry.original.protocol == Protocol::ICMPV6).unwrap().entry;
    let v6 = |kind| Tuple {
        source: v4("::1"),
        destination: v4("::1"),
        protocol: Protocol::ICMPV6,
        layer4: Layer4::Icmp { id: 0x1234, kind, code: 0 },
    };
    assert_eq!((ping6.original, ping6.reply), (v6(128), v6(129)));

    let gre = of(Protocol::GRE, ports(0, 0)).entry;
    assert_eq!((gre.state, gre.remaining_secs), (ProtocolState::None, Some(29)));
    // The first INIT leads to CLOSED, not to COOKIE_WAIT: so the kernel's table has it (`sctp_conntracks`).
    let sctp = of(Protocol::SCTP, ports(1000, 2000)).entry;
    assert_eq!((sctp.state, sctp.remaining_secs), (ProtocolState::Sctp(SctpState::Closed), Some(9)));
    let generic = of(Protocol(253), Layer4::None).entry;
    assert_eq!((generic.state, generic.remaining_secs), (ProtocolState::None, Some(599)));

    assert_eq!(udp(7001).entry.mark, 0xde_cade);
    assert_eq!(udp(7001).labels, None);
    assert_eq!(udp(7002).labels, Some([1 << 5].into_iter().chain([0; 15]).collect()));
    for (port, zone) in [(7001, 0), (7007, 7), (7008, 8), (7009, 9)] {
        assert_eq!(udp(port).entry.zone, Zone(zone), "{port}");
    }

    let masqueraded = udp(7003).entry;
    assert_eq!(masqueraded.status, Status::CONFIRMED.and(looked_at).and(Status::SRC_NAT));
    assert_eq!(masqueraded.reply, Tuple { destination: v4("198.51.100.1"), ..local(Protocol::UDP, ports(7003, 6003)) });

    let tcp_to = |port| {
        let to = |owned: &&Owned| matches!(owned.entry.original.layer4, Layer4::Ports { destination, .. } if destination == port);
        odd.iter().filter(|owned| owned.entry.original.protocol == Protocol::TCP).find(to).unwrap()
    };
    let established = ProtocolState::Tcp(TcpState::Established);
    let Owned { entry: web, helper, .. } = tcp_to(80);
    assert_eq!(web.original.destination, v4("198.51.100.80"));
    assert_eq!(web.reply.source, v4("127.0.0.1"));
    assert_eq!(web.reply.source_service().unwrap().port, 8080);
    assert_eq!(web.status, replied.and(Status::ASSURED).and(looked_at).and(Status::DST_NAT));
    assert_eq!((web.state, web.remaining_secs, helper), (established, Some(431_999), &None));

    let Owned { entry: ftp, helper, .. } = tcp_to(21);
    assert_eq!(helper.as_deref(), Some(&b"ftp"[..]));
    assert_eq!(ftp.status, replied.and(Status::ASSURED).and(looked_at).and(Status::HELPER));
    assert_eq!(ftp.state, established);

    for Owned { entry, helper, labels } in &odd {
        assert!(entry.extensions.contains(Extension::Accounting) && entry.extensions.contains(Extension::Timestamp));
        assert!(entry.packets.is_some() && entry.started_unix_nanos.is_some(), "{entry:?}");
        assert_eq!(entry.extensions.contains(Extension::Helper), helper.is_some());
        assert_eq!(entry.extensions.contains(Extension::Labels), labels.is_some());
        assert!(!entry.extensions.contains(Extension::Synproxy));
        assert!(!entry.extensions.contains(Extension::SequenceAdjustment));
    }
}

#[test]
fn statistics_are_what_the_kernel_counted() {
    let [table] = datagrams(include_bytes!("dumps/table_statistics.bin"))[..] else { panic!("one datagram") };
    let [table] = parse_table_statistics(table).unwrap()[..] else { panic!("one message") };
    assert_eq!(table.occupancy.0, 400);
    assert_eq!(table.capacity.unwrap().0, 262_144);

    let [cpus] = datagrams(include_bytes!("dumps/cpu_statistics.bin"))[..] else { panic!("one datagram") };
    let reading = parse_cpu_statistics(cpus).unwrap();
    assert_eq!(reading.cpus.len(), 2);
    assert_eq!(reading.total(Counter::Insert), Some(400));
    for counter in [Counter::Drop, Counter::EarlyDrop, Counter::InsertFailed, Counter::ChainTooLong] {
        assert_eq!(reading.total(counter), Some(0), "{counter:?}");
    }
    // ctnetlink does not tell of expectations.
    assert_eq!(reading.total(Counter::ExpectNew), None);

    // One is not taken for the other, and a dump's end is no CPU.
    let [table, cpus] =
        [include_bytes!("dumps/table_statistics.bin").as_slice(), include_bytes!("dumps/cpu_statistics.bin")];
    assert_eq!(parse_cpu_statistics(datagrams(table)[0]).unwrap_err().problem, Problem::Unexpected);
    assert_eq!(parse_table_statistics(datagrams(cpus)[0]).unwrap_err().problem, Problem::Unexpected);
    let done = Message::of(3, vec![]).write();
    let ended = [datagrams(cpus)[0], &done].concat();
    assert_eq!(parse_cpu_statistics(&ended).unwrap(), reading);
}

/// An attribute type that no kernel uses.
const UNHEARD_OF: u16 = 999;

/// What it does, how many unknown attributes it adds to a tuple, and how.
type Rewriting = (&'static str, u64, fn(&mut Vec<Attribute>));

/// Ways to say the same in a layout that the fast path for usual tuples does not take.
const REWRITINGS: [Rewriting; 4] = [
    ("an unknown attribute behind", 1, |tuple| tuple.push(Attribute::plain(UNHEARD_OF, b"?"))),
    ("an unknown attribute before", 1, |tuple| tuple.insert(0, Attribute::plain(UNHEARD_OF, b""))),
    ("protocol before addresses", 0, |tuple| tuple.reverse()),
    ("everything inside turned round", 0, |tuple| tuple.iter_mut().for_each(turn_round)),
];

fn turn_round(attribute: &mut Attribute) {
    if let Value::Nested(inside) = &mut attribute.value {
        inside.reverse();
    }
}

#[test]
fn the_fast_path_agrees_with_the_slow_one() {
    for datagram in [MIXED, ODD].into_iter().flat_map(datagrams) {
        let mut plain_unknowns = Unknowns::default();
        let plain = parse(datagram, &mut plain_unknowns);
        for (what, unknown, rewrite) in REWRITINGS {
            let mut rewritten = Vec::new();
            for mut message in Message::read(datagram) {
                rewrite(message.at(&[1]).inside());
                rewrite(message.at(&[2]).inside());
                rewritten.extend(message.write());
            }
            let mut unknowns = Unknowns::default();
            assert_eq!(parse(&rewritten, &mut unknowns), plain, "{what}");
            let counted = unknowns.attributes.remove(&UNHEARD_OF).unwrap_or(0);
            assert_eq!(counted, 2 * unknown * plain.len() as u64, "{what}");
            assert_eq!(unknowns, plain_unknowns, "{what}");
        }
    }
}

/// The judge's own reader and writer lose nothing, or the test above would prove little.
#[test]
fn messages_are_written_as_they_were_read() {
    for datagram in [MIXED, ODD].into_iter().flat_map(datagrams) {
        let written: Vec<u8> = Message::read(datagram).iter().flat_map(Message::write).collect();
        assert_eq!(written.len(), datagram.len());
        assert_eq!(Message::read(&written), Message::read(datagram));
    }
}
