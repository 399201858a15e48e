//! The JSON document of `shield`. `docs/shield.md` describes it; what is here never changes its meaning within a schema version.

use plimsoll_model::{Interface, Untrusted};
use plimsoll_shield::Judgement;
use serde_json::{Value, json};

use super::made::Made;
use super::report::{Outcome, Report, State};

/// Rises when a key changes its meaning or goes away; new keys do not raise it.
const SCHEMA: &str = "plimsoll.shield/1";

pub(super) fn render(report: &Report) -> anyhow::Result<String> {
    let mut document = match &report.outcome {
        Outcome::None => json!({ "outcome": "none" }),
        Outcome::Nothing => json!({ "outcome": "nothing_to_shield" }),
        Outcome::Planned { made, rehearsed } => json!({
            "outcome": "planned",
            "shield": made.shield,
            "rules": rehearsed.commands,
            "set_while_enforced": rehearsed.companions,
            "xdp": rehearsed.stages.iter().map(planned_stage).collect::<Vec<_>>(),
        }),
        Outcome::Status(state) => of_state("in_force", state),
        Outcome::Extended(state) => of_state("extended", state),
        Outcome::Stopped(rolled_back) => json!({
            "outcome": "stopped",
            "application": rolled_back.application.begun.id,
            "remaining": rolled_back.application.remaining(),
        }),
        Outcome::Judged { state, judgement, .. } => {
            let mut document = of_state("in_shadow", state);
            document["would_be_enforced"] = matches!(judgement, Judgement::Enforce(_)).into();
            document["why_not"] = match judgement {
                Judgement::Enforce(_) => Value::Null,
                Judgement::Stay(why) => why.to_string().into(),
            };
            document
        }
        Outcome::Enforced { state, .. } => of_state("enforced", state),
        Outcome::Withdrawn { state, why, .. } => {
            let mut document = of_state("withdrawn", state);
            document["why_not"] = why.to_string().into();
            document
        }
        Outcome::Over(application) => json!({ "outcome": "over", "application": application }),
    };
    document["schema"] = SCHEMA.into();
    document["namespace"] = json!(report.netns);
    if let Some(made) = made_of(&report.outcome) {
        document["against"] = json!(made.against);
        document["logged_in"] = json!(made.logged_in);
        document["not_proxied"] = json!(made.not_proxied);
    }
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

pub(super) fn made_of(outcome: &Outcome) -> Option<&Made> {
    match outcome {
        Outcome::Planned { made, .. } => Some(made),
        Outcome::Judged { made, .. } | Outcome::Enforced { made, .. } | Outcome::Withdrawn { made, .. } => {
            made.as_ref()
        }
        _ => None,
    }
}

fn planned_stage((interface, why_not): &(Interface, Option<String>)) -> Value {
    json!({ "interface": interface, "why_not": why_not })
}

fn of_state(outcome: &str, state: &State) -> Value {
    // A flood has more sources than anybody reads.
    const MOST: usize = 100;
    let mut hits = state.reading.hits.clone();
    hits.sort_unstable_by_key(|hit| (std::cmp::Reverse(hit.packets), hit.source));
    hits.truncate(MOST);
    json!({
        "outcome": outcome,
        "application": state.application,
        "mode": if state.reading.is_enforced() { "enforced" } else { "shadow" },
        "looks_at": Untrusted::from(state.shield.class.to_string().as_str()),
        "shield": state.shield,
        "age_secs": state.age_secs,
        "withdrawn": state.withdrawn,
        "ends_in_secs": state.reading.armed_secs,
        "counters": state.reading.counters,
        "xdp": state.stages,
        "hit_sources": state.reading.hits.len(),
        "hits": hits,
        "collateral": state.collateral,
        "collateral_share": state.collateral.share(),
    })
}
