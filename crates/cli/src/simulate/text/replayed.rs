//! What is told of a recording's replay beside the rest.

use plimsoll_diagnose::words::{grouped, rounded};
use plimsoll_simulate::{NotPlayed, Replay};

use super::{MOST_DRAWN, letter, table};
use crate::columns::Columns;
use crate::simulate::fidelity::Fidelity;
use crate::simulate::replayed::{LONG, Replayed};
use crate::simulate::report::{Report, time};
use crate::simulate::services::Services;
use crate::wrap::paragraph;

/// What was played of it, and how true that is.
pub(super) fn header(report: &Report<'_>, recording: &Replayed) -> String {
    let mut text = paragraph("  Replayed: ", &replayed(recording.replay()));
    if let Some(fidelity) = report.fidelity {
        text.push_str(&paragraph("  Compared: ", &compared(fidelity)));
    }
    text
}

fn replayed(replay: &Replay) -> String {
    let stands_for = match replay.stands_for() {
        1.0 => "every flow".to_string(),
        factor => {
            let number = grouped(rounded(factor));
            format!("one flow in {number}, each of which stands for {number} in all figures")
        }
    };
    let not_played = replay.not_played();
    let left_out = left_out(not_played);
    let left_out = if left_out.is_empty() { String::new() } else { format!("; left out: {}", left_out.join(", ")) };
    let as_silent = match rounded(not_played.flows_taken_as_silent) {
        0 => String::new(),
        flows => format!(
            "; {} flows, of which no silence was seen nor of any like them, are taken to be silent for as long as the timeouts in \
             force then allowed",
            grouped(flows)
        ),
    };
    format!("{stands_for}{left_out}{as_silent}")
}

fn left_out(NotPlayed { flows, states, stray_gaps, .. }: &NotPlayed) -> Vec<String> {
    [
        (rounded(*flows), "flows that no packets of the model's make"),
        (rounded(*states), "states that no packet leads to"),
        (*stray_gaps, "silences of no flow or state that is there"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{} {what}", grouped(number)))
    .collect()
}

fn compared(Fidelity { replayed, recorded }: Fidelity) -> String {
    let replayed = replayed.map_or("not known, since not all was simulated".to_string(), entries);
    format!(
        "entries on the average, under the settings in force then: {replayed}; the kernel counted {}",
        entries(recorded)
    )
}

/// A number of entries on the average.
pub(super) fn entries(mean: f64) -> String {
    const FEW: f64 = 10.0;
    if mean < FEW { format!("{mean:.1}") } else { grouped(rounded(mean)) }
}

/// Of each service how many flows are hit; `None` if none are.
pub(super) fn services(report: &Report<'_>, recording: &Replayed) -> Option<String> {
    let services = Services::of(report, recording);
    let hit: Vec<_> = services.told.iter().filter(|service| service.most_hit() > 0).collect();
    if hit.is_empty() {
        return None;
    }
    let mut columns = Columns::new(hit.len());
    columns.push("service", hit.iter().map(|service| service.name.clone()));
    columns.push("flows", hit.iter().map(|service| grouped(service.flows)));
    columns.push(format!("silent > {}", time(LONG)), hit.iter().map(|service| grouped(service.silent)));
    for place in 0..report.runs.len().min(MOST_DRAWN) {
        let head = if report.compares() { format!("{}: flows hit", letter(place)) } else { "flows hit".to_string() };
        let cell = |flows_hit: Option<u64>| flows_hit.map_or("-".to_string(), grouped);
        columns
            .push(head, hit.iter().map(|service| cell(service.runs.get(place).map(|run| run.false_kills.flows_hit))));
    }
    let mut text = table(&columns);
    // All that are hit come before those that are not.
    if hit.len() == services.told.len() && services.more > 0 {
        text.push_str(&format!("  and {} more services\n", grouped(services.more as u64)));
    }
    if report.runs.len() > MOST_DRAWN {
        text.push_str(&format!("  under the first {MOST_DRAWN} settings\n"));
    }
    Some(text)
}
