//! A storm of short connections, past connections that live.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_ctnetlink::{Dump, Unknowns};
use plimsoll_govern::{Floors, Governor, Outlook, Reading, Rules, Scale, Steward};
use plimsoll_host::{HostFs, NetFiles, monotonic_now};
use plimsoll_lab::{LabNamespace, Router};
use plimsoll_model::{Counter, Layer4, Occupancy, TcpState, Timeout};
use plimsoll_scenario::{Scenario, Size};
use serde_json::json;

/// Whether the table is left to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Stock,
    Governed,
}

/// Sixty connections a second, each of which leaves an entry for two minutes, are 7200 entries where 2000 fit. The others are used
/// every few seconds, or are silent while it lasts, and speak at its end.
const STORM: &str = r#"
name = "storm"
title = ""
about = ""
[play]
secs = 55
check_at_secs = 1
[[traffic]]
name = "talk"
count = 50
until_secs = 6
clients = { in = "10.2.0.0/16", hosts = 50 }
servers = { in = "192.0.2.20", ports = 443 }
script = "talk"
[[traffic]]
name = "are silent"
count = 50
until_secs = 6
clients = { in = "10.3.0.0/16", hosts = 50 }
servers = { in = "192.0.2.20", ports = 5432 }
script = "silence"
[[traffic]]
name = "stream"
count = 30
until_secs = 6
clients = { in = "10.4.0.0/16", hosts = 30 }
servers = { in = "192.0.2.30", ports = 4500 }
script = "stream"
[[traffic]]
name = "requests"
per_sec = 60
from_secs = 8
clients = { in = "10.1.0.0/16", hosts = 500 }
servers = { in = "192.0.2.10", ports = 80 }
script = "request"
[scripts.talk]
packets = """
> syn
< syn-ack
> ack
repeat forever
  > data 100
  < data 100
  > ack
  wait 3s
end
"""
[scripts.silence]
packets = """
> syn
< syn-ack
> ack
> data 100
< data 100
> ack
wait 45s
> data 100
< data 100
> ack
"""
[scripts.stream]
packets = """
repeat forever
  > udp 100
  < udp 100
  wait 2500ms
end
"""
[scripts.request]
rtt_ms = 5
packets = """
> syn
< syn-ack
> ack
> data 200
< data 800
> ack
> fin
< fin
> ack
"""
[expect]
must = []
"#;

/// When all that live are there, and the storm has not begun.
const QUIET: Duration = Duration::from_millis(7500);

/// Plays it, and writes what came of it as JSON.
pub(crate) fn storm(folder: &Path, table: Table) {
    let scenario = Scenario::parse("storm.toml", STORM).unwrap();
    let router = Router::build(&scenario).unwrap();
    let namespace = router.namespace();
    let before = in_force(namespace);
    let is_over = AtomicBool::new(false);
    let (played, live, governed) = thread::scope(|scope| {
        let live = scope.spawn(|| {
            let begin = Instant::now();
            while begin.elapsed() < QUIET {
                thread::sleep(Duration::from_millis(50));
            }
            live(namespace)
        });
        let governor = (table == Table::Governed).then(|| scope.spawn(|| govern(namespace, folder, &is_over)));
        let played = router.play(&scenario, 1, Size::default(), &AtomicBool::new(false)).unwrap();
        let live = (live.join().unwrap(), self::live(namespace));
        is_over.store(true, Ordering::Relaxed);
        (played, live, governor.map(|governor| governor.join().unwrap()))
    });
    let (live_before, live_after) = live;
    let kept = live_before.iter().filter(|(tuple, id)| live_after.get(*tuple) == Some(*id)).count();
    let counters = namespace.enter(|| HostFs::new().statistics(NetFiles::OfThread).unwrap().counters).unwrap();
    let document = json!({
        "flows": played.flows,
        "refused": played.refused,
        "latest_ms": played.latest.as_millis(),
        "drop": counters.total(Counter::Drop),
        "early_drop": counters.total(Counter::EarlyDrop),
        "live": live_before.len(),
        "kept": kept,
        "before": before,
        "after": in_force(namespace),
        "governed": governed,
    });
    println!("{document:#}");
}

/// Governs until the storm is over and timeouts have come back by themselves.
fn govern(namespace: &LabNamespace, folder: &Path, is_over: &AtomicBool) -> serde_json::Value {
    /// So long it may take until what has expired is freed, and the table asks for less.
    const PATIENCE: Duration = Duration::from_mins(4);
    let rules = Rules {
        at_most_every: Duration::from_secs(3),
        restore_after: Duration::from_secs(15),
        trim_every: Duration::from_secs(5),
        ..Rules::default()
    };
    let tcp = Timeout::Tcp;
    let floors: Floors = [
        (tcp(TcpState::Established), 7275),
        (tcp(TcpState::SynSent), 15),
        (tcp(TcpState::SynRecv), 15),
        (tcp(TcpState::FinWait), 15),
        (tcp(TcpState::CloseWait), 30),
        (tcp(TcpState::LastAck), 15),
        (tcp(TcpState::TimeWait), 15),
        (Timeout::Udp, 15),
        (Timeout::UdpStream, 60),
    ]
    .into_iter()
    .collect();
    let mut steward = Steward::new(Governor::new(rules, floors).unwrap(), super::seat(namespace.name(), folder));
    let (mut acts, mut least, mut peak, mut course) = (Vec::new(), Scale::WHOLE, 0, Vec::new());
    let mut over_at = None;
    loop {
        let began = monotonic_now();
        let reading = namespace.enter(|| read(&mut course)).unwrap();
        peak = peak.max(reading.occupancy.0);
        acts.extend(steward.tick(began, &reading, &|_, _| {}));
        least = least.min(steward.scale());
        if is_over.load(Ordering::Relaxed) {
            let since = *over_at.get_or_insert(began);
            if steward.scale() == Scale::WHOLE || began.saturating_sub(since) > PATIENCE {
                break;
            }
        }
        thread::sleep(Duration::from_millis(500));
    }
    let came_back = steward.scale() == Scale::WHOLE;
    let told: Vec<_> = acts.iter().map(ToString::to_string).collect();
    json!({ "least": least, "peak": peak, "came_back": came_back, "acts": acts, "told": told })
}

/// A straight line through the last readings, half a minute ahead; a daemon knows better.
fn read(course: &mut Vec<(Duration, u32)>) -> Reading {
    const SEEN: Duration = Duration::from_secs(5);
    const AHEAD_SECS: f64 = 30.0;
    let host = HostFs::new();
    let (now, occupancy) = (monotonic_now(), host.occupancy().unwrap());
    course.push((now, occupancy.0));
    course.retain(|(at, _)| now.saturating_sub(*at) <= SEEN);
    let (first_at, first) = course[0];
    let secs = now.saturating_sub(first_at).as_secs_f64();
    let slope = if secs > 1.0 { (f64::from(occupancy.0) - f64::from(first)) / secs } else { 0.0 };
    let capacity = host.capacity().unwrap();
    let ahead = f64::from(occupancy.0) + slope * AHEAD_SECS;
    let outlook = if ahead >= f64::from(capacity.0) { Outlook::Saturates } else { Outlook::Room };
    Reading { occupancy: Occupancy(occupancy.0), capacity, timeouts: host.timeouts().read, outlook }
}

fn in_force(namespace: &LabNamespace) -> plimsoll_model::Timeouts {
    namespace.enter(|| HostFs::new().timeouts().read).unwrap()
}

/// Entries of flows that are to live, with their ids: one that was lost and is picked up again has another.
fn live(namespace: &LabNamespace) -> BTreeMap<String, u32> {
    let read = || {
        let (mut all, mut unknowns) = (BTreeMap::new(), Unknowns::default());
        let mut dump = Dump::start().unwrap();
        while let Some(batch) = dump.next_batch().unwrap() {
            for dumped in batch.entries(&mut unknowns) {
                let entry = dumped.unwrap().entry;
                if !matches!(entry.original.layer4, Layer4::Ports { destination: 80, .. }) {
                    all.insert(format!("{:?}", entry.original), entry.id);
                }
            }
        }
        all
    };
    namespace.enter(read).unwrap()
}
