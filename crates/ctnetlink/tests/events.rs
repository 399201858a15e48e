//! Events of a real kernel, parsed: `tests/dumps/README.md` says how they were made.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests, too, fail by panicking")]

use plimsoll_ctnetlink::parse::parse_events;
use plimsoll_ctnetlink::{Entry, Event, EventKind, Extension, Status, Traffic, Unknowns};

#[path = "common/dumps.rs"]
#[allow(dead_code, reason = "the dumps are for others")]
mod dumps;

use dumps::{EVENTS, datagrams};

fn events() -> Vec<Event<'static>> {
    let mut unknowns = Unknowns::default();
    let parse = |datagram: &'static [u8], unknowns: &mut Unknowns| {
        let [event] = parse_events(datagram, unknowns).map(Result::unwrap).collect::<Vec<_>>()[..] else {
            panic!("one event a datagram")
        };
        event
    };
    let events = datagrams(EVENTS).into_iter().map(|datagram| parse(datagram, &mut unknowns)).collect();
    assert!(unknowns.is_empty(), "{unknowns:?}");
    events
}

/// The events of each entry, in the order in which the entries came. An id comes again once its entry has ended.
fn lives() -> Vec<Vec<Event<'static>>> {
    let mut lives: Vec<Vec<Event<'static>>> = Vec::new();
    let id = |life: &[Event<'_>]| life[0].entry.entry.id;
    let is_over = |life: &[Event<'_>]| life.iter().any(|event| event.kind == EventKind::Destroy);
    for event in events() {
        match lives.iter_mut().find(|life| id(life) == event.entry.entry.id && !is_over(life)) {
            Some(life) => life.push(event),
            None => lives.push(vec![event]),
        }
    }
    lives
}

fn told(life: &[Event<'_>]) -> Vec<String> {
    let told = |event: &Event<'_>| {
        let Entry { state, remaining_secs, .. } = event.entry.entry;
        let left = remaining_secs.map_or("no time left".to_string(), |secs| format!("{secs} s"));
        let asked = if event.asked_by.is_some() { ", asked for" } else { "" };
        format!("{:?} {state} {left}{asked}", event.kind)
    };
    life.iter().map(told).collect()
}

#[test]
fn lives_are_told_from_the_first_packet_to_the_end() {
    let tcp = [
        "New SYN_SENT 120 s",
        "Update SYN_RECV 60 s",
        "Update ESTABLISHED 432000 s",
        "Update FIN_WAIT 120 s",
        "Update LAST_ACK 30 s",
        "Update TIME_WAIT 1 s",
        "Destroy TIME_WAIT no time left",
    ];
    let expected: [&[&str]; 7] = [
        &tcp,
        &tcp,
        &tcp,
        // The RST ends the entry before it is armed anew, so what is left is of the SYN's time.
        &["New SYN_SENT 120 s", "Destroy CLOSE 120 s"],
        &["New - 1 s", "Destroy - no time left"],
        &["New - 1 s", "Update - 1 s", "Destroy - no time left"],
        &["New - 100 s", "Update - 50 s, asked for", "Destroy - 49 s, asked for"],
    ];
    assert_eq!(lives().iter().map(|life| told(life)).collect::<Vec<_>>(), expected);
}

#[test]
fn the_tuples_stay_the_same_and_show_translation() {
    let lives = lives();
    for life in &lives {
        let tuples = |event: &Event<'_>| (event.entry.entry.original, event.entry.entry.reply);
        assert!(life.iter().all(|event| tuples(event) == tuples(&life[0])));
    }
    let Entry { original, reply, status, .. } = lives[1][0].entry.entry;
    assert!(original.source.is_ipv6() && reply == original.mirrored() && !status.has(Status::DST_NAT));
    let Entry { original, reply, status, .. } = lives[2][0].entry.entry;
    assert_eq!(
        (original.destination.to_string(), reply.source.to_string()),
        ("198.51.100.80".into(), "127.0.0.1".into())
    );
    assert!(status.has(Status::DST_NAT));
}

/// The id is a hash of the entry's address and tuple (`nf_ct_get_id`): the same flow had the same slab object twice.
#[test]
fn an_id_comes_again() {
    let lives = lives();
    assert_eq!(lives[4][0].entry.entry.id, lives[5][0].entry.entry.id);
}

/// `ctnetlink_conntrack_event` tells them with the end alone.
#[test]
fn what_was_sent_and_when_is_told_at_the_end() {
    for life in lives() {
        let (last, before) = life.split_last().unwrap();
        for event in before {
            assert_eq!((event.entry.original_traffic, event.entry.entry.started_unix_nanos), (None, None));
            assert!(!event.entry.entry.status.has(Status::DYING) && event.entry.event_unix_nanos.is_some());
        }
        let entry = last.entry.entry;
        assert!(entry.status.has(Status::DYING) && entry.status.has(Status::CONFIRMED));
        assert!(entry.extensions.contains(Extension::Accounting) && entry.extensions.contains(Extension::Timestamp));
        // The time at which it ended is that at which its time was over, the event's that at which it was removed.
        let [started, stopped, told] =
            [entry.started_unix_nanos, last.entry.stopped_unix_nanos, last.entry.event_unix_nanos];
        assert!(started.is_some() && started < stopped && stopped < told, "{last:?}");
        let [sent, answered] = [last.entry.original_traffic, last.entry.reply_traffic].map(Option::unwrap);
        assert_eq!(entry.packets.unwrap().get(), sent.packets + answered.packets);
    }
    let traffic = |life: usize| {
        let last = lives()[life].last().unwrap().entry;
        (last.original_traffic.unwrap(), last.reply_traffic.unwrap())
    };
    // An IPv4 header has 20 bytes, a UDP header 8, and "plimsoll" 8, twice and a space on the way back.
    assert_eq!(traffic(5), (Traffic { packets: 1, bytes: 36 }, Traffic { packets: 1, bytes: 45 }));
    assert_eq!(traffic(4), (Traffic { packets: 1, bytes: 36 }, Traffic::default()));
}

/// The side that closed first is told while it closes; the end tells the state alone (`tcp_to_nlattr`).
#[test]
fn the_end_does_not_tell_who_closed_first() {
    let life = &lives()[0];
    let closed_first = |kind, at: usize| (life[at].kind, life[at].entry.entry.closed_first.is_some()) == (kind, true);
    assert!(closed_first(EventKind::Update, 3) && closed_first(EventKind::Update, 5));
    assert_eq!(life[6].entry.entry.closed_first, None);
}

#[test]
fn events_are_of_the_size_that_is_told() {
    let sizes: Vec<usize> = datagrams(EVENTS).iter().map(|datagram| datagram.len()).collect();
    assert!(sizes.iter().all(|bytes| (160..=300).contains(bytes)), "{sizes:?}");
}
