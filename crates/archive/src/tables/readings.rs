//! The conntrack table at moments.

use plimsoll_model::{Buckets, Capacity, Counter, Occupancy};
use plimsoll_recording::TableReading;

use super::{Columns, columns};
use crate::column::{Column, Table};
use crate::error::Error;
use crate::kind::{Amount, Count, Count32, Layout, Moment};
use crate::read::Group;
use crate::write::GroupWriter;

columns! { ReadingColumns and ReadingCursor:
    /// When it was read.
    read_at: Required<Moment>;
    /// Entries that the kernel counts; null where it could not be read.
    entries: Optional<Count32>;
    /// Limit in force (nf_conntrack_max); null where it could not be read.
    capacity: Optional<Count32>;
    /// Chains of the hash; null where it could not be read.
    buckets: Optional<Count32>;
    /// Counter found since boot: clashes of a NAT tuple that was found in use. Counters are sums over all CPUs, of 32 bits each that wrap, and null where the kernel does not show them.
    found: Optional<Count>;
    /// Counter invalid since boot: packets that could not be tracked.
    invalid: Optional<Count>;
    /// Counter insert since boot: entries made through ctnetlink.
    insert: Optional<Count>;
    /// Counter insert_failed since boot: entries that could not be inserted.
    insert_failed: Optional<Count>;
    /// Counter drop since boot: packets dropped because an entry could not be had.
    drop: Optional<Count>;
    /// Counter early_drop since boot: entries killed to make room.
    early_drop: Optional<Count>;
    /// Counter icmp_error since boot: ICMP errors that could not be tracked.
    icmp_error: Optional<Count>;
    /// Counter expect_new since boot: expectations that were fulfilled.
    expect_new: Optional<Count>;
    /// Counter expect_create since boot: expectations made.
    expect_create: Optional<Count>;
    /// Counter expect_delete since boot: expectations removed.
    expect_delete: Optional<Count>;
    /// Counter search_restart since boot: look-ups begun anew because the table was resized meanwhile.
    search_restart: Optional<Count>;
    /// Counter clashres since boot: clashes resolved by merging.
    clash_resolved: Optional<Count>;
    /// Counter chainlength since boot: inserts refused because a chain was too long.
    chain_too_long: Optional<Count>;
    /// Events received since the recording began.
    events: Required<Count> = 0;
    /// How often the kernel said that events were lost.
    losses: Required<Count> = 0;
    /// Events that the kernel dropped; null where it does not tell.
    dropped_events: Optional<Count>;
    /// Share of all entries whose events are received, from 0 to 1.
    share: Required<Amount> = 1.0;
    /// Flows that are followed by their events.
    followed: Required<Count> = 0;
    /// Entries that are looked at.
    looked_at: Required<Count> = 0;
}

/// Each counter with its column: one list, from which a row is written and read.
macro_rules! each_counter {
    ($apply:ident) => {
        $apply! {
            Found: found, Invalid: invalid, Insert: insert, InsertFailed: insert_failed, Drop: drop,
            EarlyDrop: early_drop, IcmpError: icmp_error, ExpectNew: expect_new, ExpectCreate: expect_create,
            ExpectDelete: expect_delete, SearchRestart: search_restart, ClashResolved: clash_resolved,
            ChainTooLong: chain_too_long
        }
    };
}

impl Columns for ReadingColumns {
    type Row = TableReading;
    type Cursor = ReadingCursor;
    const TABLE: Table = Table::Readings;
    const COLUMNS: &'static [Column] = Self::LIST;
    const LAYOUTS: &'static [Layout] = Self::LAYOUT_LIST;

    fn push(&mut self, reading: &TableReading) {
        self.read_at.push(reading.at);
        self.entries.push(reading.occupancy.map(|entries| entries.0));
        self.capacity.push(reading.capacity.map(|capacity| capacity.0));
        self.buckets.push(reading.buckets.map(|buckets| buckets.0));
        macro_rules! push {
            ($($counter:ident: $column:ident),*) => {
                $(self.$column.push(reading.counters[Counter::$counter as usize]);)*
            };
        }
        each_counter!(push);
        self.events.push(reading.events);
        self.losses.push(reading.losses);
        self.dropped_events.push(reading.dropped_events);
        self.share.push(reading.share);
        self.followed.push(reading.followed);
        self.looked_at.push(reading.looked_at);
    }

    fn flush(&mut self, group: &mut GroupWriter<'_>) -> Result<(), parquet::errors::ParquetError> {
        self.write_each(group)
    }

    fn cursor(group: &Group<'_>) -> Result<ReadingCursor, Error> {
        ReadingCursor::open(group)
    }

    fn next(cursor: &mut ReadingCursor) -> Result<TableReading, Error> {
        let mut counters = [None; Counter::ALL.len()];
        macro_rules! read {
            ($($counter:ident: $column:ident),*) => {
                $(counters[Counter::$counter as usize] = cursor.$column.next()?;)*
            };
        }
        each_counter!(read);
        Ok(TableReading {
            at: cursor.read_at.next()?,
            occupancy: cursor.entries.next()?.map(Occupancy),
            capacity: cursor.capacity.next()?.map(Capacity),
            buckets: cursor.buckets.next()?.map(Buckets),
            counters,
            events: cursor.events.next()?,
            losses: cursor.losses.next()?,
            dropped_events: cursor.dropped_events.next()?,
            share: cursor.share.next()?,
            followed: cursor.followed.next()?,
            looked_at: cursor.looked_at.next()?,
        })
    }
}
