//! Flows with known lives and known silences, recorded from the running kernel: needs root, `ip` and `nft`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use plimsoll_draw::Draw;
use plimsoll_lab::{ByHand, Side};
use plimsoll_model::{TcpState, Timeout};
use plimsoll_record::{History, Wishes};
use plimsoll_recording::{Began, End, GapEnd, IdleGap, Row, Sight, Sources, State, UnixMicros};
use support::watched::lives;
use support::{ACK, Flow, RST, WISHES, now, recorded, sleep_until};

const FLOWS: u32 = 400;
const LASTS: Duration = Duration::from_secs(24);

/// What really happened to a flow.
#[derive(Debug, Default)]
struct Truth {
    began: UnixMicros,
    /// Packets that go both ways at once.
    talks: Vec<UnixMicros>,
    closed: Option<UnixMicros>,
}

/// Opens connections, has each talk at times drawn from half a second to eight seconds apart, and closes most: a third by
/// FIN, a third by RST.
fn play(router: &ByHand, seed: u64) -> HashMap<IpAddr, Truth> {
    let mut draw = Draw::new(seed);
    let began = Instant::now();
    let mut flows: Vec<_> = (0..FLOWS).map(|number| (number, Flow::new(number, 443))).collect();
    let mut truths: HashMap<IpAddr, Truth> = HashMap::new();
    let mut agenda = std::collections::BinaryHeap::new();
    for number in 0..FLOWS {
        let first = Duration::from_secs_f64(draw.fraction() * 6.0);
        agenda.push(std::cmp::Reverse((first, number)));
    }
    while let Some(std::cmp::Reverse((due, number))) = agenda.pop() {
        sleep_until(began + due);
        let flow = &mut flows[number as usize].1;
        let truth = truths.entry(flow.client.ip()).or_default();
        let gap = Duration::from_secs_f64(0.5 + draw.fraction() * 7.5);
        if truth.talks.is_empty() {
            truth.began = now();
            flow.open(router);
        }
        let is_last = due + gap + Duration::from_secs(4) > LASTS;
        match (is_last, number % 3) {
            (false, _) => {
                flow.talk(router);
                truth.talks.push(now());
                agenda.push(std::cmp::Reverse((due + gap, number)));
            }
            (true, 0) => {
                flow.close(router);
                truth.closed = Some(now());
            }
            (true, 1) => {
                flow.tcp(router, Side::Server, RST | ACK, 0);
                truth.closed = Some(now());
            }
            (true, _) => {}
        }
    }
    sleep_until(began + LASTS);
    truths
}

fn router() -> ByHand {
    let router = ByHand::build().unwrap();
    for (name, secs) in [("time_wait", 1), ("close", 1), ("established", 3600)] {
        router.namespace().set(&format!("net/netfilter/nf_conntrack_tcp_timeout_{name}"), secs).unwrap();
    }
    router
}

fn seconds(from: UnixMicros, to: UnixMicros) -> f64 {
    (to.0 - from.0) as f64 / 1e6
}

/// Every silence that was recorded is one that was, and lies within what was said of it.
fn hold_gaps_against(gaps: &[IdleGap], truths: &HashMap<IpAddr, Truth>) -> usize {
    // Ours and the kernel's clock, the player's own delay.
    const SLACK: f64 = 0.05;
    let mut held = 0;
    for gap in gaps.iter().filter(|gap| gap.held_by == Timeout::Tcp(TcpState::Established)) {
        let truth = &truths[&gap.client];
        let packets: Vec<_> =
            std::iter::once(truth.began).chain(truth.talks.iter().copied()).chain(truth.closed).collect();
        let give = gap.began_within.as_secs_f64() + SLACK;
        let (low, high) = (gap.longer_than.as_secs_f64() - give, gap.at_most.map(|high| high.as_secs_f64() + give));
        // Between a packet at about its beginning and the next one.
        let is_one = |(place, from): (usize, &UnixMicros)| {
            let lasted = packets.get(place + 1).map(|next| seconds(*from, *next));
            let fits = match (lasted, high) {
                (Some(lasted), Some(high)) => low <= lasted && lasted <= high,
                (Some(lasted), None) => low <= lasted,
                (None, high) => high.is_none() && gap.end != GapEnd::Packet,
            };
            fits && seconds(*from, gap.began_at).abs() < give
        };
        assert!(packets.iter().enumerate().any(is_one), "{gap:#?} {truth:#?}");
        held += 1;
    }
    held
}

fn gaps(rows: &[Row]) -> Vec<IdleGap> {
    rows.iter().filter_map(|row| if let Row::Gap(gap) = row { Some(gap.clone()) } else { None }).collect()
}

#[test]
fn lives_from_events_and_silences_from_looks_agree_with_what_was_sent() {
    use TcpState::{Close, Established, FinWait, LastAck, SynRecv, SynSent, TimeWait};
    let router = router();
    let (rows, recorded, truths) = recorded(router.namespace(), WISHES, || play(&router, 7));
    assert_eq!((recorded.losses, recorded.unknown), (0, 0), "{recorded:?}");

    let lives = lives(&rows);
    assert_eq!(lives.len(), FLOWS as usize);
    for life in &lives {
        let truth = &truths[&life.original.source];
        let Began::At(began) = life.began else { panic!("{life:#?}") };
        assert!(seconds(truth.began, began).abs() < 0.3, "{life:#?} {truth:#?}");
        let states: Vec<_> = life.steps.iter().map(|step| step.state).collect();
        let tcp = |states: &[TcpState]| states.iter().map(|state| State::Tcp(*state)).collect::<Vec<_>>();
        let open = [SynSent, SynRecv, Established];
        let (expected, end) = match life.original.source {
            IpAddr::V4(client) => match (client.to_bits() - 0x0a00_0001) % 3 {
                0 => ([&open[..], &[FinWait, LastAck, TimeWait]].concat(), End::Expired),
                1 => ([&open[..], &[Close]].concat(), End::Reset),
                _ => (open.to_vec(), End::Open),
            },
            IpAddr::V6(_) => panic!("{life:#?}"),
        };
        assert_eq!((states, life.end, life.sight), (tcp(&expected), end, Sight::Whole), "{life:#?}");
    }

    let gaps = gaps(&rows);
    let held = hold_gaps_against(&gaps, &truths);
    let sent: usize = truths.values().map(|truth| truth.talks.len()).sum();
    println!("{held} silences of {sent} recorded; {recorded:?}");
    assert!(held * 2 > sent, "{held} silences of {sent}: nearly all of those over a second can be seen");
}

#[test]
fn looks_alone_tell_the_same_silences() {
    let router = router();
    let wishes = Wishes { sources: Sources::Looks, ..WISHES };
    let (rows, recorded, truths) = recorded(router.namespace(), wishes, || play(&router, 8));
    assert_eq!(recorded.events, 0);
    let lives = lives(&rows);
    assert!(lives.iter().all(|life| life.sight == Sight::Looks));
    assert!(lives.len() >= FLOWS as usize, "{} lives", lives.len());
    let held = hold_gaps_against(&gaps(&rows), &truths);
    assert!(held > 1000, "{held}");
}

/// Connections that are silent for seven seconds under a timeout of five: each time another entry takes the flow up, and the
/// silence before it has expired, whichever way it is recorded.
#[test]
fn an_entry_that_was_made_anew_did_not_outlast_its_timeout() {
    for sources in [Sources::EventsAndLooks, Sources::Looks] {
        let router = ByHand::build().unwrap();
        router.namespace().set("net/netfilter/nf_conntrack_tcp_timeout_established", 5).unwrap();
        let (rows, ..) =
            recorded(router.namespace(), Wishes { sources, history: History::Unchanged, ..WISHES }, || {
                let began = Instant::now();
                let mut flows: Vec<_> = (0..50).map(|number| Flow::new(number, 443)).collect();
                for flow in &mut flows {
                    flow.open(&router);
                }
                for round in 0..3 {
                    sleep_until(began + Duration::from_secs(7 * round));
                    for flow in &mut flows {
                        flow.talk(&router);
                    }
                }
            });
        let gaps = gaps(&rows);
        let established = || gaps.iter().filter(|gap| gap.held_by == Timeout::Tcp(TcpState::Established));
        let expired = established().filter(|gap| gap.end == GapEnd::Expired).count();
        assert!(expired >= 90, "{expired} of 100 have expired by {sources:?}");
        for gap in established().filter(|gap| gap.end == GapEnd::Packet) {
            assert!(gap.longer_than < Duration::from_secs(5), "by {sources:?}: {gap:#?}");
        }
    }
}
