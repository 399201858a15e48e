//! `helper-expansion`.

use plimsoll_model::{Confidence, Entry, Extension, Finding, FindingId, Severity, Status};

use super::part::{Part, Said};
use super::table::Table;
use crate::evidence::{advice, number};
use crate::thresholds::EXPECTATIONS_SHORT;
use crate::words::{grouped, percent};

pub(super) fn finding(table: &Table<'_>) -> Option<Finding> {
    let part = table.entries(is_of_a_helper)?;
    let expectations = table.ns.expectations.zip(table.snapshot.limits.expect_max).filter(|(_, most)| *most > 0);
    let used = expectations.map(|(now, most)| f64::from(now) / f64::from(most));
    let are_short = used.is_some_and(|used| used >= EXPECTATIONS_SHORT);
    let expected = part.drawn.iter().filter(|drawn| drawn.entry.status.has(Status::EXPECTED)).count();
    if !are_short && (expected == 0 || !part.is_worth_naming()) {
        return None;
    }
    let mut evidence = vec![expected_evidence(&part, expected)];
    if let (Some((now, most)), Some(used)) = (expectations, used) {
        evidence.push(number(
            "expectations_ratio",
            used,
            format!("{} of {} expectations wait ({})", grouped(now.into()), grouped(most.into()), percent(used)),
        ));
    }
    evidence.push(part.services());
    evidence.push(part.most("sources", "sources", |entry| Some(entry.original.source)));
    let mut finding = part.finding(Said {
        id: FindingId::HelperExpansion,
        confidence: Confidence::Certain,
        what: "entries of protocols that a helper follows".to_string(),
        evidence,
        meaning: "A helper (FTP, SIP, H.323 …) expects further connections of a session; each becomes an entry that keeps \
                  its master's entry alive. Expectations have a limit of their own, and beyond it the session's further \
                  connections fail."
            .to_string(),
        remedies: vec![
            advice(
                "Assign the helper only to the addresses and ports of the servers that need it (`ct helper set` in a rule \
                 that names them). Since 6.1 no helper is assigned by itself, so a rule of this host does it.",
            ),
            advice(
                "Remove it where nothing needs it: passive FTP without NAT, and SIP with its own NAT traversal, work without. \
                 Each helper also parses what strangers send.",
            ),
        ],
    });
    if are_short {
        finding.severity = finding.severity.max(Severity::Warning);
    }
    Some(finding)
}

fn expected_evidence(part: &Part<'_>, expected: usize) -> plimsoll_model::Evidence {
    let share = expected as f64 / part.drawn.len() as f64;
    number(
        "expected_ratio",
        share,
        format!("{} of them were expected by a helper, the rest are its masters", percent(share)),
    )
}

fn is_of_a_helper(entry: &Entry) -> bool {
    entry.status.has(Status::EXPECTED)
        || entry.status.has(Status::HELPER)
        || entry.extensions.contains(Extension::Helper)
}
