//! What an entry tells of its packets and its times, where the kernel counts and keeps them.

use std::num::NonZeroU64;

use crate::attributes::{cta_counters, cta_timestamp};
use crate::wire::{Attribute, Fault, plain, word};

/// Packets of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Their bytes, from the network header on.
    pub bytes: u64,
}

impl Traffic {
    /// Parses `CTA_COUNTERS_*`; `None` unless it tells both.
    #[inline]
    pub(crate) fn parse(counters: &Attribute<'_>) -> Result<Option<Self>, Fault> {
        match usual_pair(counters.value, [cta_counters::PACKETS, cta_counters::BYTES]) {
            Some([packets, bytes]) => Ok(Some(Self { packets, bytes })),
            None => match any_pair(counters, [cta_counters::PACKETS, cta_counters::BYTES])? {
                [Some(packets), Some(bytes)] => Ok(Some(Self { packets, bytes })),
                _ => Ok(None),
            },
        }
    }
}

/// `CTA_TIMESTAMP`, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timestamps {
    pub(crate) started: Option<NonZeroU64>,
    pub(crate) stopped: Option<NonZeroU64>,
}

impl Timestamps {
    #[inline]
    pub(crate) fn parse(timestamps: &Attribute<'_>) -> Result<Self, Fault> {
        let [started, stopped] = any_pair(timestamps, [cta_timestamp::START, cta_timestamp::STOP])?;
        let nanos = |time: Option<u64>| time.and_then(NonZeroU64::new);
        Ok(Self { started: nanos(started), stopped: nanos(stopped) })
    }
}

/// Two numbers one behind the other, as `dump_counters` writes them where 64 bits need no padding (`nla_put_64bit`).
#[inline]
fn usual_pair(bytes: &[u8], [first, second]: [u16; 2]) -> Option<[u64; 2]> {
    let pair: &[u8; 24] = bytes.try_into().ok()?;
    let laid_out = word(pair, 0) == plain(12, first) && word(pair, 12) == plain(12, second);
    let number = |at: usize| Some(u64::from_be_bytes(*pair.get(at..)?.first_chunk()?));
    laid_out.then_some([number(4)?, number(16)?])
}

fn any_pair(outer: &Attribute<'_>, kinds: [u16; 2]) -> Result<[Option<u64>; 2], Fault> {
    let mut pair = [None; 2];
    let mut attributes = outer.nested();
    for attribute in attributes.by_ref() {
        if let Some(place) = kinds.iter().position(|kind| *kind == attribute.kind) {
            pair[place] = Some(attribute.be64().map_err(|fault| fault.inside(outer.kind))?);
        }
    }
    attributes.end().map_err(|fault| fault.inside(outer.kind))?;
    Ok(pair)
}
