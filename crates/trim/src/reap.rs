//! Having the kernel free what has expired, and reading what its count then is.

use std::time::Duration;

use plimsoll_ctnetlink::{Dump, Unknowns, table_statistics};
use plimsoll_model::Occupancy;

use crate::Error;
use crate::act::Acted;
use crate::limits::Limits;
use crate::pace::sleep_until;
use crate::rule::{GRACE_SECS, Manner};

/// A dump frees at most eight expired entries while it looks at a bucket (`ctnetlink_dump_table`), so a crowded one takes
/// several.
const MOST_DUMPS: u32 = 4;

/// What the count came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Entries that the kernel counts.
    pub occupancy: Occupancy,
    /// Those of them that a dump shows, where one was made: the rest has expired, and is not freed yet.
    pub live: Option<u64>,
}

/// Waits until what was changed has expired, unless it is to end before, and has the kernel free it: an expired entry is
/// counted until something comes past it, which a dump does. What was deleted is free already: no dump is made, which would
/// walk a table that may be nearly empty now, with softirqs off.
pub fn settle(acted: &Acted, limits: &Limits<'_>) -> Result<Settled, Error> {
    let (Some(last), Manner::Expire) = (acted.last_change, acted.manner) else {
        return Ok(Settled { occupancy: table_statistics()?.occupancy, live: None });
    };
    // A tick more than it takes.
    sleep_until(last + Duration::from_secs(GRACE_SECS.into()) + Duration::from_millis(20), limits);
    let mut dumps = 0;
    loop {
        let live = reap()?;
        let occupancy = table_statistics()?.occupancy;
        dumps += 1;
        let expired = u64::from(occupancy.0).saturating_sub(live);
        if expired <= live / 100 || dumps == MOST_DUMPS {
            return Ok(Settled { occupancy, live: Some(live) });
        }
    }
}

/// Goes through the table, and returns how many entries it shows.
fn reap() -> Result<u64, Error> {
    let mut dump = Dump::start()?;
    let mut unknowns = Unknowns::default();
    let mut live = 0;
    while let Some(batch) = dump.next_batch()? {
        live += batch.entries(&mut unknowns).count() as u64;
    }
    Ok(live)
}
