//! Whether something has become worse than chance explains.
//!
//! Events are counted over an *exposure* (seconds, packets, segments) before the first change and after one. If nothing had
//! become worse than [`TOLERATED`] times as frequent, the later events, given the sum of both, would follow a binomial
//! distribution whose share is the later exposure's; what is so improbable under it as [`SURE`] says is an alarm, if it is
//! [`LEAST`] events more than tolerated: events come in bursts, which no Poisson process has.

use std::fmt;

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};

use crate::window::Window;

/// How many times as frequent something may become: traffic breathes by itself.
pub const TOLERATED: f64 = 1.5;
/// How improbable the later count must be, if nothing was worse than tolerated, to be an alarm. A window is looked at once a
/// second while it grows, at seven counts each time.
pub const SURE: f64 = 1e-5;
/// How many events more than tolerated make an alarm at least.
pub const LEAST: f64 = 10.0;
/// The share of all memory below which what can be had is an alarm, if it was not below it before.
pub(crate) const MEMORY_LEFT: f64 = 0.05;
/// Runs of the user's own check that must fail, where none failed before: one may be chance, two in one window are not taken
/// for it.
pub(crate) const PROBES: u64 = 2;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Packets dropped because an entry could not be had.
    Drop,
    /// Entries that could not be inserted.
    InsertFailed,
    /// Entries killed to make room.
    EarlyDrop,
    /// Packets that could not be tracked.
    Invalid,
    /// TCP segments sent again.
    Retransmissions,
    /// TCP's retransmission timers that ran out.
    TcpTimeouts,
    /// TCP connections that were reset.
    Resets,
    /// Memory.
    Memory,
    /// The user's own check.
    Probe,
    /// Answers of a service that is not tracked any more.
    Answers,
}

/// What became worse, and by how much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worse {
    /// What.
    pub signal: Signal,
    /// Its count before, or its bytes.
    pub before: u64,
    /// Over what exposure.
    pub before_exposure: f64,
    /// Its count since, or its bytes.
    pub after: u64,
    /// Over what exposure.
    pub after_exposure: f64,
    /// What the exposure counts.
    pub exposure: Exposure,
}

/// What events are counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// Time.
    Seconds,
    /// Packets that IP handled.
    Packets,
    /// TCP segments that were sent.
    Segments,
    /// Runs of the user's own check.
    Runs,
    /// All memory.
    Bytes,
}

/// The first thing that became worse, if any did. What could not be read in one of the windows is not judged.
pub(crate) fn worse(before: &Window, after: &Window) -> Option<Worse> {
    let memory = || memory(before, after);
    let probe = || probe(before, after);
    counted().iter().find_map(|watched| watched.judge(before, after)).or_else(memory).or_else(probe)
}

/// What of a window cannot be judged, because it could not be read.
pub(crate) fn unread(window: &Window) -> Vec<Signal> {
    let events = counted().into_iter().filter(|watched| (watched.events)(window).is_none());
    let memory = window.available_bytes.is_none().then_some(Signal::Memory);
    events.map(|watched| watched.signal).chain(memory).collect()
}

struct Watched {
    signal: Signal,
    exposure: Exposure,
    events: fn(&Window) -> Option<u64>,
}

fn counted() -> [Watched; 7] {
    let watched = |signal, exposure, events| Watched { signal, exposure, events };
    [
        watched(Signal::Drop, Exposure::Seconds, |window| window.drop),
        watched(Signal::InsertFailed, Exposure::Seconds, |window| window.insert_failed),
        watched(Signal::EarlyDrop, Exposure::Seconds, |window| window.early_drop),
        watched(Signal::Invalid, Exposure::Packets, |window| window.invalid),
        watched(Signal::Retransmissions, Exposure::Segments, |window| window.retransmitted_segments),
        watched(Signal::TcpTimeouts, Exposure::Segments, |window| window.tcp_timeouts),
        watched(Signal::Resets, Exposure::Segments, |window| window.resets),
    ]
}

impl Watched {
    fn judge(&self, before: &Window, after: &Window) -> Option<Worse> {
        let (earlier, later) = ((self.events)(before)?, (self.events)(after)?);
        let (earlier_exposure, later_exposure) = (self.exposure.of(before)?, self.exposure.of(after)?);
        let improbable = probability(earlier, earlier_exposure, later, later_exposure)? < SURE;
        let tolerated = TOLERATED * earlier as f64 / earlier_exposure * later_exposure;
        (improbable && later as f64 - tolerated >= LEAST).then_some(Worse {
            signal: self.signal,
            before: earlier,
            before_exposure: earlier_exposure,
            after: later,
            after_exposure: later_exposure,
            exposure: self.exposure,
        })
    }
}

impl Exposure {
    fn of(self, window: &Window) -> Option<f64> {
        match self {
            Self::Seconds => Some(window.secs),
            Self::Packets => window.packets.map(|packets| packets as f64),
            Self::Segments => window.sent_segments.map(|segments| segments as f64),
            Self::Runs => Some(window.probes as f64),
            Self::Bytes => window.ram_bytes.map(|bytes| bytes as f64),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Packets => "packets",
            Self::Segments => "segments sent",
            Self::Runs => "runs",
            Self::Bytes => "bytes of memory",
        }
    }
}

/// How probable so many later events are at least, if they have become exactly [`TOLERATED`] times as frequent; `None` where
/// there is nothing to compare with.
fn probability(before: u64, before_exposure: f64, after: u64, after_exposure: f64) -> Option<f64> {
    let expected = TOLERATED * after_exposure;
    if before_exposure <= 0.0 || after_exposure <= 0.0 || after == 0 {
        return None;
    }
    let share = expected / (expected + before_exposure);
    let binomial = Binomial::new(share, before.checked_add(after)?).ok()?;
    // P(K >= after) = P(K > after - 1).
    Some(binomial.sf(after - 1))
}

fn memory(before: &Window, after: &Window) -> Option<Worse> {
    let (ram, earlier, later) = (after.ram_bytes?, before.available_bytes?, after.available_bytes?);
    let least = ram as f64 * MEMORY_LEFT;
    let worse = (later as f64) < least && earlier as f64 >= least;
    worse.then_some(Worse {
        signal: Signal::Memory,
        before: earlier,
        before_exposure: ram as f64,
        after: later,
        after_exposure: ram as f64,
        exposure: Exposure::Bytes,
    })
}

fn probe(before: &Window, after: &Window) -> Option<Worse> {
    let runs = (before.probes as f64, after.probes as f64);
    let worse = if before.failed_probes == 0 {
        after.failed_probes >= PROBES
    } else {
        probability(before.failed_probes, runs.0, after.failed_probes, runs.1).is_some_and(|chance| chance < SURE)
    };
    worse.then_some(Worse {
        signal: Signal::Probe,
        before: before.failed_probes,
        before_exposure: runs.0,
        after: after.failed_probes,
        after_exposure: runs.1,
        exposure: Exposure::Runs,
    })
}

impl Signal {
    /// Its name in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop (packets for which no entry could be had)",
            Self::InsertFailed => "insert_failed (entries that could not be inserted)",
            Self::EarlyDrop => "early_drop (entries killed to make room)",
            Self::Invalid => "invalid (packets that could not be tracked)",
            Self::Retransmissions => "TCP segments sent again",
            Self::TcpTimeouts => "TCP retransmission timers that ran out",
            Self::Resets => "TCP connections reset",
            Self::Memory => "memory that can be had",
            Self::Probe => "failures of --probe",
            Self::Answers => "answers of the service that is not tracked any more",
        }
    }
}

impl fmt::Display for Worse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signal, before, before_exposure, after, after_exposure, exposure } = self;
        let (name, unit) = (signal.name(), exposure.name());
        if *signal == Signal::Memory {
            return write!(f, "{name} fell from {before} to {after} bytes of {after_exposure:.0}");
        }
        if *signal == Signal::Answers {
            return write!(
                f,
                "{name}: {after} to {after_exposure} {unit} that it was sent, while {before} of its {before_exposure} entries had been \
                 answered before"
            );
        }
        let per = |count: u64, exposure: f64| if exposure > 0.0 { count as f64 / exposure } else { 0.0 };
        let (was, is) = (per(*before, *before_exposure), per(*after, *after_exposure));
        let times = if was > 0.0 { format!(", {:.1} times as many", is / was) } else { ", none before".to_string() };
        write!(
            f,
            "{name}: {after} in {after_exposure:.1} {unit}, after {before} in {before_exposure:.1} {unit} before the first \
             change{times}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Window {
        Window { secs: 30.0, drop: Some(0), invalid: Some(30), packets: Some(100_000), ..Window::default() }
    }

    #[test]
    fn noise_is_no_alarm_and_a_flood_is_one() {
        let after = |drop| Window { drop: Some(drop), ..quiet() };
        // 0.6 to the power of 22 is above 1e-5, to the power of 23 below.
        assert_eq!(worse(&quiet(), &after(22)), None);
        let alarm = worse(&quiet(), &after(23)).unwrap();
        assert_eq!((alarm.signal, alarm.before, alarm.after), (Signal::Drop, 0, 23));
        assert!(alarm.to_string().contains("23 in 30.0 s, after 0 in 30.0 s"), "{alarm}");
        // A burst in a window that is just begun.
        let burst = |drop| Window { secs: 1.0, drop: Some(drop), ..quiet() };
        assert_eq!(worse(&quiet(), &burst(9)), None);
        assert!(worse(&quiet(), &burst(10)).is_some());
    }

    #[test]
    fn more_traffic_alone_is_no_alarm() {
        let tenfold = Window { invalid: Some(300), packets: Some(1_000_000), ..quiet() };
        assert_eq!(worse(&quiet(), &tenfold), None);
        let worse_share = Window { invalid: Some(300), ..quiet() };
        assert_eq!(worse(&quiet(), &worse_share).unwrap().signal, Signal::Invalid);
    }

    #[test]
    fn what_was_as_bad_before_is_no_alarm() {
        let bad = Window { drop: Some(10_000), ..quiet() };
        assert_eq!(worse(&bad, &Window { drop: Some(15_000), ..quiet() }), None);
        assert!(worse(&bad, &Window { drop: Some(17_000), ..quiet() }).is_some());
    }

    #[test]
    fn what_is_not_known_is_not_judged_and_is_named() {
        let unknown = Window { drop: None, ..quiet() };
        assert_eq!(worse(&unknown, &Window { drop: Some(1000), ..quiet() }), None);
        assert!(unread(&unknown).contains(&Signal::Drop) && !unread(&unknown).contains(&Signal::Invalid));
    }

    #[test]
    fn a_probe_that_fails_twice_or_memory_that_runs_out_is_an_alarm() {
        let probed = |failed| Window { probes: 30, failed_probes: failed, ..quiet() };
        assert_eq!(worse(&probed(0), &probed(1)), None);
        assert_eq!(worse(&probed(0), &probed(2)).unwrap().signal, Signal::Probe);
        assert_eq!(worse(&probed(10), &probed(14)), None);
        let memory = |bytes| Window { ram_bytes: Some(1000), available_bytes: Some(bytes), ..quiet() };
        assert_eq!(worse(&memory(500), &memory(50)), None);
        assert_eq!(worse(&memory(500), &memory(49)).unwrap().signal, Signal::Memory);
        assert_eq!(worse(&memory(40), &memory(30)), None, "it was so before");
    }

    /// Over a thousand pairs of windows of the same Poisson process, hardly one is taken for worse.
    #[test]
    fn false_alarms_are_rare() {
        let mut state = 7_u64;
        let mut uniform = || {
            // xorshift64*; the seed is above.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut poisson = |mean: f64| {
            let (limit, mut product, mut count) = ((-mean).exp(), uniform(), 0);
            while product > limit {
                product *= uniform();
                count += 1;
            }
            count
        };
        let alarms = (0..1000).filter(|round| {
            let mean = f64::from(round % 50);
            let mut window = || Window { drop: Some(poisson(mean)), ..quiet() };
            let (before, after) = (window(), window());
            worse(&before, &after).is_some()
        });
        assert!(alarms.count() <= 2);
    }
}
