//! A plan: each change with its reason, derivation, forecast, cost, risk, prices and way back.

use std::collections::BTreeSet;

use plimsoll_diagnose::words::{duration, grouped, rounded};

use super::document::{Forecast, Moment, PlanDocument, Planned};
use super::html::{around, command, facts, list, said, table};
use super::page::Part;
use crate::date::utc;
use crate::explain;
use crate::plan::edited;

pub(super) fn part(document: &PlanDocument) -> Part {
    let namespace = document.namespace.as_str();
    let host = document.host.as_ref().map_or("this host", |name| name.as_str());
    let heading = match document.changes.len() {
        0 => format!("Nothing to change in {namespace} on {host}"),
        _ => format!("What to change in {namespace} on {host}"),
    };
    let mut body = said("h2", "", &heading);
    let when = document.made_at_unix_secs.map(utc).map(|when| format!("Planned at {when}. "));
    let order = "The most helpful change for the least risk first. A plan is for the moment that it was made for: `plimsoll apply` \
                 refuses it where values have changed since, and undoes it unless it is confirmed.";
    let order = explain::markdown::html(&format!("{}{order}", when.unwrap_or_default()));
    body.push_str(&around("div", "quiet", &order));
    body.push_str(
        &document.changes.iter().enumerate().map(|(index, change)| changed(index + 1, change)).collect::<String>(),
    );
    if let (Some(forecast), true) = (&document.together, document.changes.len() > 1) {
        body.push_str(&around("article", "finding", &(said("h3", "", "All together") + &foretold(forecast))));
    }
    body.push_str(&sizes(document));
    let passed_over: Vec<_> = document
        .passed_over
        .iter()
        .map(|passed| format!("{}: {}", passed.what.as_str(), passed.because.as_str()))
        .collect();
    body.push_str(&under("Not proposed", &list("", passed_over.iter().map(String::as_str))));
    body.push_str(&under("To know", &list("", document.notes.iter().map(super::document::Text::as_str))));
    Part { title: format!("plan for {namespace}"), body: around("section", "", &body), findings: BTreeSet::new() }
}

fn under(heading: &str, elements: &str) -> String {
    if elements.is_empty() { String::new() } else { said("h3", "minor", heading) + elements }
}

fn changed(number: usize, change: &Planned) -> String {
    let mut inner = said("h3", "", &format!("{number}. {}", edited(&change.edit)));
    inner.push_str(&said("p", "lead", change.why.as_str()));
    let told = [
        ("how it follows", change.derivation.as_str().to_string()),
        ("takes effect", change.takes_effect.as_str().to_string()),
        ("cost", change.cost.as_str().to_string()),
        ("risk", format!("{}; {}", change.risk.as_str(), change.risk_because.as_str())),
    ];
    inner.push_str(&facts(told));
    let prices: Vec<_> = change
        .prices
        .iter()
        .map(|price| format!("below {} s: {} ({})", price.least_secs, price.because.as_str(), price.source.as_str()))
        .collect();
    inner.push_str(&under("Prices", &list("evidence", prices.iter().map(String::as_str))));
    if let Some(forecast) = &change.forecast {
        inner.push_str(&said("h3", "minor", "What it is foretold to do"));
        inner.push_str(&foretold(forecast));
    }
    inner.push_str(&said("h3", "minor", "The way back"));
    inner.push_str(&command(change.revert.as_str()));
    around("article", "finding", &inner)
}

/// Live entries then, beside those if nothing is changed.
fn foretold(forecast: &Forecast) -> String {
    let live = |moment: &Moment| {
        let half = rounded(moment.live.half_width());
        format!("{} ± {}", grouped(rounded(moment.live.value)), grouped(half))
    };
    let moments = forecast.as_is.moments.iter().zip(&forecast.then.moments);
    let rows =
        moments.map(|(as_is, then)| [format!("in {}", duration(rounded(then.at_secs))), live(as_is), live(then)]);
    let count = |count: Option<u64>| count.map_or("?".to_string(), grouped);
    let most = [
        ["most entries counted".to_string(), count(forecast.as_is.peak_entries), count(forecast.then.peak_entries)],
        ["flows refused".to_string(), count(forecast.as_is.refused_flows), count(forecast.then.refused_flows)],
    ];
    table(["live entries", "as it is", "with the change"], rows.chain(most))
}

/// Why the sizes are what they are.
fn sizes(document: &PlanDocument) -> String {
    let mut reasons: Vec<String> = Vec::new();
    if let Some(sizing) = &document.sizing {
        let because = sizing.decision.because.iter().map(|because| format!("The limit: {}.", because.as_str()));
        let demand = sizing.demands.iter().map(|of| format!("{}: {}.", of.namespace.as_str(), of.derivation.as_str()));
        reasons.extend(because.chain(demand));
    }
    let buckets = document.buckets.iter().filter_map(|buckets| buckets.because.as_ref());
    reasons.extend(buckets.map(|because| format!("The buckets: {}.", because.as_str())));
    under("Sizes", &list("evidence", reasons.iter().map(String::as_str)))
}
