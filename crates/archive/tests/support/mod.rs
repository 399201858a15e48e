//! Rows for tests, and folders that are removed.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "not every test takes all; a test fails by it"
)]

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plimsoll_model::{Buckets, Capacity, Counter, Layer4, Occupancy, Protocol, Status, TcpState, Timeout, Tuple, Zone};
use plimsoll_recording::{
    Addresses, Began, Change, ChangeKind, Counts, End, FlowKey, GapEnd, IdleGap, Life, Origin, Row, Sight, Sources,
    State, Step, TableReading, Translation, UnixMicros, Volume,
};
use tempfile::TempDir;

/// 26 November 2026, 02:03:04 UTC.
pub const BEGAN: UnixMicros = UnixMicros(1_795_658_584_000_000);

/// A path for a folder, which goes with the test.
pub struct Folder {
    path: PathBuf,
    _around: TempDir,
}

impl Folder {
    /// A path at which nothing is yet.
    pub fn new() -> Self {
        let around = tempfile::tempdir().unwrap();
        Self { path: around.path().join("web.rec"), _around: around }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the files in a table's folder, hidden ones too.
    pub fn names(&self, table: &str) -> Vec<String> {
        let Ok(list) = fs::read_dir(self.path.join(table)) else { return Vec::new() };
        let mut names: Vec<_> = list.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub fn origin() -> Origin {
    Origin {
        written_by: "0.1.0".to_string(),
        kernel: "6.12.0".to_string(),
        host: Some("gateway".to_string()),
        namespace: "host".to_string(),
        began_at: BEGAN,
        sources: Sources::EventsAndLooks,
        addresses: Addresses::Plain,
    }
}

/// The nth life: mostly TCP, some UDP, ICMP, IPv6, translated, without ports.
pub fn life(number: u32) -> Life {
    let mixed = mix(number);
    let client: IpAddr = [10, 1, byte(mixed), byte(mixed >> 8)].into();
    let server: IpAddr = match number % 10 {
        9 => format!("2001:db8::{:x}", mixed & 0xff).parse().unwrap(),
        _ => [192, 0, 2, byte(mixed >> 16) % 20].into(),
    };
    let client = if server.is_ipv6() { format!("2001:db8:1::{:x}", mixed & 0xffff).parse().unwrap() } else { client };
    let ports = |destination| Layer4::Ports { source: 32_768 + u16_of(mixed) % 28_000, destination };
    let (protocol, layer4) = match number % 10 {
        7 => (Protocol::UDP, ports(53)),
        8 if number.is_multiple_of(3) => (Protocol::ICMP, Layer4::Icmp { id: u16_of(mixed), kind: 8, code: 0 }),
        8 => (Protocol(89), Layer4::None),
        _ => (Protocol::TCP, ports(if number.is_multiple_of(4) { 80 } else { 443 })),
    };
    let original = Tuple { source: client, destination: server, protocol, layer4 };
    let mut reply = original.mirrored();
    let mut status = Status::CONFIRMED.and(Status::SEEN_REPLY);
    if number.is_multiple_of(5) {
        reply.source = [172, 16, 0, byte(mixed >> 4) % 8].into();
        status = status.and(Status::DST_NAT);
    }
    let at = BEGAN.plus(Duration::from_micros(u64::from(number) * 33));
    let lasts = u64::from(mixed % 4_000_000);
    let part = |hundredths| at.plus(Duration::from_micros(lasts * hundredths / 100));
    let tcp = [TcpState::SynSent, TcpState::SynRecv, TcpState::Established, TcpState::FinWait, TcpState::TimeWait];
    let path: Vec<State> = match protocol {
        Protocol::TCP => tcp.into_iter().map(State::Tcp).collect(),
        Protocol::UDP => vec![State::Unreplied, State::Replied],
        _ => vec![],
    };
    let steps = path.into_iter().zip([0, 1, 2, 70, 71]).map(|(state, part_of)| Step { at: part(part_of), state });
    Life {
        key: FlowKey(u64::from(number)),
        original,
        reply,
        zone: Zone(u16::from(number.is_multiple_of(100))),
        began: if number.is_multiple_of(50) { Began::Before(at) } else { Began::At(at) },
        steps: steps.collect(),
        ended_at: part(100),
        end: End::ALL[number as usize % End::ALL.len()],
        status,
        volume: (number % 20 != 3).then_some(Volume {
            original: Counts { packets: u64::from(mixed % 40), bytes: u64::from(mixed % 40_000) },
            reply: Counts { packets: u64::from(mixed % 37), bytes: u64::from(mixed % 900_000) },
        }),
        weight: if number.is_multiple_of(200) { 8.0 } else { 1.0 },
        sight: Sight::Whole,
    }
}

pub fn gap(number: u32) -> IdleGap {
    let life = life(number);
    IdleGap {
        key: life.key,
        client: life.original.source,
        server: life.original.destination,
        protocol: life.original.protocol,
        port: life.original.service().map(|service| service.port),
        translation: Translation::of(life.status),
        held_by: if number.is_multiple_of(2) { Timeout::Tcp(TcpState::Established) } else { Timeout::UdpStream },
        armed_secs: 432_000,
        began_at: life.ended_at,
        seen_from: Duration::from_secs(5),
        longer_than: Duration::from_millis(u64::from(number)),
        began_within: Duration::from_micros(u64::from(number % 500)),
        at_most: (!number.is_multiple_of(3)).then_some(Duration::from_millis(u64::from(number) + 5_000)),
        end: GapEnd::ALL[number as usize % GapEnd::ALL.len()],
        weight: 1.5,
    }
}

pub fn reading(number: u32) -> TableReading {
    let mut counters = [None; Counter::ALL.len()];
    counters[Counter::Drop as usize] = Some(u64::from(number));
    counters[Counter::InsertFailed as usize] = Some(u64::from(number) * 7);
    TableReading {
        at: BEGAN.plus(Duration::from_secs(u64::from(number))),
        occupancy: Some(Occupancy(number)),
        capacity: Some(Capacity(262_144)),
        buckets: (number.is_multiple_of(2)).then_some(Buckets(65_536)),
        counters,
        events: u64::from(number) * 100,
        losses: 0,
        dropped_events: None,
        share: 0.25,
        followed: 12,
        looked_at: 34,
    }
}

pub fn setting(name: &str, value: u32) -> Change {
    Change {
        at: BEGAN,
        kind: ChangeKind::Setting,
        what: name.to_string(),
        from: Some("1".to_string()),
        to: Some(value.to_string()),
    }
}

/// Some rows of each table.
pub fn rows(count: u32) -> Vec<Row> {
    let lives = (0..count).map(life).map(Row::Life);
    let gaps = (0..count).map(gap).map(Row::Gap);
    let readings = (0..count / 10).map(reading).map(Row::Reading);
    lives.chain(gaps).chain(readings).chain([Row::Change(setting("nf_conntrack_max", 262_144))]).collect()
}

fn mix(number: u32) -> u32 {
    let mixed = number.wrapping_mul(0x9e37_79b9);
    (mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b)
}

fn byte(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

fn u16_of(number: u32) -> u16 {
    u16::try_from(number >> 16).unwrap()
}
