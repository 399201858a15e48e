//! Bytes that no kernel sends: never a panic, and an error that tells the message, the attribute and the place.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests, too, fail by panicking")]

use std::collections::BTreeMap;

use plimsoll_ctnetlink::parse::{
    parse_addresses, parse_cpu_statistics, parse_datagram, parse_events, parse_links, parse_table_statistics,
    parse_zone_limits,
};
use plimsoll_ctnetlink::{Entry, EventKind, ParseError, Problem, ProtocolState, Unknowns};
use proptest::prelude::*;

#[path = "common/dumps.rs"]
mod dumps;
#[path = "common/messages.rs"]
mod messages;

use dumps::{EVENTS, MIXED, ODD, datagrams};
use messages::{Attribute, Message, Place, Value, places};

const CT_NEW: u16 = 0x0100;
const CT_DELETE: u16 = 0x0102;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// Parses hostile bytes; whatever comes of it, an error lies inside the datagram and can be shown.
fn parse(datagram: &[u8]) -> (Vec<Result<Entry, ParseError>>, Unknowns) {
    let mut unknowns = Unknowns::default();
    let parsed = parse_datagram(datagram, &mut unknowns)
        .map(|dumped| {
            if let Err(problem) = &dumped {
                assert!(problem.offset <= datagram.len(), "{problem}");
                assert!(problem.to_string().starts_with("message of type 0x"));
            }
            dumped.map(|dumped| dumped.entry)
        })
        .collect::<Vec<_>>();
    parse_as_events(datagram, &parsed);
    let others = [
        parse_table_statistics(datagram).err(),
        parse_cpu_statistics(datagram).err(),
        parse_zone_limits(datagram).err(),
        parse_addresses(datagram).err(),
        parse_links(datagram).err(),
    ];
    for problem in others.into_iter().flatten() {
        assert!(problem.offset <= datagram.len(), "{problem}");
    }
    (parsed, unknowns)
}

/// The same bytes, taken for events: whatever is an entry of a dump is an event too.
fn parse_as_events(datagram: &[u8], dumped: &[Result<Entry, ParseError>]) {
    let mut unknowns = Unknowns::default();
    let events: Vec<_> = parse_events(datagram, &mut unknowns).collect();
    for problem in events.iter().filter_map(|event| event.as_ref().err()) {
        assert!(problem.offset <= datagram.len(), "{problem}");
    }
    // A dump ends at its end.
    let has_no_end = events.len() == dumped.len();
    for (event, dumped) in events.iter().zip(dumped) {
        match (event, dumped) {
            (Ok(event), Ok(dumped)) => assert_eq!(event.entry.entry, *dumped),
            (Ok(event), Err(_)) => assert_eq!(event.kind, EventKind::Destroy),
            // Of the type that ends an entry a dump says no more than that it is none.
            (Err(problem), Err(other)) if has_no_end && problem.message_type != CT_DELETE => assert_eq!(problem, other),
            (Err(_), _) => {}
        }
    }
}

/// The outcome of a datagram of one message.
fn parse_one(datagram: &[u8]) -> Result<Entry, ParseError> {
    let [parsed] = parse(datagram).0[..] else { panic!("one message") };
    parsed
}

/// A message of each make: every odd one, and one of TCP and one of IPv6 from the mixed dump.
fn samples() -> Vec<Message> {
    let mut samples: Vec<Message> = datagrams(ODD).into_iter().flat_map(Message::read).collect();
    let mixed: Vec<Message> = datagrams(MIXED).into_iter().flat_map(Message::read).collect();
    let is_ipv6 = |message: &&Message| message.write().len() > mixed[0].write().len() + 40;
    samples.extend(mixed.iter().find(is_ipv6).cloned());
    samples.push(mixed[0].clone());
    samples
}

fn sample() -> Message {
    samples().pop().unwrap()
}

fn problem_at(datagram: &[u8]) -> (u16, Vec<u16>, usize, Problem) {
    let error = parse_one(datagram).unwrap_err();
    (error.message_type, error.attribute.kinds().to_vec(), error.offset, error.problem)
}

#[test]
fn a_datagram_cut_anywhere_is_an_error() {
    for datagram in samples().iter().map(Message::write) {
        assert!(parse(&[]).0.is_empty());
        for has in 1..datagram.len() {
            let cut = &datagram[..has];
            let (kind, needs) = if has < 16 { (0, 16) } else { (CT_NEW, datagram.len()) };
            assert_eq!(problem_at(cut), (kind, vec![], 0, Problem::Truncated { needs, has }));
        }
    }
}

/// Here the message's own length is made to fit, so that the cut goes through attributes.
#[test]
fn a_message_cut_anywhere_is_an_error_unless_nothing_needed_is_cut_off() {
    const ID: u16 = 12;
    for datagram in samples().iter().map(Message::write) {
        let places = places(&datagram);
        let outermost = || places.iter().filter(|place| place.path.len() == 1);
        let id_ends = outermost().find(|place| place.path == [ID]).map(|id| id.header + id.length).unwrap();
        for has in 16..datagram.len() {
            let mut cut = datagram[..has].to_vec();
            cut[..4].copy_from_slice(&u32::try_from(has).unwrap().to_ne_bytes());
            if has < 20 {
                assert_eq!(problem_at(&cut), (CT_NEW, vec![], 16, Problem::Truncated { needs: 4, has: has - 16 }));
                continue;
            }
            let Some(cut_through) =
                outermost().find(|place| (place.header + 1..place.header + place.length).contains(&has))
            else {
                // Between two attributes, or in the padding between them.
                assert_eq!(parse_one(&cut).is_ok(), has >= id_ends);
                continue;
            };
            let left = has - cut_through.header;
            let expected = if left < 4 {
                (CT_NEW, vec![], cut_through.header, Problem::Truncated { needs: 4, has: left })
            } else {
                let problem = Problem::Truncated { needs: cut_through.length, has: left };
                (CT_NEW, cut_through.path.clone(), cut_through.header, problem)
            };
            assert_eq!(problem_at(&cut), expected);
        }
    }
}

#[test]
fn no_byte_changed_to_any_other_does_harm() {
    for mut datagram in samples().iter().map(Message::write) {
        for at in 0..datagram.len() {
            let was = datagram[at];
            for byte in 0..=u8::MAX {
                datagram[at] = byte;
                parse(&datagram);
            }
            datagram[at] = was;
        }
    }
}

/// Whether the parser looks inside: it passes over bytes, windows and the like, and of a TCP flow that is closing it
/// wants to know who closed first.
fn is_looked_into(path: &[u16], is_closing: bool) -> bool {
    matches!(path, [_] | [1 | 2, ..] | [4 | 9 | 10 | 20, _] | [4, _, 1] | [5, 1])
        || (is_closing && matches!(path, [4, 1, _]))
}

/// Whether it is a TCP flow from `FIN_WAIT` to `CLOSE`.
fn is_closing(datagram: &[u8]) -> bool {
    let state = places(datagram).into_iter().find(|place| place.path == [4, 1, 1]);
    state.is_some_and(|state| (4..=8).contains(&datagram[state.header + 4]))
}

#[test]
fn every_wrong_length_field_is_told_where_it_is() {
    let mut checked = 0;
    for datagram in samples().iter().map(Message::write) {
        for Place { path, header, end, .. } in places(&datagram) {
            for says in [0_u16, 1, 3, u16::MAX] {
                let mut broken = datagram.clone();
                broken[header..header + 2].copy_from_slice(&says.to_ne_bytes());
                let says = usize::from(says);
                if is_looked_into(&path, is_closing(&datagram)) {
                    let problem = match says {
                        0..4 => Problem::ImpossibleLength { says },
                        _ => Problem::Truncated { needs: says, has: end - header },
                    };
                    assert_eq!(problem_at(&broken), (CT_NEW, path.clone(), header, problem));
                    checked += 1;
                } else {
                    parse_one(&broken).unwrap();
                }
            }
        }
    }
    assert!(checked > 1000, "{checked}");
}

#[test]
fn every_wrong_length_of_a_message_is_told_and_nothing_follows() {
    let datagram = [sample().write(), sample().write(), sample().write()].concat();
    let second = datagram.len() / 3;
    let left = datagram.len() - second;
    for says in [0_u32, 1, 3, 15, 65_535, u32::MAX] {
        let mut broken = datagram.clone();
        broken[second..second + 4].copy_from_slice(&says.to_ne_bytes());
        let says = says as usize;
        let problem = match says {
            0..16 => Problem::ImpossibleLength { says },
            _ => Problem::Truncated { needs: says, has: left },
        };
        let [Ok(_), Err(error)] = parse(&broken).0[..] else { panic!("an entry and an error") };
        assert_eq!((error.message_type, error.offset, error.problem), (CT_NEW, second, problem));
    }
}

/// The size that an attribute is due, if it is one whose size is looked at.
fn due_bytes(path: &[u16], is_closing: bool) -> Option<usize> {
    Some(match path {
        [4, 1, 4 | 5] if is_closing => 2,
        [9 | 10 | 20, 1 | 2] => 8,
        [1 | 2, 1, 1 | 2] | [3 | 7 | 8 | 12] => 4,
        [1 | 2, 1, 3 | 4] => 16,
        [1 | 2, 2, 1 | 5 | 6 | 8 | 9] | [4, _, 1] => 1,
        [1 | 2, 2, 2 | 3 | 4 | 7] | [1 | 2, 3] | [18] => 2,
        _ => return None,
    })
}

#[test]
fn every_value_of_a_wrong_size_is_told_where_it_is() {
    let mut seen = std::collections::BTreeSet::new();
    for sample in samples() {
        let leaves = places(&sample.write()).into_iter().filter(|place| !place.is_nested);
        for Place { path, header, length, .. } in leaves {
            let Value::Plain(value) = sample.clone().at(&path).clone() else { panic!("a leaf") };
            for has in [0, length - 4 - 1, length - 4 + 1, 40].into_iter().filter(|has| *has != length - 4) {
                let mut broken = sample.clone();
                let resized = value.iter().copied().chain([0; 64]).take(has).collect();
                *broken.at(&path) = Value::Plain(resized);
                let broken = broken.write();
                match due_bytes(&path, is_closing(&sample.write())) {
                    Some(expected) => {
                        let problem = Problem::WrongSize { expected, has };
                        assert_eq!(problem_at(&broken), (CT_NEW, path.clone(), header + 4, problem));
                        seen.insert(path.clone());
                    }
                    None => drop(parse_one(&broken).unwrap()),
                }
            }
        }
    }
    // Tuples of both families, of all protocols and of zones for one direction, the zone, and the state.
    for path in [&[1, 1, 1][..], &[2, 1, 4], &[1, 2, 3], &[2, 2, 4], &[1, 2, 9], &[1, 3], &[2, 3], &[18], &[4, 3, 1]] {
        assert!(seen.contains(path), "{path:?} is in no sample");
    }
}

#[test]
fn what_must_be_there_and_is_not_is_told() {
    for (path, tells, kind) in [
        (&[1][..], &[][..], 1),
        (&[2], &[], 2),
        (&[3], &[], 3),
        (&[12], &[], 12),
        (&[1, 1], &[1], 1),
        (&[2, 2], &[2], 2),
        (&[1, 1, 1], &[1, 1], 1),
        (&[2, 1, 2], &[2, 1], 2),
        (&[1, 2, 1], &[1, 2], 1),
        (&[1, 2, 2], &[1, 2], 2),
        (&[1, 2, 3], &[1, 2], 3),
        (&[4, 1, 1], &[4, 1], 1),
        (&[4, 1], &[4], 1),
    ] {
        let mut broken = sample();
        let (last, outer) = path.split_last().unwrap();
        let siblings = if outer.is_empty() { &mut broken.attributes } else { broken.at(outer).inside() };
        siblings.retain(|attribute| attribute.kind != *last);
        let datagram = broken.write();
        let inside = places(&datagram).into_iter().find(|place| place.path == tells);
        let offset = inside.map_or(16, |place| place.header + 4);
        assert_eq!(problem_at(&datagram), (CT_NEW, tells.to_vec(), offset, Problem::Missing { kind }), "{path:?}");
    }
}

#[test]
fn half_of_a_pair_is_not_taken_for_a_protocol_without_ports() {
    let ping = |message: &Message| message.clone().at(&[1, 2]).inside().iter().any(|attribute| attribute.kind == 4);
    let ping = samples().into_iter().find(ping).unwrap();
    for kind in [4, 5, 6] {
        let mut broken = ping.clone();
        broken.at(&[1, 2]).inside().retain(|attribute| attribute.kind != kind);
        let error = parse_one(&broken.write()).unwrap_err();
        assert_eq!((error.attribute.kinds(), error.problem), (&[1, 2][..], Problem::Missing { kind }));
    }
}

#[test]
fn addresses_of_two_families_are_no_tuple() {
    for (replaced, by, missing) in [(2, 4, 2), (1, 3, 4)] {
        let mut broken = sample();
        let addresses = broken.at(&[1, 1]).inside();
        addresses.retain(|attribute| attribute.kind != replaced);
        addresses.push(Attribute::plain(by, &[0; 16]));
        let error = parse_one(&broken.write()).unwrap_err();
        assert_eq!((error.attribute.kinds(), error.problem), (&[1, 1][..], Problem::Missing { kind: missing }));
    }
}

#[test]
fn an_error_says_in_words_what_is_wrong_and_where() {
    let mut broken = sample();
    *broken.at(&[2, 1, 2]) = Value::Plain(vec![10, 0, 0]);
    // 16 + 4 of headers, the first tuple's 52, then 4 + 4 + 8 to the second address, whose header has 4.
    assert_eq!(
        parse_one(&broken.write()).unwrap_err().to_string(),
        "message of type 0x0100, attribute 2.1.2, at byte 92: has 3 bytes where 4 are due"
    );
}

#[test]
fn what_is_unknown_is_counted_and_never_taken_for_something_else() {
    let known = parse_one(&sample().write()).unwrap();

    let mut message = sample();
    message.attributes.push(Attribute::plain(500, b"new"));
    message.attributes.insert(0, Attribute::nested(501, vec![Attribute::plain(1, b"new")]));
    message.at(&[1, 1]).inside().push(Attribute::plain(502, b"new"));
    message.at(&[1, 2]).inside().push(Attribute::plain(503, b"new"));
    let (parsed, unknowns) = parse(&message.write());
    assert_eq!(parsed, [Ok(known)]);
    assert_eq!(unknowns.attributes, BTreeMap::from([(500, 1), (501, 1), (502, 1), (503, 1)]));

    let mut message = sample();
    *message.at(&[4, 1, 1]) = Value::Plain(vec![10]);
    let (parsed, unknowns) = parse(&message.write());
    assert_eq!(parsed, [Ok(Entry { state: ProtocolState::Unknown(10), ..known })]);
    assert_eq!(unknowns, Unknowns { states: BTreeMap::from([(10, 1)]), ..Unknowns::default() });

    // A tracker that is not known: its state is not TCP's.
    let mut message = sample();
    message.at(&[4]).inside()[0].kind = 9;
    let (parsed, unknowns) = parse(&message.write());
    assert_eq!(parsed, [Ok(Entry { state: ProtocolState::None, ..known })]);
    assert_eq!(unknowns.attributes, BTreeMap::from([(9, 1)]));

    let mut message = sample();
    for tuple in [1, 2] {
        *message.at(&[tuple, 2, 1]) = Value::Plain(vec![200]);
    }
    let (parsed, unknowns) = parse(&message.write());
    assert_eq!(parsed[0].unwrap().original.protocol.0, 200);
    assert_eq!(unknowns, Unknowns { protocols: BTreeMap::from([(200, 1)]), ..Unknowns::default() });
}

#[test]
fn the_state_is_found_wherever_its_tracker_puts_it() {
    let known = parse_one(&sample().write()).unwrap();
    let mut message = sample();
    message.at(&[4, 1]).inside().insert(0, Attribute::plain(77, b"new"));
    assert_eq!(parse_one(&message.write()), Ok(known));
}

#[test]
fn the_end_in_the_middle_ends_and_an_error_in_the_middle_is_one() {
    let entry = sample().write();
    let with = |kind| [entry.clone(), Message::of(kind, vec![]).write(), entry.clone()].concat();

    let [Ok(_)] = parse(&with(NLMSG_DONE)).0[..] else { panic!("one entry") };
    for kind in [NLMSG_ERROR, 4, 0x0101, 0x0102, 0x0a00] {
        let [Ok(_), Err(error), Ok(_)] = parse(&with(kind)).0[..] else { panic!("the rest is read all the same") };
        assert_eq!((error.message_type, error.problem), (kind, Problem::Unexpected));
        assert_eq!(error.offset, entry.len() + 16);
    }
}

#[test]
fn an_event_is_told_by_its_type_and_flags() {
    let kinds = |datagram: &[u8]| -> Vec<_> {
        parse_events(datagram, &mut Unknowns::default()).map(|event| event.map(|event| event.kind)).collect()
    };
    let mut datagram = datagrams(EVENTS)[0].to_vec();
    assert_eq!(kinds(&datagram), [Ok(EventKind::New)]);
    // One of NLM_F_CREATE and NLM_F_EXCL is not both; what else is set says nothing.
    for (flags, kind) in [(0x200_u16, EventKind::Update), (0x400, EventKind::Update), (0x0fff, EventKind::New)] {
        datagram[6..8].copy_from_slice(&flags.to_ne_bytes());
        assert_eq!(kinds(&datagram), [Ok(kind)]);
    }
    for kind in [NLMSG_ERROR, NLMSG_DONE, 0x0101, 0x0103, 0x0200] {
        datagram[4..6].copy_from_slice(&kind.to_ne_bytes());
        let [Err(error)] = kinds(&datagram)[..] else { panic!("an error") };
        assert_eq!((error.message_type, error.offset, error.problem), (kind, 16, Problem::Unexpected));
    }
}

#[test]
fn no_byte_of_an_event_changed_to_any_other_does_harm() {
    for datagram in datagrams(EVENTS) {
        let mut datagram = datagram.to_vec();
        for at in 0..datagram.len() {
            let was = datagram[at];
            for byte in [0, 1, was ^ 1, was ^ 0x80, 0x7f, u8::MAX] {
                datagram[at] = byte;
                parse(&datagram);
            }
            datagram[at] = was;
        }
    }
}

/// A change of some bytes of a datagram.
#[derive(Clone, Debug)]
enum Change {
    Byte(prop::sample::Index, u8),
    LengthField(prop::sample::Index, u16),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    use prop::sample::Index;
    prop_oneof![
        4 => any::<(Index, u8)>().prop_map(|(at, byte)| Change::Byte(at, byte)),
        4 => (any::<Index>(), prop_oneof![0_u16..64, any::<u16>()]).prop_map(|(at, length)| Change::LengthField(at, length)),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..24)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ]
}

fn apply(change: &Change, datagram: &mut Vec<u8>) {
    if datagram.len() < 4 {
        return;
    }
    match change {
        Change::Byte(at, byte) => *at.get_mut(datagram) = *byte,
        Change::LengthField(at, length) => {
            let at = at.index(datagram.len() / 4) * 4;
            datagram[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        }
        Change::Cut(at) => datagram.truncate(at.index(datagram.len())),
        Change::Insert(at, bytes) => {
            let at = at.index(datagram.len());
            datagram.splice(at..at, bytes.iter().copied());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_parsed_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        parse(&bytes);
    }

    #[test]
    fn any_changes_of_a_dump_are_parsed_without_harm(
        message in prop::sample::select([samples(), datagrams(EVENTS).into_iter().flat_map(Message::read).collect()].concat()),
        changes in prop::collection::vec(change(), 1..8),
    ) {
        let mut datagram = [message.write(), message.write()].concat();
        for change in &changes {
            apply(change, &mut datagram);
        }
        parse(&datagram);
    }
}
