//! The beginning of a table, looked at twice: which entries are left of what was there, and which have come.

use std::collections::HashSet;

use plimsoll_ctnetlink::{Dump, EntryKey, Unknowns};
use plimsoll_model::Entry;

use crate::Error;
use crate::place::Place;

/// Entries that are read at most: a tenth of a second of one processor, while a whole table may take many.
const MOST: usize = 20_000;

/// The first entries of a namespace's table, in the kernel's order: bucket by bucket, and the newest first in each
/// (`ctnetlink_dump_table`, `__nf_conntrack_hash_insert`).
#[derive(Clone, Debug)]
pub(crate) struct Look {
    entries: Vec<(EntryKey, Entry)>,
    /// Whether there were no more.
    is_whole: bool,
}

/// How two looks differ, in as much of the table as both have read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared<'a> {
    /// The entries of the earlier look.
    pub(crate) before: &'a [(EntryKey, Entry)],
    /// Those of the later one.
    pub(crate) after: &'a [(EntryKey, Entry)],
    /// Whether that is the whole table.
    pub(crate) is_whole: bool,
}

impl Look {
    /// Reads them.
    pub(crate) fn at(place: &Place) -> Result<Self, Error> {
        let read = place.visit(read)?;
        read.map_err(|error| Error::Refused(format!("what entries show of a service cannot be read: {error}")))
    }

    /// The entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// What both looks have read. Of tables that were not read whole it is what comes before the last entry that both show: entries keep their
    /// places for as long as nobody changes the number of buckets.
    pub(crate) fn compared<'a>(&'a self, later: &'a Self) -> Compared<'a> {
        if self.is_whole && later.is_whole {
            return Compared { before: &self.entries, after: &later.entries, is_whole: true };
        }
        let earlier: HashSet<_> = self.entries.iter().map(|(key, _)| key).collect();
        let Some(last) = later.entries.iter().rposition(|(key, _)| earlier.contains(key)) else {
            return Compared::default();
        };
        let key = later.entries.get(last).map(|(key, _)| *key);
        let of_earlier = self.entries.iter().position(|(earlier, _)| Some(*earlier) == key).unwrap_or_default();
        Compared {
            before: self.entries.get(..=of_earlier).unwrap_or_default(),
            after: later.entries.get(..=last).unwrap_or_default(),
            is_whole: false,
        }
    }
}

fn read() -> Result<Look, plimsoll_ctnetlink::Error> {
    let (mut entries, mut unknowns) = (Vec::new(), Unknowns::default());
    let mut dump = Dump::start()?;
    while let Some(batch) = dump.next_batch()? {
        for entry in batch.entries(&mut unknowns) {
            let dumped = entry?;
            entries.push((dumped.key(), dumped.entry));
        }
        if entries.len() >= MOST {
            return Ok(Look { entries, is_whole: false });
        }
    }
    Ok(Look { entries, is_whole: true })
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{Layer4, Protocol, Tuple, Zone};

    use super::*;

    fn look(ports: &[u16], is_whole: bool) -> Look {
        let entry = |port: u16| {
            let layer4 = Layer4::Ports { source: port, destination: 53 };
            let (source, destination) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
            let original = Tuple { source, destination, protocol: Protocol::UDP, layer4 };
            let key = EntryKey { id: port.into(), original, original_zone: Zone(0) };
            (key, Entry::of(original))
        };
        Look { entries: ports.iter().copied().map(entry).collect(), is_whole }
    }

    fn ports(of: &[(EntryKey, Entry)]) -> Vec<u32> {
        of.iter().map(|(key, _)| key.id).collect()
    }

    #[test]
    fn whole_tables_are_compared_whole() {
        let (earlier, later) = (look(&[1, 2, 3], true), look(&[9, 2, 8], true));
        let compared = earlier.compared(&later);
        assert_eq!((ports(compared.before), ports(compared.after)), (vec![1, 2, 3], vec![9, 2, 8]));
        assert!(compared.is_whole);
    }

    #[test]
    fn of_larger_ones_only_what_both_have_seen() {
        // 1 and 2 have gone, 9 has come, and the later look goes on beyond the earlier one, to 5 and 6.
        let (earlier, later) = (look(&[1, 2, 3, 4], false), look(&[3, 9, 4, 5, 6], false));
        let compared = earlier.compared(&later);
        assert_eq!((ports(compared.before), ports(compared.after)), (vec![1, 2, 3, 4], vec![3, 9, 4]));
        // Many have come: it does not get as far.
        let later = look(&[7, 8, 9, 1, 2], false);
        let compared = earlier.compared(&later);
        assert_eq!((ports(compared.before), ports(compared.after)), (vec![1, 2], vec![7, 8, 9, 1, 2]));
        assert_eq!(earlier.compared(&look(&[7, 8], false)), Compared::default());
        assert!(!compared.is_whole);
    }
}
