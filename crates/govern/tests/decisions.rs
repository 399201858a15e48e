//! What a governor decides, whatever comes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
#![allow(clippy::unchecked_time_subtraction, reason = "the later minus the earlier; else it panics")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plimsoll_draw::Draw;
use plimsoll_govern::{Floors, Governor, Outlook, Reading, Rules, Scale, Step};
use plimsoll_model::{Capacity, Occupancy, TcpState, Timeout, Timeouts};
use proptest::prelude::*;

const TIME_WAIT: Timeout = Timeout::Tcp(TcpState::TimeWait);
const ESTABLISHED: Timeout = Timeout::Tcp(TcpState::Established);
const BASE: [(Timeout, u32); 4] = [(TIME_WAIT, 120), (ESTABLISHED, 432_000), (Timeout::Udp, 30), (Timeout::Icmp, 30)];
/// ICMP has none; UDP's is above what is in force.
const FLOORS: [(Timeout, u32); 3] = [(TIME_WAIT, 30), (ESTABLISHED, 7275), (Timeout::Udp, 60)];
const GOVERNED: [Timeout; 2] = [TIME_WAIT, ESTABLISHED];
const CAPACITY: u32 = 1000;

/// A namespace without a kernel: timeouts are what was written last.
struct World {
    governor: Governor,
    timeouts: BTreeMap<Timeout, u32>,
    now: Duration,
    /// When timeouts were set, and to what scale.
    changes: Vec<(Duration, Scale)>,
    /// When entries were trimmed, and how full the table was.
    trims: Vec<(Duration, u32)>,
    left: Vec<Timeout>,
}

impl World {
    fn new() -> Self {
        let floors: Floors = FLOORS.into_iter().collect();
        Self {
            governor: Governor::new(Rules::default(), floors).unwrap(),
            timeouts: BASE.into_iter().collect(),
            now: Duration::from_secs(1000),
            changes: Vec::new(),
            trims: Vec::new(),
            left: Vec::new(),
        }
    }

    fn step(&mut self, after: Duration, occupancy: u32, outlook: Outlook) -> Vec<Step> {
        self.now += after;
        let timeouts: Timeouts = self.timeouts.iter().map(|(timeout, secs)| (*timeout, *secs)).collect();
        let reading = Reading { occupancy: Occupancy(occupancy), capacity: Capacity(CAPACITY), timeouts, outlook };
        let steps = self.governor.decide(self.now, &reading);
        for step in &steps {
            match step {
                Step::Set { to, settings, .. } => {
                    self.changes.push((self.now, *to));
                    self.timeouts.extend(settings.iter().map(|one| (one.timeout, one.secs)));
                }
                Step::Restore { .. } => {
                    // Where all are somebody else's nothing is changed.
                    let ours = |timeout: &Timeout| GOVERNED.contains(timeout) && !self.left.contains(timeout);
                    let back: Vec<_> = BASE.into_iter().filter(|(timeout, _)| ours(timeout)).collect();
                    if !back.is_empty() {
                        self.changes.push((self.now, Scale::WHOLE));
                    }
                    self.timeouts.extend(back);
                }
                Step::Trim { .. } => self.trims.push((self.now, occupancy)),
                Step::Leave { timeout, .. } => self.left.push(*timeout),
            }
        }
        steps
    }

    fn secs(&self, timeout: Timeout) -> u32 {
        self.timeouts[&timeout]
    }
}

const TEN: Duration = Duration::from_secs(10);

#[test]
fn it_shrinks_in_proportion_and_restores_after_a_while() {
    let mut world = World::new();
    assert!(world.step(TEN, 600, Outlook::Room).is_empty());
    world.step(TEN, 750, Outlook::Room);
    assert_eq!(
        (world.secs(TIME_WAIT), world.secs(ESTABLISHED), world.governor.scale().to_string()),
        (84, 302_400, "70%".to_string())
    );
    assert_eq!((world.secs(Timeout::Udp), world.secs(Timeout::Icmp)), (30, 30), "below its floor, and without one");
    // Fuller than full, as far as its floor.
    world.step(TEN, 1100, Outlook::Room);
    assert_eq!((world.secs(TIME_WAIT), world.secs(ESTABLISHED)), (30, 43_200));
    for _ in 0..12 {
        assert!(world.step(TEN, 700, Outlook::Room).is_empty(), "not yet");
    }
    world.step(TEN, 500, Outlook::Room);
    assert_eq!(world.secs(TIME_WAIT), 96, "what it asked for at most while it was waited");
    for _ in 0..13 {
        world.step(TEN, 500, Outlook::Room);
    }
    assert_eq!((world.secs(TIME_WAIT), world.secs(ESTABLISHED)), (120, 432_000));
    assert_eq!(world.governor.scale(), Scale::WHOLE);
}

#[test]
fn what_will_be_full_is_taken_for_full_and_trimmed_as_rarely_as_it_costs() {
    let mut world = World::new();
    let steps = world.step(TEN, 100, Outlook::Saturates);
    let [Step::Set { to, .. }, Step::Trim { as_if, why }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(to.to_string(), "30%");
    assert_eq!(as_if[..], [(ESTABLISHED, 7275), (TIME_WAIT, 30)]);
    assert_eq!(why.to_string(), "the table is 10% full, and is going to be full");
    // A trim of two seconds is worth forty of rest.
    world.governor.trimmed(world.now, Duration::from_secs(2));
    let began = world.now;
    for _ in 0..10 {
        world.step(TEN, 100, Outlook::Saturates);
    }
    assert_eq!(world.trims[1].0 - began, Duration::from_secs(40));
    assert_eq!(world.trims[2].0 - world.trims[1].0, Duration::from_secs(20), "else every 15 s, at readings");
}

#[test]
fn the_less_room_is_left_the_sooner_it_is_trimmed_again() {
    let pause_secs = |occupancy| {
        let mut world = World::new();
        (0..60).for_each(|_| drop(world.step(Duration::from_secs(1), occupancy, Outlook::Saturates)));
        (world.trims[1].0 - world.trims[0].0).as_secs()
    };
    // Readings come each second.
    assert_eq!([100, 600, 800, 900, 1000, 1100].map(pause_secs), [15, 15, 8, 4, 1, 1]);
}

#[test]
fn without_a_limit_or_without_anything_to_govern_nothing_is_done() {
    let mut governor = Governor::new(Rules::default(), FLOORS.into_iter().collect()).unwrap();
    let reading = |capacity| Reading {
        occupancy: Occupancy(900),
        capacity: Capacity(capacity),
        timeouts: BASE.into_iter().collect(),
        outlook: Outlook::Room,
    };
    assert!(governor.decide(TEN, &reading(0)).is_empty());
    let mut without = Governor::new(Rules::default(), Floors::new()).unwrap();
    assert!(without.decide(TEN, &reading(CAPACITY)).is_empty());
    let unread = Reading { timeouts: Timeouts::default(), ..reading(CAPACITY) };
    assert!(governor.decide(TEN, &unread).is_empty(), "what is not known is not shrunk");
    assert_eq!(governor.decide(TEN, &reading(CAPACITY)).len(), 1);
    assert!(governor.decide(TEN * 2, &unread).is_empty(), "what was not read is not somebody else's");
}

#[test]
fn what_others_have_ended_begins_anew_from_what_is_in_force_then() {
    let mut world = World::new();
    world.step(TEN, 900, Outlook::Room);
    // Somebody raises the limit, or applies a plan.
    world.timeouts.extend(BASE);
    world.timeouts.insert(TIME_WAIT, 60);
    world.governor.ended(world.now);
    assert!(world.step(Duration::from_secs(9), 900, Outlook::Room).is_empty());
    world.step(Duration::from_secs(1), 900, Outlook::Room);
    assert_eq!((world.secs(TIME_WAIT), world.left.len()), (30, 0));
}

/// A reading: how long after the last one, how full, where it leads, and what somebody else sets.
type Drawn = (u64, u32, bool, Option<(usize, u32)>);

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let other = prop::option::weighted(0.02, (0..GOVERNED.len(), 1_u32..500));
    prop::collection::vec((1_u64..60, 0_u32..1300, prop::bool::weighted(0.1), other), 1..300)
}

const fn outlook(saturates: bool) -> Outlook {
    if saturates { Outlook::Saturates } else { Outlook::Room }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    /// Never below a floor, never above what it was, not too often, and nothing that is somebody else's.
    #[test]
    fn whatever_comes_rules_are_kept(readings in drawn()) {
        let mut world = World::new();
        let mut theirs: BTreeSet<Timeout> = BTreeSet::new();
        for (after, occupancy, saturates, other) in readings {
            let is_at_rest = world.governor.scale() == Scale::WHOLE;
            if let Some((which, secs)) = other {
                let (timeout, base) = (GOVERNED[which], BASE[which].1);
                // At rest it is what the governor begins with; that is another test's.
                if !is_at_rest && secs != base && secs != world.secs(timeout) {
                    world.timeouts.insert(timeout, secs);
                    theirs.insert(timeout);
                }
            }
            let expected: Vec<_> = theirs.iter().map(|timeout| (*timeout, world.secs(*timeout))).collect();
            world.step(Duration::from_secs(after), occupancy, outlook(saturates));
            for (timeout, secs) in expected {
                prop_assert_eq!(world.secs(timeout), secs, "somebody else's");
            }
            for (timeout, base) in BASE.into_iter().filter(|(timeout, _)| !theirs.contains(timeout)) {
                let floor = FLOORS.iter().find(|(of, _)| *of == timeout).map_or(base, |(_, floor)| (*floor).min(base));
                prop_assert!((floor..=base).contains(&world.secs(timeout)), "{timeout:?}: {}", world.secs(timeout));
            }
        }
        for pair in world.changes.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 >= Rules::default().at_most_every);
            prop_assert!(pair[1].1 != pair[0].1, "a change changes something");
        }
        for pair in world.trims.windows(2) {
            let room = f64::from(CAPACITY.saturating_sub(pair[1].1)) / 400.0;
            prop_assert!(pair[1].0 - pair[0].0 >= Rules::default().trim_every.mul_f64(room.min(1.0)));
        }
        prop_assert_eq!(world.left.len(), theirs.len(), "each is told once: {:?}", world.left);
    }

    /// The fuller, the shorter.
    #[test]
    fn a_fuller_table_never_has_longer_timeouts(less in 0_u32..1500, more in 0_u32..1500) {
        let (less, more) = (less.min(more), less.max(more));
        let secs = |occupancy| {
            let mut world = World::new();
            world.step(TEN, occupancy, Outlook::Room);
            [world.secs(TIME_WAIT), world.secs(ESTABLISHED)]
        };
        let (of_less, of_more) = (secs(less), secs(more));
        prop_assert!(of_more[0] <= of_less[0] && of_more[1] <= of_less[1]);
    }

}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// A table that is about as full all the time, however it jitters: timeouts come to rest.
    #[test]
    fn noise_is_no_reason_to_shrink_and_restore_to_and_fro(level in 500_u32..1000, seed in any::<u64>()) {
        let mut world = World::new();
        let mut draw = Draw::new(seed);
        for _ in 0..6 * 360 {
            let (noise, saturates) = (draw.below(80), draw.below(50) == 0);
            world.step(TEN, level + noise, outlook(saturates));
        }
        // In six hours. With the same patience each time it would be hundreds.
        prop_assert!(world.changes.len() <= 60, "{} changes", world.changes.len());
    }

    /// Entries follow timeouts: shrinking empties the table, growing fills it. What comes is more than fits, up to two and a half times
    /// as much.
    #[test]
    fn a_storm_that_lasts_is_held_without_swinging(per_sec in 9_u32..=21) {
        let mut world = World::new();
        // When each second's entries came, and when they go.
        let mut born: Vec<(u32, u32)> = Vec::new();
        let mut most = 0;
        for second in 0..7200_u32 {
            born.push((second, second + world.secs(TIME_WAIT)));
            born.retain(|(_, goes)| second < *goes);
            let occupancy = u32::try_from(born.len()).unwrap() * per_sec;
            most = most.max(occupancy);
            if second % 10 == 0 {
                let there_in = |secs: u32| {
                    let stay = born.iter().filter(|(_, goes)| *goes > second + secs).count();
                    (u32::try_from(stay).unwrap() + secs.min(world.secs(TIME_WAIT))) * per_sec
                };
                let outlook = outlook((10..=120).step_by(10).any(|secs| there_in(secs) > CAPACITY));
                if world.step(TEN, occupancy, outlook).iter().any(|step| matches!(step, Step::Trim { .. })) {
                    born.retain(|(born, _)| second - born <= 30);
                }
            }
        }
        prop_assert!(most <= CAPACITY, "{most} entries");
        prop_assert!(world.changes.len() <= 60, "{} changes in two hours: {:?}", world.changes.len(), world.changes);
    }
}
