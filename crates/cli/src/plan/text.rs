//! A plan for people.

use anstyle::Style;
use plimsoll_diagnose::overwrite_in_words;
use plimsoll_diagnose::words::{bytes, duration, grouped, percent, rounded};
use plimsoll_model::{Edit, Snapshot};
use plimsoll_plan::{BucketChoice, Course, Forecast, Holds, Moment, Plan, Planned, Risk, Role, SizeDecision, Sizing};

use crate::wrap::paragraph;

pub(super) fn render(snapshot: &Snapshot, plan: &Plan) -> String {
    let bold = Style::new().bold();
    let host = snapshot.host.name.as_ref().map_or("this host", |name| name.as_str());
    let mut text = match &plan.changes[..] {
        [] if !plan.passed_over.is_empty() => {
            format!("{bold}Nothing is proposed for {} on {host}.{bold:#}\n", plan.namespace)
        }
        [] => format!("{bold}Nothing to do for {} on {host}.{bold:#}\n", plan.namespace),
        [_] => format!("{bold}A change for {} on {host}.{bold:#}\n", plan.namespace),
        many => format!(
            "{bold}{} changes for {} on {host}, the most helpful for the least risk first.{bold:#}\n",
            many.len(),
            plan.namespace
        ),
    };
    if let (SizeDecision::Enough { because }, true) = (&plan.sizing.decision, plan.changes.is_empty()) {
        text.push_str(&paragraph("", &format!("There is room: {because}.")));
    }
    for (number, change) in plan.changes.iter().enumerate() {
        text.push_str(&changed(number + 1, change));
    }
    if let (Some(forecast), [_, _, ..]) = (&plan.together, &plan.changes[..]) {
        text.push_str(&format!("\n{bold}All together{bold:#}\n{}", foretold(forecast)));
    }
    if !plan.changes.is_empty() || matches!(plan.sizing.decision, SizeDecision::Refused { .. }) {
        text.push_str(&sizes(&plan.sizing));
        text.push_str(&plan.buckets.as_ref().map_or(String::new(), buckets));
    }
    if !plan.passed_over.is_empty() {
        text.push_str(&format!("\n{bold}Not proposed{bold:#}\n"));
        for passed_over in &plan.passed_over {
            text.push_str(&paragraph("  - ", &format!("{}: {}", passed_over.what, passed_over.because)));
        }
    }
    let mut notes: Vec<_> = plan.notes.iter().map(String::as_str).collect();
    if plan.role == Role::Nat && !plan.changes.is_empty() {
        notes.push(
            "addresses are translated here (or it could not be read that they are not): the minima of RFC 4787, 5382 and 5508 bind",
        );
    }
    if !notes.is_empty() {
        text.push_str(&format!("\n{bold}To know{bold:#}\n"));
        for note in notes {
            text.push_str(&paragraph("  - ", note));
        }
    }
    text
}

fn changed(number: usize, change: &Planned) -> String {
    let bold = Style::new().bold();
    let mut text = format!("\n{bold}{number}. {}{bold:#}\n", edited(&change.edit));
    let mut line = |text_of: &str| text.push_str(&paragraph("   - ", text_of));
    line(&change.why);
    line(&format!("how: {}", change.derivation));
    line(&format!("takes effect {}", change.takes_effect));
    line(&format!("cost: {}", change.cost));
    line(&format!("risk: {}; {}", risk(change.risk), change.risk_because));
    for rail in &change.prices {
        let holds = if rail.holds == Holds::Price { "for a NAT; here a price" } else { "binding" };
        line(&format!("below {} s: {} ({}, {holds})", rail.least_secs, rail.because, rail.source));
    }
    if let Some(forecast) = &change.forecast {
        text.push_str(&foretold(forecast));
    }
    for overwrite in change.overwritten.iter().flatten() {
        text.push_str(&paragraph("   - ", &format!("will not stay so: {}", overwrite_in_words(overwrite))));
    }
    if change.overwritten.is_none() {
        text.push_str(&paragraph("   - ", "who else sets it is not known: this host's files could not be read"));
    }
    // A command is not broken.
    text.push_str(&format!("   - undo: {}\n", change.revert));
    text
}

/// An edit in words: what, from, to.
pub(crate) fn edited(edit: &Edit) -> String {
    match edit {
        Edit::Sysctl { sysctl, from, to } => {
            format!("{sysctl}: {} -> {}", grouped((*from).into()), grouped((*to).into()))
        }
        Edit::Policy(policy) => format!("timeouts of its own for {} port {}", policy.protocol.name(), policy.port),
        Edit::Bypass(bypass) => bypass.to_string(),
        Edit::Shield(shield) => format!("a shield of {}", shield.class),
        Edit::XdpStage(stage) => format!("an XDP stage of a shield on {}", stage.interface),
    }
}

const fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::None => "none",
        Risk::Low => "low",
        Risk::Medium => "medium",
    }
}

/// What the twin says, beside what it says of the settings in force.
fn foretold(forecast: &Forecast) -> String {
    let Forecast { lasts_secs, as_is, then } = forecast;
    let mut text = format!(
        "   - predicted live entries{}\n",
        columns(then, |moment| format!("in {}", duration(rounded(moment.at_secs))))
    );
    let live = |moment: &Moment| grouped(rounded(moment.live.value));
    text.push_str(&format!("     {:<21}{}\n", "as it is", columns(as_is, live)));
    text.push_str(&format!("     {:<21}{}\n", "then", columns(then, live)));
    text.push_str(&format!(
        "     {:<21}{}\n",
        "  give or take",
        columns(then, |moment| grouped(rounded(moment.live.half_width())))
    ));
    let differs = |of: fn(&Course) -> u64, what: &str| {
        let (before, after) = (of(as_is), of(then));
        (before > 0 || after > 0).then(|| format!("{} {what} ({} as it is)", grouped(after), grouped(before)))
    };
    let told: Vec<_> = [
        Some(format!("full {} ({} as it is)", when_full(then), when_full(as_is))),
        differs(|course| course.refused_flows, "new flows refused"),
        differs(|course| course.killed_entries, "entries killed for room"),
        differs(
            |course| course.false_kills.picked_up,
            "of the flows that come lose their entry and are picked up again",
        ),
        differs(|course| course.false_kills.reset, "are reset"),
        differs(|course| course.false_kills.black_holed, "stall"),
        Some(format!("at most {} of memory ({} as it is)", bytes(then.memory_bytes), bytes(as_is.memory_bytes))),
    ]
    .into_iter()
    .flatten()
    .collect();
    text.push_str(&paragraph("   - ", &format!("within {}: {}", duration(rounded(*lasts_secs)), told.join("; "))));
    text
}

fn columns(course: &Course, of: impl Fn(&Moment) -> String) -> String {
    let mut text = String::new();
    for moment in &course.moments {
        text.push_str(&format!("  {:>10}", of(moment)));
    }
    text
}

fn when_full(course: &Course) -> String {
    course.full_after_secs.map_or("never".to_string(), |secs| format!("in {}", duration(rounded(secs))))
}

fn sizes(sizing: &Sizing) -> String {
    let bold = Style::new().bold();
    let mut text = format!("\n{bold}Size{bold:#}\n");
    for of in sizing.demands.iter().filter(|of| of.demand.measured > 0) {
        text.push_str(&paragraph("  - ", &format!("{}: {}", of.namespace, of.demand.derivation)));
    }
    let Some(budget) = &sizing.budget else { return text };
    text.push_str(&paragraph(
        "  - ",
        &format!(
            "memory: {} of {} RAM is {}; at up to {} bytes an entry, {} entries in all",
            percent(budget.share),
            bytes(budget.ram_bytes),
            bytes(budget.bytes),
            budget.bytes_per_entry,
            grouped(budget.entries)
        ),
    ));
    let table = budget
        .founding_table_entries
        .map_or("has no row for it".to_string(), |row| format!("says {}", grouped(row.into())));
    text.push_str(&paragraph(
        "  - ",
        &format!(
            "the founding formula (RAM × 0.60 × 0.20 ÷ 500) gives {} for this RAM, and its table {table}: each row is about a \
             quarter of the formula",
            grouped(budget.founding_formula_entries)
        ),
    ));
    if let Some(all_full) = sizing.all_full_bytes {
        text.push_str(&paragraph(
            "  - ",
            &format!(
                "if every namespace that tracks ({}) were full, which nothing prevents: {}",
                sizing.demands.len(),
                bytes(all_full)
            ),
        ));
    }
    text
}

fn buckets(choice: &BucketChoice) -> String {
    let bold = Style::new().bold();
    let mut text = format!("\n{bold}Buckets{bold:#}\n");
    text.push_str(&paragraph("  - ", &format!("{} now: {}", grouped(choice.now.into()), choice.because)));
    text.push_str("      buckets  nodes: a chain  a look-up  refused when full   memory\n");
    for option in &choice.options {
        let mark = if option.buckets == choice.then { '*' } else { ' ' };
        text.push_str(&format!(
            "  {mark} {:>9}  {:>13.1}  {:>9.1}  {:>17}  {:>7}\n",
            grouped(option.buckets.into()),
            option.nodes_a_chain,
            option.nodes_a_lookup,
            option.refused_when_full.map_or("not known".to_string(), percent),
            bytes(option.bytes)
        ));
        let capped = if option.chain_cap_bites { "; the chain cap refuses entries" } else { "" };
        text.push_str(&format!("      ({}{capped})\n", option.known_as));
    }
    text
}
