//! Rounds of flows under different settings.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll_draw::Draw;
use plimsoll_scenario::Side;
use plimsoll_twin::Capabilities;

use super::conditions::{CONDITIONS, Conditions, Pace};
use super::contest::{Contest, Difference, Rulebook, Turns};
use super::flow::{Flow, Sent};
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
/// The same where there are waits between them.
const SHORT_STEPS: u32 = 10;
/// Flows that take them side by side, at most and at least.
const MOST_FLOWS: u32 = 2500;
const LEAST_FLOWS: u32 = 50;
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
    // However few packets there are: all conditions are played.
    let each = plan.packets / (CONDITIONS.len() as u64 * u64::from(STEPS));
    let flows = u32::try_from(each).unwrap_or(MOST_FLOWS).clamp(LEAST_FLOWS, MOST_FLOWS);
    for round in 0.. {
        let left = plan.packets.saturating_sub(agreement.packets);
        let is_done = left == 0 && round >= CONDITIONS.len();
        if is_done || stop.load(Ordering::Relaxed) {
            agreement.was_stopped = !is_done;
            break;
        }
        let conditions = CONDITIONS.get(round).copied().unwrap_or_else(|| Conditions::drawn(&mut draw));
        let rulebook = Rulebook {
            settings: conditions.settings(),
            translation: conditions.translation,
            policies: conditions.policies,
            capabilities,
        };
        play(&rulebook, conditions, flows, draw.next(), stop, &mut agreement, progress)?;
    }
    Ok(agreement)
}

fn play(
    rulebook: &Rulebook,
    conditions: Conditions,
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
    let steps = if conditions.pace == Pace::Short { SHORT_STEPS } else { STEPS };
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
