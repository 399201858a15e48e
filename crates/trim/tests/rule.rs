//! The rule against histories: settings that changed, packets that came, and what a dump then shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::net::Ipv4Addr;

use plimsoll_ctnetlink::TableStatistics;
use plimsoll_model::{
    Entry, Extension, Layer4, Occupancy, Policies, Protocol, ProtocolState, Status, TcpState, Timeout, Timeouts, Tuple,
};
use plimsoll_trim::{Certainty, Ground, Judgement, Left, Manner, Replies, Rule, Selection, Wish};
use proptest::prelude::*;

const UPTIME_SECS: u32 = 60 * 86_400;
const ESTABLISHED: Timeout = Timeout::Tcp(TcpState::Established);
const TIME_WAIT: Timeout = Timeout::Tcp(TcpState::TimeWait);

fn ground(set: &[(Timeout, u32)], policies: Policies) -> Ground {
    Ground {
        timeouts: Timeouts::compiled_defaults().iter_secs().chain(set.iter().copied()).collect(),
        policies,
        uptime_secs: UPTIME_SECS,
        table: TableStatistics { occupancy: Occupancy(0), capacity: None },
    }
}

fn entry(protocol: Protocol, state: ProtocolState, status: Status, remaining_secs: u32) -> Entry {
    let address = Ipv4Addr::LOCALHOST.into();
    let layer4 = Layer4::Ports { source: 1, destination: 2 };
    let tuple = Tuple { source: address, destination: address, protocol, layer4 };
    Entry { state, status, remaining_secs: Some(remaining_secs), ..Entry::of(tuple) }
}

fn tcp(state: TcpState, remaining_secs: u32) -> Entry {
    let status = Status::SEEN_REPLY.and(Status::ASSURED);
    entry(Protocol::TCP, ProtocolState::Tcp(state), status, remaining_secs)
}

fn judge_as(wish: Wish, manner: Manner, set: &[(Timeout, u32)], entry: &Entry) -> Judgement {
    Rule::new(&ground(set, Policies::None), wish, manner).judge(entry, u64::MAX)
}

fn judge(set: &[(Timeout, u32)], entry: &Entry) -> Judgement {
    judge_as(Wish::default(), Manner::Expire, set, entry)
}

const CERTAIN: Judgement = Judgement::Stale(Certainty::Certain);
const FRESH: Judgement = Judgement::Left(Left::Fresh);

#[test]
fn what_the_lower_timeout_would_have_ended_is_stale_and_nothing_younger() {
    let lowered = [(TIME_WAIT, 30)];
    // Armed with the 120 of before: idle for between 119 and 120 seconds less than that.
    for (remaining, judgement) in [(119, FRESH), (90, FRESH), (89, FRESH), (88, CERTAIN), (50, CERTAIN), (31, CERTAIN)]
    {
        assert_eq!(judge(&lowered, &tcp(TcpState::TimeWait, remaining)), judgement, "{remaining} s left");
    }
    // With 30 or less left, today's timeout may have armed it.
    for remaining in [30, 11, 1] {
        assert_eq!(judge(&lowered, &tcp(TcpState::TimeWait, remaining)), FRESH, "{remaining} s left");
    }
    assert_eq!(judge(&[], &tcp(TcpState::TimeWait, 11)), FRESH, "nothing outlives the timeout in force");
}

#[test]
fn unacknowledged_data_and_zero_windows_leave_an_old_connection_fresh() {
    let lowered = [(ESTABLISHED, 600)];
    assert_eq!(judge(&lowered, &tcp(TcpState::Established, 431_000)), CERTAIN);
    for remaining in [600, 300, 299, 20] {
        assert_eq!(judge(&lowered, &tcp(TcpState::Established, remaining)), FRESH, "{remaining} s left");
    }
}

#[test]
fn what_was_in_force_in_between_is_believed() {
    let set = [(ESTABLISHED, 3600)];
    let fresh = tcp(TcpState::Established, 7190);
    assert_eq!(judge(&set, &fresh), CERTAIN, "nobody told of 7200");
    let wish = Wish { armed: vec![(ESTABLISHED, 7200)], ..Wish::default() };
    assert_eq!(judge_as(wish, Manner::Expire, &set, &fresh), FRESH);
}

#[test]
fn held_against_other_timeouts_several_armings_are_ambiguous() {
    let wish = || Wish { as_if: vec![(ESTABLISHED, 60)], ..Wish::default() };
    let set = [(ESTABLISHED, 3600)];
    let judged = |remaining| judge_as(wish(), Manner::Expire, &set, &tcp(TcpState::Established, remaining));
    assert_eq!(judged(3000), Judgement::Stale(Certainty::Ambiguous), "3600 or 432000");
    assert_eq!(judged(4000), CERTAIN);
    assert_eq!(judged(290), FRESH, "unacknowledged data perhaps");
    assert_eq!(judged(200), Judgement::Stale(Certainty::Ambiguous));
}

#[test]
fn what_goes_by_itself_within_ten_seconds_is_left_to_it_unless_it_is_to_be_deleted() {
    let wish = || Wish { as_if: vec![(TIME_WAIT, 5)], ..Wish::default() };
    for (remaining, expire) in
        [(11, CERTAIN), (10, Judgement::Left(Left::Expiring)), (0, Judgement::Left(Left::Expiring))]
    {
        let entry = tcp(TcpState::TimeWait, remaining);
        assert_eq!(judge_as(wish(), Manner::Expire, &[], &entry), expire, "{remaining} s left");
        assert_eq!(judge_as(wish(), Manner::Delete, &[], &entry), CERTAIN, "{remaining} s left");
    }
}

#[test]
fn what_others_arm_is_left_out_by_name() {
    let lowered = [(TIME_WAIT, 30)];
    let stale = tcp(TcpState::TimeWait, 50);
    let with = |status: Status| Entry { status: stale.status.and(status), ..stale };
    let left = |entry: &Entry| match judge(&lowered, entry) {
        Judgement::Left(left) => left,
        judgement @ Judgement::Stale(_) => panic!("{judgement:?}"),
    };
    assert_eq!(left(&with(Status::FIXED_TIMEOUT)), Left::FixedTimeout);
    assert_eq!(left(&with(Status::OFFLOAD)), Left::Offloaded);
    assert_eq!(left(&with(Status::HW_OFFLOAD)), Left::Offloaded);
    assert_eq!(left(&with(Status::EXPECTED)), Left::Helper);
    assert_eq!(left(&with(Status::HELPER)), Left::Helper);
    let mut helped = stale;
    helped.extensions.insert(Extension::Helper);
    assert_eq!(left(&helped), Left::Helper);
    assert_eq!(left(&Entry { remaining_secs: None, ..stale }), Left::Offloaded);
    for policies in [Policies::Some(1), Policies::Unknown] {
        let rule = Rule::new(&ground(&lowered, policies), Wish::default(), Manner::Delete);
        assert_eq!(rule.judge(&stale, u64::MAX), Judgement::Left(Left::Policy));
    }
    assert_eq!(left(&tcp(TcpState::TimeWait, 121)), Left::Unknown, "armed by hand");
    assert_eq!(left(&entry(Protocol::TCP, ProtocolState::Unknown(77), Status::default(), 50)), Left::Unknown);
    let unread = Ground { timeouts: [(TIME_WAIT, 30)].into_iter().collect(), ..ground(&[], Policies::None) };
    let rule = Rule::new(&unread, Wish::default(), Manner::Expire);
    assert_eq!(rule.judge(&stale, u64::MAX), Judgement::Left(Left::Unknown), "its caps were not read");
}

#[test]
fn an_entry_is_not_idle_for_longer_than_it_exists() {
    const NOW: u64 = 1_800_000_000_000_000_000;
    let rule = Rule::new(&ground(&[(ESTABLISHED, 3600)], Policies::None), Wish::default(), Manner::Expire);
    let made = |secs_ago: u64| Entry {
        started_unix_nanos: std::num::NonZeroU64::new(NOW - secs_ago * 1_000_000_000),
        ..tcp(TcpState::Established, 7190)
    };
    assert_eq!(rule.judge(&made(100), NOW), Judgement::Left(Left::Unknown), "7200 was in force, nobody told of it");
    assert_eq!(rule.judge(&made(430_000), NOW), CERTAIN);
}

#[test]
fn a_selection_leaves_the_rest_and_asks_for_more_age() {
    let lowered = [(TIME_WAIT, 30)];
    let selecting = |selection| Wish { selection, ..Wish::default() };
    let stale = tcp(TcpState::TimeWait, 50);
    let judged = |selection| judge_as(selecting(selection), Manner::Expire, &lowered, &stale);
    let unreplied = Selection { replies: Replies::Unseen, ..Selection::default() };
    assert_eq!(judged(unreplied), Judgement::Left(Left::NotSelected));
    let idle_over = |secs| Selection { idle_over_secs: Some(secs), ..Selection::default() };
    assert_eq!(judged(idle_over(68)), CERTAIN);
    assert_eq!(judged(idle_over(69)), FRESH);
    assert_eq!(judged(idle_over(1)), CERTAIN, "never less than the target");
}

/// A namespace's history: settings that were in force one after the other, each for some time, and one packet.
#[derive(Clone, Debug)]
struct History {
    /// Settings, the last of them in force now: the state's own timeout, RETRANS, UNACK, CLOSE, the stream's.
    settings: Vec<[u32; 5]>,
    /// Under which of them the last packet came.
    armed_under: usize,
    /// Which of its timeouts it armed the entry with.
    armed_with: usize,
    /// Milliseconds since then.
    idle_millis: u64,
    kind: usize,
    as_if: Option<u32>,
}

const KINDS: [TcpState; 4] = [TcpState::Established, TcpState::TimeWait, TcpState::SynRecv, TcpState::FinWait];

fn histories() -> impl Strategy<Value = History> {
    let secs = || prop_oneof![1_u32..400, 1_u32..8000, 400_000_u32..440_000];
    let setting = [secs(), secs(), secs(), secs(), secs()];
    let settings = prop::collection::vec(setting, 0..3);
    let idle = prop_oneof![0_u64..400_000, 0_u64..8_000_000, 0_u64..450_000_000];
    (settings, any::<prop::sample::Index>(), 0_usize..5, idle, 0_usize..6, prop::option::of(secs())).prop_map(
        |(set, under, armed_with, idle_millis, kind, as_if)| {
            let mut settings = vec![defaults(kind)];
            settings.extend(set);
            let armed_under = under.index(settings.len());
            History { settings, armed_under, armed_with, idle_millis, kind, as_if }
        },
    )
}

/// The timeouts of a kind, as in [`History::settings`].
fn timeouts_of(kind: usize) -> [Timeout; 5] {
    let own = KINDS.get(kind).map_or(Timeout::Udp, |state| Timeout::Tcp(*state));
    let close = Timeout::Tcp(TcpState::Close);
    [own, Timeout::TcpMaxRetrans, Timeout::TcpUnacknowledged, close, Timeout::UdpStream]
}

fn defaults(kind: usize) -> [u32; 5] {
    timeouts_of(kind).map(|timeout| timeout.compiled_default_secs().unwrap())
}

impl History {
    /// What the kernel armed it with.
    fn armed_secs(&self) -> u32 {
        let [own, retrans, unacknowledged, close, stream] = self.settings[self.armed_under];
        match (KINDS.get(self.kind), self.armed_with) {
            (Some(_), 1) => own.min(retrans),
            (Some(_), 2) => own.min(unacknowledged),
            (Some(TcpState::Established), 3) => own.min(close),
            // An assured flow is a stream; one that has only been answered may be one or not.
            (None, with) if self.kind == 4 || with % 2 == 0 => stream,
            (_, _) => own,
        }
    }

    /// What a dump shows; `None` where it has expired.
    fn entry(&self) -> Option<Entry> {
        let left_millis = (u64::from(self.armed_secs()) * 1000).checked_sub(self.idle_millis)?;
        let remaining = u32::try_from(left_millis / 1000).unwrap();
        let assured = Status::SEEN_REPLY.and(Status::ASSURED);
        Some(match (KINDS.get(self.kind), self.kind) {
            (Some(state), _) => tcp(*state, remaining),
            (None, 4) => entry(Protocol::UDP, ProtocolState::None, assured, remaining),
            (None, _) => entry(Protocol::UDP, ProtocolState::None, Status::SEEN_REPLY, remaining),
        })
    }

    fn set(&self, settings: &[u32; 5]) -> Vec<(Timeout, u32)> {
        timeouts_of(self.kind).into_iter().zip(*settings).collect()
    }

    /// What would have ended the entry, had it been in force all along: the longest that a packet gives.
    fn target_secs(&self) -> u32 {
        let [own, .., stream] = *self.settings.last().unwrap();
        let own = self.as_if.unwrap_or(own);
        match self.kind {
            4 => stream,
            5 => own.max(stream),
            _ => own,
        }
    }

    fn judge(&self, armed: Vec<(Timeout, u32)>) -> Option<Judgement> {
        let [own, ..] = timeouts_of(self.kind);
        let as_if = self.as_if.map(|secs| (own, secs)).into_iter().collect();
        let wish = Wish { as_if, armed, ..Wish::default() };
        let in_force = self.set(self.settings.last().unwrap());
        Some(judge_as(wish, Manner::Delete, &in_force, &self.entry()?))
    }

    fn told(&self) -> Vec<(Timeout, u32)> {
        self.settings.iter().flat_map(|settings| self.set(settings)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was in force, and whatever armed it: what is called stale has been idle for longer than the target.
    #[test]
    fn no_entry_that_is_younger_than_the_target_is_called_stale(history in histories()) {
        if let Some(Judgement::Stale(_)) = history.judge(history.told()) {
            prop_assert!(history.idle_millis > u64::from(history.target_secs()) * 1000, "{history:?}");
        }
    }

    /// Where nothing was ever changed but now, what has been idle for long is found: the rule is not merely timid.
    #[test]
    fn what_the_default_armed_and_is_old_is_found(target in 60_u32..200_000, older in 2_u32..30_000) {
        let remaining = 432_000 - target - older;
        prop_assert_eq!(judge(&[(ESTABLISHED, target)], &tcp(TcpState::Established, remaining)), CERTAIN);
    }
}

/// The first property fails without what is told: it can fail.
#[test]
fn a_value_that_nobody_told_of_is_what_the_rule_cannot_know() {
    let history = History {
        settings: vec![defaults(0), [7200, 300, 300, 10, 120], [3600, 300, 300, 10, 120]],
        armed_under: 1,
        armed_with: 0,
        idle_millis: 5_000,
        kind: 0,
        as_if: None,
    };
    assert_eq!(history.judge(Vec::new()), Some(CERTAIN));
    assert_eq!(history.judge(history.told()), Some(FRESH));
}
