//! The silences of a recording, by what holds them and by service.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use plimsoll_model::{Prefix, Protocol, Sysctl, Timeout};
use plimsoll_recording::{Change, ChangeKind, FlowKey, GapEnd, IdleGap, Translation, UnixMicros};
use serde::{Serialize, Serializer};

use super::spans::{Runs, Spans};
use crate::Role;

/// Silences that are kept, at most; of more, those of a share of all flows.
const MOST: usize = 1 << 20;

/// What flows are opened to, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKind {
    /// A port of a protocol.
    Port(Protocol, u16),
    /// All of a protocol that has no ports, or of whose ports too little was seen.
    Others(Protocol),
}

impl std::fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port(protocol, port) => f.pad(&format!("{port}/{protocol}")),
            Self::Others(protocol) => f.pad(&format!("other {protocol}")),
        }
    }
}

impl Serialize for ServiceKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A silence, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silence {
    pub(crate) flow: FlowKey,
    pub(crate) client: IpAddr,
    pub(crate) server: IpAddr,
    pub(crate) began: UnixMicros,
    pub(crate) seen_from: Duration,
    pub(crate) longer_than: Duration,
    pub(crate) at_most: Option<Duration>,
    pub(crate) weight: f64,
}

impl Silence {
    /// Its last moment that was seen.
    pub(crate) fn seen_until(&self) -> UnixMicros {
        self.began.plus(self.longer_than)
    }
}

/// The silences of a recording.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    by_service: BTreeMap<(Timeout, ServiceKind), Vec<Silence>>,
    kept: usize,
    /// Of each flow the one that went on when that was last written.
    going_on: BTreeMap<FlowKey, IdleGap>,
    /// Of all flows, one in so many is kept.
    one_in: u64,
    in_force: BTreeMap<Timeout, u32>,
    settings: BTreeMap<Sysctl, u32>,
    translated: bool,
    runs: Runs,
}

impl Silences {
    /// None yet.
    pub fn new() -> Self {
        Self { one_in: 1, ..Self::default() }
    }

    /// Adds one.
    pub fn add(&mut self, gap: &IdleGap) {
        self.reaches(gap.began_at.plus(gap.seen_from));
        self.reaches(gap.began_at.plus(gap.at_most.unwrap_or(gap.longer_than)));
        self.translated |= gap.translation != Translation::None;
        if !gap.key.0.is_multiple_of(self.one_in) {
            return;
        }
        // The flow's next row is of the same silence and holds in its place; what a recorder that was killed has left stays.
        if gap.end == GapEnd::GoesOn {
            self.going_on.insert(gap.key, gap.clone());
            return;
        }
        self.going_on.remove(&gap.key);
        if self.kept >= MOST {
            self.thin_out();
        }
        let service = gap.port.map_or(ServiceKind::Others(gap.protocol), |port| ServiceKind::Port(gap.protocol, port));
        self.kept += 1;
        self.by_service.entry((gap.held_by, service)).or_default().push(Silence {
            flow: gap.key,
            client: gap.client,
            server: gap.server,
            began: gap.began_at,
            seen_from: gap.seen_from,
            longer_than: gap.longer_than,
            at_most: gap.at_most,
            weight: gap.weight * self.one_in as f64,
        });
    }

    /// All has been added: silences of which no end was written went on when the recorder was killed.
    pub fn finish(&mut self) {
        for (_, gap) in std::mem::take(&mut self.going_on) {
            self.add(&IdleGap { end: GapEnd::StillSilent, ..gap });
        }
    }

    /// Takes note of a setting.
    pub fn note(&mut self, change: &Change) {
        self.reaches(change.at);
        match change.kind {
            ChangeKind::Began => self.runs.began.push(change.at),
            ChangeKind::Ended => self.runs.ended.push(change.at),
            _ => {}
        }
        if change.kind != ChangeKind::Setting {
            return;
        }
        let Some((sysctl, value)) =
            change.what.parse::<Sysctl>().ok().zip(change.to.as_ref().and_then(|to| to.parse::<u32>().ok()))
        else {
            return;
        };
        self.settings.insert(sysctl, value);
        if let Some(timeout) = sysctl.timeout() {
            self.in_force.insert(timeout, value);
        }
    }

    /// When it was recorded.
    pub(crate) fn spans(&self) -> Spans {
        self.runs.spans()
    }

    /// How many silences there are.
    pub fn count(&self) -> usize {
        self.kept
    }

    /// Of all flows, those of one in so many are among them.
    pub fn one_in(&self) -> u64 {
        self.one_in
    }

    /// The timeout that was in force at the end, in seconds.
    pub fn in_force_secs(&self, timeout: Timeout) -> Option<u32> {
        self.in_force.get(&timeout).copied()
    }

    /// A sysctl as it was at the end.
    pub fn setting(&self, sysctl: Sysctl) -> Option<u32> {
        self.settings.get(&sysctl).copied()
    }

    /// What the host was to these flows.
    pub fn role(&self) -> Role {
        if self.translated { Role::Nat } else { Role::Plain }
    }

    /// The timeouts that held any.
    pub(crate) fn timeouts(&self) -> Vec<Timeout> {
        let mut timeouts: Vec<_> = self.by_service.keys().map(|(timeout, _)| *timeout).collect();
        timeouts.dedup();
        timeouts
    }

    /// The silences that a timeout held, by service.
    pub(crate) fn held_by(&self, timeout: Timeout) -> impl Iterator<Item = (ServiceKind, &[Silence])> {
        let of_it = self.by_service.iter().filter(move |((held_by, _), _)| *held_by == timeout);
        of_it.map(|((_, service), silences)| (*service, &silences[..]))
    }

    fn reaches(&mut self, at: UnixMicros) {
        let (from, to) = self.runs.reaches.unwrap_or((at, at));
        self.runs.reaches = Some((from.min(at), to.max(at)));
    }

    /// Half of the flows go: all of a flow's silences or none.
    fn thin_out(&mut self) {
        self.one_in *= 2;
        let one_in = self.one_in;
        for silences in self.by_service.values_mut() {
            silences.retain(|silence| silence.flow.0.is_multiple_of(one_in));
            // Each of those that stay stands for one that went.
            for silence in silences {
                silence.weight *= 2.0;
            }
        }
        self.by_service.retain(|_, silences| !silences.is_empty());
        self.kept = self.by_service.values().map(Vec::len).sum();
    }
}

/// What peers of flows are told apart by: whichever side of a service there are more of. A proxy's own connections all have
/// one client, and many servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerSide {
    Client,
    Server,
}

impl PeerSide {
    pub(crate) fn of(silences: &[Silence]) -> Self {
        let distinct = |side: fn(&Silence) -> IpAddr| silences.iter().map(side).collect::<HashSet<_>>().len();
        let (clients, servers) = (distinct(|silence| silence.client), distinct(|silence| silence.server));
        if servers > clients { Self::Server } else { Self::Client }
    }

    pub(crate) fn peer(self, silence: &Silence) -> u64 {
        let address = match self {
            Self::Client => silence.client,
            Self::Server => silence.server,
        };
        let mut hasher = DefaultHasher::new();
        match address {
            IpAddr::V4(_) => address.hash(&mut hasher),
            // A host has as many addresses of its network as it likes (RFC 8981).
            IpAddr::V6(_) => Prefix::of(address).hash(&mut hasher),
        }
        hasher.finish()
    }
}
