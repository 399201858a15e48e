//! Entries that are made without a packet (`ctnetlink_create_conntrack`).

use std::time::Duration;

use plimsoll_model::{Counter, NewEntry, Protocol, TcpState, Tuple};

use crate::confirm::Obstacle;
use crate::entry::Phase;
use crate::memory::Extension;
use crate::table::Key;
use crate::tracker::tcp::Tcp;
use crate::tracker::{Memory, Stream};
use crate::{EntryId, NamespaceId, Place, Twin};

/// Why an entry is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotInserted {
    /// The table is full (the kernel's answer is `ENOMEM`).
    #[error("the table is full, and nothing near the entry's bucket could be killed")]
    TableFull,
    /// Another entry has one of its tuples (`EEXIST`).
    #[error("another entry has one of its tuples")]
    Exists,
    /// A chain of the hash is too long (`ENOSPC`).
    #[error("a chain of the hash is too long")]
    ChainTooLong,
}

impl Twin {
    /// Makes an entry.
    pub fn insert(&mut self, now: Duration, namespace: NamespaceId, new: &NewEntry) -> Result<EntryId, NotInserted> {
        let place = Place { namespace, zone: new.zone };
        let tick = self.pass_time(now);
        // An entry has one protocol.
        let reply = Tuple { protocol: new.original.protocol, ..new.reply };
        let [original, reply] = [&new.original, &reply].map(|tuple| Key::new(tuple, place));
        let asked = self.table.asked(original);
        if self.find(&asked, tick).is_some() {
            return Err(NotInserted::Exists);
        }
        // Made without a packet, it has no hash yet: room is looked for from the first bucket on, whichever is its own.
        let slot = self.allocate(tick, place, &original, 0).ok_or(NotInserted::TableFull)?;
        self.table.set_reply(slot, &reply);
        for extension in [Extension::SequenceAdjustment, Extension::Synproxy] {
            self.extend(slot, extension);
        }
        let hashes = self.table.hashes(slot, asked.hash);
        match self.obstacle(slot, hashes) {
            None => {}
            Some(Obstacle::Taken(_)) => {
                self.discard(slot);
                return Err(NotInserted::Exists);
            }
            Some(Obstacle::ChainTooLong) => {
                self.namespace_mut(namespace).counters.count(Counter::ChainTooLong);
                self.discard(slot);
                return Err(NotInserted::ChainTooLong);
            }
        }
        let memory = match new.original.protocol {
            Protocol::TCP => Memory::Tcp(Tcp::made_in(new.tcp_state.unwrap_or(TcpState::None))),
            // Its moment is 0, and long over: jiffies began five minutes before the boot.
            Protocol::UDP => Memory::Udp(Stream::Now),
            _ => Memory::Nothing,
        };
        let span = self.host.capabilities.hz.jiffies(new.timeout_secs);
        let (entry, place) = self.table.flow_mut(slot);
        entry.add_status(new.status);
        *place = memory;
        self.put_into_table(slot, hashes, Phase::InTable, tick.plus(span));
        self.namespace_mut(namespace).counters.count(Counter::Insert);
        Ok(EntryId { slot, generation: self.table.entry(slot).generation })
    }
}
