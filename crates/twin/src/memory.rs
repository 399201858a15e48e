//! The memory that the kernel takes.

use crate::capabilities::{Capabilities, EventCache};
use crate::entry::Additions;
use crate::settings::{Events, Settings};
use crate::{NamespaceId, Twin};

/// What the kernel has allocated, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The hash: a pointer a bucket.
    pub buckets_bytes: u64,
    /// Entries' objects in their slab.
    pub objects_bytes: u64,
    /// Their extensions.
    pub extensions_bytes: u64,
}

impl Memory {
    /// All of it.
    pub const fn total_bytes(&self) -> u64 {
        self.buckets_bytes + self.objects_bytes + self.extensions_bytes
    }
}

/// What an entry can carry beyond its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Extension {
    Accounting,
    Timestamp,
    EventCache,
    TimeoutPolicy,
    Helper,
    SequenceAdjustment,
    Synproxy,
    /// The interface by which a flow is masqueraded.
    Masquerade,
}

impl Extension {
    const ALL: [Self; 8] = [
        Self::Accounting,
        Self::Timestamp,
        Self::EventCache,
        Self::TimeoutPolicy,
        Self::Helper,
        Self::SequenceAdjustment,
        Self::Synproxy,
        Self::Masquerade,
    ];

    /// Bytes (the structures of `nf_conntrack_{acct,timestamp,ecache,timeout,helper}.h` and `nf_nat.h` on 64 bits).
    const fn bytes(self) -> u16 {
        match self {
            Self::Accounting => 32,
            Self::Timestamp => 16,
            Self::EventCache | Self::SequenceAdjustment => 24,
            Self::TimeoutPolicy | Self::Masquerade => 8,
            Self::Synproxy => 12,
            Self::Helper => 56,
        }
    }

    /// Those that every new entry of a namespace gets.
    fn of_every_entry(settings: &Settings, capabilities: &Capabilities) -> impl Iterator<Item = Self> + use<> {
        let has_cache = match (settings.events, capabilities.event_cache) {
            (Events::Off, _) | (Events::Unheard, EventCache::WhenHeard) => false,
            (Events::Always | Events::Heard, _) | (Events::Unheard, EventCache::Always) => true,
        };
        let of = |is_there: bool, extension| is_there.then_some(extension);
        [
            of(settings.accounting, Self::Accounting),
            of(settings.timestamps, Self::Timestamp),
            of(has_cache, Self::EventCache),
        ]
        .into_iter()
        .flatten()
    }
}

/// Which extensions an entry carries, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions(u8);

impl Extensions {
    pub(crate) const NONE: Self = Self(0);

    /// The bytes that they take.
    pub(crate) fn block_bytes(self) -> u32 {
        let carried = Extension::ALL.into_iter().filter(|extension| self.0 & Self::bit(*extension) != 0);
        extension_block(if self == Self::NONE { 0 } else { carried.map(Extension::bytes).sum() })
    }

    /// Those that every new entry of a namespace gets.
    pub(crate) fn of_every_entry(settings: &Settings, capabilities: &Capabilities) -> Self {
        let mut extensions = Self::NONE;
        for extension in Extension::of_every_entry(settings, capabilities) {
            extensions.add(extension);
        }
        extensions
    }

    const fn add(&mut self, extension: Extension) {
        self.0 |= Self::bit(extension);
    }

    const fn bit(extension: Extension) -> u8 {
        1 << extension as u8
    }
}

/// The block that extensions of so many bytes together take: they lie in one, behind a header, of at least 128 bytes, and the
/// allocator rounds up (`nf_ct_ext_add`).
const fn extension_block(bytes: u16) -> u32 {
    const HEADER: u16 = 16;
    match bytes {
        0 => 0,
        1..=112 => 128,
        _ if bytes + HEADER <= 192 => 192,
        _ => 256,
    }
}

impl Capabilities {
    /// Bytes that the kernel takes for each entry of a namespace, without what rules add to some: object and extensions.
    pub fn entry_bytes(&self, settings: &Settings) -> u32 {
        let extensions = Extension::of_every_entry(settings, self).map(Extension::bytes).sum();
        self.object_bytes + extension_block(extensions)
    }
}

impl Twin {
    /// The memory that the kernel would have taken by now.
    pub fn memory(&self) -> Memory {
        const POINTER_BYTES: u64 = 8;
        let entries: u64 = self.namespaces.iter().map(|namespace| u64::from(namespace.count)).sum();
        Memory {
            buckets_bytes: u64::from(self.table.buckets()) * POINTER_BYTES,
            objects_bytes: entries * u64::from(self.host.capabilities.object_bytes),
            extensions_bytes: self.extension_bytes,
        }
    }

    /// Gives a new entry what every one of its namespace gets.
    pub(crate) fn extend_new(&mut self, slot: u32, namespace: NamespaceId) {
        let extensions = self.namespace(namespace).extensions;
        if extensions != Extensions::NONE {
            self.table.set_additions(slot, Additions { extensions, ..Additions::default() });
            self.extension_bytes += u64::from(extensions.block_bytes());
        }
    }

    pub(crate) fn extend(&mut self, slot: u32, extension: Extension) {
        let mut additions = self.table.additions(slot);
        let before = additions.extensions.block_bytes();
        additions.extensions.add(extension);
        let after = additions.extensions.block_bytes();
        self.table.set_additions(slot, additions);
        self.extension_bytes += u64::from(after - before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The measured table: default; with accounting, timestamps, events heard.
    #[test]
    fn an_entry_takes_what_was_measured() {
        let all = Settings { accounting: true, timestamps: true, events: Events::Heard, ..Settings::default() };
        let bytes = |capabilities: Capabilities, settings: &Settings| capabilities.entry_bytes(settings);
        assert_eq!(bytes(Capabilities::LINUX_5_15, &Settings::default()), 448);
        assert_eq!(bytes(Capabilities::LINUX_5_15, &all), 448);
        assert_eq!(bytes(Capabilities::LINUX_6_18, &Settings::default()), 256);
        assert_eq!(bytes(Capabilities::LINUX_6_18, &all), 384);
        let with_helper = [
            Extension::Accounting,
            Extension::Timestamp,
            Extension::EventCache,
            Extension::Helper,
            Extension::Masquerade,
        ];
        let extensions = with_helper.map(Extension::bytes).iter().sum();
        assert_eq!(Capabilities::LINUX_6_18.object_bytes + extension_block(extensions), 448);
    }
}
