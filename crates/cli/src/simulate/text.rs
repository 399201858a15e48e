//! What came of it, for people.

mod replayed;

use anstyle::Style;
use plimsoll_diagnose::words::{bytes, grouped, percent};
use plimsoll_simulate::{Bargain, Outcome};

use super::chart::chart;
use super::names::{Counted, DROPS, EVICTIONS, FALSE_KILLS};
use super::report::{Choice, Extent, Report, Run, in_words, time};
use crate::columns::Columns;
use crate::wrap::paragraph;

const BOLD: Style = Style::new().bold();

/// Settings that a chart can tell apart.
const MOST_DRAWN: usize = 8;

/// What the columns of false kills mean.
const KILLS: &str = "kill: an entry was gone before its flow's next packet, which was picked up as a new flow, answered with a \
                     reset, or lost; flows hit: the share of all flows to which it happened";

/// Settings of which it is said why they do not keep to the bounds.
const MOST_EXPLAINED: usize = 8;

/// All of it, within a width as far as a table can be.
pub(super) fn render(report: &Report<'_>, width: usize) -> String {
    let title = paragraph("", &report.source.title());
    let mut text = format!("{BOLD}{}{BOLD:#}\n", title.trim_end());
    if let Some(at) = report.stopped_at() {
        let what = if report.compares() {
            "Not all was simulated".to_string()
        } else {
            format!("It was stopped at {}", time(at))
        };
        text.push_str(&format!("  PARTIAL: {what}. All figures are of what was simulated by then.\n"));
    }
    text.push_str(&paragraph("  Settings: ", &report.settings()));
    text.push_str(&paragraph("  Kernel:   ", &report.base.knowledge.words()));
    if let Some(farthest) = report.runs.iter().rev().max_by_key(|run| run.outcome.lasted) {
        text.push_str(&format!("  Played:   {}\n", played(&farthest.outcome)));
    }
    if let Some(recording) = report.source.as_recording() {
        text.push_str(&replayed::header(report, recording));
    }
    text.push('\n');
    text.push_str(&table(&held(report)));
    match lost(report) {
        Some(lost) => {
            text.push('\n');
            text.push_str(&table(&lost));
            if report.runs.iter().any(|run| run.outcome.false_kills.total() > 0) {
                text.push_str(&paragraph("  ", KILLS));
            }
        }
        None if report.is_whole() => {
            text.push_str("\n  Nothing was dropped, refused or evicted, and no flow missed its entry.\n");
        }
        None => {}
    }
    if let Some(services) = report.source.as_recording().and_then(|recording| replayed::services(report, recording)) {
        text.push('\n');
        text.push_str(&services);
    }
    text.push_str(&pictured(report, width));
    if let Some(choice) = chosen(report) {
        text.push('\n');
        text.push_str(&choice);
    }
    text
}

/// What is in a capture and was not simulated as it is there.
pub(super) fn passed_over(report: &Report<'_>) -> Option<String> {
    let passed_over = report.passed_over.as_ref()?;
    let clock_jumps = passed_over.clock_jumps;
    let listed = passed_over.listed();
    let mut text = String::new();
    if !listed.is_empty() {
        text.push_str(&paragraph("", &format!("Passed over in the capture: {}.", listed.join(", "))));
    }
    if clock_jumps > 0 {
        let often = if clock_jumps == 1 { "once".to_string() } else { format!("{} times", grouped(clock_jumps)) };
        let jumps =
            format!("The capture's clock jumps ahead by more than six days, {often}: that is taken as six days.");
        text.push_str(&paragraph("", &jumps));
    }
    (!text.is_empty()).then_some(text)
}

/// By what a setting is known in the chart.
fn letter(place: usize) -> String {
    let letters = 'a'..='z';
    match letters.clone().nth(place) {
        Some(letter) => letter.to_string(),
        // At most 64 settings: a second round suffices for the rest.
        None => {
            letters.map(|letter| letter.to_ascii_uppercase()).nth(place - 26).map_or(place.to_string(), String::from)
        }
    }
}

fn played(outcome: &Outcome) -> String {
    format!(
        "{} flows, {} packets in {} of simulated time",
        grouped(outcome.flows),
        grouped(outcome.packets),
        time(outcome.lasted)
    )
}

fn table(columns: &Columns) -> String {
    let mut text = String::new();
    for (number, line) in columns.lines().iter().enumerate() {
        text.push_str(&if number == 0 { format!("{BOLD}{line}{BOLD:#}\n") } else { format!("{line}\n") });
    }
    text
}

/// A table that names the settings by their letters, if there are several.
fn begun(report: &Report<'_>) -> Columns {
    let mut columns = Columns::new(report.runs.len());
    if report.compares() {
        columns.push("", (0..report.runs.len()).map(letter));
    }
    columns
}

/// What the table held.
fn held(report: &Report<'_>) -> Columns {
    let mut columns = begun(report);
    let swept = report.runs.first().map_or(&[][..], |run| &run.candidate.swept);
    for (number, (sysctl, _)) in swept.iter().enumerate() {
        let value = |run: &Run| {
            let (sysctl, value) = run.candidate.swept.get(number)?;
            let written = grouped((*value).into());
            Some(match run.candidate.in_force_instead(sysctl, *value) {
                Some(there) => format!("{written} (in force: {})", grouped(there.into())),
                None => written,
            })
        };
        columns.push(sysctl.short(), report.runs.iter().map(|run| value(run).unwrap_or_default()));
    }
    if swept.iter().all(|(sysctl, _)| sysctl.short() != "max") {
        let limit = |run: &Run| run.outcome.capacity.limit().map_or("none".to_string(), |limit| grouped(limit.into()));
        columns.push("limit", report.runs.iter().map(limit));
    }
    if !report.is_whole() {
        columns.push("simulated", report.runs.iter().map(|run| simulated(report, run)));
    }
    let mut push = |head: &str, cell: &dyn Fn(&Outcome) -> String| {
        columns.push(head, report.runs.iter().map(|run| figure(run, cell)));
    };
    if report.source.as_recording().is_some() {
        push("mean", &|outcome| replayed::entries(outcome.mean_occupancy().counted));
    }
    push("peak", &|outcome| grouped(outcome.peak.occupancy.into()));
    push("most live", &|outcome| grouped(outcome.series.iter().map(|reading| reading.live).max().unwrap_or(0).into()));
    push("of limit", &|outcome| outcome.utilization().map_or("-".to_string(), percent));
    push("peak at", &|outcome| time(outcome.peak.at));
    push("full at", &|outcome| outcome.saturated_at.map_or("never".to_string(), time));
    push("memory", &|outcome| bytes(outcome.memory_peak.total_bytes()));
    push("look-up", &|outcome| format!("{:.1} nodes", outcome.chains.mean_lookup));
    push("longest chain", &|outcome| grouped(outcome.chains.longest as u64));
    columns
}

/// How far a run was simulated.
fn simulated(report: &Report<'_>, run: &Run) -> String {
    match (run.extent(), report.source.lasts()) {
        (Extent::Whole, _) => "whole".to_string(),
        (Extent::Until(at), Some(lasts)) => format!("{} of {}", time(at), time(lasts)),
        (Extent::Until(at), None) => time(at),
        (Extent::NotBegun, _) => "not begun".to_string(),
    }
}

/// A figure of a run's, if it has any.
fn figure(run: &Run, cell: impl Fn(&Outcome) -> String) -> String {
    if run.extent() == Extent::NotBegun { "-".to_string() } else { cell(&run.outcome) }
}

/// What was lost, of which something was; `None` if nothing was.
fn lost(report: &Report<'_>) -> Option<Columns> {
    let mut columns = begun(report);
    let mut is_any = false;
    let mut push = |counted: &Counted| {
        if report.runs.iter().any(|run| (counted.of)(&run.outcome) > 0) {
            is_any = true;
            let count = |outcome: &Outcome| grouped((counted.of)(outcome));
            columns.push(counted.head, report.runs.iter().map(|run| figure(run, count)));
        }
    };
    push(&Counted { key: "", head: "refused flows", of: |outcome| outcome.refused_flows });
    push(&Counted { key: "", head: "not made", of: |outcome| outcome.standing_not_made });
    push(&Counted { key: "", head: "INVALID", of: |outcome| outcome.invalid });
    DROPS.iter().chain(EVICTIONS).for_each(&mut push);
    FALSE_KILLS.iter().for_each(&mut push);
    if report.runs.iter().any(|run| run.outcome.false_kills.flows_hit > 0) {
        columns
            .push("flows hit", report.runs.iter().map(|run| figure(run, |outcome| percent(outcome.false_kill_rate()))));
    }
    is_any.then_some(columns)
}

/// After an empty line; nothing if there is nothing to see.
fn pictured(report: &Report<'_>, width: usize) -> String {
    let begun = report.runs.iter().zip('a'..='z').filter(|(run, _)| run.extent() != Extent::NotBegun);
    let drawn: Vec<_> = begun.take(MOST_DRAWN).map(|(run, letter)| (letter, &run.outcome)).collect();
    let of = match &drawn[..] {
        [] => return String::new(),
        [(letter, _)] if report.compares() => format!(" of {letter} (█ live, ░ expired and not freed yet)"),
        [_] => " (█ live, ░ expired and not freed yet)".to_string(),
        _ if report.runs.len() > MOST_DRAWN => format!(", of the first {MOST_DRAWN} settings"),
        _ => String::new(),
    };
    let mut text = format!("\n  Entries over time{of}\n");
    for line in chart(&drawn, width.saturating_sub(2)).lines() {
        text.push_str(format!("  {line}").trim_end());
        text.push('\n');
    }
    text
}

fn chosen(report: &Report<'_>) -> Option<String> {
    Some(match &report.choice {
        Choice::NotAsked => return None,
        Choice::NotKnown(_) => "Which setting keeps to the limits is not known: not all was simulated.\n".to_string(),
        Choice::Cheapest(bounds, bargain) => {
            paragraph("", &format!("{}. Limits: {}.", cheapest(report, bargain)?, in_words(*bounds)))
        }
        Choice::None(bounds) => {
            let what = if report.compares() { "None of these settings is" } else { "This setting is not" };
            let mut text = paragraph("", &format!("{what} within the limits: {}.", in_words(*bounds)));
            for run in report.runs.iter().take(MOST_EXPLAINED) {
                text.push_str(&paragraph(
                    "  - ",
                    &format!("{}: {}", run.candidate.label(), run.faults(*bounds).join(", ")),
                ));
            }
            text
        }
    })
}

/// Which setting is the cheapest, what harm it does, and which cost as much.
fn cheapest(report: &Report<'_>, bargain: &Bargain) -> Option<String> {
    let run = report.runs.get(bargain.place)?;
    let memory = bytes(run.outcome.memory_peak.total_bytes());
    let mut text = if report.compares() {
        format!("Cheapest within the limits: {} ({memory})", run.candidate.label())
    } else {
        format!("Within the limits ({memory})")
    };
    if run.outcome.false_kills.total() > 0 {
        text.push_str(&format!("; false kills hit {} of its flows", percent(run.outcome.false_kill_rate())));
    }
    let as_cheap: Vec<_> = bargain.as_cheap.iter().filter_map(|place| report.runs.get(*place)).map(as_cheap).collect();
    if !as_cheap.is_empty() {
        let shown: Vec<_> = as_cheap.iter().take(MOST_EXPLAINED).map(String::as_str).collect();
        let more = as_cheap.len() - shown.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        text.push_str(&format!("; equally cheap: {}{more}", shown.join(", ")));
    }
    Some(text)
}

fn as_cheap(run: &Run) -> String {
    let label = run.candidate.label();
    match run.outcome.false_kills.total() {
        0 => label,
        _ => format!("{label} (false kills hit {})", percent(run.outcome.false_kill_rate())),
    }
}
