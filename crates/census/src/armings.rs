//! With which timeouts the kernel could have armed an entry, and so how long it may have been idle.

use plimsoll_model::{
    Entry, Extension, IdleAge, Policies, Protocol, ProtocolState, Status, TcpState, Timeout, Timeouts,
};

use crate::states::{SLOTS, slot};

/// The candidates of one state: at most the state's own, RETRANS, UNACK and CLOSE.
const CANDIDATES: usize = 4;

/// Those in force, and behind them those that are compiled in.
type Candidates = [Option<u32>; 2 * CANDIDATES];

/// The timeouts with which entries of each state could have been armed, under the settings in force.
///
/// Facts, from `nf_conntrack_proto_*.c`: the timeout of a TCP packet is the state's own, but at most RETRANS after
/// repeated retransmissions or a zero window, and at most UNACK while data is unacknowledged or the flow was picked up
/// in the middle; a reset whose sequence number is inexact leaves ESTABLISHED standing with CLOSE's. A UDP or GRE flow
/// that has seen a reply has the short timeout or the stream's, an assured one the stream's. All else has one.
///
/// The timeouts that are compiled in count too: they were in force before somebody set others. A third value that was in
/// force when the entry was last armed is not among them, nor is what somebody set by hand (`conntrack -U`). Only where
/// more time remains than any of them gives is that seen.
#[derive(Clone, Debug)]
pub struct Armings {
    /// By slot of the state; UDP and GRE by what their status says.
    by_slot: Box<[Candidates]>,
    policies: Policies,
    uptime_secs: u32,
}

impl Armings {
    /// Those of the settings in force, and of those that are compiled in, which were in force before somebody set others;
    /// on a host that has been up for `uptime_secs`: nothing is idle for longer.
    pub fn in_force(timeouts: &Timeouts, policies: Policies, uptime_secs: u32) -> Self {
        let now = Table::of(timeouts);
        let by_default = Table::of(&Timeouts::compiled_defaults());
        let by_slot = now.by_slot.iter().zip(&by_default.by_slot).map(|(now, by_default)| {
            // What is the same twice is looked at once; what was not read is not known to be the default.
            std::array::from_fn(|n| match n.checked_sub(CANDIDATES) {
                None => now[n],
                Some(n) => by_default[n].filter(|secs| now[n].is_some() && !now.contains(&Some(*secs))),
            })
        });
        Self { by_slot: by_slot.collect(), policies, uptime_secs }
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
        for idle in self.candidates(entry).into_iter().flatten().filter_map(|secs| secs.checked_sub(remaining)) {
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
        let candidates = self.candidates(entry);
        let longest = candidates.into_iter().flatten().max();
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
    fn candidates(&self, entry: &Entry) -> Candidates {
        let all = self.by_slot[slot(entry.original.protocol, entry.state)];
        let has_stream = matches!(entry.original.protocol, Protocol::UDP | Protocol::UDPLITE | Protocol::GRE);
        if !has_stream {
            return all;
        }
        // Own timeout first, the stream's second; and so once more for those that are compiled in.
        let [own, stream, _, _, own_by_default, stream_by_default, _, _] = all;
        let mut candidates = [None; 2 * CANDIDATES];
        if !entry.status.has(Status::ASSURED) {
            [candidates[0], candidates[1]] = [own, own_by_default];
        }
        if entry.status.has(Status::SEEN_REPLY) {
            [candidates[2], candidates[3]] = [stream, stream_by_default];
        }
        candidates
    }
}

/// The candidates of each slot under one set of timeouts.
struct Table {
    by_slot: Vec<[Option<u32>; CANDIDATES]>,
}

impl Table {
    fn of(timeouts: &Timeouts) -> Self {
        let get = |timeout| timeouts.get_secs(timeout);
        let own_or_stream = |own, stream| [get(own), get(stream), None, None];
        let mut by_slot = vec![[get(Timeout::Generic), None, None, None]; SLOTS];
        let mut set = |protocol, state, candidates| by_slot[slot(protocol, state)] = candidates;
        for state in TcpState::ALL {
            set(Protocol::TCP, ProtocolState::Tcp(*state), tcp(*state, timeouts));
        }
        for state in plimsoll_model::SctpState::ALL {
            let own = get(Timeout::Sctp(*state));
            set(Protocol::SCTP, ProtocolState::Sctp(*state), [own, None, None, None]);
        }
        set(Protocol::UDP, ProtocolState::None, own_or_stream(Timeout::Udp, Timeout::UdpStream));
        set(Protocol::UDPLITE, ProtocolState::None, own_or_stream(Timeout::Udp, Timeout::UdpStream));
        set(Protocol::GRE, ProtocolState::None, own_or_stream(Timeout::Gre, Timeout::GreStream));
        set(Protocol::ICMP, ProtocolState::None, [get(Timeout::Icmp), None, None, None]);
        set(Protocol::ICMPV6, ProtocolState::None, [get(Timeout::Icmpv6), None, None, None]);
        // A state of a protocol that has states, but none is shown or it is not known; and DCCP, whose sysctls are not
        // read.
        for protocol in [Protocol::TCP, Protocol::SCTP, Protocol::DCCP] {
            set(protocol, ProtocolState::None, [None; CANDIDATES]);
        }
        for number in 0..=u8::MAX {
            set(Protocol::DCCP, ProtocolState::Dccp(number), [None; CANDIDATES]);
            set(Protocol::TCP, ProtocolState::Unknown(number), [None; CANDIDATES]);
        }
        Self { by_slot }
    }
}

fn tcp(state: TcpState, timeouts: &Timeouts) -> [Option<u32>; CANDIDATES] {
    let own = timeouts.get_secs(Timeout::Tcp(state));
    let at_most = |cap| Some(own?.min(timeouts.get_secs(cap)?));
    let close = (state == TcpState::Established).then(|| at_most(Timeout::Tcp(TcpState::Close))).flatten();
    [own, at_most(Timeout::TcpMaxRetrans), at_most(Timeout::TcpUnacknowledged), close]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use plimsoll_model::{Layer4, Tuple};

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
}
