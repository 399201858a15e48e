//! Silences.

use std::time::Duration;

use plimsoll_model::Timeout;
use plimsoll_recording::{FlowKey, GapEnd, IdleGap, Translation};

use super::{Columns, columns};
use crate::column::{Column, Table};
use crate::error::Error;
use crate::kind::{Address, Amount, Count32, Layout, Micros, Moment, Name64, Of, ProtocolName, Small};
use crate::read::Group;
use crate::write::GroupWriter;

columns! { GapColumns and GapCursor:
    /// Names the flow's entry within the recording, as in lives.
    flow: Required<Name64>;
    /// Protocol: tcp, udp, icmp, icmpv6, sctp, gre, dccp, udplite, or a number.
    protocol: Required<ProtocolName>;
    /// Address that opened the flow.
    client: Required<Address>;
    /// Address that the client opened it to, before any translation.
    server: Required<Address>;
    /// Port that the client opened it to; null for protocols without ports.
    server_port: Optional<Small<u16>>;
    /// What is translated (NAT): none, source, destination or both.
    translation: Required<Of<Translation>> = Translation::None;
    /// Sysctl of the timeout that the entry was under (below net.netfilter).
    held_by: Required<Of<Timeout>>;
    /// Seconds that the kernel had armed the entry with: no longer gap can be seen.
    armed_secs: Required<Count32>;
    /// When it began: the last packet before it.
    began_at: Required<Moment>;
    /// It may have begun so much earlier or later, in microseconds.
    began_within_us: Required<Micros> = Duration::ZERO;
    /// How old it was when it was first seen, in microseconds: a shorter one would not have been seen.
    seen_from_us: Required<Micros>;
    /// It was longer than this, in microseconds.
    longer_than_us: Required<Micros>;
    /// It was no longer than this, in microseconds: the look that showed packets after it; null where its end was not seen.
    at_most_us: Optional<Micros>;
    /// How it ended: packet, expired, out_of_sight or still_silent; or goes_on, in case that the recorder is killed: the flow's next row holds instead, if there is one.
    ending: Required<Of<GapEnd>>;
    /// How many gaps this row stands for.
    weight: Required<Amount> = 1.0;
}

impl Columns for GapColumns {
    type Row = IdleGap;
    type Cursor = GapCursor;
    const TABLE: Table = Table::Gaps;
    const COLUMNS: &'static [Column] = Self::LIST;
    const LAYOUTS: &'static [Layout] = Self::LAYOUT_LIST;

    fn push(&mut self, gap: &IdleGap) {
        self.flow.push(gap.key.0);
        self.protocol.push(gap.protocol);
        self.client.push(gap.client);
        self.server.push(gap.server);
        self.server_port.push(gap.port);
        self.translation.push(gap.translation);
        self.held_by.push(gap.held_by);
        self.armed_secs.push(gap.armed_secs);
        self.began_at.push(gap.began_at);
        self.began_within_us.push(gap.began_within);
        self.seen_from_us.push(gap.seen_from);
        self.longer_than_us.push(gap.longer_than);
        self.at_most_us.push(gap.at_most);
        self.ending.push(gap.end);
        self.weight.push(gap.weight);
    }

    fn flush(&mut self, group: &mut GroupWriter<'_>) -> Result<(), parquet::errors::ParquetError> {
        self.write_each(group)
    }

    fn cursor(group: &Group<'_>) -> Result<GapCursor, Error> {
        GapCursor::open(group)
    }

    fn next(cursor: &mut GapCursor) -> Result<IdleGap, Error> {
        Ok(IdleGap {
            key: FlowKey(cursor.flow.next()?),
            client: cursor.client.next()?,
            server: cursor.server.next()?,
            protocol: cursor.protocol.next()?,
            port: cursor.server_port.next()?,
            translation: cursor.translation.next()?,
            held_by: cursor.held_by.next()?,
            armed_secs: cursor.armed_secs.next()?,
            began_at: cursor.began_at.next()?,
            began_within: cursor.began_within_us.next()?,
            seen_from: cursor.seen_from_us.next()?,
            longer_than: cursor.longer_than_us.next()?,
            at_most: cursor.at_most_us.next()?,
            end: cursor.ending.next()?,
            weight: cursor.weight.next()?,
        })
    }
}
