//! More events than are borne: a share of all flows is followed, and stands for all. Needs root, `ip` and `nft`, and fails
//! without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::time::{Duration, Instant};

use plimsoll_ctnetlink::SampleShare;
use plimsoll_lab::ByHand;
use plimsoll_record::{Bounds, Wishes};
use plimsoll_recording::{ChangeKind, End, Row, Sight};
use support::truth::Truth;
use support::watched::{Watched, changes, lives, recorded};
use support::{Flow, WISHES, sleep_until, until};

const FLOWS: u32 = 8000;
const FLOWS_PER_SEC: u32 = 1000;
/// Each flow lasts for a second and a half, and so over halvings.
const LASTS: u32 = FLOWS_PER_SEC * 3 / 2;
/// Of seven thousand: a quarter is borne.
const BOUNDS: Bounds = Bounds { events_per_sec: 2300, followed: 1_000_000 };

fn play(router: &ByHand, watched: &Watched) {
    let began = Instant::now();
    let mut flows: Vec<Flow> = (0..FLOWS).map(|number| Flow::new(number, 443)).collect();
    for number in 0..FLOWS + LASTS {
        sleep_until(began + Duration::from_secs(1) / FLOWS_PER_SEC * number);
        if let Some(flow) = flows.get_mut(number as usize) {
            flow.open(router);
        }
        if let Some(flow) = number.checked_sub(LASTS).and_then(|number| flows.get_mut(number as usize)) {
            flow.close(router);
        }
    }
    let occupancy = || router.namespace().run(&["cat", "/proc/sys/net/netfilter/nf_conntrack_count"]).unwrap();
    until("all are over", || occupancy().trim() == "0");
    // By its next judgement it has taken all events.
    watched.hold();
    watched.release();
}

#[test]
fn a_share_of_the_flows_stands_for_all_of_them() {
    let router = ByHand::build().unwrap();
    router.namespace().set("net/netfilter/nf_conntrack_tcp_timeout_time_wait", 1).unwrap();
    let wishes = Wishes { bounds: BOUNDS, looked_at: 10, ..WISHES };
    let (rows, recorded, ids) = Truth::heard(router.namespace(), |truth| {
        recorded(router.namespace(), wishes, |watched| {
            play(&router, watched);
            truth.ids()
        })
    });
    assert_eq!(recorded.losses, 0, "{recorded:?}");
    assert_eq!(ids.len(), FLOWS as usize);

    let shares = changes(&rows, ChangeKind::Share);
    assert!((2..=4).contains(&shares.len()), "{shares:#?}");
    for (halvings, change) in shares.iter().enumerate() {
        let text = |halvings: usize| Some(format!("1/{}", 1 << halvings));
        assert_eq!((&change.from, &change.to), (&text(halvings), &text(halvings + 1)), "{shares:#?}");
    }
    let smallest =
        rows.iter().filter_map(|row| if let Row::Reading(reading) = row { Some(reading.share) } else { None });
    let smallest = smallest.fold(1.0, f64::min);
    assert!((smallest - 0.5_f64.powi(i32::try_from(shares.len()).unwrap())).abs() < 1e-9, "readings tell {smallest}");

    let lives = lives(&rows);
    let mut variance = 0.0;
    for life in &lives {
        // Followed for its whole life, or not at all.
        assert_eq!((life.end, life.sight, life.steps.len()), (End::Expired, Sight::Whole, 6), "{life:#?}");
        let halvings = (0..=16).find(|halvings| f64::from(1 << halvings) >= life.weight).unwrap();
        let share = SampleShare::halved(halvings).unwrap();
        assert!((f64::from(share.one_in()) - life.weight).abs() < 1e-9 && share.keeps(ids[&life.original.source]));
        variance += life.weight * (life.weight - 1.0);
    }
    let weighted: f64 = lives.iter().map(|life| life.weight).sum();
    let off = (weighted - f64::from(FLOWS)).abs();
    println!(
        "{} lives stand for {weighted} of {FLOWS}; standard error {:.0}; {recorded:?}",
        lives.len(),
        variance.sqrt()
    );
    assert!(lives.len() < FLOWS as usize / 2, "{}", lives.len());
    assert!(off < 4.0 * variance.sqrt() && off < 0.1 * f64::from(FLOWS), "{weighted} of {FLOWS}");
}
