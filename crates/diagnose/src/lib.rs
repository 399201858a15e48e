//! From a [`Snapshot`] to [`Finding`]s. No I/O, no clock: the same snapshot always gives the same findings.
//!
//! Severity follows the harm: packets that are being lost now, or that would be as soon as a new flow comes. Counters
//! since boot are evidence and never severity. Every figure by which a finding is judged is in [`thresholds`].

mod blind;
mod causes;
mod clash;
mod drift;
mod eviction;
mod evidence;
mod fullness;
mod hash;
mod invalid;
mod kube_proxy;
mod log;
mod memory;
mod overwrite;
mod persistence;
mod searched;
mod syncookies;
pub mod thresholds;
mod timeouts;
pub mod words;

pub use drift::{drift, in_force, report as drift_report, sentence as drift_in_words};
pub use evidence::bytes_per_entry;
pub use overwrite::{in_words as overwrite_in_words, overwritten};

use plimsoll_model::{Census, Entry, Finding, FindingId, Snapshot};

/// Every cause that the snapshot shows, the worst first.
pub fn diagnose(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(fullness::findings(snapshot));
    findings.extend(log::findings(snapshot));
    findings.extend(eviction::findings(snapshot));
    findings.extend(hash::findings(snapshot));
    findings.extend(memory::findings(snapshot));
    findings.extend(causes::findings(snapshot));
    findings.extend(clash::findings(snapshot));
    findings.extend(invalid::findings(snapshot));
    findings.extend(timeouts::findings(snapshot));
    findings.extend(syncookies::findings(snapshot));
    findings.extend(persistence::findings(snapshot));
    findings.extend(drift::findings(snapshot));
    findings.extend(kube_proxy::findings(snapshot));
    findings.extend(blind::findings(snapshot));
    leave_out_explained(&mut findings);
    findings.sort_by_key(|finding| std::cmp::Reverse(rank(finding)));
    findings
}

/// The entries, of those that were drawn, that `syn-flood`, `outbound-scan` or `udp-unreplied` is about: none for another finding.
pub fn entries_of(id: FindingId, census: &Census) -> Vec<&Entry> {
    causes::entries_of(id, census)
}

/// Whether most of some entries come from a few sources ([`thresholds::FEW_SOURCES`]).
pub fn is_from_few<'a>(entries: impl ExactSizeIterator<Item = &'a Entry>) -> bool {
    causes::part::is_from_few(entries)
}

/// A flow that finds no port fails as a clash does: one finding says so, and says why.
fn leave_out_explained(findings: &mut Vec<Finding>) {
    let without_ports: Vec<_> = findings
        .iter()
        .filter(|finding| finding.id == FindingId::NatPortsExhausted)
        .map(|finding| finding.namespace.clone())
        .collect();
    let is_clash = |id| matches!(id, FindingId::InsertClash | FindingId::DnsClash);
    findings.retain(|finding| !is_clash(finding.id) || !without_ports.contains(&finding.namespace));
}

/// What comes first: the worst; of what is as bad, how full the table is, and then the causes by the entries they hold.
fn rank(finding: &Finding) -> impl Ord + use<> {
    let is_fullness = matches!(finding.id, FindingId::TableFull | FindingId::NamespaceFull | FindingId::TableFilling);
    (finding.severity, is_fullness, finding.holds.map(|entries| entries.low), finding.confidence)
}
