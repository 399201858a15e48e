//! What must be known of a namespace before its entries can be judged.

use plimsoll_ctnetlink::{TableStatistics, table_statistics};
use plimsoll_host::{HostFs, monotonic_now};
use plimsoll_model::{Policies, Timeouts};
use plimsoll_observe::{needed_to_ask_conntrack, policies};

use crate::Error;

/// The settings under which entries were armed, and how full the table is.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The timeouts in force. Of an entry whose timeout was not read nothing is known, and it is left alone.
    pub timeouts: Timeouts,
    /// Timeout policies, which arm entries otherwise.
    pub policies: Policies,
    /// How long the host has been up, in seconds: nothing is idle for longer.
    pub uptime_secs: u32,
    /// Entries and limit.
    pub table: TableStatistics,
}

impl Ground {
    /// Reads the calling thread's network namespace. Nothing is loaded for that.
    pub fn read(host: &HostFs) -> Result<Self, Error> {
        if let Some(needs) = needed_to_ask_conntrack(host) {
            return Err(Error::NotAsked { needs });
        }
        Ok(Self {
            timeouts: host.timeouts().read,
            policies: policies(host),
            uptime_secs: u32::try_from(monotonic_now().as_secs()).unwrap_or(u32::MAX),
            table: table_statistics()?,
        })
    }
}
