//! How much memory entries take, and how much they may.

use plimsoll_diagnose::bytes_per_entry;
use plimsoll_diagnose::thresholds::BUCKET_BYTES;
use plimsoll_model::{NamespaceSnapshot, Snapshot};
use serde::Serialize;

/// The founding formula's share of RAM that is usable, and of that the share for conntrack.
pub const FOUNDING_SHARE: f64 = 0.60 * 0.20;

/// The founding formula's bytes an entry.
const FOUNDING_BYTES_PER_ENTRY: f64 = 500.0;

/// The founding table: from so much RAM on, so many entries.
const FOUNDING_TABLE: [(u64, u32); 5] =
    [(4 << 30, 262_144), (8 << 30, 524_288), (16 << 30, 1_048_576), (32 << 30, 2_097_152), (64 << 30, 4_194_304)];

/// What entries may take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// RAM.
    pub ram_bytes: u64,
    /// The share of it that all tables together may take.
    pub share: f64,
    /// That in bytes.
    pub bytes: u64,
    /// What an entry takes, at most: the slab's object as it was read, and extensions.
    pub bytes_per_entry: u64,
    /// The share in entries, of all namespaces together, buckets not counted.
    pub entries: u64,
    /// What the founding formula gives for this RAM: `RAM × 0.60 × 0.20 ÷ 500`.
    pub founding_formula_entries: u64,
    /// What the founding table says for this RAM; `None` below its first row. Each row is about a quarter of what the
    /// formula gives.
    pub founding_table_entries: Option<u32>,
}

impl Budget {
    /// `None` where the RAM was not read.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u64")]
    pub fn of(snapshot: &Snapshot, ns: &NamespaceSnapshot, share: f64) -> Option<Self> {
        let ram_bytes = snapshot.host.ram_bytes?;
        let bytes = (ram_bytes as f64 * share) as u64;
        let bytes_per_entry = bytes_per_entry(snapshot.slab, ns).high.max(1);
        let row = FOUNDING_TABLE.iter().rev().find(|(from, _)| about(ram_bytes) >= *from);
        Some(Self {
            ram_bytes,
            share,
            bytes,
            bytes_per_entry,
            entries: bytes / bytes_per_entry,
            founding_formula_entries: (ram_bytes as f64 * FOUNDING_SHARE / FOUNDING_BYTES_PER_ENTRY) as u64,
            founding_table_entries: row.map(|(_, entries)| *entries),
        })
    }

    /// What a table takes.
    pub const fn bytes_of(&self, entries: u64, buckets: u64) -> u64 {
        entries.saturating_mul(self.bytes_per_entry).saturating_add(buckets.saturating_mul(BUCKET_BYTES))
    }
}

/// RAM as it is bought: the kernel tells a little less, for what it keeps to itself.
const fn about(ram_bytes: u64) -> u64 {
    ram_bytes.saturating_add(ram_bytes / 16)
}
