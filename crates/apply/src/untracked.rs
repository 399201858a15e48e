//! Whether leaving a service untracked does what it is to do: no entry of it comes any more, and its packets still go both ways.

use std::cell::Cell;
use std::collections::HashMap;

use plimsoll_ctnetlink::EntryKey;
use plimsoll_model::{Bypass, Entry, OwnAddresses, Status};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::guard::{Exposure, Signal, Worse};
use crate::live::Live;
use crate::look::{Compared, Look};
use crate::nft;
use crate::own_rules::RulesName;
use crate::rules_in_force::own_addresses_of;

/// What watching showed of a service whose packets are not tracked any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untracked {
    /// Packets that the rules have left untracked.
    pub packets: Packets,
    /// Entries that the first look at the table has read, as far as both have gone.
    pub read: u64,
    /// Whether the whole table was read.
    pub is_whole: bool,
    /// Its entries among them when the rules had been made.
    pub before: u64,
    /// Those of them that had been answered.
    pub answered_before: u64,
    /// Those of them that were left in the end.
    pub left: u64,
    /// When the last one of these goes, in seconds; `None` where none is left, or it does not say.
    pub last_goes_in_secs: Option<u32>,
    /// Its entries that have come since.
    pub came: u64,
}

/// Packets of a service that its rules have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packets {
    /// To the service.
    pub requests: u64,
    /// From the service.
    pub answers: u64,
}

/// What is not as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// Entries of it come still.
    EntriesCome,
    /// No packet from the service was seen, though some were to it, and its flows had been answered.
    NoAnswers,
    /// No packet to the service was seen, though some were from it.
    NoRequests,
    /// No packet of it was seen: whether its traffic flows is not known.
    NothingSeen,
}

impl Untracked {
    /// What is not as it is to be.
    pub fn doubts(&self) -> Vec<Doubt> {
        let Packets { requests, answers } = self.packets;
        let of_packets = match (requests, answers) {
            (0, 0) => Some(Doubt::NothingSeen),
            (0, _) => Some(Doubt::NoRequests),
            (_, 0) if self.answered_before > 0 => Some(Doubt::NoAnswers),
            _ => None,
        };
        (self.came > 0).then_some(Doubt::EntriesCome).into_iter().chain(of_packets).collect()
    }

    fn of(packets: Packets, compared: &Compared<'_>, is_its: impl Fn(&Entry) -> bool) -> Self {
        // A dump may tell an entry twice.
        let its = |entries: &[(EntryKey, Entry)]| -> HashMap<EntryKey, Entry> {
            entries.iter().filter(|(_, entry)| is_its(entry)).copied().collect()
        };
        let (before, after) = (its(compared.before), its(compared.after));
        let left = || after.iter().filter(|(key, _)| before.contains_key(*key)).map(|(_, entry)| entry);
        Self {
            packets,
            read: compared.before.len() as u64,
            is_whole: compared.is_whole,
            before: before.len() as u64,
            answered_before: before.values().filter(|entry| entry.status.has(Status::SEEN_REPLY)).count() as u64,
            left: left().count() as u64,
            last_goes_in_secs: left().filter_map(|entry| entry.remaining_secs).max(),
            came: (after.len() - left().count()) as u64,
        }
    }
}

/// A service that has just been left untracked, and is watched.
pub(crate) struct UntrackedWatch<'a> {
    live: &'a Live,
    bypass: &'a Bypass,
    name: &'a RulesName,
    own: OwnAddresses,
    first: Look,
    /// Requests that had been counted when it was asked for harm last.
    requests: Cell<u64>,
}

/// Requests without one answer that are harm, where flows had been answered. They were counted a second before at least.
const UNANSWERED: u64 = 20;

impl<'a> UntrackedWatch<'a> {
    /// Looks at the table; the rules are there.
    pub(crate) fn begin(live: &'a Live, bypass: &'a Bypass, name: &'a RulesName) -> Result<Self, Error> {
        let (own, first) = (own_addresses_of(live.place()?)?, Look::at(live.place()?)?);
        Ok(Self { live, bypass, name, own, first, requests: Cell::new(0) })
    }

    /// Whether its answers have stopped, though most of its flows had been answered before.
    pub(crate) fn harm(&self) -> Result<Option<Worse>, Error> {
        let packets = self.packets()?;
        let asked = self.requests.replace(packets.requests);
        if asked < UNANSWERED || packets.answers > 0 {
            return Ok(None);
        }
        let Untracked { before, answered_before, .. } = self.shown(packets, &self.first);
        Ok((answered_before > 0 && answered_before * 2 >= before).then_some(Worse {
            signal: Signal::Answers,
            before: answered_before,
            before_exposure: before as f64,
            after: packets.answers,
            after_exposure: asked as f64,
            exposure: Exposure::Packets,
        }))
    }

    /// What was seen of it.
    pub(crate) fn end(&self) -> Result<Untracked, Error> {
        let later = Look::at(self.live.place()?)?;
        Ok(self.shown(self.packets()?, &later))
    }

    fn packets(&self) -> Result<Packets, Error> {
        self.live.visit(|| nft::packets(self.name))?
    }

    fn shown(&self, packets: Packets, later: &Look) -> Untracked {
        Untracked::of(packets, &self.first.compared(later), |entry| self.bypass.holds(&entry.original, &self.own))
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{Layer4, Protocol, Tuple, Zone};

    use super::*;

    fn entries(ports: &[u16]) -> Vec<(EntryKey, Entry)> {
        let entry = |port: u16| {
            let layer4 = Layer4::Ports { source: port, destination: 53 };
            let (source, destination) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
            let original = Tuple { source, destination, protocol: Protocol::UDP, layer4 };
            let status = if port.is_multiple_of(2) { Status::SEEN_REPLY } else { Status::CONFIRMED };
            let entry = Entry { status, remaining_secs: Some(port.into()), ..Entry::of(original) };
            (EntryKey { id: port.into(), original, original_zone: Zone(0) }, entry)
        };
        ports.iter().copied().map(entry).collect()
    }

    fn untracked(requests: u64, answers: u64, before: &[u16], after: &[u16]) -> Untracked {
        let (before, after) = (entries(before), entries(after));
        let compared = Compared { before: &before, after: &after, is_whole: true };
        Untracked::of(Packets { requests, answers }, &compared, |_| true)
    }

    #[test]
    fn entries_that_go_are_as_it_is_to_be_and_those_that_come_are_not() {
        let well = untracked(50, 48, &[1, 2, 3], &[3, 3]);
        assert_eq!((well.before, well.answered_before, well.left, well.came), (3, 1, 1, 0));
        assert_eq!((well.last_goes_in_secs, well.doubts()), (Some(3), vec![]));
        assert_eq!(untracked(50, 48, &[1], &[1, 9]).doubts(), [Doubt::EntriesCome]);
    }

    #[test]
    fn a_direction_that_is_missing_is_told_where_it_is_expected() {
        assert_eq!(untracked(0, 0, &[2], &[]).doubts(), [Doubt::NothingSeen]);
        assert_eq!(untracked(50, 0, &[2], &[9]).doubts(), [Doubt::EntriesCome, Doubt::NoAnswers]);
        assert_eq!(untracked(50, 0, &[1], &[]).doubts(), [], "nobody had ever answered");
        assert_eq!(untracked(0, 50, &[1], &[]).doubts(), [Doubt::NoRequests]);
    }
}
