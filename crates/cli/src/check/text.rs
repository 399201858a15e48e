//! The answer for people: the verdict first, then why, then what to do, then what the tables hold.

use anstyle::{AnsiColor, Style};
use plimsoll_diagnose::words::{duration, grouped, percent};
use plimsoll_model::{Answer, Counter, Finding, FindingId, NamespaceSnapshot, Relation, Severity, Snapshot, Verdict};

use super::detail::Detail;
use super::{census, churn};
use crate::wrap::paragraph;

/// Namespaces that are listed where not everything is asked for: the fullest.
const NAMESPACES_SHOWN: usize = 5;

/// The whole answer.
pub(crate) fn render(snapshot: &Snapshot, findings: &[Finding], detail: Detail) -> String {
    let mut text = verdict_line(snapshot, findings);
    let (told, noted): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.severity > Severity::Info);
    if told.iter().all(|finding| finding.severity == Severity::Unknown) {
        text.push_str(&what_was_read(snapshot));
    }
    // How full it is, and what fills it most: the rest is for whoever asks.
    let first_cause = told.iter().position(|finding| finding.holds.is_some());
    for (rank, finding) in told.iter().enumerate() {
        match detail {
            // The verdict's line has said the first one's title.
            _ if rank == 0 => text.push_str(&format!("\n{}{}", heading(finding), details(finding))),
            Detail::WhatMatters if Some(rank) != first_cause => text.push_str(&in_short(finding)),
            _ => text.push_str(&in_full(finding)),
        }
    }
    for finding in &noted {
        match detail {
            Detail::WhatMatters => text.push_str(&in_short(finding)),
            Detail::Everything => text.push_str(&in_full(finding)),
        }
    }
    for ns in snapshot.namespaces.iter().filter(|ns| is_worth_a_census(ns, &told, detail)) {
        text.push_str(&census::render(ns, detail));
        text.push_str(&churn::render(ns, detail));
    }
    if !told.is_empty() || detail == Detail::Everything {
        text.push_str(&namespaces(snapshot, findings, detail));
    }
    if detail == Detail::Everything {
        text.push_str(&counters(snapshot));
        text.push_str(&capabilities(snapshot));
    }
    if let Some(worst) = told.first() {
        let bold = Style::new().bold();
        if matches!(worst.id, FindingId::TableFull | FindingId::NamespaceFull) {
            text.push_str(&format!("{bold}plimsoll relieve{bold:#} makes room now.\n"));
        }
        let is_blind =
            matches!(worst.id, FindingId::CannotSee | FindingId::NothingTracked | FindingId::TrackedElsewhere);
        let plan = if is_blind { String::new() } else { format!("; {bold}plimsoll plan{bold:#} says what to change") };
        text.push_str(&format!("{bold}plimsoll explain {}{bold:#} says more{plan}.\n", worst.id));
    }
    text
}

/// Whether to say what a namespace holds: it is what the worst finding is about, or everything is asked for.
fn is_worth_a_census(ns: &NamespaceSnapshot, told: &[&Finding], detail: Detail) -> bool {
    let worst = told.first().and_then(|finding| finding.namespace.as_ref());
    ns.census.is_some() && (detail == Detail::Everything || worst == Some(&ns.namespace.name))
}

/// What a sample tells while the whole table is being read.
pub(crate) fn provisional(snapshot: &Snapshot, findings: &[Finding]) -> String {
    let read: u64 = snapshot.namespaces.iter().filter_map(|ns| ns.census.as_ref()).map(|census| census.read).sum();
    let mut text = verdict_line(snapshot, findings);
    text.push_str(&paragraph(
        "",
        &format!("Provisional, from a sample of {} entries; the whole table is being read.", grouped(read)),
    ));
    text.push('\n');
    text
}

/// The verdict, the host, and the worst finding or how full the fullest table is.
pub(crate) fn verdict_line(snapshot: &Snapshot, findings: &[Finding]) -> String {
    let verdict = Verdict::of(findings);
    let style = verdict_style(verdict);
    let host = snapshot.host.name.as_ref().map_or("this host", |name| name.as_str());
    let worst = findings.first().filter(|finding| finding.severity > Severity::Info);
    let what = worst.map_or_else(
        || fullest(snapshot).map_or("no namespace".to_string(), |ns| format!("{}: {}", ns.namespace.name, fill(ns))),
        |finding| format!("{}{}", place(finding), finding.title),
    );
    format!("{style}{}{style:#} {host}: {what}\n", verdict.to_string().to_uppercase())
}

fn verdict_style(verdict: Verdict) -> Style {
    let color = match verdict {
        Verdict::Ok => AnsiColor::Green,
        Verdict::Warning => AnsiColor::Yellow,
        Verdict::Critical => AnsiColor::Red,
        Verdict::Unknown => AnsiColor::Magenta,
    };
    Style::new().bold().fg_color(Some(color.into()))
}

fn place(finding: &Finding) -> String {
    finding.namespace.as_ref().map_or(String::new(), |name| format!("{name}: "))
}

/// Evidence that a finding's title says already.
const SAID_IN_THE_TITLE: [&str; 3] = ["occupancy_entries", "capacity_entries", "utilization_ratio"];

fn in_full(finding: &Finding) -> String {
    format!("\n{}{}{}", heading(finding), paragraph("  ", &finding.title), details(finding))
}

fn heading(finding: &Finding) -> String {
    let bold = Style::new().bold();
    let place = finding.namespace.as_ref().map_or(String::new(), |name| format!(" in {name}"));
    format!("{bold}{}{place}{bold:#} ({}, {})\n", finding.id, finding.severity, finding.confidence)
}

fn details(finding: &Finding) -> String {
    let bold = Style::new().bold();
    let mut text = String::new();
    for evidence in finding.evidence.iter().filter(|evidence| !SAID_IN_THE_TITLE.contains(&evidence.key)) {
        text.push_str(&paragraph("  - ", &evidence.text));
    }
    text.push_str(&paragraph("  ", &finding.meaning));
    if !finding.remedies.is_empty() {
        text.push_str("  What helps:\n");
    }
    for (index, remedy) in finding.remedies.iter().enumerate() {
        let mut lines = remedy.action.lines();
        text.push_str(&paragraph(&format!("  {}. ", index + 1), lines.next().unwrap_or_default()));
        for line in lines {
            let depth = line.len() - line.trim_start().len();
            text.push_str(&paragraph(&" ".repeat(5 + depth), line));
        }
        if let Some(command) = &remedy.command {
            text.push_str(&format!("     {bold}{command}{bold:#}\n"));
        }
    }
    text
}

fn in_short(finding: &Finding) -> String {
    let rank = match finding.severity {
        Severity::Info => "note".to_string(),
        severity => severity.to_string(),
    };
    paragraph(&format!("{rank}: "), &format!("{}: {}{}", finding.id, place(finding), finding.title))
}

/// What is worth knowing where nothing is known to be wrong: the fullest table, what was lost, what it holds.
fn what_was_read(snapshot: &Snapshot) -> String {
    let Some(fullest) = fullest(snapshot) else { return String::new() };
    let mut text = String::new();
    if snapshot.namespaces.iter().any(|ns| ns.occupancy.is_some()) {
        text.push_str(&paragraph("  ", &losses(&snapshot.namespaces)));
    }
    if let Some(line) = fullest.census.as_ref().and_then(census::most) {
        text.push_str(&paragraph("  ", &format!("{} holds {line}", fullest.namespace.name)));
    }
    let unread = snapshot.namespaces.iter().filter(|ns| ns.occupancy.is_none()).count();
    match (snapshot.namespaces.len() - unread).saturating_sub(1) {
        0 => {}
        1 => text.push_str("  1 other network namespace is no fuller\n"),
        others => text.push_str(&format!("  {others} other network namespaces are no fuller\n")),
    }
    if unread > 0 {
        text.push_str(&format!("  of {unread} more it could not be read how full they are\n"));
    }
    text
}

/// Whether packets were lost within the interval, and since the namespaces were made.
fn losses(namespaces: &[NamespaceSnapshot]) -> String {
    let total = |counter| {
        let known = namespaces.iter().filter_map(|ns| ns.counters.as_ref()?.total(counter));
        grouped(known.sum())
    };
    let so_far = format!("so far {} dropped, {} evicted", total(Counter::Drop), total(Counter::EarlyDrop));
    let changes = namespaces.iter().filter_map(|ns| ns.change.as_ref());
    let drops = changes.clone().filter_map(|change| change.counters.full_table_drops());
    match changes.map(|change| change.over).max() {
        Some(over) => {
            let secs = over.as_secs_f64();
            format!("{} packets dropped by full tables within {secs:.1} s; {so_far}", grouped(drops.sum()))
        }
        None => format!("one reading only, so nothing is said of now; {so_far}"),
    }
}

/// The fullest namespace; of equals, Plimsoll's own.
fn fullest(snapshot: &Snapshot) -> Option<&NamespaceSnapshot> {
    // One limit holds for all, so shares of it order as the counts do.
    snapshot.namespaces.iter().max_by_key(|ns| (ns.occupancy, ns.namespace.relation == Relation::Own))
}

fn fill(ns: &NamespaceSnapshot) -> String {
    let occupancy = ns.occupancy.map_or("?".to_string(), |occupancy| grouped(occupancy.0.into()));
    match ns.capacity.map(plimsoll_model::Capacity::limit) {
        Some(Some(limit)) => {
            let share = ns.utilization().map_or("?".to_string(), percent);
            format!("{occupancy} of {} entries ({share})", grouped(limit.into()))
        }
        Some(None) => format!("{occupancy} entries, no limit"),
        None => format!("{occupancy} entries, limit not known"),
    }
}

/// The namespaces, fullest first.
fn namespaces(snapshot: &Snapshot, findings: &[Finding], detail: Detail) -> String {
    let mut namespaces: Vec<_> = snapshot.namespaces.iter().collect();
    namespaces.sort_by_key(|ns| std::cmp::Reverse(ns.occupancy));
    let shown = match detail {
        Detail::WhatMatters => NAMESPACES_SHOWN,
        Detail::Everything => usize::MAX,
    };
    let is_said = snapshot.namespaces.len() == 1 && Verdict::of(findings) != Verdict::Unknown;
    if is_said {
        return String::new();
    }
    let mut text = format!("Namespaces (each has the limit to itself): {}\n", namespaces.len());
    for ns in namespaces.iter().take(shown) {
        let owner = ns.namespace.owner.as_ref().map_or(String::new(), |owner| {
            let whose = match (&owner.pod, &owner.container) {
                (Some(pod), _) => format!(", pod {pod}"),
                (None, Some(container)) => format!(", container {}", short(container.as_str())),
                (None, None) => String::new(),
            };
            format!("  {} ({}){whose}", owner.command, owner.pid)
        });
        text.push_str(&format!("  {:<24} {}{owner}\n", ns.namespace.name, fill(ns)));
    }
    if namespaces.len() > shown {
        text.push_str(&format!("  and {} more, less full (-v shows them)\n", namespaces.len() - shown));
    }
    text
}

/// The twelve characters by which containers are called.
fn short(container: &str) -> &str {
    container.get(..12).unwrap_or(container)
}

/// What could be read here, and what it would take.
fn capabilities(snapshot: &Snapshot) -> String {
    let answers = snapshot.capabilities.iter().map(|(what, answer)| match answer {
        Answer::Yes => format!("{what}: yes"),
        Answer::No { needs } => format!("{what}: no (needs {needs})"),
        Answer::Inconclusive { because } => format!("{what}: not known ({because})"),
    });
    paragraph("  ", &format!("Can: {}", answers.collect::<Vec<_>>().join("; ")))
}

fn counters(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for ns in &snapshot.namespaces {
        let Some(reading) = &ns.counters else { continue };
        let shown = Counter::ALL.iter().filter_map(|counter| {
            let total = reading.total(*counter)?;
            let change = ns.change.as_ref().and_then(|change| change.counters.get(*counter));
            Some(match change {
                Some(change) if change > 0 => format!("{} {} (+{})", counter.name(), grouped(total), grouped(change)),
                _ => format!("{} {}", counter.name(), grouped(total)),
            })
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        text.push_str(&paragraph("  ", &format!("Counters of {}: {shown}", ns.namespace.name)));
        let timeouts = ns.timeouts.iter_secs().filter_map(|(timeout, secs)| {
            Some(format!("{} {}", timeout.sysctl()?.strip_prefix("nf_conntrack_")?, duration(secs.into())))
        });
        let timeouts = timeouts.collect::<Vec<_>>().join(", ");
        if !timeouts.is_empty() {
            text.push_str(&paragraph("  ", &format!("Timeouts in {}: {timeouts}", ns.namespace.name)));
        }
    }
    text
}
