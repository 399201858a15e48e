//! The recording in `tests/v1` is read for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::path::Path;
use std::time::Duration;

use plimsoll_archive::Archive;
use plimsoll_model::{Capacity, Counter, Layer4, Occupancy, Protocol, Status, TcpState, Timeout};
use plimsoll_recording::{Began, ChangeKind, End, FlowKey, GapEnd, Life, Sight, Translation, UnixMicros};

fn archive() -> Archive {
    Archive::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/v1")).unwrap()
}

#[test]
fn where_it_comes_from() {
    let archive = archive();
    let [origin] = archive.origins() else { panic!("{archive:?}") };
    assert_eq!((origin.kernel.as_str(), origin.host.as_deref()), ("6.12.0", Some("gateway")));
    assert_eq!(origin.began_at, UnixMicros(1_795_658_584_000_000));
}

#[test]
fn lives() {
    let lives: Vec<_> = archive().lives().unwrap().map(Result::unwrap).collect();
    assert_eq!(lives.len(), 40);
    let sum = |of: fn(&Life) -> u64| lives.iter().map(of).sum::<u64>();
    assert_eq!(sum(|life| life.steps.len() as u64), 168);
    assert_eq!(sum(|life| life.volume.map_or(0, |volume| volume.original.bytes + volume.reply.bytes)), 19_560_922);
    assert_eq!(sum(|life| u64::from(life.volume.is_some())), 38);
    assert!((lives.iter().map(|life| life.weight).sum::<f64>() - 47.0).abs() < 1e-9);

    let life = |key| lives.iter().find(|life| life.key == FlowKey(key)).unwrap();
    let translated = life(5);
    assert_eq!(translated.original.protocol, Protocol::TCP);
    assert_eq!(translated.original.source.to_string(), "10.1.125.76");
    assert_eq!(translated.original.layer4, Layer4::Ports { source: 56_737, destination: 443 });
    assert_eq!(translated.reply.source.to_string(), "172.16.0.7");
    assert_eq!(translated.reply.layer4, Layer4::Ports { source: 443, destination: 56_737 });
    assert!(translated.status.has(Status::DST_NAT));
    assert_eq!(translated.began, Began::At(UnixMicros(1_795_658_584_000_165)));
    assert_eq!(translated.ended_at, UnixMicros(1_795_658_585_860_130));
    assert_eq!((translated.end, translated.sight), (End::Unseen, Sight::Whole));
    let names: Vec<_> = translated.steps.iter().map(|step| step.state.name()).collect();
    assert_eq!(names, ["SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "TIME_WAIT"]);
    assert_eq!(translated.steps[3].at, UnixMicros(1_795_658_585_302_140));
    let original = translated.volume.unwrap().original;
    assert_eq!((original.packets, original.bytes), (5, 19_965));

    assert!(matches!(life(18).original.layer4, Layer4::Icmp { id: 13_812, kind: 8, code: 0 }));
    assert_eq!((life(8).original.protocol, life(8).original.layer4), (Protocol(89), Layer4::None));
    assert_eq!(life(9).original.source.to_string(), "2001:db8:1::390d");
    assert_eq!((life(0).began, life(0).zone.0), (Began::Before(UnixMicros(1_795_658_584_000_000)), 1));
}

#[test]
fn gaps() {
    let gaps: Vec<_> = archive().gaps().unwrap().map(Result::unwrap).collect();
    assert_eq!(gaps.len(), 40);
    assert_eq!(gaps.iter().map(|gap| gap.longer_than.as_micros()).sum::<u128>(), 780_000);
    assert_eq!(gaps.iter().filter(|gap| gap.at_most.is_some()).count(), 26);
    let gap = gaps.iter().find(|gap| gap.key == FlowKey(8)).unwrap();
    assert_eq!((gap.held_by, gap.armed_secs), (Timeout::Tcp(TcpState::Established), 432_000));
    assert_eq!((gap.end, gap.port), (GapEnd::Packet, None));
    assert_eq!(gap.at_most, Some(Duration::from_millis(5_008)));
    let translated = gaps.iter().filter(|gap| gap.translation == Translation::Destination).count();
    assert_eq!(translated, 8);
}

#[test]
fn readings_and_changes() {
    let readings: Vec<_> = archive().readings().unwrap().map(Result::unwrap).collect();
    let drops: Vec<_> = readings.iter().map(|reading| reading.counters[Counter::Drop as usize]).collect();
    assert_eq!(drops, [Some(3), Some(2), Some(1), Some(0)]);
    assert_eq!(readings[0].occupancy, Some(Occupancy(3)));
    assert_eq!((readings[0].capacity, readings[0].buckets), (Some(Capacity(262_144)), None));
    assert_eq!(readings[0].counters[Counter::Found as usize], None);

    let changes: Vec<_> = archive().changes().unwrap().map(Result::unwrap).collect();
    let told: Vec<_> =
        changes.iter().map(|change| (change.at.0, change.from.as_deref(), change.to.as_deref())).collect();
    let both = [(1_795_658_584_000_000, Some("1"), Some("262144")), (1_795_658_644_000_000, None, Some("262144"))];
    assert_eq!(told, both);
    assert!(changes.iter().all(|one| one.kind == ChangeKind::Setting && one.what == "nf_conntrack_max"));
}
