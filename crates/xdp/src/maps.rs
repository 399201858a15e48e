//! The maps through which a program is told what to do and tells what it did: the other side of `bpf/filter.bpf.c`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;

use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, MapInfo, PerCpuArray};
use aya::programs::{ProgramError, ProgramInfo};
use aya::{Ebpf, Pod};

use crate::config::{Action, Config, Limit, Ports, Rate, Rates, Scope};
use crate::counts::{Counts, Outcome};
use crate::error::{Error, is_kind};
use crate::hit::{Hit, Unnoted};
use crate::list::{Listed, compiled};

/// The maps of a program, loaded by this process or by another.
pub(crate) struct Maps {
    config: Array<MapData, ConfigWords>,
    ports: Array<MapData, PortBits>,
    list4: LpmTrie<MapData, [u8; 4], u64>,
    list6: LpmTrie<MapData, [u8; 16], u64>,
    counts: PerCpuArray<MapData, u64>,
    sources: HashMap<MapData, SourceKey, HitWords>,
    unnoted: Array<MapData, HitWords>,
    room: u32,
    room_of_hits: u32,
}

/// What a program is told, but for ports and lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InForce {
    pub(crate) until: Duration,
    pub(crate) action: Action,
    pub(crate) owner: u32,
    scope: Scope,
    pub(crate) tcp: Option<Rates>,
    pub(crate) udp: Option<Rates>,
}

/// `struct config`: until, whether it enforces; its owner, whether all of a listed source is dropped; then of TCP and of UDP the rates of a source
/// and of a prefix.
type ConfigWords = [[u64; 2]; 6];
/// `struct source_key`.
type SourceKey = [u8; 20];
/// `struct dropped`: packets, and when the last one came.
type HitWords = [u64; 2];
/// `struct ports`.
type PortBits = [u8; 8192];

/// Names of the maps; the kernel keeps 15 bytes of one.
const CONFIG: &str = "config";
const PORTS: &str = "ports";
const LIST4: &str = "list4";
const LIST6: &str = "list6";
const COUNTS: &str = "counts";
/// The map of those whose packets were dropped.
pub(crate) const SOURCES: &str = "sources";
const UNNOTED: &str = "unnoted";
/// The map of the buckets, which only the program looks at.
pub(crate) const BUCKETS: &str = "buckets";
/// Maps for which a configuration says how large they are.
pub(crate) const LISTS: [&str; 2] = [LIST4, LIST6];

/// `enum protocol`.
const OF_TCP: u32 = 0;
const OF_UDP: u32 = 1;

impl Maps {
    /// Of a program that was loaded here.
    pub(crate) fn loaded(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        Self::by_name(|name| ebpf.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() }))
    }

    /// Of a program that somebody loaded.
    pub(crate) fn of(program: &ProgramInfo) -> Result<Self, ProgramError> {
        let ids = ids(program)?;
        Ok(Self::by_name(|name| opened(&ids, name))?)
    }

    fn by_name(mut map: impl FnMut(&str) -> Result<Map, MapError>) -> Result<Self, MapError> {
        let (list4, sources) = (map(LIST4)?, map(SOURCES)?);
        let (room, room_of_hits) = (room(&list4)?, room(&sources)?);
        Ok(Self {
            config: map(CONFIG)?.try_into()?,
            ports: map(PORTS)?.try_into()?,
            list4: list4.try_into()?,
            list6: map(LIST6)?.try_into()?,
            counts: map(COUNTS)?.try_into()?,
            sources: sources.try_into()?,
            unnoted: map(UNNOTED)?.try_into()?,
            room,
            room_of_hits,
        })
    }

    /// What is in force.
    pub(crate) fn in_force(&self) -> Result<InForce, MapError> {
        self.config.get(&0, 0).map(InForce::from_words)
    }

    /// What became of packets, of all processors together. A packet that comes meanwhile may be counted or not.
    pub(crate) fn counts(&self) -> Result<Counts, MapError> {
        let mut by_outcome = [0; Outcome::ALL.len()];
        for (packets, index) in by_outcome.iter_mut().zip(0..) {
            *packets = self.counts.get(&index, 0)?.iter().sum();
        }
        Ok(Counts::new(by_outcome))
    }

    /// Those whose packets were dropped.
    pub(crate) fn hits(&self) -> Result<Vec<Hit>, MapError> {
        let mut hits = BTreeMap::new();
        // Where a source is removed meanwhile the kernel begins anew (`htab_map_get_next_key`): it is not followed for ever.
        for element in self.sources.iter().take(2 * self.room_of_hits as usize) {
            let (key, [packets, last_ns]) = element?;
            if let Some(source) = source(key) {
                hits.insert(source, Hit { source, packets, last: Duration::from_nanos(last_ns) });
            }
        }
        Ok(hits.into_values().collect())
    }

    /// The packets of those for whom there was no room.
    pub(crate) fn unnoted(&self) -> Result<Unnoted, MapError> {
        let [packets, last_ns] = self.unnoted.get(&0, 0)?;
        Ok(Unnoted { packets, last: Duration::from_nanos(last_ns) })
    }

    /// Removes a source. Somebody else may have done so already.
    pub(crate) fn forget(&mut self, source: IpAddr) -> Result<(), MapError> {
        match self.sources.remove(&key(source)) {
            Err(error) if !is_kind(&error, ErrorKind::NotFound) => Err(error),
            _ => Ok(()),
        }
    }

    /// Notes a source as if the program had.
    #[cfg(test)]
    pub(crate) fn note(&mut self, hit: crate::Hit) {
        self.sources.insert(key(hit.source), [hit.packets, nanoseconds(hit.last)], 0).unwrap();
    }

    /// Puts a configuration in force. While that goes on nothing is dropped, so no packet meets half of one and half of another; whoever is killed
    /// meanwhile leaves a program that drops nothing.
    pub(crate) fn write(&mut self, config: &Config) -> Result<(), Error> {
        let (list4, list6) = lists(config);
        self.ensure_room(4, list4.len())?;
        self.ensure_room(6, list6.len())?;
        let failed = Error::bpf("tell the XDP program what to do");
        let changes4 = Changes::between(&self.list4, list4).map_err(&failed)?;
        let changes6 = Changes::between(&self.list6, list6).map_err(&failed)?;
        let in_force = InForce::of(config);
        let meanwhile = InForce { action: Action::Shadow, ..in_force };
        self.config.set(0, meanwhile.words(), 0).map_err(&failed)?;
        changes4.make(&mut self.list4).map_err(&failed)?;
        changes6.make(&mut self.list6).map_err(&failed)?;
        self.ports.set(OF_TCP, bits(config.tcp.as_ref()), 0).map_err(&failed)?;
        self.ports.set(OF_UDP, bits(config.udp.as_ref()), 0).map_err(&failed)?;
        self.config.set(0, in_force.words(), 0).map_err(&failed)
    }

    fn ensure_room(&self, version: u8, networks: usize) -> Result<(), Error> {
        match u32::try_from(networks) {
            Ok(listed) if listed <= self.room => Ok(()),
            _ => Err(Error::TooMany { networks, version, room: self.room }),
        }
    }
}

impl fmt::Debug for Maps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maps").field("room", &self.room).finish_non_exhaustive()
    }
}

impl InForce {
    fn of(config: &Config) -> Self {
        let rates = |limit: &Option<Limit>| limit.as_ref().and_then(|limit| limit.rates);
        let &Config { until, action, owner, scope, .. } = config;
        Self { until, action, owner, scope, tcp: rates(&config.tcp), udp: rates(&config.udp) }
    }

    fn words(self) -> ConfigWords {
        let words = |rate: Option<Rate>| rate.map_or([0, 0], Rate::words);
        let [tcp_source, udp_source] = [self.tcp, self.udp].map(|rates| words(rates.and_then(Rates::source)));
        let [tcp_prefix, udp_prefix] = [self.tcp, self.udp].map(|rates| words(rates.and_then(Rates::prefix)));
        let enforces = u64::from(self.action == Action::Enforce);
        let drops_all = u64::from(self.scope == Scope::All);
        let whose = [u64::from(self.owner), drops_all];
        [[nanoseconds(self.until), enforces], whose, tcp_source, tcp_prefix, udp_source, udp_prefix]
    }

    fn from_words(
        [[until_ns, enforces], [owner, drops_all], tcp_source, tcp_prefix, udp_source, udp_prefix]: ConfigWords,
    ) -> Self {
        let rates = |source, prefix| Rates::of(Rate::from_words(source), Rate::from_words(prefix));
        Self {
            until: Duration::from_nanos(until_ns),
            action: if enforces == 0 { Action::Shadow } else { Action::Enforce },
            owner: u32::try_from(owner).unwrap_or(u32::MAX),
            scope: if drops_all == 0 { Scope::Limited } else { Scope::All },
            tcp: rates(tcp_source, tcp_prefix),
            udp: rates(udp_source, udp_prefix),
        }
    }
}

/// What a program that somebody loaded is told, of whatever version it is: its map `config` is of the same size in all.
pub(crate) fn config_of(program: &ProgramInfo) -> Result<InForce, ProgramError> {
    let ids = ids(program)?;
    let words = || Array::<_, ConfigWords>::try_from(opened(&ids, CONFIG)?)?.get(&0, 0);
    Ok(InForce::from_words(words()?))
}

/// The maps of a program, by their names.
fn ids(program: &ProgramInfo) -> Result<BTreeMap<Vec<u8>, u32>, ProgramError> {
    let ids = program.map_ids()?.unwrap_or_default();
    let named = ids.into_iter().map(|id| Ok((MapInfo::from_id(id)?.name().to_vec(), id)));
    Ok(named.collect::<Result<_, MapError>>()?)
}

fn opened(ids: &BTreeMap<Vec<u8>, u32>, name: &str) -> Result<Map, MapError> {
    match ids.get(name.as_bytes()) {
        Some(id) => Map::from_map_data(MapData::from_id(*id)?),
        None => Err(MapError::InvalidName { name: name.to_owned() }),
    }
}

/// How many elements a map has room for.
fn room(map: &Map) -> Result<u32, MapError> {
    match map {
        Map::LpmTrie(data) | Map::HashMap(data) => Ok(data.info()?.max_entries()),
        _ => Ok(0),
    }
}

fn key(source: IpAddr) -> SourceKey {
    let mut key = [0; 20];
    let [version, _, _, _, address @ ..] = &mut key;
    match source {
        IpAddr::V4(source) => {
            *version = 4;
            let (used, _) = address.split_at_mut(4);
            used.copy_from_slice(&source.octets());
        }
        IpAddr::V6(source) => {
            *version = 6;
            *address = source.octets();
        }
    }
    key
}

fn source(key: SourceKey) -> Option<IpAddr> {
    let (version, address) = (key.first()?, key.last_chunk::<16>()?);
    let [first, second, third, fourth, ..] = *address;
    match version {
        4 => Some(IpAddr::from([first, second, third, fourth])),
        6 => Some(IpAddr::from(*address)),
        _ => None,
    }
}

/// Networks of one version of IP: how many bits count, and the address; and what `bpf/filter.bpf.c` wants to be told of them.
type List<A> = BTreeMap<(u32, A), u64>;

fn lists(config: &Config) -> (List<[u8; 4]>, List<[u8; 16]>) {
    let (mut list4, mut list6) = (List::new(), List::new());
    for (network, listed) in compiled(config) {
        let word = match listed {
            Listed::Allowed => ALLOWED,
            Listed::Dropped { until } => nanoseconds(until).max(1),
        };
        let bits = u32::from(network.bits());
        match network.address() {
            IpAddr::V4(address) => list4.insert((bits, address.octets()), word),
            IpAddr::V6(address) => list6.insert((bits, address.octets()), word),
        };
    }
    (list4, list6)
}

/// In a list, in place of a time.
const ALLOWED: u64 = 0;

/// What makes one list of another.
struct Changes<A> {
    stale: Vec<(u32, A)>,
    fresh: List<A>,
}

impl<A: Pod + Ord> Changes<A> {
    fn between(map: &LpmTrie<MapData, A, u64>, mut list: List<A>) -> Result<Self, MapError> {
        let mut stale = Vec::new();
        for element in map {
            let (key, word) = element?;
            let network = (key.prefix_len(), key.data());
            match list.get(&network) {
                Some(wanted) if *wanted == word => drop(list.remove(&network)),
                Some(_) => {}
                None => stale.push(network),
            }
        }
        Ok(Self { stale, fresh: list })
    }

    fn make(self, map: &mut LpmTrie<MapData, A, u64>) -> Result<(), MapError> {
        for (bits, address) in self.stale {
            map.remove(&Key::new(bits, address))?;
        }
        for ((bits, address), word) in self.fresh {
            map.insert(&Key::new(bits, address), word, 0)?;
        }
        Ok(())
    }
}

/// One bit for each port of a limit.
fn bits(limit: Option<&Limit>) -> PortBits {
    let mut bits = [0; 8192];
    match limit.map(|limit| &limit.ports) {
        None => {}
        Some(Ports::All) => bits.fill(u8::MAX),
        Some(Ports::These(ports)) => {
            for port in ports {
                if let Some(byte) = bits.get_mut(usize::from(port / 8)) {
                    *byte |= 1 << (port % 8);
                }
            }
        }
    }
    bits
}

/// 584 years at most.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
