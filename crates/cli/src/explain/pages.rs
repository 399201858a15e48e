//! The pages of `docs/findings`, which the program carries.

use plimsoll_model::FindingId;
use serde::Serialize;

/// What there is to say of a finding.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) id: FindingId,
    /// It in a line.
    pub(super) title: &'static str,
    pub(super) sections: Vec<Section>,
}

/// A part of a page.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    pub(super) heading: &'static str,
    /// Markdown.
    pub(super) text: &'static str,
}

impl Page {
    pub(super) fn of(id: FindingId) -> Self {
        let (first, rest) = markdown(id).split_once('\n').unwrap_or((markdown(id), ""));
        let title = first.split_once(": ").map_or(first, |(_, title)| title);
        Self { id, title, sections: rest.split("\n## ").skip(1).map(Section::of).collect() }
    }
}

impl Section {
    fn of(markdown: &'static str) -> Self {
        let (heading, text) = markdown.split_once('\n').unwrap_or((markdown, ""));
        Self { heading, text: text.trim() }
    }
}

/// A finding without a page does not compile.
macro_rules! pages {
    ($($id:ident $name:literal,)*) => {
        /// The page, as it is written.
        const fn markdown(id: FindingId) -> &'static str {
            match id {
                $(FindingId::$id => include_str!(concat!("../../../../docs/findings/", $name, ".md")),)*
            }
        }
    };
}

pages! {
    TableFull "table-full",
    TableFilling "table-filling",
    NamespaceFull "namespace-full",
    ConnectionStorm "connection-storm",
    ReverseProxyChurn "reverse-proxy-churn",
    NatOrServiceChurn "nat-or-service-churn",
    ProbeChurn "probe-churn",
    SynFlood "syn-flood",
    OutboundScan "outbound-scan",
    UdpUnreplied "udp-unreplied",
    IdleEstablished "idle-established",
    HalfClosedLeak "half-closed-leak",
    OneTenant "one-tenant",
    NatPortsExhausted "nat-ports-exhausted",
    HelperExpansion "helper-expansion",
    EarlyDrop "early-drop",
    GcPressure "gc-pressure",
    InsertClash "insert-clash",
    DnsClash "dns-clash",
    InvalidPackets "invalid-packets",
    HashTooSmall "hash-too-small",
    ChainTooLong "chain-too-long",
    MemoryAtRisk "memory-at-risk",
    TimeoutRisky "timeout-risky",
    SyncookiesOff "syncookies-off",
    SettingsNotPersistent "settings-not-persistent",
    KubeProxyOwnsSetting "kube-proxy-owns-setting",
    Drift "drift",
    NothingTracked "nothing-tracked",
    TrackedElsewhere "tracked-elsewhere",
    CannotSee "cannot-see",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    const PARTS: [&str; 5] =
        ["What it is", "How it is told", "What helps", "What makes it worse", "The common mistake"];

    #[test]
    fn every_finding_has_its_own_page_and_every_page_a_finding() {
        for id in FindingId::ALL {
            assert!(markdown(*id).starts_with(&format!("# {id}: ")), "{id}: {:?}", markdown(*id).lines().next());
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings");
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let expected: BTreeSet<_> = FindingId::ALL.iter().map(|id| format!("{id}.md")).collect();
        assert_eq!(files.collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn every_page_has_every_part_and_says_something_in_it() {
        for page in FindingId::ALL.iter().copied().map(Page::of) {
            let headings: Vec<_> = page.sections.iter().map(|section| section.heading).collect();
            assert_eq!(headings, PARTS, "{}", page.id);
            assert!((15..=76).contains(&page.title.len()), "{}: {}", page.id, page.title);
            for section in &page.sections {
                assert!(section.text.split_whitespace().count() >= 10, "{}: {}", page.id, section.heading);
            }
        }
    }

    /// What is often said and is not so, and where it is put right.
    #[test]
    fn common_advice_that_is_wrong_is_put_right() {
        use FindingId as Id;
        for (id, phrase) in [
            (Id::EarlyDrop, "It takes only entries that are not ASSURED"),
            (Id::GcPressure, "These kills are uncounted"),
            (Id::NatOrServiceChurn, "it is one entry with two tuples, also with DNAT and masquerade"),
            (Id::HashTooSmall, "The default since 5.15 is 1:1"),
            (Id::HashTooSmall, "fewer buckets help early_drop and lengthen the chains"),
            (Id::HashTooSmall, "Below max / 25 the chain cap bites"),
            (Id::HashTooSmall, "`hashsize=131072` also sets max = 1,048,576"),
            (Id::SettingsNotPersistent, "hashsize=131072 also sets max = 1,048,576"),
            (
                Id::MemoryAtRisk,
                "which gives 1,030,792 for 4 GiB: every row is a quarter of it, rounded to a power of two",
            ),
            (Id::TableFull, "Reducing a timeout does nothing to entries that are there"),
            (Id::IdleEstablished, "an entry keeps its time until its next packet"),
            (Id::TimeoutRisky, "lowering timeouts does nothing to existing entries until their next packet"),
            (Id::UdpUnreplied, "They are UNTRACKED"),
            (Id::InvalidPackets, "NOTRACK makes packets UNTRACKED, not INVALID"),
            (Id::UdpUnreplied, "It takes traffic more than 2 s after the first packet"),
            (Id::SynFlood, "It runs after the entry is allocated, and under policy accept it limits nothing"),
            (Id::ConnectionStorm, "the state is field 4 and the client field 5"),
            (Id::ConnectionStorm, "awk '{print $4}'"),
            (Id::ConnectionStorm, "`grep src=` finds two matches in each entry"),
            (Id::SettingsNotPersistent, "`net.netfilter.*` does not exist until the module loads"),
            (Id::SettingsNotPersistent, "systemd-sysctl may run before"),
            (Id::SettingsNotPersistent, "A built-in module ignores modprobe.d"),
            (Id::SettingsNotPersistent, "kube-proxy, tuned, docker and others write later"),
        ] {
            let words = markdown(id).split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(phrase), "{id} does not say {phrase:?}");
        }
    }
}
