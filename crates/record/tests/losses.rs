//! Events that the kernel drops since nobody takes them: what is lost is told, and nothing more is. Needs root, `ip`, `nft` and
//! `conntrack`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::{Duration, Instant};

use plimsoll_ctnetlink::{EventKind, SampleShare};
use plimsoll_lab::{ByHand, LabNamespace, Side};
use plimsoll_record::Wishes;
use plimsoll_recording::{ChangeKind, End, Life, Sight};
use support::truth::Truth;
use support::watched::{Watched, changes, lives, recorded};
use support::{Flow, SYN, WISHES, sleep_until, until};

/// To be deleted, by their port, while nobody takes events.
const DELETED_PORT: u16 = 8443;
/// To be deleted when they have been closed.
const CLOSED_PORT: u16 = 7443;

/// Followed since before the loss, and alive after it.
const OPEN: Range<u32> = 0..100;
/// Followed since before the loss, and deleted in it.
const DELETED: Range<u32> = 100..200;
/// Over before the loss.
const OVER: Range<u32> = 1000..1100;
/// The last that the buffer holds; half of them deleted when it is full.
const CAUGHT: Range<u32> = 2000..2010;
const CAUGHT_AND_DELETED: Range<u32> = 2010..2020;
/// More than the buffer holds.
const LOST: Range<u32> = 3000..6000;
/// Began and ended after it.
const AFTER: Range<u32> = 10_000..10_400;

/// The kernel makes it two: 1,638 events, of 1,280 bytes each. All that comes before the loss is fewer, and all that is
/// received of what comes after it.
const BUFFER_BYTES: usize = 1 << 20;

fn open(router: &ByHand, flows: Range<u32>, port: u16) {
    flows.for_each(|number| Flow::new(number, port).open(router));
}

fn delete(namespace: &LabNamespace, port: u16) {
    namespace.run(&["conntrack", "-D", "-p", "tcp", "--dport", &port.to_string()]).unwrap();
}

fn client(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0001 + number).into()
}

/// What is lost while the recorder waits, and what comes before and after.
fn play(router: &ByHand, truth: &Truth, watched: &Watched) -> usize {
    open(router, OPEN, 443);
    open(router, DELETED, DELETED_PORT);
    OVER.for_each(|number| Flow::new(number, 443).be_refused(router));
    until("those before are over", || watched.lives().len() == OVER.len());

    watched.hold();
    open(router, CAUGHT, 443);
    open(router, CAUGHT_AND_DELETED, DELETED_PORT);
    open(router, LOST, 443);
    delete(router.namespace(), DELETED_PORT);
    let deleted = DELETED.len() + CAUGHT_AND_DELETED.len();
    until("all that was told is heard", || truth.count(EventKind::Destroy) == OVER.len() + deleted);
    let until_then = truth.told().len();
    watched.release();
    until("it has looked for what it lost", || {
        !watched.changes(ChangeKind::Resynchronised).is_empty() && !watched.changes(ChangeKind::Share).is_empty()
    });

    for number in AFTER {
        let mut flow = Flow::new(number, CLOSED_PORT);
        flow.open(router);
        flow.close(router);
    }
    delete(router.namespace(), CLOSED_PORT);
    let over = OVER.len() + deleted + AFTER.len();
    until("those after are over", || truth.count(EventKind::Destroy) == over);
    let (half, ids) = (SampleShare::ALL.half(), truth.ids());
    let expected = AFTER.filter(|number| half.keeps(ids[&client(*number)])).count();
    let is_after = |life: &Life| AFTER.map(client).any(|client| client == life.original.source);
    until("those after are recorded", || watched.lives().iter().filter(|life| is_after(life)).count() == expected);
    until_then
}

#[test]
fn what_is_lost_is_told_and_marked_and_what_comes_after_is_whole() {
    let router = ByHand::build().unwrap();
    let wishes = Wishes { buffer_bytes: BUFFER_BYTES, looked_at: 10, ..WISHES };
    let (rows, recorded, (until_then, told, ids)) = Truth::heard(router.namespace(), |truth| {
        recorded(router.namespace(), wishes, |watched| {
            let until_then = play(&router, truth, watched);
            (until_then, truth.told(), truth.ids())
        })
    });
    let half = SampleShare::ALL.half();

    // Each event was received, or dropped, or is one of those that are not wanted since.
    assert_eq!((recorded.losses, recorded.unknown), (1, 0), "{recorded:?}");
    let received_after = told[until_then..].iter().filter(|told| half.keeps(told.id)).count();
    let dropped = recorded.dropped.unwrap();
    assert!(dropped > 7000, "{dropped}");
    assert_eq!(recorded.events + dropped, (until_then + received_after) as u64, "{recorded:?}");

    let of = |kind| changes(&rows, kind);
    let lost = &of(ChangeKind::EventsLost);
    assert_eq!((lost.len(), of(ChangeKind::Resynchronised).len()), (1, 1));
    // Since when, in microseconds: before the first that was lost, and not long before.
    let since: i64 = lost[0].from.as_deref().expect("since when").parse().unwrap();
    assert!((0..3_000_000).contains(&(lost[0].at.0 - since)), "{lost:?}");
    let shares = of(ChangeKind::Share);
    assert_eq!(shares.len(), 1, "{shares:?}");
    assert_eq!((shares[0].from.as_deref(), shares[0].to.as_deref()), (Some("1/1"), Some("1/2")));

    let lives = lives(&rows);
    let by_client: BTreeMap<IpAddr, &Life> = lives.iter().map(|life| (life.original.source, life)).collect();
    assert_eq!(by_client.len(), lives.len(), "no flow has two lives");
    let kept = |number: &u32| half.keeps(ids[&client(*number)]);
    let expect = |flows: Range<u32>, weight: f64, end: End, sight: Sight| {
        for number in flows {
            let life = by_client.get(&client(number));
            if weight > 1.0 && !kept(&number) {
                assert!(life.is_none(), "it is of the other half: {life:#?}");
                continue;
            }
            let life = life.unwrap_or_else(|| panic!("no life of {}", client(number)));
            assert_eq!((life.weight, life.end, life.sight), (weight, end, sight), "{life:#?}");
        }
    };
    expect(OVER, 1.0, End::Reset, Sight::Whole);
    expect(OPEN, 2.0, End::Open, Sight::Broken);
    expect(DELETED, 2.0, End::Unseen, Sight::Broken);
    expect(CAUGHT, 2.0, End::Open, Sight::Broken);
    expect(CAUGHT_AND_DELETED, 2.0, End::Unseen, Sight::Broken);
    expect(AFTER, 2.0, End::Deleted, Sight::Whole);
    // The buffer held the beginnings of some more.
    let recorded_of_lost: Vec<_> = LOST.filter_map(|number| by_client.get(&client(number))).collect();
    assert!((100..540).contains(&recorded_of_lost.len()), "{}", recorded_of_lost.len());
    assert!(recorded_of_lost.iter().all(|life| (life.end, life.sight) == (End::Open, Sight::Broken)));
    for life in AFTER.filter_map(|number| by_client.get(&client(number))) {
        assert_eq!(life.steps.len(), 6, "{life:#?}");
    }
}

#[test]
fn an_end_that_waits_in_the_buffer_is_not_taken_for_one_that_was_lost() {
    const FOLLOWED: Range<u32> = 0..1000;
    let router = ByHand::build().unwrap();
    let wishes = Wishes { buffer_bytes: BUFFER_BYTES, looked_at: 10, ..WISHES };
    let (rows, recorded, ids) = Truth::heard(router.namespace(), |truth| {
        recorded(router.namespace(), wishes, |watched| {
            // One event of each: the buffer holds them, however slow the recorder is.
            FOLLOWED.for_each(|number| Flow::new(number, DELETED_PORT).tcp(&router, Side::Client, SYN, 0));
            watched.hold();
            for number in 10_000..13_000 {
                Flow::new(number, 443).be_refused(&router);
            }
            watched.release();
            until("it knows of a loss", || !watched.changes(ChangeKind::EventsLost).is_empty());
            let lost = Instant::now();
            watched.hold();
            assert!(watched.changes(ChangeKind::Resynchronised).is_empty());
            // When it goes on, a search is due; and these wait.
            delete(router.namespace(), DELETED_PORT);
            sleep_until(lost + Duration::from_millis(1200));
            watched.release();
            until("it has looked for what it lost", || !watched.changes(ChangeKind::Resynchronised).is_empty());
            until("all are over", || {
                let half = SampleShare::ALL.half();
                let ids = truth.ids();
                let kept = FOLLOWED.filter(|number| half.keeps(ids[&client(*number)])).count();
                let is_followed = |life: &&Life| FOLLOWED.map(client).any(|client| client == life.original.source);
                watched.lives().iter().filter(is_followed).count() == kept
            });
            truth.ids()
        })
    });
    assert_eq!((recorded.losses, recorded.unknown), (1, 0), "{recorded:?}");
    let half = SampleShare::ALL.half();
    let lives = lives(&rows);
    for number in FOLLOWED.filter(|number| half.keeps(ids[&client(*number)])) {
        let of_it: Vec<_> = lives.iter().filter(|life| life.original.source == client(number)).collect();
        assert_eq!(
            of_it.iter().map(|life| (life.end, life.sight)).collect::<Vec<_>>(),
            [(End::Deleted, Sight::Broken)]
        );
    }
}
