//! With which timeouts the kernel could have armed an entry, and so how long it may have been idle.

use plimsoll_model::{Entry, Extension, IdleAge, Policies, Status, Timeout, Timeouts};

use crate::governing::{Governing, governing};
use crate::states::{SLOTS, key, slot};

/// The timeouts with which entries of each state could have been armed, under the settings in force.
///
/// Facts, from `nf_conntrack_proto_*.c`: the timeout of a TCP packet is the state's own, but at most RETRANS after
/// repeated retransmissions or a zero window, and at most UNACK while data is unacknowledged or the flow was picked up
/// in the middle; a reset whose sequence number is inexact leaves ESTABLISHED standing with CLOSE's. A UDP or GRE flow
/// that has seen a reply has the short timeout or the stream's, an assured one the stream's. All else has one.
///
/// The timeouts that are compiled in count too: they were in force before somebody set others. A third value that was in
/// force when the entry was last armed is among them only if it is told ([`Armings::over_time`]), and what somebody set by
/// hand (`conntrack -U`) is not. Only where more time remains than any of them gives is that seen.
///
/// Values of several timeouts may have been in force together in any combination: one was changed before the other. So a
/// state's own timeout counts with each of its values, and a cap with each that is not above all of those.
#[derive(Clone, Debug)]
pub struct Armings {
    values: Vec<u32>,
    by_slot: Box<[Spans]>,
    policies: Policies,
    uptime_secs: u32,
}

/// Where the values of a state lie.
#[derive(Clone, Copy, Debug, Default)]
struct Spans {
    own: Span,
    /// Empty where there is no such thing as a stream.
    stream: Span,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Armings {
    /// Those of the settings in force, and of those that are compiled in, which were in force before somebody set others;
    /// on a host that has been up for `uptime_secs`: nothing is idle for longer.
    pub fn in_force(timeouts: &Timeouts, policies: Policies, uptime_secs: u32) -> Self {
        Self::over_time(timeouts, &[], policies, uptime_secs)
    }

    /// As [`Armings::in_force`], with further values in seconds that were in force earlier.
    pub fn over_time(in_force: &Timeouts, earlier: &[(Timeout, u32)], policies: Policies, uptime_secs: u32) -> Self {
        Self::of(&History { in_force, by_default: Timeouts::compiled_defaults(), earlier }, policies, uptime_secs)
    }

    /// As [`Armings::over_time`], where it is known that no others were in force, not even those that are compiled in.
    pub fn of_these(in_force: &Timeouts, earlier: &[(Timeout, u32)], policies: Policies, uptime_secs: u32) -> Self {
        Self::of(&History { in_force, by_default: Timeouts::default(), earlier }, policies, uptime_secs)
    }

    /// With how many seconds the kernel may have armed an entry, each value once or more often; nothing where something
    /// other than the tracker's timeouts may have armed it.
    pub fn armed_secs(&self, entry: &Entry) -> impl Iterator<Item = u32> {
        let none_is_known = self.armed_by_others(entry);
        self.candidates(entry).filter(move |_| !none_is_known)
    }

    /// How long the host has been up: nothing is idle for longer.
    pub const fn uptime_secs(&self) -> u32 {
        self.uptime_secs
    }

    fn of(history: &History<'_>, policies: Policies, uptime_secs: u32) -> Self {
        let mut values = Vec::new();
        let mut lay = |of: Option<Vec<u32>>| {
            let start = length(&values);
            values.extend(of.unwrap_or_default());
            Span { start, end: length(&values) }
        };
        let spans = (0..SLOTS).map(|slot| {
            let Some(state) = key(slot) else { return Spans::default() };
            match governing(state.protocol, state.state) {
                None => Spans::default(),
                Some(Governing::Own(own)) => Spans { own: lay(history.values(own)), stream: Span::default() },
                Some(Governing::Capped { own, caps }) => {
                    Spans { own: lay(history.capped(own, caps)), stream: Span::default() }
                }
                Some(Governing::OrStream { own, stream }) => {
                    let (own, stream) = history.values(own).zip(history.values(stream)).unzip();
                    Spans { own: lay(own), stream: lay(stream) }
                }
            }
        });
        let by_slot = spans.collect();
        Self { values, by_slot, policies, uptime_secs }
    }

    /// How long an entry has seen no packet.
    #[inline]
    pub fn idle_age(&self, entry: &Entry) -> IdleAge {
        let Some(remaining) = entry.remaining_secs else { return IdleAge::UNKNOWN };
        if self.armed_by_others(entry) {
            return IdleAge::UNKNOWN;
        }
        let mut low = None;
        let mut high = None;
        // The kernel rounds what remains down, so an entry armed with T is idle between T − remaining − 1 and
        // T − remaining.
        for idle in self.candidates(entry).filter_map(|secs| secs.checked_sub(remaining)) {
            if idle > self.uptime_secs {
                continue;
            }
            low = Some(low.map_or(idle, |low: u32| low.min(idle)));
            high = Some(high.map_or(idle, |high: u32| high.max(idle)));
        }
        match low {
            Some(low) => IdleAge { low_secs: low.saturating_sub(1), high_secs: high },
            None => IdleAge::UNKNOWN,
        }
    }

    /// Whether more time remains than any timeout in force gives.
    #[inline]
    pub(crate) fn is_armed_otherwise(&self, entry: &Entry) -> bool {
        let longest = self.candidates(entry).max();
        matches!((entry.remaining_secs, longest), (Some(remaining), Some(longest)) if remaining > longest)
    }

    /// Whether something other than the tracker's timeouts may have armed the entry: a policy, a helper (SIP, H.323
    /// and PPTP set what their protocol says), or whoever fixed its timeout.
    #[inline]
    fn armed_by_others(&self, entry: &Entry) -> bool {
        self.policies != Policies::None
            || entry.status.has(Status::FIXED_TIMEOUT)
            || entry.status.has(Status::EXPECTED)
            || entry.extensions.contains(Extension::Helper)
    }

    #[inline]
    fn candidates(&self, entry: &Entry) -> impl Iterator<Item = u32> {
        let Spans { own, stream } = self.by_slot[slot(entry.original.protocol, entry.state)];
        let (own, stream) = if stream.start == stream.end {
            (self.span(own), &[][..])
        } else {
            let own = if entry.status.has(Status::ASSURED) { &[] } else { self.span(own) };
            (own, if entry.status.has(Status::SEEN_REPLY) { self.span(stream) } else { &[] })
        };
        own.iter().chain(stream).copied()
    }

    #[inline]
    fn span(&self, span: Span) -> &[u32] {
        self.values.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

fn length(values: &[u32]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}

/// What timeouts were in force, as far as is known.
struct History<'a> {
    in_force: &'a Timeouts,
    by_default: Timeouts,
    earlier: &'a [(Timeout, u32)],
}

impl History<'_> {
    /// Every value that a timeout may have had, each once; `None` where it was not read, and so is not known to be the
    /// default.
    fn values(&self, timeout: Timeout) -> Option<Vec<u32>> {
        let now = self.in_force.get_secs(timeout)?;
        let earlier = self.earlier.iter().filter(|(of, _)| *of == timeout).map(|(_, secs)| *secs);
        let mut values = vec![now];
        for secs in self.by_default.get_secs(timeout).into_iter().chain(earlier) {
            if !values.contains(&secs) {
                values.push(secs);
            }
        }
        Some(values)
    }

    /// Every value that a timeout may have had, with the caps on it: what was armed is the lesser of the two.
    fn capped(&self, own: Timeout, caps: &[Timeout]) -> Option<Vec<u32>> {
        let mut values = self.values(own)?;
        let longest = values.iter().copied().max()?;
        for cap in caps {
            for secs in self.values(*cap)? {
                if secs < longest && !values.contains(&secs) {
                    values.push(secs);
                }
            }
        }
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use plimsoll_model::{Layer4, Protocol, ProtocolState, TcpState, Tuple};

    use super::*;

    const UPTIME_SECS: u32 = 30 * 86_400;

    fn defaults() -> Timeouts {
        [
            (Timeout::Tcp(TcpState::Established), 432_000),
            (Timeout::Tcp(TcpState::TimeWait), 120),
            (Timeout::Tcp(TcpState::Close), 10),
            (Timeout::TcpMaxRetrans, 300),
            (Timeout::TcpUnacknowledged, 300),
            (Timeout::Udp, 30),
            (Timeout::UdpStream, 120),
        ]
        .into_iter()
        .collect()
    }

    fn entry(protocol: Protocol, state: ProtocolState, status: Status, remaining_secs: u32) -> Entry {
        let address = Ipv4Addr::LOCALHOST.into();
        let layer4 = Layer4::Ports { source: 1, destination: 2 };
        let tuple = Tuple { source: address, destination: address, protocol, layer4 };
        Entry { id: 1, status, state, remaining_secs: Some(remaining_secs), ..Entry::of(tuple) }
    }

    fn established(remaining_secs: u32) -> Entry {
        entry(Protocol::TCP, ProtocolState::Tcp(TcpState::Established), Status::ASSURED, remaining_secs)
    }

    #[test]
    fn five_minutes_left_of_five_days_may_be_fresh_unacknowledged_data() {
        let idle = Armings::in_force(&defaults(), Policies::None, UPTIME_SECS).idle_age(&established(299));
        assert_eq!(idle, IdleAge { low_secs: 0, high_secs: Some(431_701) });
    }

    #[test]
    fn more_left_than_retrans_and_unack_give_proves_the_states_own_timeout() {
        let idle = Armings::in_force(&defaults(), Policies::None, UPTIME_SECS).idle_age(&established(432_000 - 7200));
        assert_eq!(idle, IdleAge { low_secs: 7199, high_secs: Some(7200) });
    }

    fn with_time_wait(secs: u32) -> Armings {
        let others = defaults();
        let others = others.iter_secs().filter(|(timeout, _)| *timeout != Timeout::Tcp(TcpState::TimeWait));
        let timeouts = others.chain([(Timeout::Tcp(TcpState::TimeWait), secs)]).collect();
        Armings::in_force(&timeouts, Policies::None, UPTIME_SECS)
    }

    fn waiting(remaining_secs: u32) -> Entry {
        entry(Protocol::TCP, ProtocolState::Tcp(TcpState::TimeWait), Status::ASSURED, remaining_secs)
    }

    #[test]
    fn more_left_than_any_timeout_gives_is_another_arming_and_says_nothing() {
        let armings = with_time_wait(30);
        assert!(armings.is_armed_otherwise(&waiting(121)));
        assert_eq!(armings.idle_age(&waiting(121)), IdleAge::UNKNOWN);
        assert!(!armings.is_armed_otherwise(&waiting(120)), "the default was in force before");
    }

    #[test]
    fn a_timeout_that_was_raised_proves_no_age_to_entries_that_the_default_may_have_armed() {
        let armings = with_time_wait(600);
        assert_eq!(armings.idle_age(&waiting(100)), IdleAge { low_secs: 19, high_secs: Some(500) });
        assert_eq!(armings.idle_age(&waiting(400)), IdleAge { low_secs: 199, high_secs: Some(200) });
    }

    #[test]
    fn an_assured_udp_flow_is_a_stream_and_a_one_way_one_is_not() {
        let armings = Armings::in_force(&defaults(), Policies::None, UPTIME_SECS);
        let udp = |status| armings.idle_age(&entry(Protocol::UDP, ProtocolState::None, status, 20));
        let replied = Status::SEEN_REPLY;
        assert_eq!(udp(replied.and(Status::ASSURED)), IdleAge { low_secs: 99, high_secs: Some(100) });
        assert_eq!(udp(Status::default()), IdleAge { low_secs: 9, high_secs: Some(10) });
        assert_eq!(udp(replied), IdleAge { low_secs: 9, high_secs: Some(100) });
    }

    #[test]
    fn policies_helpers_and_fixed_timeouts_leave_nothing_to_be_known() {
        let none = Armings::in_force(&defaults(), Policies::None, UPTIME_SECS);
        let waiting = entry(Protocol::TCP, ProtocolState::Tcp(TcpState::TimeWait), Status::ASSURED, 20);
        assert_eq!(none.idle_age(&waiting).low_secs, 99);
        for policies in [Policies::Some(1), Policies::Unknown] {
            assert_eq!(Armings::in_force(&defaults(), policies, UPTIME_SECS).idle_age(&waiting), IdleAge::UNKNOWN);
        }
        let mut helped = waiting;
        helped.extensions.insert(Extension::Helper);
        assert_eq!(none.idle_age(&helped), IdleAge::UNKNOWN);
        let fixed = Entry { status: Status::FIXED_TIMEOUT, ..waiting };
        assert_eq!(none.idle_age(&fixed), IdleAge::UNKNOWN);
    }

    #[test]
    fn nothing_is_idle_for_longer_than_the_host_is_up() {
        let armings = Armings::in_force(&defaults(), Policies::None, 3600);
        assert_eq!(armings.idle_age(&established(299)), IdleAge { low_secs: 0, high_secs: Some(1) });
        assert_eq!(armings.idle_age(&established(301)), IdleAge::UNKNOWN, "armed by something else, by hand perhaps");
    }

    #[test]
    fn a_timeout_that_was_not_read_bounds_nothing() {
        let armings = Armings::in_force(&Timeouts::default(), Policies::None, UPTIME_SECS);
        assert_eq!(armings.idle_age(&established(10)), IdleAge::UNKNOWN);
        assert!(!armings.is_armed_otherwise(&established(10)));
    }

    /// Data unacknowledged under a longer UNACK, before ESTABLISHED was set below it.
    #[test]
    fn values_of_two_timeouts_that_were_never_set_together_count_together() {
        let established = Timeout::Tcp(TcpState::Established);
        let set = [(established, 200), (Timeout::TcpUnacknowledged, 600)];
        let timeouts: Timeouts = defaults().iter_secs().chain(set).collect();
        let armings = Armings::in_force(&timeouts, Policies::None, UPTIME_SECS);
        assert_eq!(armings.idle_age(&self::established(590)).low_secs, 9);
    }

    #[test]
    fn what_was_in_force_earlier_counts_where_it_is_told() {
        let established = Timeout::Tcp(TcpState::Established);
        let timeouts: Timeouts = defaults().iter_secs().chain([(established, 3600)]).collect();
        let armings = |earlier: &[_]| Armings::over_time(&timeouts, earlier, Policies::None, UPTIME_SECS);
        let fresh = self::established(7190);
        assert_eq!(armings(&[]).idle_age(&fresh).low_secs, 432_000 - 7191);
        assert_eq!(armings(&[(established, 7200)]).idle_age(&fresh).low_secs, 9);
        assert_eq!(armings(&[(Timeout::TcpMaxRetrans, 7200)]).idle_age(&fresh).low_secs, 9);
        assert_eq!(armings(&[(Timeout::Udp, 7200)]).idle_age(&fresh).low_secs, 432_000 - 7191);
    }

    #[test]
    fn a_cap_that_was_not_read_leaves_nothing_to_be_known() {
        let without = defaults().iter_secs().filter(|(timeout, _)| *timeout != Timeout::TcpUnacknowledged).collect();
        assert_eq!(
            Armings::in_force(&without, Policies::None, UPTIME_SECS).idle_age(&established(10)),
            IdleAge::UNKNOWN
        );
    }
}
