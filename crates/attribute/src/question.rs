//! Which entries are asked about, and what their ends turn out to be.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use plimsoll_model::{
    Census, End, Ends, Entry, OwnAddresses, Program, ProgramId, Protocol, Side, SocketFamily, SocketState, Zone,
};

use crate::openers::{Openers, are_enough};
use crate::sightings::{self, Life, Link, Met, Sighting, Sightings};

/// A network namespace, by a number that its caller gives it; the table's own is known to the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location(pub usize);

/// The ends of some of a census's entries, asked of sockets.
#[derive(Debug)]
pub struct Question {
    /// The namespace of the table.
    table: Location,
    /// The entries, by their place among those that were drawn.
    asked: Vec<(usize, Entry)>,
    sightings: Sightings,
    /// Where the addresses at their ends are.
    homes: HashMap<IpAddr, Home>,
}

/// Where an address is. Namespaces may have the same ones: those of Docker in Docker, of tenants, of each `slirp4netns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// In no namespace whose addresses are known.
    Unknown,
    /// In the table's own: what goes there is delivered there, whoever else has it.
    Table,
    /// In one other.
    Elsewhere(Location),
    /// In several others: which of them is meant depends on routes that are not looked at.
    Several,
}

impl Home {
    fn or_at(self, at: Location, table: Location) -> Self {
        match self {
            _ if at == table => Self::Table,
            Self::Unknown => Self::Elsewhere(at),
            Self::Elsewhere(other) if other != at => Self::Several,
            known => known,
        }
    }
}

/// A look at a namespace's sockets of a protocol and family.
#[derive(Debug)]
pub struct Look<'a> {
    sightings: &'a mut Sightings,
    at: Location,
    protocol: Protocol,
    family: SocketFamily,
}

impl Look<'_> {
    /// Takes a socket: where it is bound, its peer, state, and inode (0 where nobody holds it). The answer is a connection from where asked
    /// flows were opened to where they went; in the first look there is none.
    pub fn sees(&mut self, [local, remote]: [(IpAddr, u16); 2], state: SocketState, inode: u64) -> Option<Met> {
        let ends = sightings::Ends { protocol: self.protocol, local, remote };
        self.sightings.see(ends, self.family, Sighting { at: self.at, state, inode })
    }

    /// Says that these were all. Without it nothing is taken to be gone that was not seen.
    pub fn saw_all(self) {
        self.sightings.saw_all(self.at, self.protocol, self.family);
    }
}

/// Flows that are over, by where they were opened and where they went: others like them tell by whom.
#[derive(Clone, Copy, Debug)]
pub struct Over {
    at: Location,
    zone: Zone,
    /// Of one of them.
    ends: sightings::Ends,
}

impl Over {
    /// Which sockets there are to be looked at for others.
    pub const fn sockets(&self) -> (Location, Protocol) {
        (self.at, self.ends.protocol)
    }
}

/// Another number for each: neighbours are far from each other (Knuth, The Art of Computer Programming 3, section 6.4).
const fn mixed(inode: u64) -> u64 {
    inode.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Connections over a link, with what became of each.
type Linked = Vec<(Life, Sighting)>;

/// Connections of each kind over one link whose holders are looked for: enough to tell whose they are.
const MOST_LINKED: usize = 64;

impl Question {
    /// Entries that are asked about, of those that were drawn at random: a share is known to two points or so.
    pub const MOST_ENTRIES: usize = 2048;

    /// Asks of a census of the table of a namespace.
    pub fn of(census: &Census, table: Location) -> Self {
        let step = census.drawn.len().div_ceil(Self::MOST_ENTRIES).max(1);
        let asked: Vec<_> =
            census.drawn.iter().enumerate().step_by(step).map(|(place, drawn)| (place, drawn.entry)).collect();
        let mut sightings = Sightings::default();
        let mut homes = HashMap::new();
        for (_, entry) in &asked {
            sightings.look_for(entry);
            for address in [entry.original.source, entry.reply.source] {
                // Flows over loopback are of the table's own namespace.
                homes.insert(address, if address.is_loopback() { Home::Table } else { Home::Unknown });
            }
        }
        Self { table, asked, sightings, homes }
    }

    /// Takes the addresses of a namespace: who listens to all of them listens to each.
    pub fn has_addresses(&mut self, at: Location, addresses: &OwnAddresses) {
        for (address, home) in &mut self.homes {
            if !address.is_loopback() && addresses.contains(*address) {
                *home = home.or_at(at, self.table);
            }
        }
    }

    /// Looks at the sockets of a namespace. What is there in one look and not in another is told by that.
    pub const fn look(&mut self, at: Location, protocol: Protocol, family: SocketFamily) -> Look<'_> {
        Look { sightings: &mut self.sightings, at, protocol, family }
    }

    /// The sockets whose holders are to be found.
    pub fn inodes(&self) -> HashSet<u64> {
        let both = [Side::Client, Side::Server];
        let ends =
            self.asked.iter().flat_map(|(_, entry)| both.map(|side| (entry.zone, sightings::Ends::of(entry, side))));
        let ends = ends.filter_map(|(zone, ends)| Some((zone, ends?)));
        let told = ends.flat_map(|(zone, ends)| [self.own(zone, ends), self.waiting(zone, ends)]).flatten();
        let linked = self.sightings.links().flat_map(|link| {
            let of = move |life| of(self.sightings.linked(link), life).take(MOST_LINKED);
            [Life::Short, Life::Kept].into_iter().flat_map(of)
        });
        told.chain(linked).map(|sighting| sighting.inode).filter(|inode| *inode != 0).collect()
    }

    /// Where flows were opened that are over.
    pub fn over(&self) -> Vec<Over> {
        let mut links = HashSet::new();
        let mut over = Vec::new();
        for (_, entry) in &self.asked {
            let Some(ends) = sightings::Ends::of(entry, Side::Client) else { continue };
            let link = (ends.link(), entry.zone);
            if links.contains(&link) || self.own(entry.zone, ends).is_some_and(|own| own.inode != 0) {
                continue;
            }
            links.insert(link);
            match self.home(entry.zone, ends) {
                Home::Table => over.push(Over { at: self.table, zone: entry.zone, ends }),
                Home::Elsewhere(at) => over.push(Over { at, zone: entry.zone, ends }),
                Home::Unknown | Home::Several => {}
            }
        }
        over
    }

    /// Whether it is worth to look again there: too few connections like them were met whose program is known.
    pub fn is_open(&self, over: &Over, is_known: impl Fn(u64) -> bool) -> bool {
        let is_whole = |family| self.sightings.whole_looks(over.at, over.ends.protocol, family) > 0;
        let short = of(self.linked(over.zone, over.ends), Life::Short);
        SocketFamily::ALL.into_iter().any(is_whole) && !are_enough(short.map(|seen| is_known(seen.inode)))
    }

    /// Writes the ends into the census. `program` tells whose a socket is, by its inode and namespace.
    pub fn answer(&self, census: &mut Census, program: &mut dyn FnMut(u64, Location) -> Option<Program>) {
        let mut programs = Programs { known: Vec::new(), by_inode: HashMap::new(), ask: program };
        let mut links: HashMap<(Link, Zone), (Linked, Openers)> = HashMap::new();
        for (place, entry) in &self.asked {
            let client = sightings::Ends::of(entry, Side::Client).map_or(End::NotHere, |ends| {
                let (linked, openers) = links.entry((ends.link(), entry.zone)).or_insert_with(|| {
                    let mut linked: Linked = self.linked(entry.zone, ends).collect();
                    // In an order that is always the same, and tells nothing: inodes go by processor and age.
                    linked.sort_unstable_by_key(|(_, seen)| mixed(seen.inode));
                    // Those that are kept tell nothing of others.
                    let openers = Openers::of(of(linked.iter().copied(), Life::Short).map(|seen| programs.of(seen)));
                    (linked, openers)
                });
                let opener = openers.turn();
                self.client(entry.zone, ends, linked, opener, &mut programs)
            });
            let server = sightings::Ends::of(entry, Side::Server)
                .map_or(End::NotHere, |ends| self.server(entry.zone, ends, &mut programs));
            if let Some(drawn) = census.drawn.get_mut(*place) {
                drawn.ends = Some(Ends { client, server });
            }
        }
        census.programs = programs.known;
    }

    /// Who opened a flow. One that is over has the opener whose turn it is.
    fn client(
        &self,
        zone: Zone,
        ends: sightings::Ends,
        linked: &Linked,
        opener: Option<ProgramId>,
        programs: &mut Programs<'_>,
    ) -> End {
        let own = self.own(zone, ends);
        let held = own.filter(|own| own.inode != 0);
        let by = held.map_or(opener, |own| programs.of(own));
        let state = own.map(|own| own.state);
        if by.is_none() && held.is_none() {
            let keeper = of(linked.iter().copied(), Life::Kept).take(MOST_LINKED).find_map(|seen| programs.of(seen));
            if keeper.is_some() || matches!(self.home(zone, ends), Home::Table | Home::Elsewhere(_)) {
                return End::Unknown { state, keeper };
            }
        }
        end(state, by)
    }

    /// Who answers: whose the socket is, or who listens there where nobody has it any more.
    fn server(&self, zone: Zone, ends: sightings::Ends, programs: &mut Programs<'_>) -> End {
        let own = self.own(zone, ends);
        let by =
            own.filter(|own| own.inode != 0).or_else(|| self.waiting(zone, ends)).and_then(|seen| programs.of(seen));
        end(own.map(|own| own.state), by)
    }

    /// The end's own socket. One of UDP that has no peer is the socket of all flows of its port.
    fn own(&self, zone: Zone, ends: sightings::Ends) -> Option<Sighting> {
        // Both addresses and ports are the same: where others have the address, that it is there is still told by this.
        let home = match self.home(zone, ends) {
            Home::Elsewhere(_) | Home::Several => Home::Unknown,
            home => home,
        };
        let own = self.at_home(zone, home, self.sightings.own(ends).iter().copied()).next();
        own.or_else(|| (ends.protocol == Protocol::UDP).then(|| self.waiting(zone, ends)).flatten())
    }

    /// Who waits at an end's port, for its address or for any of a namespace that has it.
    fn waiting(&self, zone: Zone, ends: sightings::Ends) -> Option<Sighting> {
        let address = ends.local.0;
        let home = self.home(zone, ends);
        let near = |waits: fn(IpAddr, IpAddr) -> bool| {
            let waiting = self.sightings.waiting(ends).iter().filter(|waiting| waits(waiting.address, address));
            self.at_home(zone, home, waiting.map(|waiting| waiting.sighting)).next()
        };
        let is_there = matches!(home, Home::Table | Home::Elsewhere(_));
        let for_all = || near(is_any_of_its_family).or_else(|| near(is_any_of_both_families));
        near(|bound, address| bound == address).or_else(|| is_there.then(for_all).flatten())
    }

    fn linked(&self, zone: Zone, ends: sightings::Ends) -> impl Iterator<Item = (Life, Sighting)> {
        let linked = self.sightings.linked(ends.link());
        let there = self.there(zone, self.home(zone, ends), linked.clone().map(|(_, seen)| seen));
        linked.filter(move |(_, seen)| Some(seen.at) == there)
    }

    /// Those sightings that are where the end is; none where that might be in several places.
    fn at_home(
        &self,
        zone: Zone,
        home: Home,
        seen: impl Iterator<Item = Sighting> + Clone,
    ) -> impl Iterator<Item = Sighting> {
        let there = self.there(zone, home, seen.clone());
        seen.filter(move |seen| Some(seen.at) == there)
    }

    /// Where the end is, by what was seen; nothing where that might be in several places.
    fn there(&self, zone: Zone, home: Home, seen: impl Iterator<Item = Sighting>) -> Option<Location> {
        let is_possible = |at: &Location| match home {
            Home::Table => *at == self.table && zone == Zone(0),
            Home::Elsewhere(home) => *at == home,
            Home::Several => false,
            Home::Unknown => zone == Zone(0) || *at != self.table,
        };
        let places: BTreeSet<_> = seen.map(|seen| seen.at).filter(is_possible).collect();
        // The table's own namespace first: a program there may use an address that it has not (`IP_TRANSPARENT`).
        let one = || places.first().copied().filter(|_| places.len() == 1);
        places.get(&self.table).copied().or_else(one)
    }

    /// Entries of a zone are a tenant's, whose addresses may be the host's or another tenant's, too.
    fn home(&self, zone: Zone, ends: sightings::Ends) -> Home {
        let home = self.homes.get(&ends.local.0).copied().unwrap_or(Home::Unknown);
        if zone != Zone(0) && home == Home::Table { Home::Several } else { home }
    }
}

fn of(linked: impl Iterator<Item = (Life, Sighting)>, life: Life) -> impl Iterator<Item = Sighting> {
    linked.filter(move |(of, _)| *of == life).map(|(_, seen)| seen)
}

fn end(state: Option<SocketState>, by: Option<ProgramId>) -> End {
    match (state, by) {
        (Some(state), by) => End::Open { state, by },
        (None, Some(by)) => End::Closed { by },
        (None, None) => End::NotHere,
    }
}

fn is_any_of_its_family(bound: IpAddr, address: IpAddr) -> bool {
    bound.is_unspecified() && bound.is_ipv4() == address.is_ipv4()
}

/// A socket of IPv6 takes IPv4 too, unless it was told not to (`IPV6_V6ONLY`), which the files do not show; one of IPv4 never takes IPv6.
fn is_any_of_both_families(bound: IpAddr, address: IpAddr) -> bool {
    bound.is_unspecified() && bound.is_ipv6() && address.is_ipv4()
}

/// Programs as they are met.
struct Programs<'a> {
    known: Vec<Program>,
    by_inode: HashMap<u64, Option<ProgramId>>,
    ask: &'a mut dyn FnMut(u64, Location) -> Option<Program>,
}

impl Programs<'_> {
    fn of(&mut self, seen: Sighting) -> Option<ProgramId> {
        if seen.inode == 0 {
            return None;
        }
        let Self { known, by_inode, ask, .. } = self;
        *by_inode.entry(seen.inode).or_insert_with(|| id(known, ask(seen.inode, seen.at)?))
    }
}

fn id(known: &mut Vec<Program>, program: Program) -> Option<ProgramId> {
    let place = known.iter().position(|other| *other == program).unwrap_or_else(|| {
        known.push(program);
        known.len() - 1
    });
    u16::try_from(place).ok().map(ProgramId)
}

#[cfg(test)]
mod tests;
