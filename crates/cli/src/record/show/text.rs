//! A recording for people.

use anstyle::Style;
use plimsoll_diagnose::words::{bytes, duration, grouped, percent, rounded};
use plimsoll_model::Untrusted;
use plimsoll_plan::{Measured, MeasuredService, MeasuredTimeout};
use plimsoll_recording::{Addresses, Change, Origin, Sources, UnixMicros};

use super::summary::{Summary, Table};
use crate::columns::Columns;
use crate::date::utc;
use crate::measured::short;
use crate::recording::Recording;
use crate::wrap::paragraph;

/// Changes that are shown.
const CHANGES: usize = 20;

pub(super) fn render(recording: &Recording, origin: &Origin, summary: &Summary, measured: &Measured) -> String {
    let bold = Style::new().bold();
    let mut text = format!("{bold}{}{bold:#}: {}\n", recording.name, of(origin));
    text.push_str(&span(summary));
    text.push_str(&flows(summary));
    text.push_str(&services(summary));
    text.push_str(&table(&summary.table, origin));
    text.push_str(&silences(measured));
    text.push_str(&changes(summary));
    text.push_str(&format!("\n`plimsoll plan --from {}` says which timeouts follow from it.\n", recording.name));
    text
}

fn of(origin: &Origin) -> String {
    let shown = |text: &str| Untrusted::from(text);
    let host = match (&origin.host, origin.addresses) {
        (Some(host), _) => format!("host {}", shown(host)),
        (None, Addresses::Hidden) => "a host whose addresses are hidden".to_string(),
        (None, Addresses::Plain) => "a host".to_string(),
    };
    let sources = match origin.sources {
        Sources::EventsAndLooks => "events and looks",
        Sources::Looks => "looks alone",
    };
    format!(
        "{host}, namespace {}, kernel {}; {sources}; by {}",
        shown(&origin.namespace),
        shown(&origin.kernel),
        shown(&origin.written_by)
    )
}

fn span(summary: &Summary) -> String {
    let (Some(from), Some(to)) = (summary.from, summary.to) else { return "It is empty.\n".to_string() };
    format!("{} to {}, {}\n", moment(from), moment(to), duration(to.since(from).as_secs()))
}

fn moment(at: UnixMicros) -> String {
    utc(u64::try_from(at.0).unwrap_or(0) / 1_000_000)
}

fn flows(summary: &Summary) -> String {
    let bold = Style::new().bold();
    let mut text = format!("\n{bold}Flows{bold:#}\n");
    let mut count = format!("{} lives", grouped(summary.lives));
    if rounded(summary.flows) != summary.lives {
        count.push_str(&format!(", which stand for {} flows", grouped(rounded(summary.flows))));
    }
    let ends: Vec<_> =
        summary.by_end.iter().map(|(end, flows)| format!("{} {end}", grouped(rounded(*flows)))).collect();
    text.push_str(&paragraph("  ", &format!("{count}: {}", ends.join(", "))));
    if let Some(broken) = summary.by_sight.get("broken") {
        text.push_str(&paragraph(
            "  ",
            &format!("events may have been lost of {} of these lives, so that states are missing", grouped(*broken)),
        ));
    }
    text
}

fn services(summary: &Summary) -> String {
    let mut columns = Columns::new(summary.services.len());
    columns.push("service", summary.services.iter().map(|of| of.service.to_string()));
    columns.push("flows", summary.services.iter().map(|of| grouped(rounded(of.flows))));
    for (place, head) in ["half live up to", "nine in ten", "99 in 100"].into_iter().enumerate() {
        let cell = |lifetimes: Option<[f64; 3]>| {
            lifetimes.and_then(|all| all.get(place).copied()).map_or("-".to_string(), secs)
        };
        columns.push(head, summary.services.iter().map(|of| cell(of.lifetime_secs)));
    }
    if summary.services.iter().any(|of| of.bytes > 0.0) {
        columns.push("carried", summary.services.iter().map(|of| bytes(rounded(of.bytes))));
    }
    let mut text = columns.text("");
    if summary.other_services > 0 {
        text.push_str(&format!("  and {} more services\n", grouped(summary.other_services as u64)));
    }
    text
}

/// Seconds, with what matters of a part of one.
pub(crate) fn secs(secs: f64) -> String {
    match secs {
        secs if secs < 0.001 => "<1 ms".to_string(),
        secs if secs < 1.0 => format!("{:.0} ms", secs * 1000.0),
        secs if secs < 60.0 => format!("{secs:.1} s"),
        secs => duration(rounded(secs)),
    }
}

fn table(table: &Table, origin: &Origin) -> String {
    let bold = Style::new().bold();
    let number = |number: Option<u32>| number.map_or("not known".to_string(), |number| grouped(number.into()));
    let mut text = format!("\n{bold}Table{bold:#}\n");
    let mut line = format!(
        "{} to {} entries, {} on the average, of at most {}; {} buckets",
        number(table.least_entries),
        number(table.most_entries),
        table.mean_entries.map_or("not known".to_string(), |mean| grouped(rounded(mean))),
        number(table.capacity),
        number(table.buckets)
    );
    if !table.counted.is_empty() {
        let counted: Vec<_> = table.counted.iter().map(|(name, count)| format!("{name} {}", grouped(*count))).collect();
        line.push_str(&format!("; counted meanwhile: {}", counted.join(", ")));
    }
    text.push_str(&paragraph("  ", &line));
    if origin.sources == Sources::EventsAndLooks {
        let mut events = format!("{} events received", grouped(table.events));
        if table.losses > 0 {
            events.push_str(&format!(
                "; lost {} times, {} events in all",
                grouped(table.losses),
                table.dropped_events.map_or("an unknown number of".to_string(), grouped)
            ));
        } else {
            events.push_str(", none lost");
        }
        if let Some(share) = table.least_share.filter(|share| *share < 1.0) {
            events.push_str(&format!("; at times only {} of all entries were followed", percent(share)));
        }
        text.push_str(&paragraph("  ", &events));
    }
    text
}

fn silences(measured: &Measured) -> String {
    let bold = Style::new().bold();
    let all =
        || measured.timeouts.iter().flat_map(|timeout| timeout.services.iter().map(move |service| (timeout, service)));
    let mut text = format!("\n{bold}Silences{bold:#}: {}\n", grouped(measured.silences as u64));
    let mut columns = Columns::new(all().count());
    let mut column = |head: &str, cell: &dyn Fn(&MeasuredTimeout, &MeasuredService) -> String| {
        columns.push(head, all().map(|(timeout, service)| cell(timeout, service)));
    };
    column("held by", &|timeout, _| short(timeout.timeout).to_string());
    column("in force", &|timeout, _| duration(timeout.in_force_secs.into()));
    column("service", &|_, service| service.service.to_string());
    column("silences", &|_, service| grouped(service.silences as u64));
    column("flows", &|_, service| grouped(service.flows as u64));
    column("peers", &|_, service| grouped(service.peers as u64));
    for (head, share) in [("half last over", 0.5), ("one in ten", 0.1), ("one in 100", 0.01)] {
        column(head, &|_, service| lasting(service, share));
    }
    column("known up to", &|_, service| duration(rounded(service.known_until_secs)));
    text.push_str(&columns.text(""));
    text
}

/// The age that this share of the silences outlasts, as far as is known.
fn lasting(service: &MeasuredService, share: f64) -> String {
    let reached = service.survival.iter().find(|point| point.share.value <= share);
    match (reached, service.survival.last()) {
        (Some(point), _) => secs(point.age_secs),
        (None, Some(last)) => format!(">{}", secs(last.age_secs)),
        (None, None) => "-".to_string(),
    }
}

fn changes(summary: &Summary) -> String {
    let bold = Style::new().bold();
    let mut text = format!("\n{bold}What happened{bold:#}\n");
    for change in summary.changes.iter().take(CHANGES) {
        text.push_str(&paragraph("  ", &format!("{}  {}", moment(change.at), told(change))));
    }
    let more = summary.changes.len().saturating_sub(CHANGES) as u64 + summary.changes_left_out;
    if more > 0 {
        text.push_str(&format!("  and {} more\n", grouped(more)));
    }
    text
}

fn told(change: &Change) -> String {
    let shown = |text: &str| Untrusted::from(text).to_string();
    let mut text = format!("{}: {}", change.kind.name(), shown(&change.what));
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => text.push_str(&format!(" {} -> {}", shown(from), shown(to))),
        (None, Some(to)) => text.push_str(&format!(" {}", shown(to))),
        _ => {}
    }
    text
}
