//! How long ago an entry came to its state.

use std::collections::BTreeSet;

use plimsoll_model::{
    Capacity, Census, Counter, Entry, Extension, NamespaceSnapshot, Policies, Protocol, Status, TcpState, Timeout,
    Timeouts,
};

use crate::slope::growth;
use crate::{Arming, Series};

/// An entry's age in its state: more than `age_secs`, at most one second more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dated {
    pub(crate) series: Series,
    pub(crate) timeout_secs: u32,
    pub(crate) age_secs: u32,
}

/// Dates entries by what is left of the timeouts in force. That those armed them is assumed.
#[derive(Debug)]
pub(crate) struct Dating<'a> {
    timeouts: &'a Timeouts,
    policies: Policies,
    /// Series in which an entry has more time left than the timeout in force gives: another one was in force, and
    /// nobody knows for which of them.
    armed_otherwise: BTreeSet<Series>,
    /// Series in which so many entries are of the last second that they must have been armed again and again.
    armed_again: BTreeSet<Series>,
    /// Series of which so many entries are younger than the watch, while the count did not grow, that they must have
    /// been there before it: whatever their age, it is that of the last packet.
    kept_alive: BTreeSet<Series>,
}

impl<'a> Dating<'a> {
    pub(crate) fn of(ns: &'a NamespaceSnapshot, census: &Census) -> Self {
        let mut dating = Self {
            timeouts: &ns.timeouts,
            policies: ns.policies,
            armed_otherwise: BTreeSet::new(),
            armed_again: BTreeSet::new(),
            kept_alive: BTreeSet::new(),
        };
        let otherwise = census.drawn.iter().filter_map(|drawn| dating.is_armed_otherwise(&drawn.entry));
        dating.armed_otherwise = otherwise.collect();
        let unanswered = [Series::OneWayUdp, Series::UdpExchanges];
        dating.kept_alive = unanswered.into_iter().filter(|series| dating.is_kept_alive(*series, ns, census)).collect();
        dating.armed_again = unanswered.into_iter().filter(|series| dating.is_armed_again(*series, census)).collect();
        dating
    }

    pub(crate) fn date(&self, entry: &Entry) -> Option<Dated> {
        let (series, timeout_secs) = self.armed_once(entry)?;
        if self.policies != Policies::None || self.armed_otherwise.contains(&series) {
            return None;
        }
        if entry.packets.is_none() && self.kept_alive.contains(&series) {
            return None;
        }
        // The kernel rounds what is left down.
        let age_secs = timeout_secs.checked_sub(entry.remaining_secs?)?.saturating_sub(1);
        if age_secs == 0 && entry.packets.is_none() && self.armed_again.contains(&series) {
            return None;
        }
        Some(Dated { series, timeout_secs, age_secs })
    }

    /// Why no entry of a series is dated, where none is.
    pub(crate) fn refuses(&self, series: Series) -> Option<&'static str> {
        if self.policies != Policies::None {
            return Some("timeout policies may have armed the entries, and none tells which");
        }
        if self.kept_alive.contains(&series) {
            return Some("they are younger than the count grew by: packets arm the same entries again and again");
        }
        self.armed_otherwise.contains(&series).then_some(
            "some entries have more time left than the timeout in force gives: it was another when they were armed",
        )
    }

    /// Whether the last second has far more entries of a series than those before: senders that nobody answers, a packet
    /// of which arms the entry anew each time, and no arrivals.
    fn is_armed_again(&self, series: Series, census: &Census) -> bool {
        const BEFORE_SECS: u32 = 5;
        const TIMES: usize = 3;
        const AT_LEAST: usize = 10;
        let ages = census.drawn.iter().filter_map(|drawn| self.date(&drawn.entry));
        let ages = ages.filter(|dated| dated.series == series).map(|dated| dated.age_secs);
        let (mut last, mut before) = (0, 0);
        for age_secs in ages {
            last += usize::from(age_secs == 0);
            before += usize::from((1..=BEFORE_SECS).contains(&age_secs));
        }
        last > AT_LEAST + TIMES * before / BEFORE_SECS as usize
    }

    /// Whether the count grew by less than half of what would have come, by age, while it was watched. A full table
    /// does not grow either way.
    fn is_kept_alive(&self, series: Series, ns: &NamespaceSnapshot, census: &Census) -> bool {
        const AT_LEAST: f64 = 10.0;
        const NEARLY_FULL: f64 = 0.95;
        let Some(change) = &ns.change else { return false };
        let early_drops = change.counters.get(Counter::EarlyDrop).is_some_and(|killed| killed > 0);
        let limit = ns.capacity.and_then(Capacity::limit).map_or(f64::INFINITY, f64::from);
        let is_full = ns.occupancy.is_some_and(|counted| f64::from(counted.0) >= NEARLY_FULL * limit);
        let Some(growth) = growth(&change.course, None).filter(|_| !early_drops && !is_full) else { return false };
        let watched_secs = u32::try_from(change.watched.as_secs()).unwrap_or(u32::MAX).max(1);
        let (mut came, mut expire) = (0.0, 0.0);
        for entry in census.drawn.iter().map(|drawn| &drawn.entry).filter(|entry| entry.packets.is_none()) {
            let Some(dated) = self.date(entry).filter(|dated| dated.series == series) else { continue };
            came += f64::from(u8::from(dated.age_secs < watched_secs));
            expire += f64::from(u8::from(dated.timeout_secs - dated.age_secs <= watched_secs));
        }
        let gained = (came - expire) * census.live.low as f64 / census.drawn.len().max(1) as f64;
        came > AT_LEAST && came > 2.0 * expire && growth.per_sec.high * f64::from(watched_secs) < gained / 2.0
    }

    fn is_armed_otherwise(&self, entry: &Entry) -> Option<Series> {
        let (series, timeout_secs) = self.armed_once(entry)?;
        (entry.remaining_secs? > timeout_secs).then_some(series)
    }

    fn armed_once(&self, entry: &Entry) -> Option<(Series, u32)> {
        // A helper sets what its protocol says, of its sessions and of the media that it expects (SIP, H.323); TCP that
        // was expected is armed by its own tracker. Whoever fixed a timeout set what he liked.
        let is_media = entry.status.has(Status::EXPECTED) && entry.original.protocol != Protocol::TCP;
        if entry.status.has(Status::FIXED_TIMEOUT) || is_media || entry.extensions.contains(Extension::Helper) {
            return None;
        }
        let Arming::Once { series, timeout, .. } = Arming::of(entry) else { return None };
        let own = self.timeouts.get_secs(timeout)?;
        // After retransmissions or a zero window, and with unacknowledged data, these arm instead where they are shorter.
        let is_tcp = matches!(timeout, Timeout::Tcp(_));
        let caps = [Timeout::TcpMaxRetrans, Timeout::TcpUnacknowledged].map(|cap| self.timeouts.get_secs(cap));
        let is_ambiguous =
            timeout != Timeout::Tcp(TcpState::Close) && caps.into_iter().any(|cap| cap.is_none_or(|cap| cap < own));
        (!is_tcp || !is_ambiguous).then_some((series, own))
    }
}

/// How long ago an entry was made, in seconds, where the kernel keeps that.
pub(crate) fn age_since_made(entry: &Entry, read_at_unix_nanos: u64) -> Option<f64> {
    let made = entry.started_unix_nanos?.get();
    // Made while the dump was under way: just now.
    Some(read_at_unix_nanos.saturating_sub(made) as f64 / 1e9)
}
