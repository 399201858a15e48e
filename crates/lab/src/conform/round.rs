//! Rounds of flows under different settings.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll_draw::Draw;
use plimsoll_model::{TcpState, Timeout, Timeouts};
use plimsoll_scenario::Side;
use plimsoll_twin::{Capabilities, Settings};

use super::contest::{Contest, Difference, Rulebook, Turns};
use super::flow::{Flow, Sent};
use super::ground::{Policies, Translation};
use super::shrink;
use crate::Error;

/// How much is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// About so many packets in all.
    pub packets: u64,
    /// What flows and packets are drawn from.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// Packets that both have seen.
    pub packets: u64,
    /// Flows.
    pub flows: u64,
    /// Entries that were compared, each as often as it was.
    pub comparisons: u64,
    /// Flows in which something differed.
    pub flows_that_differ: u64,
    /// Rounds in which a counter differed though no flow did.
    pub counters_that_differ: u64,
    /// The first of what differed, each shrunk to the fewest packets that show it.
    pub disagreements: Vec<Disagreement>,
    /// Whether it was stopped before its end.
    pub was_stopped: bool,
}

impl Agreement {
    /// The share of flows in which nothing differed.
    pub fn share(&self) -> f64 {
        1.0 - self.flows_that_differ as f64 / (self.flows as f64).max(1.0)
    }
}

/// A flow in which kernel and twin differ.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// What was set, where it is not the kernel's default.
    pub settings: String,
    /// Whose packets they are.
    pub flow: String,
    /// Packets that show it, in order.
    pub packets: Vec<Played>,
    /// How the two differ after them.
    pub difference: Difference,
}

/// A packet, and when it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// Time since the first.
    pub at: Duration,
    /// Who sent it.
    pub from: Side,
    /// From its IP header on.
    pub bytes: Vec<u8>,
}

/// Steps that a round takes, at most.
const STEPS: u32 = 18;
/// Flows that take them side by side.
const FLOWS: u32 = 2500;
/// The most disagreements that are told.
const MOST_TOLD: usize = 5;

/// Plays rounds of flows under different settings. `progress` is told how many packets have been played.
pub fn conform(
    plan: Plan,
    capabilities: Capabilities,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(u64),
) -> Result<Agreement, Error> {
    let mut agreement = Agreement::default();
    let mut draw = Draw::new(plan.seed);
    for round in 0.. {
        let left = plan.packets.saturating_sub(agreement.packets);
        if left == 0 || stop.load(Ordering::Relaxed) {
            agreement.was_stopped = left > 0;
            break;
        }
        let flows = u32::try_from(left.div_ceil(STEPS.into())).unwrap_or(FLOWS).min(FLOWS);
        let conditions = Conditions::of_round(round, &mut draw);
        let rulebook = Rulebook {
            settings: conditions.settings(),
            translation: conditions.translation,
            policies: conditions.policies,
            capabilities,
        };
        play(&rulebook, &conditions, flows, draw.next(), stop, &mut agreement, progress)?;
    }
    Ok(agreement)
}

/// Under which settings a round is played.
#[derive(Clone, Copy, Debug)]
struct Conditions {
    pace: Pace,
    translation: Translation,
    policies: Policies,
    tcp_loose: bool,
    tcp_be_liberal: bool,
    tcp_ignore_invalid_rst: bool,
    tcp_max_retrans: u32,
}

/// Whether timeouts are crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// The kernel's own timeouts, one step after the other.
    Stock,
    /// Timeouts of seconds, and waits that cross them.
    Short,
}

impl Conditions {
    /// The first rounds are the defaults; then settings are drawn.
    fn of_round(round: u32, draw: &mut Draw) -> Self {
        let one_in = |draw: &mut Draw, of| round > 3 && draw.below(of) == 0;
        Self {
            pace: if round % 4 == 2 { Pace::Short } else { Pace::Stock },
            translation: if round % 4 == 1 || (round > 3 && draw.below(4) == 0) {
                Translation::Both
            } else {
                Translation::None
            },
            policies: if round % 4 == 3 { Policies::OnLowPorts } else { Policies::None },
            tcp_loose: !one_in(draw, 4),
            tcp_be_liberal: one_in(draw, 4),
            tcp_ignore_invalid_rst: one_in(draw, 4),
            tcp_max_retrans: if one_in(draw, 4) { 1 } else { 3 },
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            timeouts: match self.pace {
                Pace::Stock => Timeouts::default(),
                Pace::Short => short_timeouts(),
            },
            tcp_loose: self.tcp_loose,
            tcp_be_liberal: self.tcp_be_liberal,
            tcp_ignore_invalid_rst: self.tcp_ignore_invalid_rst,
            tcp_max_retrans: self.tcp_max_retrans,
            ..Settings::default()
        }
    }

    fn describe(&self) -> String {
        let mut parts = Vec::new();
        if self.pace == Pace::Short {
            parts.push("timeouts of seconds".to_string());
        }
        if self.translation == Translation::Both {
            parts.push("source and destination translated".to_string());
        }
        if self.policies == Policies::OnLowPorts {
            parts.push("timeout policies on ports below 500".to_string());
        }
        for (name, value, stock) in [
            ("loose", u32::from(self.tcp_loose), 1),
            ("be_liberal", u32::from(self.tcp_be_liberal), 0),
            ("ignore_invalid_rst", u32::from(self.tcp_ignore_invalid_rst), 0),
            ("max_retrans", self.tcp_max_retrans, 3),
        ] {
            if value != stock {
                parts.push(format!("net.netfilter.nf_conntrack_tcp_{name} = {value}"));
            }
        }
        parts.join(", ")
    }
}

/// Timeouts that a test can wait for, no two alike where one could be taken for another.
fn short_timeouts() -> Timeouts {
    let tcp = |state| Timeout::Tcp(state);
    let own = [
        (tcp(TcpState::SynSent), 3),
        (tcp(TcpState::SynRecv), 4),
        (tcp(TcpState::Established), 11),
        (tcp(TcpState::FinWait), 6),
        (tcp(TcpState::CloseWait), 5),
        (tcp(TcpState::LastAck), 3),
        (tcp(TcpState::TimeWait), 4),
        (tcp(TcpState::Close), 2),
        (Timeout::TcpMaxRetrans, 7),
        (Timeout::TcpUnacknowledged, 8),
        (Timeout::Udp, 3),
        (Timeout::UdpStream, 6),
        (Timeout::Icmp, 3),
        (Timeout::Icmpv6, 4),
        (Timeout::Gre, 3),
        (Timeout::GreStream, 6),
        (Timeout::Generic, 5),
    ];
    own.into_iter().collect()
}

fn play(
    rulebook: &Rulebook,
    conditions: &Conditions,
    flows: u32,
    seed: u64,
    stop: &AtomicBool,
    agreement: &mut Agreement,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let failed = |answer: std::io::Error| Error::Send { answer: answer.to_string() };
    let mut contest = Contest::begin(rulebook)?;
    let mut draw = Draw::new(seed);
    let mut running: Vec<Running> =
        (0..flows).map(|number| Running::new(Flow::new(number, seed, rulebook.translation))).collect();
    let by_address: HashMap<IpAddr, usize> = running
        .iter()
        .enumerate()
        .flat_map(|(index, running)| running.flow.addresses_of_its_own().map(move |address| (address, index)))
        .collect();
    let begun = plimsoll_host::monotonic_now();
    agreement.flows += u64::from(flows);
    let steps = if conditions.pace == Pace::Short { 10 } else { STEPS };
    let mut counters_differ = false;
    for step in 0..steps {
        if stop.load(Ordering::Relaxed) {
            agreement.was_stopped = true;
            break;
        }
        if step > 0 && conditions.pace == Pace::Short {
            thread::sleep(Duration::from_millis(200 + u64::from(draw.below(4)) * 1_100));
        }
        for running in running.iter_mut().filter(|running| running.difference.is_none()) {
            let sent = running.flow.next(|bytes| contest.edges(bytes));
            let at = plimsoll_host::monotonic_now().saturating_sub(begun);
            running.played.push(Played { at, from: sent.from, bytes: sent.bytes.clone() });
            let may_become_a_stream = running.flow.may_become_a_stream();
            running.difference = contest.send(&sent, &mut running.turns, may_become_a_stream).map_err(failed)?;
        }
        agreement.comparisons += contest.live();
        counters_differ = false;
        for (tuple, difference) in contest.compare()? {
            let mut tuple = tuple.into_iter().flat_map(|tuple| [tuple.source, tuple.destination]);
            match tuple.find_map(|address| by_address.get(&address)) {
                Some(index) => {
                    running[*index].difference.get_or_insert(difference);
                }
                None => counters_differ = true,
            }
        }
        progress(agreement.packets + contest.compared());
    }
    agreement.packets += contest.compared();
    let mut differing = running.iter().filter(|running| running.difference.is_some()).peekable();
    // A flow that differs has counted differently too.
    agreement.counters_that_differ += u64::from(counters_differ && differing.peek().is_none());
    for running in differing {
        agreement.flows_that_differ += 1;
        if agreement.disagreements.len() < MOST_TOLD
            && let Some(difference) = &running.difference
        {
            let (packets, difference) = shrink::shrunk(rulebook, &running.played, difference, stop)?;
            agreement.disagreements.push(Disagreement {
                settings: conditions.describe(),
                flow: running.flow.description(),
                packets,
                difference,
            });
        }
    }
    Ok(())
}

/// A flow, and what has been played of it.
struct Running {
    flow: Flow,
    turns: Turns,
    played: Vec<Played>,
    difference: Option<Difference>,
}

impl Running {
    fn new(flow: Flow) -> Self {
        Self { flow, turns: Turns::default(), played: Vec::new(), difference: None }
    }
}

impl From<&Played> for Sent {
    fn from(played: &Played) -> Self {
        Self { from: played.from, bytes: played.bytes.clone() }
    }
}
