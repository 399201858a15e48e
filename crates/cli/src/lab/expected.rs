//! Whether a check found what a scenario expects.

use plimsoll_model::{Finding, FindingId, Untrusted, Verdict};
use plimsoll_scenario::{Expect, ExpectedVerdict};
use serde::Serialize;

/// What a scenario expects, held against what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Comparison {
    /// Findings that must be there and are.
    pub(crate) found: Vec<FindingId>,
    /// Findings that may be there and are.
    pub(crate) allowed: Vec<FindingId>,
    /// Findings that must be there and are not.
    pub(crate) missing: Vec<FindingId>,
    /// Findings that are there and may not be.
    pub(crate) unexpected: Vec<FindingId>,
    /// The verdict of the findings that were judged.
    pub(crate) verdict: Verdict,
    /// Verdicts of which it must be one; any, where none is named.
    pub(crate) verdicts: Vec<Verdict>,
    /// Whether all is as expected.
    pub(crate) as_expected: bool,
}

/// Judges the findings about the lab's namespace, and those about the host that are asked for: others are the host's own.
pub(crate) fn compare(expect: &Expect, findings: &[Finding], namespace: &str) -> Comparison {
    let is_about_the_lab = |finding: &&Finding| match &finding.namespace {
        Some(name) => *name == Untrusted::from(namespace),
        None => expect.must.contains(&finding.id),
    };
    let judged: Vec<Finding> = findings.iter().filter(is_about_the_lab).cloned().collect();
    let ids: Vec<FindingId> = judged.iter().map(|finding| finding.id).collect();
    let listed = |keep: &dyn Fn(&FindingId) -> bool| ids.iter().copied().filter(|id| keep(id)).collect();
    let must = |id: &FindingId| expect.must.contains(id);
    let may = |id: &FindingId| expect.may.contains(id);
    let missing: Vec<_> = expect.must.iter().copied().filter(|must| !ids.contains(must)).collect();
    let unexpected: Vec<_> = listed(&|id| !must(id) && !may(id));
    let verdict = Verdict::of(&judged);
    let verdicts: Vec<Verdict> = expect.verdicts.iter().map(|expected| verdict_of(*expected)).collect();
    let as_expected =
        missing.is_empty() && unexpected.is_empty() && (verdicts.is_empty() || verdicts.contains(&verdict));
    let (found, allowed) = (listed(&must), listed(&|id| may(id) && !must(id)));
    Comparison { found, allowed, missing, unexpected, verdict, verdicts, as_expected }
}

const fn verdict_of(expected: ExpectedVerdict) -> Verdict {
    match expected {
        ExpectedVerdict::Ok => Verdict::Ok,
        ExpectedVerdict::Warning => Verdict::Warning,
        ExpectedVerdict::Critical => Verdict::Critical,
    }
}

impl Comparison {
    /// In a few lines.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (what, ids) in [
            ("found, as it must be", &self.found),
            ("found, as it may be", &self.allowed),
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
        ] {
            if !ids.is_empty() {
                let ids: Vec<_> = ids.iter().map(|id| id.as_str()).collect();
                text.push_str(&format!("  {what}: {}\n", ids.join(", ")));
            }
        }
        if !self.verdicts.is_empty() {
            let may_be: Vec<_> = self.verdicts.iter().map(ToString::to_string).collect();
            text.push_str(&format!("  verdict: {}, expected: {}\n", self.verdict, may_be.join(" or ")));
        }
        text.push_str(if self.as_expected { "  as expected\n" } else { "  NOT as expected\n" });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_model::{Confidence, Severity};

    fn finding(id: FindingId, severity: Severity, namespace: Option<&str>) -> Finding {
        Finding {
            id,
            severity,
            confidence: Confidence::Certain,
            namespace: namespace.map(Untrusted::from),
            holds: None,
            whose: Vec::new(),
            title: String::new(),
            evidence: Vec::new(),
            meaning: String::new(),
            remedies: Vec::new(),
        }
    }

    fn expect(must: &[FindingId], may: &[FindingId], verdicts: &[ExpectedVerdict]) -> Expect {
        Expect { must: must.to_vec(), may: may.to_vec(), verdicts: verdicts.to_vec() }
    }

    #[test]
    fn findings_of_others_are_not_judged() {
        let findings = [
            finding(FindingId::TableFull, Severity::Critical, Some("host")),
            finding(FindingId::CannotSee, Severity::Unknown, None),
            finding(FindingId::EarlyDrop, Severity::Info, Some("lab")),
        ];
        let comparison = compare(&expect(&[FindingId::EarlyDrop], &[], &[ExpectedVerdict::Ok]), &findings, "lab");
        assert!(comparison.as_expected, "{comparison:?}");
        assert_eq!(comparison.found, [FindingId::EarlyDrop]);
        let comparison = compare(&expect(&[FindingId::CannotSee], &[FindingId::EarlyDrop], &[]), &findings, "lab");
        assert_eq!((comparison.found, comparison.allowed), (vec![FindingId::CannotSee], vec![FindingId::EarlyDrop]));
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let findings = [finding(FindingId::EarlyDrop, Severity::Warning, Some("lab"))];
        let comparison = compare(&expect(&[FindingId::SynFlood], &[], &[ExpectedVerdict::Critical]), &findings, "lab");
        assert_eq!(
            (comparison.missing.clone(), comparison.unexpected.clone()),
            (vec![FindingId::SynFlood], vec![FindingId::EarlyDrop])
        );
        assert!(!comparison.as_expected);
        let verdict_alone =
            compare(&expect(&[FindingId::EarlyDrop], &[], &[ExpectedVerdict::Critical]), &findings, "lab");
        assert!(!verdict_alone.as_expected, "{verdict_alone:?}");
    }
}
