//! The intervals of a sample cover the truth as often as they say, and gc's work at the beginning is recognised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of a few hundred thousand")]

use std::net::Ipv4Addr;

use plimsoll_census::{Armings, Counting, DumpNotes, GOAL_HALF_WIDTH};
use plimsoll_model::{
    Census, Coverage, Entry, Homogeneity, Layer4, Occupancy, Policies, Protocol, ProtocolState, Status, StoppedBecause,
    TcpState, Timeouts, Tuple,
};

/// A sequence of numbers without pattern (`SplitMix64`), so that a seed makes a draw repeatable.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((u128::from(z ^ (z >> 31)) * bound as u128) >> 64).unwrap()
    }

    fn shuffle<T>(&mut self, items: &mut [T], first: usize) {
        for at in 0..first.min(items.len()) {
            let other = at + self.below(items.len() - at);
            items.swap(at, other);
        }
    }
}

fn entry(number: u32, state: TcpState, status: Status) -> Entry {
    let source = Ipv4Addr::from_bits(0x0a00_0000 | number).into();
    let layer4 = Layer4::Ports { source: 1024, destination: 443 };
    let tuple = Tuple { source, destination: Ipv4Addr::LOCALHOST.into(), protocol: Protocol::TCP, layer4 };
    Entry { id: number, status, state: ProtocolState::Tcp(state), remaining_secs: Some(10), ..Entry::of(tuple) }
}

const ASSURED: Status = Status::SEEN_REPLY.and(Status::ASSURED);

/// Shares of 50, 30, 12, 5, 2.5 and 0.5 %: from the least certain to the rare.
const SHARES: [(TcpState, Status, usize); 6] = [
    (TcpState::TimeWait, ASSURED, 1000),
    (TcpState::Established, ASSURED, 600),
    (TcpState::SynSent, Status(0), 240),
    (TcpState::CloseWait, ASSURED, 100),
    (TcpState::SynRecv, Status::SEEN_REPLY, 50),
    (TcpState::Close, ASSURED, 10),
];

fn population(entries: usize) -> Vec<Entry> {
    let all: usize = SHARES.iter().map(|(_, _, weight)| weight).sum();
    let states = SHARES
        .iter()
        .flat_map(|(state, status, weight)| std::iter::repeat_n((*state, *status), weight * entries / all));
    states.enumerate().map(|(number, (state, status))| entry(number as u32, state, status)).collect()
}

/// Reads the beginning of a dump as `check` does: datagram by datagram until it is precise enough.
fn sampled(dump: &[Entry]) -> Census {
    const DATAGRAM: usize = 120;
    let occupancy = Occupancy(dump.len() as u32);
    let mut counting = Counting::new(Armings::in_force(&Timeouts::default(), Policies::None, u32::MAX));
    for datagram in dump.chunks(DATAGRAM) {
        for entry in datagram {
            counting.add(entry);
        }
        if counting.is_precise_enough(occupancy) {
            let coverage = Coverage::Sample { because: StoppedBecause::PreciseEnough };
            return counting.finish(coverage, occupancy, DumpNotes::default());
        }
    }
    counting.finish(Coverage::Complete, occupancy, DumpNotes::default())
}

#[test]
fn intervals_cover_the_truth_in_at_least_93_percent_of_1000_draws() {
    const DRAWS: u64 = 1000;
    let mut dump = population(200_000);
    let mut covered = [0_u64; SHARES.len()];
    let mut alike = 0;
    for seed in 0..DRAWS {
        Random(seed).shuffle(&mut dump, 12_000);
        let census = sampled(&dump);
        assert!(census.read < 12_000, "seed {seed}: {} entries were read", census.read);
        for (index, (state, _, weight)) in SHARES.iter().enumerate() {
            let truth = *weight as f64 / 2000.0;
            let group = census.states.iter().find(|group| group.key.state == ProtocolState::Tcp(*state));
            let count = group.unwrap_or_else(|| panic!("seed {seed}: no entry in {state:?}")).count;
            assert!(count.share.half_width() <= GOAL_HALF_WIDTH, "seed {seed}: {state:?} {:?}", count.share);
            covered[index] += u64::from(count.share.covers(truth));
            assert!(count.entries.low <= (truth * 200_000.0) as u64, "seed {seed}: {state:?} {:?}", count.entries);
        }
        alike += u64::from(matches!(census.homogeneity, Homogeneity::Alike { .. }));
    }
    for (covered, (state, ..)) in covered.iter().zip(SHARES) {
        assert!(covered * 100 >= DRAWS * 93, "{state:?}: {covered} of {DRAWS} draws");
    }
    assert!(alike >= DRAWS - 1, "a uniform dump was taken for an uneven one in {} of {DRAWS} draws", DRAWS - alike);
}

#[test]
fn a_small_table_is_read_to_its_end_and_has_no_error() {
    let mut dump = population(2000);
    Random(1).shuffle(&mut dump, 2000);
    let census = sampled(&dump);
    assert_eq!(census.read, 2000);
    assert!(census.states.iter().all(|group| group.count.share.half_width() == 0.0 && group.count.entries.is_exact()));
}

/// gc under pressure has killed four in five of the entries that are closing or not assured, in the first tenth.
fn after_gc_pressure(seed: u64) -> Vec<Entry> {
    let mut dump = population(200_000);
    let mut random = Random(seed);
    random.shuffle(&mut dump, 200_000);
    let swept = dump.len() / 10;
    let mut position = 0;
    dump.retain(|entry| {
        position += 1;
        let killed = position <= swept && (entry.is_killable() || entry.is_closing()) && random.below(5) < 4;
        !killed
    });
    dump
}

#[test]
fn gc_pressure_at_the_beginning_of_a_dump_is_recognised() {
    for seed in 0..20 {
        let dump = after_gc_pressure(seed);
        let mut counting = Counting::new(Armings::in_force(&Timeouts::default(), Policies::None, u32::MAX));
        for entry in &dump {
            counting.add(entry);
        }
        assert!(counting.is_uneven());
        let census = counting.finish(Coverage::Complete, Occupancy(dump.len() as u32), DumpNotes::default());
        match census.homogeneity {
            Homogeneity::GcPressure { share_in_first, share_in_rest, first_read, .. } => {
                assert!(share_in_first < share_in_rest / 1.5, "seed {seed}: {:?}", census.homogeneity);
                assert!(first_read < dump.len() as u64 / 4, "seed {seed}: {:?}", census.homogeneity);
            }
            other => panic!("seed {seed}: {other:?}"),
        }
    }
}

#[test]
fn unevenness_of_another_kind_is_not_blamed_on_gc() {
    // The other way round: the first part is richer in what gc kills.
    let mut dump = after_gc_pressure(7);
    dump.reverse();
    let mut counting = Counting::new(Armings::in_force(&Timeouts::default(), Policies::None, u32::MAX));
    for entry in &dump {
        counting.add(entry);
    }
    let census = counting.finish(Coverage::Complete, Occupancy(dump.len() as u32), DumpNotes::default());
    assert!(matches!(census.homogeneity, Homogeneity::Uneven { .. }), "{:?}", census.homogeneity);
}

#[test]
fn an_entry_that_a_dump_shows_twice_counts_once_and_two_that_share_an_id_count_twice() {
    let mut counting = Counting::new(Armings::in_force(&Timeouts::default(), Policies::None, u32::MAX));
    let first = entry(1, TcpState::Established, ASSURED);
    let same_id = Entry { id: 1, ..entry(2, TcpState::Established, ASSURED) };
    for shown in [first, same_id, first, entry(3, TcpState::Established, ASSURED), same_id] {
        counting.add(&shown);
    }
    let census = counting.finish(Coverage::Complete, Occupancy(3), DumpNotes::default());
    assert_eq!((census.read, census.duplicates), (3, 2));
}

#[test]
fn an_offloaded_entry_is_a_class_of_its_own() {
    let mut counting = Counting::new(Armings::in_force(&Timeouts::default(), Policies::None, u32::MAX));
    let offloaded = Entry {
        status: ASSURED.and(Status::OFFLOAD),
        state: ProtocolState::None,
        remaining_secs: None,
        ..entry(1, TcpState::Established, ASSURED)
    };
    counting.add(&offloaded);
    counting.add(&entry(2, TcpState::Established, ASSURED));
    let census = counting.finish(Coverage::Complete, Occupancy(2), DumpNotes::default());
    assert_eq!(census.offloaded.seen, 1);
    assert_eq!(census.killable.seen, 0);
    let names: Vec<_> = census.states.iter().map(|group| group.key.to_string()).collect();
    assert!(names.contains(&"tcp".to_string()) && names.contains(&"tcp ESTABLISHED".to_string()), "{names:?}");
}
