//! Flows that are silent for longer than a timeout would let them be.

use plimsoll_model::{Entry, NamespaceSnapshot, NetworkSettings, Protocol, Range, Status, TcpState, Timeout};
use plimsoll_recording::State;
use serde::Serialize;

/// Flows among those that are there now which have been silent for longer than a new timeout. Such a flow loses its entry
/// the next time that it is silent for so long, if it still lives: the silence of now is spent under the old timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Silenced {
    /// Flows, between those that have certainly been silent for so long and those that may have been.
    pub flows: Range,
    /// Of the latter, as far as entries that were drawn are such: their next packet begins an entry, and they go on.
    pub picked_up: u64,
    /// Their next packet is answered with a reset: the translation is gone.
    pub reset: u64,
    /// Their next packet is lost.
    pub black_holed: u64,
}

impl Silenced {
    /// By the idle ages of the entries that were drawn; `None` where none were, or where nothing that the timeout holds may
    /// send again.
    pub fn by(timeout: Timeout, secs: u32, ns: &NamespaceSnapshot) -> Option<Self> {
        let census = ns.census.as_ref().filter(|_| may_send_again(timeout))?;
        let held: Vec<_> = census.drawn.iter().filter(|drawn| holding(&drawn.entry) == Some(timeout)).collect();
        let certainly = held.iter().filter(|drawn| drawn.idle.low_secs >= secs).count();
        let possibly: Vec<_> =
            held.into_iter().filter(|drawn| drawn.idle.high_secs.is_none_or(|high| high >= secs)).collect();
        // What no entry that was drawn would meet is not counted: the chance that others would is within `flows`.
        let harmed = |harm| match possibly.iter().filter(|drawn| harm_to(&drawn.entry, &ns.settings) == harm).count() {
            0 => 0,
            number => census.count_drawn(number).entries.high,
        };
        Some(Self {
            flows: Range {
                low: census.count_drawn(certainly).entries.low,
                high: census.count_drawn(possibly.len()).entries.high,
            },
            picked_up: harmed(HarmTo::PickedUp),
            reset: harmed(HarmTo::Reset),
            black_holed: harmed(HarmTo::BlackHoled),
        })
    }
}

/// The timeout that an entry's state has by itself.
pub(crate) fn holding(entry: &Entry) -> Option<Timeout> {
    State::of(entry).held_by(entry.original.protocol)
}

/// Whether a flow that is held by it may have something to say after a silence.
const fn may_send_again(timeout: Timeout) -> bool {
    !matches!(
        timeout,
        Timeout::Tcp(TcpState::SynSent | TcpState::SynRecv | TcpState::TimeWait | TcpState::Close | TcpState::LastAck)
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HarmTo {
    PickedUp,
    Reset,
    BlackHoled,
}

/// What the loss of its entry does to a flow, whichever side sends first: the worse of both.
fn harm_to(entry: &Entry, settings: &NetworkSettings) -> HarmTo {
    let is_loose = settings.tcp_loose.unwrap_or(true);
    let is_translated = entry.status.has(Status::SRC_NAT) || entry.status.has(Status::DST_NAT);
    match (entry.original.protocol, is_translated) {
        (Protocol::TCP, true) => HarmTo::Reset,
        (_, true) => HarmTo::BlackHoled,
        (Protocol::TCP, false) if !is_loose => HarmTo::BlackHoled,
        (_, false) => HarmTo::PickedUp,
    }
}
