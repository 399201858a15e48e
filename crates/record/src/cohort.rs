//! Entries that are looked at again and again.
//!
//! A dump always begins at the same buckets, so its beginning shows the same entries each time: a cohort, and, since the
//! hash's key is random, a uniform sample of the table. Between two looks an entry's expiry either stays where it was, and no
//! packet came; or it has moved, and one did. The time of the last packet follows from the expiry and from the timeout with
//! which it was armed.

use std::collections::HashMap;
use std::collections::hash_map;
use std::time::Duration;

use plimsoll_census::Armings;
use plimsoll_model::{Entry, Layer4, Status, TcpState, Tuple, Zone};
use plimsoll_recording::{
    Began, End, FlowKey, GapEnd, IdleGap, Life, Row, Sight, State, Step, Translation, UnixMicros, Volume,
};

use crate::keys::KeyState;
use crate::look;
use crate::table::Table;
use crate::window::Window;

/// A last packet that is not known to this is not known: what it would say of a silence's age is worth nothing.
const KNOWN_TO: Duration = Duration::from_secs(2);

/// An event has waited for no longer than this before it was received.
const WAITED: Duration = Duration::from_secs(1);

/// Of a life, no more steps are kept than this: a flow that goes round in circles would fill the memory.
const MOST_STEPS: usize = 64;

/// The entries, as of the last look.
#[derive(Debug)]
pub(crate) struct Cohort {
    members: HashMap<FlowKey, Member, KeyState>,
    most: usize,
    look: u32,
    extent: Extent,
    unseen: usize,
    seen: usize,
    /// The share of the entries that the kernel counts which have not expired, as last measured.
    live_share: f64,
    /// For how many entries of the table each stands, by the last look that ended. What is written stands for as many: those that
    /// stay in reach while the table grows come to stand for more.
    weight: f64,
    /// Silences whose beginning could not be told.
    pub(crate) undated: u64,
}

/// How far a look goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// As far as it takes.
    Beginning,
    /// To the end: it also tells how many of the entries that the kernel counts have not expired.
    Whole,
}

/// Who tells of an entry's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToldBy {
    /// The looks.
    Looks,
    /// Its events, from the first one on, which came at this moment.
    Events(UnixMicros),
    /// Nobody.
    Nobody,
}

/// An entry, as a look shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting<'a> {
    pub(crate) key: FlowKey,
    pub(crate) entry: &'a Entry,
    pub(crate) volume: Option<Volume>,
    /// When it was read.
    pub(crate) read: Window,
}

#[derive(Debug)]
struct Member {
    original: Tuple,
    reply: Tuple,
    zone: Zone,
    status: Status,
    volume: Option<Volume>,
    began: Began,
    steps: Vec<Step>,
    told_by: ToldBy,
    /// The look that saw it last.
    look: u32,
    read: Window,
    /// As the last look showed it.
    expires: Option<Window>,
    silence: Option<Silence>,
}

/// Rows, and what they are written by.
struct Writing<'a> {
    table: &'a Table,
    weight: f64,
    rows: &'a mut Vec<Row>,
}

/// A silence that goes on.
#[derive(Clone, Copy, Debug)]
struct Silence {
    /// The last packet.
    began: Window,
    /// The first look that showed it.
    first: Window,
    /// When the entry expires if no packet comes, by all looks since.
    expires: Window,
    state: State,
    armed_secs: u32,
}

/// Whether what a look shows fits what the looks before it have shown, without a packet in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fits {
    Yes,
    No,
}

impl Silence {
    /// Takes note of a further look.
    fn allow_for(&mut self, expires: Window) -> Fits {
        let Some(by_all) = self.expires.and(expires) else { return Fits::No };
        self.expires = by_all;
        // Seconds are whole: a packet within about one of the last one moves the expiry by so little that it is not seen. It may
        // have come by what this look shows.
        if self.armed_secs > 0 {
            let latest = expires.minus(Duration::from_secs(self.armed_secs.into())).to;
            self.began.to = self.began.to.max(latest);
        }
        Fits::Yes
    }
}

impl Cohort {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            members: HashMap::default(),
            most,
            look: 0,
            extent: Extent::Beginning,
            unseen: 0,
            seen: 0,
            live_share: 1.0,
            weight: 1.0,
            undated: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn begin_look(&mut self, extent: Extent) {
        self.look += 1;
        self.extent = extent;
        self.unseen = self.members.len();
        self.seen = 0;
    }

    /// Whether the look has shown enough: as many entries as are followed, and those that were followed already, or half as
    /// many more than that in vain.
    pub(crate) fn has_seen_enough(&self) -> bool {
        self.extent == Extent::Beginning
            && self.seen >= self.most
            && (self.unseen == 0 || self.seen >= self.most + self.most / 2)
    }

    /// Notes what a look shows of an entry; rows for what came to an end go to `rows`. A new member's life is told by
    /// whoever `told_by` says.
    pub(crate) fn see(
        &mut self,
        sighting: Sighting<'_>,
        table: &Table,
        told_by: impl FnOnce() -> ToldBy,
        rows: &mut Vec<Row>,
    ) {
        let armings = table.armings();
        let mut writing = Writing { table, weight: self.weight, rows };
        self.seen += 1;
        let is_within = self.seen <= self.most;
        match self.members.entry(sighting.key) {
            hash_map::Entry::Occupied(mut there) => {
                let member = there.get_mut();
                if member.look == self.look {
                    return;
                }
                self.unseen -= 1;
                if member.has_begun_anew(&sighting, armings) {
                    // The kernel gives the next entry of the same flow the same id where it gets the same place in memory.
                    member.vanish(sighting.key, sighting.read, &mut writing);
                    *member = Member::new(sighting, table, told_by(), self.look);
                    return;
                }
                member.look = self.look;
                self.undated += u64::from(member.see_again(sighting, &mut writing) == Dating::Failed);
            }
            hash_map::Entry::Vacant(place) if is_within => {
                let member = Member::new(sighting, table, told_by(), self.look);
                self.undated += u64::from(member.silence.is_none() && member.expires.is_some());
                place.insert(member);
            }
            hash_map::Entry::Vacant(_) => {}
        }
    }

    /// An event tells that an entry was made. If there was one under its name that has expired by then, that one is gone.
    pub(crate) fn make_anew(&mut self, key: FlowKey, at: UnixMicros, table: &Table, rows: &mut Vec<Row>) {
        if let hash_map::Entry::Occupied(there) = self.members.entry(key)
            && there.get().has_expired_by(at)
        {
            let mut member = there.remove();
            self.unseen = self.unseen.saturating_sub(usize::from(member.look != self.look));
            let mut writing = Writing { table, weight: self.weight, rows };
            member.vanish(key, Window { from: at, to: at }, &mut writing);
        }
    }

    /// An entry's life is told by its events.
    pub(crate) fn leave_to_events(&mut self, key: FlowKey, began: UnixMicros) {
        if let Some(member) = self.members.get_mut(&key) {
            member.told_by = ToldBy::Events(began);
        }
    }

    /// Ends a look, which took place between two moments, of a table of so many entries by the kernel's count: members that it
    /// did not show are gone, or out of reach.
    pub(crate) fn end_look(
        &mut self,
        took: Window,
        reached: look::Progress,
        counted: Option<u32>,
        table: &Table,
        rows: &mut Vec<Row>,
    ) {
        let counted = counted.map(f64::from);
        let live = match (reached, counted) {
            // All of them are in it; a dump shows none that has expired.
            (look::Progress::AtTheEnd, _) => Some(self.seen as f64),
            (look::Progress::GoesOn, counted) => counted.map(|counted| counted * self.live_share),
        };
        if let (look::Progress::AtTheEnd, Some(counted)) = (reached, counted)
            && counted > 0.0
        {
            self.live_share = (self.seen as f64 / counted).min(1.0);
        }
        let look = self.look;
        let mut writing = Writing { table, weight: self.weight, rows };
        self.members.retain(|key, member| {
            let is_there = member.look == look;
            if !is_there {
                member.vanish(*key, took, &mut writing);
            }
            is_there
        });
        let within = self.seen.min(self.most).max(1) as f64;
        self.weight = live.map_or(1.0, |live| (live / within).max(1.0));
    }

    /// Writes what is known so far of the silences that go on.
    pub(crate) fn write_down(&mut self, table: &Table, rows: &mut Vec<Row>) {
        let mut writing = Writing { table, weight: self.weight, rows };
        for (key, member) in &mut self.members {
            let goes_on = member.silence;
            member.end_silence(*key, GapEnd::GoesOn, member.read.from, None, &mut writing);
            member.silence = goes_on;
        }
    }

    /// Breaks off: nothing more will be seen of these entries.
    pub(crate) fn break_off(&mut self, table: &Table, rows: &mut Vec<Row>) {
        let mut writing = Writing { table, weight: self.weight, rows };
        for (key, mut member) in self.members.drain() {
            member.end_silence(key, GapEnd::StillSilent, member.read.from, None, &mut writing);
            member.end_life(key, End::Open, &mut writing);
        }
    }
}

/// Whether it could be told when an entry saw its last packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dating {
    Done,
    Failed,
}

impl Member {
    fn new(sighting: Sighting<'_>, table: &Table, told_by: ToldBy, look: u32) -> Self {
        let Sighting { entry, volume, read, .. } = sighting;
        let state = State::of(entry);
        let expires = entry.remaining_secs.map(|secs| Window::of_expiry(secs, read));
        let since = match told_by {
            // An event is received when it has waited its turn.
            ToldBy::Events(began) => began.minus(WAITED),
            ToldBy::Looks | ToldBy::Nobody => table.booted(),
        };
        let possible = Window { from: since, to: read.to };
        let silence = expires.and_then(|expires| {
            let (began, armed_secs) = armed(entry, expires, possible, table.armings())?;
            (began.width() <= KNOWN_TO).then_some(Silence { began, first: read, expires, state, armed_secs })
        });
        Self {
            original: entry.original,
            reply: entry.reply,
            zone: entry.zone,
            status: entry.status,
            volume,
            began: Began::Before(read.to),
            steps: vec![Step { at: read.to, state }],
            told_by,
            look,
            read,
            expires,
            silence,
        }
    }

    /// Whether this is another entry: a SYN has begun another connection in place of one that was over, or a packet came when the
    /// entry had expired, and made it anew.
    fn has_begun_anew(&self, sighting: &Sighting<'_>, armings: &Armings) -> bool {
        let Sighting { entry, read, .. } = *sighting;
        let rank = |state: State| match state {
            State::Tcp(TcpState::SynSent | TcpState::SynSent2) => 0,
            State::Tcp(TcpState::SynRecv) => 1,
            State::Tcp(TcpState::Established) => 2,
            State::Tcp(_) => 3,
            _ => 0,
        };
        let goes_back = self.steps.last().is_some_and(|last| rank(State::of(entry)) < rank(last.state));
        goes_back
            || self.has_expired_by(read.from) && {
                let between = Window { from: self.read.from, to: read.to };
                let expires = entry.remaining_secs.map(|secs| Window::of_expiry(secs, read));
                let dated = expires.and_then(|expires| armed(entry, expires, between, armings));
                // Its newest packet, at the earliest, came when the entry was gone.
                dated.zip(self.expires).is_some_and(|((newest, _), expired)| newest.from > expired.to)
            }
    }

    /// Whether it was to expire before a moment, for certain.
    fn has_expired_by(&self, at: UnixMicros) -> bool {
        self.expires.is_some_and(|expires| expires.to < at)
    }

    fn see_again(&mut self, sighting: Sighting<'_>, writing: &mut Writing<'_>) -> Dating {
        let Sighting { key, entry, volume, read } = sighting;
        let state = State::of(entry);
        let before = std::mem::replace(&mut self.read, read);
        let expires = entry.remaining_secs.map(|secs| Window::of_expiry(secs, read));
        let has_changed = self.steps.last().is_some_and(|step| step.state != state);
        if has_changed && self.steps.len() < MOST_STEPS {
            self.steps.push(Step { at: read.to, state });
        }
        let was = std::mem::replace(&mut self.expires, expires);
        let quiet_until = match (was, expires, &mut self.silence) {
            // It was seen to move, or to be another state's.
            (Some(was), Some(is), _) if has_changed || was.and(is).is_none() => Some(before.from),
            (None, Some(_), _) => Some(before.from),
            (_, Some(is), Some(silence)) => match silence.allow_for(is) {
                Fits::Yes => None,
                // It has moved a little at a time, so that no two looks show it.
                Fits::No => Some(silence.first.from),
            },
            _ => None,
        };
        let mut dating = Dating::Done;
        if let (Some(quiet_until), Some(expires)) = (quiet_until, expires) {
            let between = Window { from: quiet_until, to: read.to };
            let dated = armed(entry, expires, between, writing.table.armings());
            // What armed it is not known where a policy or a helper did; but that it was, and between which looks, is.
            let (began, armed_secs) = dated.unwrap_or((between, 0));
            self.end_silence(key, GapEnd::Packet, quiet_until, Some(read.to), writing);
            self.silence = Some(Silence { began, first: read, expires, state, armed_secs });
            if dated.is_none() {
                dating = Dating::Failed;
            }
        }
        self.status = entry.status;
        self.volume = volume;
        dating
    }

    /// A look did not show it, though it would have.
    fn vanish(&mut self, key: FlowKey, looked: Window, writing: &mut Writing<'_>) {
        // A packet since the last look would have armed it for so long again that it would still be there.
        let would_show = looked.to < self.read.from.plus(writing.table.shortest(self.original.protocol));
        let is_due = would_show && self.expires.is_some_and(|expires| expires.from <= looked.to);
        let gap = if is_due { GapEnd::Expired } else { GapEnd::OutOfSight };
        self.end_silence(key, gap, self.read.from, None, writing);
        self.end_life(key, End::Unseen, writing);
    }

    /// Writes the silence that went on, if one did: it was seen to last until `last`, and a packet had come when it was looked at
    /// again, at `next`. The entry tells when its newest packet came, too; but a bound that depended on the traffic would make
    /// silences of busy flows look shorter than they are (informative censoring).
    fn end_silence(
        &mut self,
        key: FlowKey,
        end: GapEnd,
        last: UnixMicros,
        next: Option<UnixMicros>,
        writing: &mut Writing<'_>,
    ) {
        let Some(silence) = self.silence.take() else { return };
        let Some(held_by) = silence.state.held_by(self.original.protocol) else { return };
        let began_at = silence.began.middle();
        let since = |at: UnixMicros| at.since(began_at);
        let seen_from = since(silence.first.from);
        let longer_than = match end {
            // It reached what it was armed with.
            GapEnd::Expired => Duration::from_secs(silence.armed_secs.into()).max(since(last)),
            _ => since(last),
        };
        let longer_than = longer_than.max(seen_from);
        writing.rows.push(Row::Gap(IdleGap {
            key,
            client: self.original.source,
            server: self.original.destination,
            protocol: self.original.protocol,
            port: match self.original.layer4 {
                Layer4::Ports { destination, .. } => Some(destination),
                Layer4::Icmp { .. } | Layer4::None => None,
            },
            translation: Translation::of(self.status),
            held_by,
            armed_secs: silence.armed_secs,
            began_at,
            began_within: silence.began.width() / 2,
            seen_from,
            longer_than,
            // A packet that came when the entry had expired made another one.
            at_most: next.map(|next| match silence.armed_secs {
                0 => since(next),
                armed => since(next).min(Duration::from_secs(armed.into())).max(longer_than + Duration::from_millis(1)),
            }),
            end,
            weight: writing.weight,
        }));
    }

    fn end_life(&mut self, key: FlowKey, end: End, writing: &mut Writing<'_>) {
        if self.told_by != ToldBy::Looks {
            return;
        }
        writing.rows.push(Row::Life(Life {
            key,
            original: self.original,
            reply: self.reply,
            zone: self.zone,
            began: self.began,
            steps: std::mem::take(&mut self.steps),
            ended_at: self.read.to,
            end,
            status: self.status,
            volume: self.volume,
            weight: writing.weight,
            sight: Sight::Looks,
        }));
    }
}

/// When an entry was armed last, within what is possible, and with how many seconds: by every timeout that may have done it, of
/// those that fit.
fn armed(entry: &Entry, expires: Window, possible: Window, armings: &Armings) -> Option<(Window, u32)> {
    let fitting = armings.armed_secs(entry).filter_map(|secs| {
        let began = expires.minus(Duration::from_secs(secs.into()));
        Some((began.and(possible)?, secs))
    });
    fitting.fold(None, |so_far, (began, secs)| match so_far {
        None => Some((began, secs)),
        Some((other, others)) => Some((began.hull(other), secs.max(others))),
    })
}
