//! A check: the verdict, what is wrong, whose it is, what the tables hold.

use std::fmt::Write;

use plimsoll_diagnose::words::{bytes, grouped, percent, rate, share};
use plimsoll_model::{Interval, Range, Severity};

use super::chart::{bar, bars};
use super::document::{Census, CheckDocument, Finding, Group, Hitters, Namespace, Owner, Whose};
use super::html::{around, command, facts, list, said, table, text};
use super::page::{Part, tone, verdict_tone};
use crate::check::outlook;
use crate::date::utc;

/// Namespaces that are listed: the fullest.
const NAMESPACES: usize = 50;
/// Of these, so many with what they hold.
const HOLDINGS: usize = 10;
/// Services and sources of each.
const HITTERS: usize = 8;

pub(super) fn part(document: &CheckDocument) -> Part {
    let host = document.host.name.as_ref().map_or("this host", |name| name.as_str());
    let when = document.taken_at_unix_secs.map(utc);
    let title = match &when {
        Some(when) => format!("{host}, {when}"),
        None => host.to_string(),
    };
    let findings = document.findings.iter().filter_map(|finding| finding.id.as_str().parse().ok()).collect();
    Part { title, body: body(document, host, when), findings }
}

fn body(document: &CheckDocument, host: &str, when: Option<String>) -> String {
    let mut body = verdict(document, host);
    body.push_str(&around("section", "", &(about(document, when) + &unread(document))));
    let (told, noted): (Vec<_>, Vec<_>) =
        document.findings.iter().partition(|finding| finding.severity > Severity::Info);
    for (heading, findings) in [("What is wrong", told), ("Worth knowing", noted)] {
        if !findings.is_empty() {
            let all: String = findings.into_iter().map(finding).collect();
            body.push_str(&around("section", "", &(said("h2", "", heading) + &all)));
        }
    }
    body + &tables(document) + &unseen(document)
}

/// The verdict, and the worst finding.
fn verdict(document: &CheckDocument, host: &str) -> String {
    let worst = document.findings.iter().find(|finding| finding.severity > Severity::Info);
    let what = match (worst, &document.error) {
        (Some(finding), _) => format!("{}{}", place(finding), finding.title.as_str()),
        (None, Some(error)) => error.as_str().to_string(),
        (None, None) => "nothing is wrong".to_string(),
    };
    let tone = verdict_tone(document.verdict);
    let sign =
        "<svg class=\"sign\" viewBox=\"0 0 20 20\" aria-hidden=\"true\"><circle cx=\"10\" cy=\"10\" r=\"9\"/></svg>";
    let inner = format!(
        "{sign}{}{}",
        said("strong", "", &document.verdict.to_string().to_uppercase()),
        said("span", "", &format!("{host}: {what}"))
    );
    around("div", &format!("verdict {tone}"), &inner)
}

fn about(document: &CheckDocument, when: Option<String>) -> String {
    let number = |number: Option<u32>| number.map(|number| grouped(number.into()));
    let limit = document.limits.capacity.map(|limit| match limit {
        0 => "none".to_string(),
        limit => format!("{} entries in each namespace", grouped(limit.into())),
    });
    let known = [
        ("checked at", when),
        ("kernel", document.host.kernel.as_ref().map(|kernel| kernel.as_str().to_string())),
        ("memory", document.host.ram_bytes.map(bytes)),
        ("limit (nf_conntrack_max)", limit),
        ("hash buckets", number(document.limits.buckets)),
    ];
    facts(known.into_iter().filter_map(|(name, is)| Some((name, is?))))
}

fn unread(document: &CheckDocument) -> String {
    match &document.error {
        Some(error) => said("p", "", &format!("Nothing could be read: {}", error.as_str())),
        None => String::new(),
    }
}

fn place(finding: &Finding) -> String {
    finding.namespace.as_ref().map(|name| format!("{}: ", name.as_str())).unwrap_or_default()
}

fn finding(finding: &Finding) -> String {
    let id = finding.id.as_str();
    // An anchor is there for ids that are known.
    let name =
        if id.parse::<plimsoll_model::FindingId>().is_ok() { format!("<a href=\"#{id}\">{id}</a>") } else { text(id) };
    let place = finding.namespace.as_ref().map(|name| format!(" in {}", text(name.as_str()))).unwrap_or_default();
    let heading = format!(
        "{}{name}{place} <small class=\"quiet\">{}</small>",
        said("span", "severity", &finding.severity.to_string()),
        finding.confidence
    );
    let mut inner = around("h3", "", &heading) + &said("p", "lead", finding.title.as_str());
    inner.push_str(&list("evidence", finding.evidence.iter().map(|evidence| evidence.text.as_str())));
    if let Some(holds) = finding.holds_entries {
        inner.push_str(&said("p", "quiet", &format!("It holds {} entries.", range(holds))));
    }
    if !finding.whose.is_empty() {
        inner.push_str(&said("h4", "", "Whose"));
        inner
            .push_str(&bars(finding.whose.iter().map(|whose| (whose.owner.command.as_str(), whose.share, who(whose)))));
    }
    inner.push_str(&said("p", "", finding.meaning.as_str()));
    if !finding.remedies.is_empty() {
        inner.push_str(&said("h4", "", "What helps"));
        let remedies = finding.remedies.iter().map(|remedy| {
            let action = said("div", "action", remedy.action.as_str());
            let typed = remedy.command.as_ref().map(|typed| command(typed.as_str())).unwrap_or_default();
            around("li", "", &(action + &typed))
        });
        inner.push_str(&around("ol", "", &remedies.collect::<String>()));
    }
    around("article", &format!("finding {}", tone(finding.severity)), &inner)
}

fn who(whose: &Whose) -> String {
    let does = match whose.side.as_str() {
        "client" => "opened them",
        "server" => "answers them",
        other => other,
    };
    format!("{does}; {}; {}", owner(&whose.owner), share(&whose.share))
}

fn owner(owner: &Owner) -> String {
    let mut words = format!("process {}", owner.pid);
    let parts = [
        ("", &owner.called),
        ("container ", if owner.called.is_some() { &None } else { &owner.container }),
        ("pod ", if owner.called.is_some() { &None } else { &owner.pod }),
        ("", &owner.unit),
    ];
    for (kind, name) in parts.into_iter().filter_map(|(kind, name)| Some((kind, name.as_ref()?))) {
        // Writing to a string cannot fail.
        let _ = write!(words, ", {kind}{}", name.as_str());
    }
    words
}

fn range(range: Range) -> String {
    if range.is_exact() { grouped(range.high) } else { format!("{} to {}", grouped(range.low), grouped(range.high)) }
}

/// Every table, and what the fullest hold.
fn tables(document: &CheckDocument) -> String {
    let mut namespaces: Vec<_> = document.namespaces.iter().collect();
    if namespaces.is_empty() {
        return String::new();
    }
    namespaces.sort_by_key(|ns| std::cmp::Reverse(ns.occupancy));
    let mut inner = said("h2", "", "Tables");
    let heads = ["namespace", "load", "", "entries", "headroom", "dropped/s", "evicted/s"];
    inner.push_str(&table(heads, namespaces.iter().take(NAMESPACES).map(|ns| row(ns))));
    if namespaces.len() > NAMESPACES {
        let more = namespaces.len() - NAMESPACES;
        inner.push_str(&said("p", "quiet", &format!("and {more} more, less full")));
    }
    let holding = namespaces.iter().filter_map(|ns| Some((*ns, ns.census.as_ref()?))).take(HOLDINGS);
    inner.push_str(&holding.map(|(ns, census)| holds(ns, census)).collect::<String>());
    around("section", "", &inner)
}

fn row(ns: &Namespace) -> [String; 7] {
    let unknown = || "?".to_string();
    let number = |number: Option<u32>| number.map_or_else(unknown, |number| grouped(number.into()));
    let whose = ns.owner.as_ref().map(|of| said("div", "quiet", &format!("{}, {}", of.command.as_str(), owner(of))));
    let headroom = match (ns.capacity, ns.occupancy) {
        (Some(0), _) => Some("no limit".to_string()),
        (Some(limit), Some(entries)) => Some(grouped(limit.saturating_sub(entries).into())),
        _ => None,
    };
    [
        text(ns.name.as_str()) + &whose.unwrap_or_default(),
        ns.utilization.map_or(String::new(), |share| bar(&Interval::exact(share))),
        ns.utilization.map_or_else(unknown, percent),
        number(ns.occupancy),
        headroom.unwrap_or_else(unknown),
        per_sec(ns, "drop").unwrap_or_else(unknown),
        per_sec(ns, "early_drop").unwrap_or_else(unknown),
    ]
}

/// What a counter rose by a second between the two readings.
fn per_sec(ns: &Namespace, counter: &str) -> Option<String> {
    let change = ns.change.as_ref().filter(|change| change.over_secs > 0.0)?;
    let (_, rose_by) = change.counters.iter().find(|(name, _)| name.as_str() == counter)?;
    let rose_by = (*rose_by)?;
    Some(if rose_by == 0 { "0".to_string() } else { rate(rose_by as f64 / change.over_secs) })
}

/// What a table holds.
fn holds(ns: &Namespace, census: &Census) -> String {
    let read = grouped(census.read);
    let of = match census.coverage.kind.as_str() {
        "complete" => format!("all {read} live entries read"),
        _ => format!("from a sample of {read} entries; shares with their intervals at 95 %"),
    };
    let name = text(ns.name.as_str());
    let mut inner = around("h3", "", &format!("What {name} holds <small class=\"quiet\">{of}</small>"));
    if let Some(outlook_then) = ns.churn.as_ref().and_then(|churn| churn.outlook.as_ref()) {
        inner.push_str(&said("p", "", &format!("Where it leads: {}.", outlook(outlook_then))));
    }
    let groups = |heading: &str, groups: &[Group], most: usize| {
        let told = groups.iter().take(most).map(|group| {
            let entries = group.entries.map(|entries| format!("; {} entries", range(entries))).unwrap_or_default();
            (group.key.as_str(), group.share, share(&group.share) + &entries)
        });
        around("div", "", &(said("h4", "", heading) + &bars(told)))
    };
    let top = |hitters: &Option<Hitters>, heading| {
        hitters.as_ref().map(|hitters| groups(heading, &hitters.top, HITTERS)).unwrap_or_default()
    };
    let hitters = top(&census.services, "Services") + &top(&census.sources, "Sources");
    let columns = groups("States", &census.states, usize::MAX) + &around("div", "", &hitters);
    around("article", "finding", &(inner + &around("div", "columns", &columns)))
}

fn unseen(document: &CheckDocument) -> String {
    if document.unseen.is_empty() {
        return String::new();
    }
    let sentences: Vec<_> = document
        .unseen
        .iter()
        .map(|gap| {
            let place = gap.namespace.as_ref().map(|name| format!("{}: ", name.as_str())).unwrap_or_default();
            let (tried, answered, needs) = (gap.tried.as_str(), gap.answered.as_str(), gap.needs.as_str());
            format!("{place}{tried}: {answered}; it takes {needs}")
        })
        .collect();
    let inner = said("h2", "", "What could not be seen") + &list("", sentences.iter().map(String::as_str));
    around("section", "", &inner)
}
