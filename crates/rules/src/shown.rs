//! What a service's entries show of it, and its bypass judged by that.

use std::fmt;

use plimsoll_model::{Bypass, Entry, Extension, Layer4, OwnAddresses, Status, Zone};

use crate::bypass::{Begins, Terms};
use crate::judge::{Beside, judge_bypass};
use crate::judgement::{Judgement, Reason, Safe};
use crate::model::Ruleset;

/// What the entries of a service show of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Who began the flows that are there, as far as ports tell.
    pub begins: Begins,
    /// What one of them does for its flow beside letting rules know its state.
    pub needs: Option<&'static str>,
}

impl Shown {
    /// Looks at the entries that are the service's, whichever side began them.
    pub fn by<'a>(entries: impl IntoIterator<Item = &'a Entry>, bypass: &Bypass, own: &OwnAddresses) -> Self {
        let mut shown = Self { begins: Begins::ClientsOnly, needs: None };
        for entry in entries.into_iter().filter(|entry| bypass.holds(&entry.original, own)) {
            if matches!(entry.original.layer4, Layer4::Ports { source, .. } if source == bypass.port) {
                shown.begins = Begins::Either;
            }
            shown.needs = shown.needs.or_else(|| needs_entry(entry));
        }
        shown
    }
}

/// Why a service is left tracked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSafe {
    /// Its flows need their entries.
    NeedsEntries(&'static str),
    /// The ruleset would not mean the same, or that cannot be told.
    Judged(Vec<Reason>),
}

/// Judges a bypass: whoever begins flows may, if that is safe; else, where no entry shows a flow that the service began, clients alone.
pub fn judge_shown(
    ruleset: &Ruleset,
    bypass: &Bypass,
    beside: &Beside,
    shown: Shown,
) -> Result<(Safe, Begins), NotSafe> {
    if let Some(needs) = shown.needs {
        return Err(NotSafe::NeedsEntries(needs));
    }
    let judge = |begins| match judge_bypass(ruleset, bypass, Terms { begins, ..Terms::default() }, beside) {
        Judgement::Safe(safe) => Ok((safe, begins)),
        Judgement::Unsafe(reasons) | Judgement::Undecided(reasons) => Err(NotSafe::Judged(reasons)),
    };
    judge(Begins::Either).or_else(|not_safe| match shown.begins {
        Begins::Either => Err(not_safe),
        Begins::ClientsOnly => judge(Begins::ClientsOnly).map_err(|_| not_safe),
    })
}

impl fmt::Display for NotSafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TOLD: usize = 3;
        let reasons = match self {
            Self::NeedsEntries(needs) => return f.write_str(needs),
            Self::Judged(reasons) => reasons,
        };
        let told: Vec<_> = reasons.iter().take(TOLD).map(ToString::to_string).collect();
        write!(f, "the firewall would not mean the same, or that cannot be told: {}", told.join("; "))?;
        match reasons.len().saturating_sub(TOLD) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

fn needs_entry(entry: &Entry) -> Option<&'static str> {
    if entry.status.has(Status::SRC_NAT) || entry.status.has(Status::DST_NAT) {
        Some("addresses of its flows are translated, which takes an entry")
    } else if entry.status.has(Status::HELPER) || entry.status.has(Status::EXPECTED) {
        Some("a helper follows its flows")
    } else if entry.is_offloaded() {
        Some("its flows are offloaded by their entries")
    } else if entry.mark != 0 || entry.extensions.contains(Extension::Labels) {
        Some("its entries carry marks or labels, which something may go by")
    } else if entry.zone != Zone::default() {
        Some("its entries are in a zone of their own, which a rule gives them")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{Bypassed, PolicyProtocol, Protocol, Tuple};

    use super::*;

    fn entry(source: &str, destination: &str) -> Entry {
        let end = |end: &str| end.parse::<std::net::SocketAddr>().unwrap();
        let (source, destination) = (end(source), end(destination));
        let layer4 = Layer4::Ports { source: source.port(), destination: destination.port() };
        let (source, destination) = (source.ip(), destination.ip());
        Entry::of(Tuple { source, destination, protocol: Protocol::UDP, layer4 })
    }

    #[test]
    fn entries_show_who_begins_and_what_needs_them() {
        let bypass = Bypass { protocol: PolicyProtocol::Udp, port: 53, flows: Bypassed::ServedHere };
        let mut own = OwnAddresses::default();
        own.add("192.0.2.1".parse().unwrap(), []);
        let shown = |entries: &[Entry]| Shown::by(entries, &bypass, &own);
        let asked = entry("198.51.100.9:4000", "192.0.2.1:53");
        assert_eq!(shown(&[asked]), Shown { begins: Begins::ClientsOnly, needs: None });
        for begun in [entry("192.0.2.1:53", "198.51.100.9:4000"), entry("198.51.100.9:53", "192.0.2.1:53")] {
            assert_eq!(shown(&[asked, begun]).begins, Begins::Either, "{begun:?}");
        }
        let marked = Entry { mark: 1, ..asked };
        assert!(shown(&[asked, marked]).needs.is_some_and(|needs| needs.contains("marks")));
        let anothers = Entry { mark: 1, ..entry("198.51.100.9:4000", "192.0.2.1:443") };
        assert_eq!(shown(&[asked, anothers]).needs, None);
        let shown = shown(&[marked]);
        let beside = Beside { balanced: Some(Vec::new()), replicated: Some(false) };
        let judged = judge_shown(&Ruleset::default(), &bypass, &beside, shown);
        assert!(matches!(judged, Err(NotSafe::NeedsEntries(_))), "{judged:?}");
        let judged = judge_shown(&Ruleset::default(), &bypass, &beside, Shown { needs: None, ..shown });
        assert_eq!(judged, Ok((Safe::default(), Begins::Either)));
    }
}
