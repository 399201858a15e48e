//! `gc-pressure`.

use plimsoll_model::{Confidence, Drawn, Finding, FindingId, Homogeneity, Severity, Status};

use super::table::Table;
use crate::evidence::{advice, number};
use crate::thresholds::GC_PRESSURE;
use crate::words::{grouped, percent};

pub(super) fn finding(table: &Table<'_>) -> Option<Finding> {
    let evidence = if let Homogeneity::GcPressure { first_read, share_in_first, share_in_rest, .. } =
        table.census.homogeneity
    {
        let text = format!(
            "the first {} entries of the table hold {} that gc may kill, the rest {}: it has been at work, from bucket 0 on",
            grouped(first_read),
            percent(share_in_first),
            percent(share_in_rest)
        );
        number("share_in_first_ratio", share_in_first, text)
    } else {
        // A failed early_drop raises the flag, the next run of gc acts on it (`gc_worker`, `__nf_conntrack_alloc`).
        let drops = table.ns.change.as_ref()?.counters.full_table_drops().filter(|drops| *drops > 0)?;
        if table.utilization() < GC_PRESSURE {
            return None;
        }
        let text = format!(
            "{} packets found no entry and nothing to evict, at {} of the limit: the next run of gc kills",
            grouped(drops),
            percent(table.utilization())
        );
        number("full_table_drops", drops as f64, text)
    };
    let prey = table.part(is_prey)?;
    Some(Finding {
        id: FindingId::GcPressure,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        namespace: Some(table.ns.namespace.name.clone()),
        holds: Some(prey.count.entries),
        whose: Vec::new(),
        title: format!(
            "gc kills closing and unanswered flows to make room, which no counter shows: {} of the entries are such",
            percent(prey.count.share.value)
        ),
        evidence: vec![
            evidence,
            number(
                "prey_ratio",
                prey.count.share.value,
                format!("{} of the entries may be killed by it", percent(prey.count.share.value)),
            ),
        ],
        meaning: "When a new flow found no room, the next run of gc (up to a minute later) goes through the table from bucket \
                  0 in slices and kills what is not assured and TCP that is closing, as long as the table is 95% full. Late \
                  packets of those connections are then invalid, and are often answered with a reset. It is no cause but a sign: \
                  look at what fills the table."
            .to_string(),
        remedies: vec![
            advice(
                "Established connections are safe from it, and a table that is full of them gets no relief. The early_drop \
                 counter does not count these kills.",
            ),
        ],
    })
}

/// What gc kills under pressure: not assured, or closing.
fn is_prey(drawn: &Drawn) -> bool {
    !drawn.entry.status.has(Status::ASSURED) || drawn.entry.is_closing()
}
