//! Settings that are neither sizes nor timeouts.

use plimsoll_diagnose::thresholds::EXPECTATIONS_SHORT;
use plimsoll_diagnose::words::grouped;
use plimsoll_model::{Edit, Finding, FindingId, NamespaceSnapshot, Severity, Snapshot, Sysctl};

use crate::{PassedOver, Planned, Risk};

/// A setting that should be another.
#[derive(Clone, Debug)]
pub(crate) struct OtherChange {
    pub(crate) sysctl: Sysctl,
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) why: String,
    pub(crate) cost: &'static str,
    pub(crate) risk: Risk,
    pub(crate) risk_because: &'static str,
}

pub(crate) fn changes(snapshot: &Snapshot, ns: &NamespaceSnapshot, findings: &[Finding]) -> Vec<OtherChange> {
    let here = |id: FindingId| findings.iter().find(|finding| finding.id == id && concerns(finding, ns));
    [
        syncookies(ns, here(FindingId::SyncookiesOff)),
        liberal(ns, here(FindingId::InvalidPackets)),
        expect_max(snapshot),
        helper(ns),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether a finding is of this namespace, or of the host.
fn concerns(finding: &Finding, ns: &NamespaceSnapshot) -> bool {
    finding.namespace.as_ref().is_none_or(|name| *name == ns.namespace.name)
}

/// Whether something was found here that is more than a note.
pub(crate) fn needs_care(ns: &NamespaceSnapshot, findings: &[Finding], id: FindingId) -> bool {
    findings.iter().any(|finding| finding.id == id && finding.severity >= Severity::Warning && concerns(finding, ns))
}

/// What is often recommended and does harm here, and what was found that no change here is for.
pub(crate) fn passed_over(ns: &NamespaceSnapshot, findings: &[Finding], changes: &[Planned]) -> Vec<PassedOver> {
    let is_flooded = findings.iter().any(|finding| finding.id == FindingId::SynFlood && concerns(finding, ns));
    let loose = (is_flooded && ns.settings.tcp_loose == Some(true)).then(|| PassedOver {
        what: "nf_conntrack_tcp_loose = 0".to_string(),
        because: "without SYNPROXY it wins nothing against SYNs, and connections that lose their entry are not picked up again"
            .to_string(),
    });
    let left = findings
        .iter()
        .filter(|finding| {
            finding.severity >= Severity::Warning && concerns(finding, ns) && is_left(finding.id, changes)
        })
        .map(|finding| PassedOver {
            what: finding.title.clone(),
            because: format!(
                "no change of a setting is proposed for it; `plimsoll explain {}` says what helps",
                finding.id
            ),
        });
    loose.into_iter().chain(left).collect()
}

/// Whether none of the changes is for a finding, as far as its id tells.
fn is_left(id: FindingId, changes: &[Planned]) -> bool {
    let sets = |of: fn(Sysctl) -> bool| {
        changes.iter().any(|change| matches!(change.edit, Edit::Sysctl { sysctl, .. } if of(sysctl)))
    };
    match id {
        // What lasts, and what others write, each change tells.
        FindingId::SettingsNotPersistent | FindingId::KubeProxyOwnsSetting | FindingId::Drift => false,
        FindingId::HashTooSmall | FindingId::ChainTooLong => !sets(|sysctl| sysctl == Sysctl::BUCKETS),
        FindingId::SyncookiesOff => !sets(|sysctl| sysctl == Sysctl::SYNCOOKIES),
        FindingId::InvalidPackets => !sets(|sysctl| sysctl == Sysctl::TCP_BE_LIBERAL),
        FindingId::TimeoutRisky => !sets(|sysctl| sysctl.timeout().is_some()),
        FindingId::TableFull
        | FindingId::TableFilling
        | FindingId::NamespaceFull
        | FindingId::ConnectionStorm
        | FindingId::ReverseProxyChurn
        | FindingId::NatOrServiceChurn
        | FindingId::ProbeChurn
        | FindingId::OneTenant
        | FindingId::SynFlood
        | FindingId::OutboundScan
        | FindingId::UdpUnreplied
        | FindingId::IdleEstablished
        | FindingId::HalfClosedLeak
        | FindingId::EarlyDrop
        | FindingId::GcPressure => changes.is_empty(),
        _ => true,
    }
}

fn syncookies(ns: &NamespaceSnapshot, finding: Option<&Finding>) -> Option<OtherChange> {
    let from = ns.settings.syncookies.filter(|value| *value == 0)?;
    Some(OtherChange {
        sysctl: Sysctl::SYNCOOKIES,
        from,
        to: 1,
        why: finding?.title.clone(),
        cost: "a connection that begins by a cookie may lack window scaling or SACK where the client sends no timestamps",
        risk: Risk::None,
        risk_because: "cookies are sent only while a listener's backlog overflows",
    })
}

fn liberal(ns: &NamespaceSnapshot, finding: Option<&Finding>) -> Option<OtherChange> {
    let finding = finding.filter(|finding| finding.severity >= Severity::Warning)?;
    (ns.settings.tcp_be_liberal == Some(false)).then(|| OtherChange {
        sysctl: Sysctl::TCP_BE_LIBERAL,
        from: 0,
        to: 1,
        why: format!("{}: where only one direction passes here, windows cannot be followed", finding.title),
        cost: "packets out of the window are tracked as valid; resets are still checked",
        risk: Risk::Low,
        risk_because: "if routes are not asymmetric, invalid packets have another cause and this hides it",
    })
}

fn expect_max(snapshot: &Snapshot) -> Option<OtherChange> {
    let from = snapshot.limits.expect_max.filter(|limit| *limit > 0)?;
    let most = snapshot.namespaces.iter().filter_map(|ns| ns.expectations).max()?;
    (f64::from(most) > EXPECTATIONS_SHORT * f64::from(from)).then(|| OtherChange {
        sysctl: Sysctl::EXPECT_MAX,
        from,
        to: from.saturating_mul(2),
        why: format!("{} expectations wait, and {} may", grouped(most.into()), grouped(from.into())),
        cost: "an expectation takes about 240 bytes",
        risk: Risk::None,
        risk_because: "a helper may have more calls or transfers begin at once",
    })
}

/// Up to 5.15 helpers are assigned by port where this is on; it is gone in 6.1.
fn helper(ns: &NamespaceSnapshot) -> Option<OtherChange> {
    let is_on = ns.settings.helper == Some(true);
    let is_unused = ns.census.as_ref().is_some_and(|census| census.helped.seen + census.expected.seen == 0);
    (is_on && is_unused).then(|| OtherChange {
        sysctl: Sysctl::HELPER,
        from: 1,
        to: 0,
        why: "helpers are assigned by port alone, and no entry that was read has one".to_string(),
        cost: "a service that needs a helper needs a rule that assigns it (-j CT --helper)",
        risk: Risk::Low,
        risk_because: "an FTP or SIP session that comes only now and then was not among the entries",
    })
}
