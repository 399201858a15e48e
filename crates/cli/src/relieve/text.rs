//! Relief for people, on however narrow a console.

use anstyle::Style;
use plimsoll_churn::churn;
use plimsoll_diagnose::words::{grouped, percent};
use plimsoll_model::{Capacity, NamespaceSnapshot};
use plimsoll_plan::{Going, Room};
use plimsoll_trim::Ended;

use super::raise::Raised;
use super::report::{Done, Report};
use crate::check;
use crate::wrap::paragraph;

const BOLD: Style = Style::new().bold();

pub(super) fn render(report: &Report<'_>) -> String {
    let name = &report.ns.namespace.name;
    let fill = fill(report.ns);
    if !report.is_needed {
        return format!("{BOLD}Nothing to relieve: {name} has room.{BOLD:#} {fill}\n");
    }
    match &report.done {
        None => format!("{BOLD}{name}: {fill}{BOLD:#}\n{}", what_would_be_done(report)),
        Some(done) => format!("{BOLD}{name} was relieved.{BOLD:#} Before: {fill}\n{}", what_was_done(report, done)),
    }
}

fn fill(ns: &NamespaceSnapshot) -> String {
    let entries = ns.occupancy.map_or("an unknown number of".to_string(), |occupancy| grouped(occupancy.0.into()));
    let limit = ns.capacity.and_then(Capacity::limit).map_or("no limit".to_string(), |limit| grouped(limit.into()));
    let share = ns.utilization().map_or(String::new(), |share| format!(" ({})", percent(share)));
    format!("{entries} of {limit} entries{share}")
}

fn what_would_be_done(report: &Report<'_>) -> String {
    let mut text = String::new();
    match &report.relief.room {
        Room::Raise { from, to, because } => text.push_str(&paragraph(
            "  - ",
            &format!(
                "would raise nf_conntrack_max from {} to {}: {because}",
                grouped((*from).into()),
                grouped((*to).into())
            ),
        )),
        Room::Stays { because } => text.push_str(&paragraph("  - ", &format!("the limit would stay: {because}"))),
    }
    for stale in report.relief.stale {
        match report.stale(*stale) {
            Some(0) => {}
            Some(entries) => {
                let how = match stale.going {
                    Going::AtOnce => "at once",
                    Going::UnlessAPacketComes => "in 10 s unless a packet comes",
                };
                text.push_str(&paragraph(
                    "  - ",
                    &format!(
                        "would trim about {} entries in {} that have been silent for over {} s, {how}",
                        grouped(entries),
                        stale.state.name(),
                        stale.silent_secs
                    ),
                ));
            }
            None => text.push_str(&paragraph(
                "  - ",
                &format!(
                    "would trim what is in {} and has been silent for over {} s",
                    stale.state.name(),
                    stale.silent_secs
                ),
            )),
        }
    }
    text.push_str("Nothing was changed. `plimsoll relieve --yes` does it.\n");
    text
}

fn what_was_done(report: &Report<'_>, done: &Done) -> String {
    let mut text = String::new();
    let mut line = |what: &str| text.push_str(&paragraph("  - ", what));
    match (&report.relief.room, &done.raised) {
        (Room::Raise { from, to, because }, Some(Raised::ByApplication(id))) => {
            line(&format!(
                "raised nf_conntrack_max from {} to {}: {because}",
                grouped((*from).into()),
                grouped((*to).into())
            ));
            line(&format!(
                "undo: `plimsoll rollback {id}`, which never goes below the entries that are there; a reboot undoes it too"
            ));
        }
        (_, Some(Raised::Not(why))) => line(&format!("the limit could not be raised: {why}")),
        (Room::Stays { because }, _) => line(&format!("the limit stays: {because}")),
        (Room::Raise { .. }, None) => {}
    }
    match &done.swept {
        Ok(_) => {
            line(&format!(
                "trimmed {} entries, which cannot be brought back{}",
                grouped(done.trimmed()),
                by_state(done)
            ));
        }
        Err(error) => line(&format!("nothing could be trimmed: {error}")),
    }
    if done.acted().any(|acted| acted.ended == Ended::Deadline) {
        line("the time was up before the whole table was gone through: run it again for the rest");
    }
    match &done.evidence {
        Ok(file) => line(&format!("what was seen before is in {}", file.display())),
        Err(error) => line(&format!("what was seen before could not be kept: {error}")),
    }
    if let Some(after) = report.ns_after() {
        text.push_str(&format!("{BOLD}Now:{BOLD:#} {}\n", fill(after)));
        if let Some(churn) = churn(after) {
            text.push_str(&paragraph("How long it will hold: ", &check::outlook(&churn.outlook)));
        }
    } else {
        text.push_str("How full it is now could not be read.\n");
    }
    text.push_str("This treats no cause: `plimsoll check` names it, `plimsoll plan` says what lasts.\n");
    text
}

fn by_state(done: &Done) -> String {
    let states = done.acted().flat_map(|acted| &acted.changed);
    let told: Vec<_> = states.map(|(state, entries)| format!("{} {state}", grouped(*entries))).collect();
    if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) }
}
