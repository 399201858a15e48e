//! Flows that begin while a recording does. Needs root, `ip`, `nft` and `conntrack`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;

use plimsoll_lab::ByHand;
use plimsoll_recording::{Began, End, Sight};
use support::watched::{lives, recorded_from};
use support::{Flow, WISHES, until};

#[test]
fn a_flow_that_the_first_look_shows_and_an_event_tells_has_one_life() {
    const BEFORE: u32 = 100;
    const MEANWHILE: u32 = 50;
    let router = ByHand::build().unwrap();
    (0..BEFORE).for_each(|number| Flow::new(number, 443).open(&router));
    let meanwhile = || (BEFORE..BEFORE + MEANWHILE).for_each(|number| Flow::new(number, 443).open(&router));
    let (rows, recorded, ()) = recorded_from(router.namespace(), WISHES, &meanwhile, |watched| {
        router.namespace().run(&["conntrack", "-D", "-p", "tcp"]).unwrap();
        until("all are over", || watched.lives().len() >= (BEFORE + MEANWHILE) as usize);
    });
    assert_eq!(recorded.losses, 0);
    let mut told: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for life in lives(&rows) {
        told.entry(life.original.source).or_default().push(life);
    }
    assert_eq!(told.len(), (BEFORE + MEANWHILE) as usize);
    for (number, lives) in told.values().enumerate() {
        let [life] = &lives[..] else { panic!("{} lives of one flow: {lives:#?}", lives.len()) };
        let is_before = number < BEFORE as usize;
        // Whoever was there before anybody listened is known from looks alone.
        let (end, sight) = if is_before { (End::Unseen, Sight::Looks) } else { (End::Deleted, Sight::Whole) };
        assert_eq!((life.end, life.sight), (end, sight), "{life:#?}");
        assert_eq!(matches!(life.began, Began::Before(_)), is_before, "{life:#?}");
        assert!((life.weight - 1.0).abs() < 1e-9, "{life:#?}");
    }
}
