//! What there is to tell of a shield, for people.

use plimsoll_apply::{Change, Running, Runs, Stage, StageAction, StageState};
use plimsoll_diagnose::words::{grouped, percent};
use plimsoll_model::{Class, Edit, Interface, Network, Shield, Untrusted};
use plimsoll_shield::{Because, Collateral, Counters, Judgement};

use super::json::made_of;
use super::made::Made;
use super::report::{Outcome, Report, State};
use crate::wrap::{indented, paragraph};

pub(super) fn render(report: &Report) -> String {
    let netns = &report.netns;
    let made = made_of(&report.outcome).map_or_else(String::new, origin);
    made + &match &report.outcome {
        Outcome::None => format!("There is no shield in {netns}.\n"),
        Outcome::Nothing => paragraph(
            "",
            &format!(
                "Nothing in {netns} calls for a shield: its table shows no flood and no scan. --for and --port make one all the same."
            ),
        ),
        Outcome::Planned { made, rehearsed } => {
            what(&made.shield)
                + "Nothing is done now. These would be the rules, in shadow:\n"
                + &indented(&rehearsed.commands)
                + &companions(&rehearsed.companions)
                + &rehearsed.stages.iter().map(planned_stage).collect::<String>()
        }
        Outcome::Status(state) => {
            let withdrawn = state.withdrawn.as_ref();
            what(&state.shield)
                + &figures(state)
                + &withdrawn
                    .map_or_else(String::new, |why| paragraph("", &format!("It was taken back to shadow: {why}.")))
        }
        Outcome::Extended(state) => format!("The shield ends in {} s.\n", state.reading.armed_secs),
        Outcome::Stopped(rolled_back) => {
            let application = &rolled_back.application;
            let left = application.remaining().into_iter().map(|left| format!("  not undone: {left}\n"));
            format!("The shield is removed (application {}).\n", application.begun.id) + &left.collect::<String>()
        }
        Outcome::Judged { state, judgement, .. } => {
            let judged = match judgement {
                Judgement::Enforce(share) => format!(
                    "Enforced it would hit {} of those who have completed flows; `plimsoll shield --enforce` does that.",
                    percent(*share)
                ),
                Judgement::Stay(why) => format!("It stays in shadow: {why}."),
            };
            what(&state.shield) + &figures(state) + &paragraph("", &judged)
        }
        Outcome::Enforced { state, .. } => what(&state.shield) + &figures(state) + &end(state),
        Outcome::Withdrawn { state, why, .. } => {
            what(&state.shield) + &figures(state) + &paragraph("", &format!("It is in shadow again: {why}."))
        }
        Outcome::Over(application) => format!("The shield's time is over (application {application}).\n"),
    }
}

fn origin(made: &Made) -> String {
    let because = made.because.map(|because| match because {
        Because::FewSources => "a few sources make most of it: they are limited, and the heaviest dropped",
        Because::SpoofedSources => "sources ask about once each, as spoofed ones do: SYNPROXY answers without an entry",
        Because::ManySources => "many sources ask several times each",
        Because::Scan => "sources ask many services: their new connections are limited",
        Because::Unreplied => "packets that nobody answers: senders without a known exchange are limited",
    });
    let mut text = format!("Against {}", made.against);
    text += &because.map_or_else(|| ", as it was asked for.\n".to_string(), |because| format!(": {because}.\n"));
    if let Some(why) = &made.not_proxied {
        text += &paragraph(
            "",
            "SYNPROXY would fit this, and cannot be; so sources are limited, which does little against sources that change with each packet:",
        );
        for line in why.lines() {
            text += &paragraph("  ", line);
        }
    }
    if !made.logged_in.is_empty() {
        let addresses: Vec<_> = made.logged_in.iter().map(ToString::to_string).collect();
        text += &paragraph("", &format!("Spared, because they are logged in by SSH: {}.", addresses.join(", ")));
    }
    text
}

fn what(shield: &Shield) -> String {
    let mut text = format!("It looks at {}.\n", shield.class);
    if let Some(limits) = &shield.limits {
        text += &format!("  from one address: {}\n", limits.per_source);
        if let Some(rate) = limits.per_prefix {
            text += &format!("  from a /24 or /64: {rate}\n");
        }
        text += &format!("  sources told apart: {}; of others ", grouped(limits.most_sources.get().into()));
        text += &limits.without_room.map_or_else(|| "all pass\n".to_string(), |rate| format!("together {rate}\n"));
    }
    if let Class::Handshakes { .. } = shield.class {
        text += "  while it is enforced SYNPROXY does the handshakes; without timestamps, so without window scaling and SACK\n";
    }
    if let Class::Datagrams { known, .. } = &shield.class {
        text += &format!("  known peers, who are not limited: {}\n", grouped(known.len() as u64));
    }
    text + &listed("dropped in any case", &shield.drop) + &listed("spared", &shield.allow)
}

fn listed(what: &str, networks: &[Network]) -> String {
    const MOST: usize = 8;
    if networks.is_empty() {
        return String::new();
    }
    let mut names: Vec<_> = networks.iter().take(MOST).map(ToString::to_string).collect();
    if networks.len() > MOST {
        names.push(format!("and {} more", networks.len() - MOST));
    }
    format!("  {what}: {}\n", names.join(", "))
}

fn companions(changes: &[Change]) -> String {
    let lines = changes.iter().filter_map(|change| match &change.edit {
        Edit::Sysctl { sysctl, from, to } => {
            Some(format!("  {sysctl} = {to} (was {from}): {}\n", Untrusted::from(change.why.as_str())))
        }
        _ => None,
    });
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { "While it is enforced, and undone with it:\n".to_string() + &lines }
}

fn figures(state: &State) -> String {
    let mode = if state.reading.is_enforced() { "enforced" } else { "in shadow" };
    let mut text = format!(
        "Application {}, {mode}, there for {} s, ends in {} s. Packets:\n",
        state.application, state.age_secs, state.reading.armed_secs
    );
    text += &table(&counted(&state.reading.counters));
    text += &state.stages.iter().map(stage).collect::<String>();
    text + &harmed(&state.collateral)
}

fn table(counted: &[(&str, u64)]) -> String {
    let mut text = String::new();
    for (name, packets) in counted {
        if *packets > 0 || *name == "seen" {
            text += &format!("  {:>14}  {name}\n", grouped(*packets));
        }
    }
    text
}

fn stage(stage: &Stage) -> String {
    let interface = &stage.interface;
    let Running { runs, action, counters, .. } = match &stage.state {
        StageState::Absent { why } => return without_stage(interface, why),
        StageState::Attached(running) => running,
    };
    let place = match runs {
        Runs::Native => "in the driver",
        Runs::Generic => "behind the driver (generic)",
    };
    let mode = match action {
        StageAction::Shadow => "in shadow",
        StageAction::Enforce => "enforced",
    };
    let counted = [
        ("seen", counters.seen),
        ("of the allowed, and of known peers", counters.allowed),
        ("within their limits", counters.within_limit),
        ("of those listed to be dropped", counters.listed),
        ("over the limit of their address", counters.over_source),
        ("over the limit of their network", counters.over_prefix),
        ("dropped, which the rules have not seen", counters.dropped),
    ];
    format!("XDP on {interface}, {place}, {mode}. Packets:\n") + &table(&counted) + &offloads(interface, *runs)
}

/// What the kernel has switched off for it, and leaves so: `generic_xdp_install` in `net/core/dev.c`.
fn offloads(interface: &Interface, runs: Runs) -> String {
    match runs {
        Runs::Native => String::new(),
        Runs::Generic => paragraph(
            "  ",
            &format!(
                "The kernel has switched LRO and rx-gro-hw off on {interface} for it, and leaves them off. Afterwards, if they were on: \
                 `ethtool -K {interface} lro on rx-gro-hw on`"
            ),
        ),
    }
}

fn planned_stage((interface, why_not): &(Interface, Option<String>)) -> String {
    match why_not {
        None => format!("XDP would do the same on {interface}, if its driver or the kernel takes it.\n"),
        Some(why) => without_stage(interface, why),
    }
}

fn without_stage(interface: &Interface, why: &str) -> String {
    paragraph("", &format!("No XDP on {interface}, so the rules do its work: {}.", Untrusted::from(why)))
}

fn counted(counters: &Counters) -> [(&'static str, u64); 12] {
    [
        ("seen", counters.seen),
        ("of the allowed", counters.allowed),
        ("of known peers", counters.known),
        ("of those listed to be dropped", counters.listed),
        ("over the limit of their address", counters.over_source),
        ("over the limit of their network", counters.over_prefix),
        ("of sources without room in the set", counters.without_room),
        ("of these, over their common limit", counters.over_total),
        ("of connections that tracking does not know", counters.picked_up),
        ("given to SYNPROXY", counters.proxied),
        ("too many, of sources that could not be noted", counters.unrecorded),
        ("dropped", counters.dropped),
    ]
}

fn harmed(collateral: &Collateral) -> String {
    let part = |part: plimsoll_shield::Part| format!("{} of {}", grouped(part.hit), grouped(part.of));
    let mut text = format!(
        "Hit, of those who mean well: {} sources, {} completed flows",
        part(collateral.sources),
        part(collateral.flows)
    );
    if collateral.without_room.hit > 0 {
        text += &format!(", and of new sources {}", percent(collateral.without_room.share()));
    }
    if !collateral.hit.is_empty() {
        let addresses: Vec<_> = collateral.hit.iter().map(ToString::to_string).collect();
        text += &format!(" ({})", addresses.join(", "));
    }
    paragraph("", &(text + "."))
}

fn end(state: &State) -> String {
    paragraph(
        "",
        &format!(
            "It ends by itself in {} s; `plimsoll shield --extend TIME` prolongs it, `plimsoll shield --stop` ends it now.",
            state.reading.armed_secs
        ),
    )
}
