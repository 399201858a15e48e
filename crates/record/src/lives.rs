//! Lives of flows, from their events.

use plimsoll_ctnetlink::SampleShare;
use plimsoll_model::{Entry, ProtocolState, Status, TcpState, Tuple, Zone};
use plimsoll_recording::{Began, End, FlowKey, Life, Sight, State, Step, UnixMicros, Volume};

use crate::followed::Followed;

/// Flows that have begun and not ended.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    open: Followed<Open>,
    /// How often events were lost.
    losses: u32,
    /// Which search of the table is under way, or was last.
    search: u32,
    /// Events of flows whose beginning was not seen.
    pub(crate) unknown: u64,
}

/// What an event tells of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) key: FlowKey,
    pub(crate) entry: &'a Entry,
    pub(crate) zone: Zone,
    pub(crate) volume: Option<Volume>,
    pub(crate) at: UnixMicros,
}

/// Who had an entry removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovedBy {
    Kernel,
    /// Somebody over ctnetlink.
    Request,
}

/// Whether the kernel may have killed entries to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// The table was never nearly full since the last reading.
    Plenty,
    /// It may have been full.
    Short,
}

/// The states of a flow: as many as any protocol has before it begins anew.
const MOST_STEPS: usize = 8;

/// A flow that has begun and not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    id: u32,
    original: Tuple,
    reply: Tuple,
    zone: Zone,
    status: Status,
    states: [State; MOST_STEPS],
    /// Since when it was in each. It began with the first.
    since: [UnixMicros; MOST_STEPS],
    steps: u8,
    share: SampleShare,
    /// Losses before it began.
    losses: u32,
    /// The last search that found it, or before which it told of itself.
    search: u32,
    is_cut: bool,
}

impl Lives {
    /// None yet, and room for so many.
    pub(crate) fn with_room_for(most: u64) -> Self {
        Self { open: Followed::with_room_for(most), ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// When a flow that is followed began.
    pub(crate) fn began(&self, key: FlowKey) -> Option<UnixMicros> {
        self.open.get(key).map(Open::began)
    }

    /// Events of these flows come next.
    #[inline]
    pub(crate) fn fetch(&self, keys: impl Iterator<Item = FlowKey>) {
        self.open.fetch(keys, |open| open.steps);
    }

    /// An entry was made. Where one with the same key was followed, it is gone, and its end was lost: an id comes again.
    #[inline]
    pub(crate) fn begin(&mut self, told: &Told<'_>, share: SampleShare) -> Option<Life> {
        let Told { key, entry, zone, at, .. } = *told;
        let mut open = Open {
            id: entry.id,
            original: entry.original,
            reply: entry.reply,
            zone,
            status: entry.status,
            states: [State::Unknown; MOST_STEPS],
            since: [at; MOST_STEPS],
            steps: 0,
            share,
            losses: self.losses,
            search: self.search,
            is_cut: false,
        };
        open.step(State::of(entry), at);
        let before = self.open.insert(key, open)?;
        Some(before.life(key, at, End::Unseen, None, self.losses))
    }

    /// An entry changed.
    #[inline]
    pub(crate) fn go_on(&mut self, told: &Told<'_>) {
        let Some(open) = self.open.get_mut(told.key) else {
            self.unknown += 1;
            return;
        };
        open.note(told.entry, told.at);
        open.search = self.search;
    }

    /// An entry is gone.
    #[inline]
    pub(crate) fn end(&mut self, told: &Told<'_>, by: RemovedBy, room: Room) -> Option<Life> {
        let Some(open) = self.open.remove(told.key) else {
            self.unknown += 1;
            return None;
        };
        let end = how(told.entry, open.last(), by, room);
        let status = told.entry.status;
        Some(Life { status, ..open.life(told.key, told.at, end, told.volume, self.losses) })
    }

    /// Events were lost, of those that are followed now.
    pub(crate) fn lose(&mut self) {
        self.losses = self.losses.saturating_add(1);
    }

    /// Begins a search of the table for the flows that are followed.
    pub(crate) fn begin_search(&mut self) {
        self.search = self.search.wrapping_add(1);
    }

    /// The search has found an entry.
    pub(crate) fn find(&mut self, told: &Told<'_>) {
        if let Some(open) = self.open.get_mut(told.key) {
            open.search = self.search;
            open.note(told.entry, told.at);
        }
    }

    /// Ends a search that began at a moment: flows that are older, and that it has not found, are gone.
    pub(crate) fn end_search(&self, began: UnixMicros) -> Vec<FlowKey> {
        let is_gone = |open: &Open| open.search != self.search && open.began() < began;
        self.open.iter().filter(|(_, open)| is_gone(open)).map(|(key, _)| key).collect()
    }

    /// A flow is gone, and it was not seen how.
    pub(crate) fn lose_sight(&mut self, key: FlowKey, at: UnixMicros) -> Option<Life> {
        let losses = self.losses;
        Some(self.open.remove(key)?.life(key, at, End::Unseen, None, losses))
    }

    /// From here on only a smaller share is followed: the others are forgotten, and those that stay stand for more. Says how
    /// many were forgotten.
    pub(crate) fn follow_only(&mut self, share: SampleShare) -> u64 {
        let before = self.open.len();
        self.open.retain(|open| {
            if share.one_in() > open.share.one_in() {
                open.share = share;
            }
            share.keeps(open.id)
        });
        (before - self.open.len()) as u64
    }

    /// The recording ends: flows that have not, one after the other, so that not all of them are there twice.
    pub(crate) fn break_off(&mut self, at: UnixMicros) -> impl Iterator<Item = Life> + use<> {
        let (open, losses) = (std::mem::take(&mut self.open), self.losses);
        open.into_iter().map(move |(key, open)| open.life(key, at, End::Open, None, losses))
    }
}

impl Open {
    const fn began(&self) -> UnixMicros {
        self.since[0]
    }

    #[inline]
    fn last(&self) -> State {
        self.states.get(usize::from(self.steps).wrapping_sub(1)).copied().unwrap_or(State::Unknown)
    }

    #[inline]
    fn note(&mut self, entry: &Entry, at: UnixMicros) {
        self.status = entry.status;
        let state = State::of(entry);
        // An update that tells of something else may carry no state.
        if state != State::Unknown && state != self.last() {
            self.step(state, at);
        }
    }

    #[inline]
    fn step(&mut self, state: State, at: UnixMicros) {
        let place = usize::from(self.steps);
        let (Some(states), Some(since)) = (self.states.get_mut(place), self.since.get_mut(place)) else {
            self.is_cut = true;
            return;
        };
        *states = state;
        *since = at;
        self.steps += 1;
    }

    fn life(&self, key: FlowKey, ended_at: UnixMicros, end: End, volume: Option<Volume>, losses: u32) -> Life {
        let steps = self.states.iter().zip(self.since).take(self.steps.into());
        Life {
            key,
            original: self.original,
            reply: self.reply,
            zone: self.zone,
            began: Began::At(self.began()),
            steps: steps.map(|(state, at)| Step { at, state: *state }).collect(),
            ended_at,
            end,
            status: self.status,
            volume,
            weight: f64::from(self.share.one_in()),
            sight: if losses == self.losses && !self.is_cut { Sight::Whole } else { Sight::Broken },
        }
    }
}

/// How an entry ended. Where time remained, something other than time ended it; and natural expiry leaves none to tell
/// (`ctnetlink_dump_timeout` skips it).
fn how(entry: &Entry, last: State, by: RemovedBy, room: Room) -> End {
    let state = match entry.state {
        ProtocolState::None => last,
        _ => State::of(entry),
    };
    match (entry.remaining_secs, by) {
        // A reset leaves the entry in CLOSE, which expires.
        (None, RemovedBy::Kernel) if state == State::Tcp(TcpState::Close) => End::Reset,
        (None, RemovedBy::Kernel) => End::Expired,
        (Some(_), RemovedBy::Kernel) if room == Room::Short => End::Evicted,
        // A reset kills an entry that has seen no reply (`nf_conntrack_tcp_packet`).
        (Some(_), RemovedBy::Kernel) if matches!(state, State::Tcp(_)) && !entry.status.has(Status::SEEN_REPLY) => {
            End::Reset
        }
        // A SYN kills one that is over, and begins another. What else: an address or a device that went away takes its
        // translated entries along (`nf_ct_iterate_cleanup_net`).
        (Some(_), RemovedBy::Kernel)
            if matches!(state, State::Tcp(TcpState::TimeWait | TcpState::Close | TcpState::LastAck)) =>
        {
            End::Reopened
        }
        (_, RemovedBy::Request) | (Some(_), RemovedBy::Kernel) => End::Deleted,
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{Layer4, Protocol};

    use super::*;

    #[test]
    fn a_flow_whose_key_comes_again_is_gone_unseen() {
        let layer4 = Layer4::Ports { source: 40_000, destination: 443 };
        let (source, destination) = ([10, 0, 0, 1].into(), [192, 0, 2, 1].into());
        let original = Tuple { source, destination, protocol: Protocol::TCP, layer4 };
        let state = ProtocolState::Tcp(TcpState::SynSent);
        let entry = Entry { id: 7, state, remaining_secs: Some(60), ..Entry::of(original) };
        let told = |at| Told { key: FlowKey(1), entry: &entry, zone: entry.zone, volume: None, at: UnixMicros(at) };
        let mut lives = Lives::default();
        assert_eq!(lives.begin(&told(1), SampleShare::ALL), None);
        lives.lose();
        let before = lives.begin(&told(5), SampleShare::ALL).unwrap();
        assert_eq!((before.began, before.end, before.sight), (Began::At(UnixMicros(1)), End::Unseen, Sight::Broken));
        let after = lives.end(&told(9), RemovedBy::Request, Room::Plenty).unwrap();
        assert_eq!((after.began, after.end, after.sight), (Began::At(UnixMicros(5)), End::Deleted, Sight::Whole));
    }
}
