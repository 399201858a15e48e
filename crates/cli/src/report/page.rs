//! The page around the parts.

use std::collections::BTreeSet;

use plimsoll_model::{FindingId, Severity, Verdict};

use super::html::{around, said, text};
use crate::explain;

/// What one source makes of the page.
#[derive(Debug)]
pub(super) struct Part {
    /// What it is of, in a few words.
    pub(super) title: String,
    /// Elements.
    pub(super) body: String,
    /// Findings that it speaks of, to be explained once.
    pub(super) findings: BTreeSet<FindingId>,
}

/// Nothing is fetched and nothing runs, whatever a name in a file tries.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The whole page.
pub(super) fn render(parts: &[Part]) -> String {
    let titles: Vec<_> = parts.iter().map(|part| part.title.as_str()).collect();
    let title = text(&format!("Plimsoll report: {}", titles.join("; ")));
    let body: String = parts.iter().map(|part| part.body.as_str()).collect();
    let findings: BTreeSet<_> = parts.iter().flat_map(|part| part.findings.iter().copied()).collect();
    let explained = explained(&findings);
    let style = [plimsoll_watch::STYLE, include_str!("report.css")].concat();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body class=\"report\">\n\
         <header><h1>Plimsoll report</h1></header>\n<main>\n{body}{explained}</main>\n\
         <footer>Written by plimsoll {version}. Numbers in brackets are intervals at 95 %.</footer>\n</body>\n</html>\n"
    )
}

/// What there is to say of each finding, with anchors that findings lead to.
fn explained(findings: &BTreeSet<FindingId>) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let one = |id: &FindingId| {
        let sections: String = explain::sections(*id)
            .into_iter()
            .map(|(heading, markdown)| said("h4", "", heading) + &explain::markdown::html(markdown))
            .collect();
        format!("<article class=\"explained\" id=\"{id}\">\n{}{sections}</article>\n", said("h3", "", id.as_str()))
    };
    let all: String = findings.iter().map(one).collect();
    around("section", "", &(said("h2", "", "More about these findings") + &all))
}

/// The word and colour of a severity.
pub(super) fn tone(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Unknown => "unknown",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// The same of a verdict.
pub(super) fn verdict_tone(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Unknown => "unknown",
        Verdict::Warning => "warning",
        Verdict::Critical => "critical",
    }
}
