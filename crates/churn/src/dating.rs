//! How long ago an entry came to its state.

use std::collections::BTreeSet;

use plimsoll_model::{
    Census, Entry, Extension, NamespaceSnapshot, Policies, Protocol, Status, TcpState, Timeout, Timeouts,
};

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
}

impl<'a> Dating<'a> {
    pub(crate) fn of(ns: &'a NamespaceSnapshot, census: &Census) -> Self {
        let mut dating = Self {
            timeouts: &ns.timeouts,
            policies: ns.policies,
            armed_otherwise: BTreeSet::new(),
            armed_again: BTreeSet::new(),
        };
        let otherwise = census.drawn.iter().filter_map(|drawn| dating.is_armed_otherwise(&drawn.entry));
        dating.armed_otherwise = otherwise.collect();
        let unanswered = [Series::OneWayUdp, Series::UdpExchanges];
        dating.armed_again = unanswered.into_iter().filter(|series| dating.is_armed_again(*series, census)).collect();
        dating
    }

    pub(crate) fn date(&self, entry: &Entry) -> Option<Dated> {
        let (series, timeout_secs) = self.armed_once(entry)?;
        if self.policies != Policies::None || self.armed_otherwise.contains(&series) {
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
