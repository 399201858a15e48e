//! Whose the entries of a part are.

use plimsoll_model::{End, Ends, Evidence, Sample, Side, Whose};

use super::part::{Part, tally};
use crate::evidence::number;
use crate::words::percent;

/// Programs that are named at each end.
const NAMED: usize = 3;
/// A program with a smaller share is not worth a name.
const LEAST_SHARE: f64 = 0.01;

/// The programs at both ends, those with the most entries first.
pub(super) fn of(part: &Part<'_>) -> Vec<Whose> {
    let asked: Vec<_> = part.drawn.iter().filter_map(|drawn| drawn.ends).collect();
    [Side::Client, Side::Server].into_iter().flat_map(|side| at(side, &asked, part)).collect()
}

fn at(side: Side, asked: &[Ends], part: &Part<'_>) -> Vec<Whose> {
    let sample = Sample { read: asked.len() as u64, live: part.count.entries };
    let programs = tally(asked.iter().filter_map(|ends| ends.of(side).by()));
    let named = programs.into_iter().take(NAMED).filter_map(|(id, seen)| {
        let program = part.table.census.program(id)?.clone();
        Some(Whose { side, program, share: sample.share(seen as u64) })
    });
    named.filter(|whose| whose.share.value >= LEAST_SHARE).collect()
}

/// Where it is not known who opened some of them: how many, and who keeps connections like these. It is not among the programs that are named, as
/// it may have nothing to do with them.
pub(super) fn unknown(part: &Part<'_>) -> Option<Evidence> {
    let clients = || part.drawn.iter().filter_map(|drawn| drawn.ends).map(|ends| ends.client);
    let unknown = clients().filter(|end| matches!(end, End::Unknown { .. })).count();
    let share = unknown as f64 / clients().count() as f64;
    let keepers = tally(clients().filter_map(End::keeper)).into_iter().take(NAMED);
    let named: Vec<_> = keepers.filter_map(|(id, _)| part.table.census.program(id)).map(ToString::to_string).collect();
    // VXLAN and the like send from ports at which there is no socket.
    let mut words = format!(
        "{} of them were opened on this machine by a program that was not met, or by the kernel itself",
        percent(share)
    );
    if !named.is_empty() {
        words += "; connections to the same services, which need not mean anything, are kept by: ";
        words += &named.join(", ");
    }
    (share >= LEAST_SHARE).then(|| number("unknown_client_ratio", share, words))
}

/// The same for people: who opened them, and who serves them.
pub(super) fn evidence(whose: &[Whose]) -> Vec<Evidence> {
    let line = |side, key, what: &str| {
        let at_end: Vec<_> = whose.iter().filter(|whose| whose.side == side).collect();
        let listed: Vec<_> =
            at_end.iter().map(|whose| format!("{} {}", whose.program, percent(whose.share.value))).collect();
        (!listed.is_empty()).then(|| number(key, at_end.len() as f64, format!("{what}: {}", listed.join(", "))))
    };
    let lines = [
        line(Side::Client, "client_programs", "opened on this machine by"),
        line(Side::Server, "server_programs", "served on this machine by"),
    ];
    lines.into_iter().flatten().collect()
}
