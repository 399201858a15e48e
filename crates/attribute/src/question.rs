//! Which entries are asked about, and what their ends turn out to be.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use plimsoll_model::{Census, End, Ends, Entry, OwnAddresses, Program, ProgramId, Protocol, Side, SocketState};

use crate::sightings::{self, Sighting, Sightings};

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
    addresses: HashMap<Location, OwnAddresses>,
}

impl Question {
    /// Entries that are asked about, of those that were drawn at random: a share is known to two points or so.
    pub const MOST_ENTRIES: usize = 2048;

    /// Asks of a census of the table of a namespace.
    pub fn of(census: &Census, table: Location) -> Self {
        let step = census.drawn.len().div_ceil(Self::MOST_ENTRIES).max(1);
        let asked: Vec<_> =
            census.drawn.iter().enumerate().step_by(step).map(|(place, drawn)| (place, drawn.entry)).collect();
        let mut sightings = Sightings::default();
        for (_, entry) in &asked {
            sightings.look_for(entry);
        }
        Self { table, asked, sightings, addresses: HashMap::new() }
    }

    /// Takes the addresses of a namespace: who listens to all of them listens to each.
    pub fn has_addresses(&mut self, at: Location, addresses: OwnAddresses) {
        self.addresses.insert(at, addresses);
    }

    /// Takes a socket of a namespace: its protocol, where it is bound, its peer, state, and inode (0 where nobody holds it).
    pub fn sees(
        &mut self,
        at: Location,
        protocol: Protocol,
        [local, remote]: [(IpAddr, u16); 2],
        state: SocketState,
        inode: u64,
    ) {
        self.sightings.see(sightings::Ends { protocol, local, remote }, Sighting { at, state, inode });
    }

    /// The sockets whose holders are to be found.
    pub fn inodes(&self) -> HashSet<u64> {
        let sighted = self
            .asked
            .iter()
            .flat_map(|(_, entry)| [Side::Client, Side::Server].into_iter().flat_map(|side| self.told_by(entry, side)));
        sighted.map(|sighting| sighting.inode).filter(|inode| *inode != 0).collect()
    }

    /// Whether clients here are not told yet: they have addresses of the table's namespace, and none of these inodes tells of them.
    /// Short connections are gone before their program is found, and others of its will do.
    pub fn is_open(&self, known: &HashMap<u64, u32>) -> bool {
        self.asked.iter().any(|(_, entry)| {
            let Some(ends) = sightings::Ends::of(entry, Side::Client) else { return false };
            self.has(self.table, ends.local.0)
                && !self.told_by(entry, Side::Client).iter().any(|seen| known.contains_key(&seen.inode))
        })
    }

    /// Writes the ends into the census. `program` tells whose a socket is, by its inode and namespace; `alone` is the one program that has
    /// sockets in the table's namespace, where there is no other: clients there that nothing else tells of are its.
    pub fn answer(
        &self,
        census: &mut Census,
        program: &mut dyn FnMut(u64, Location) -> Option<Program>,
        alone: Option<Program>,
    ) {
        let mut programs = Programs { known: Vec::new(), by_inode: HashMap::new(), ask: program, alone };
        for (place, entry) in &self.asked {
            let [client, server] =
                [Side::Client, Side::Server].map(|side| self.end(entry, side, *place, &mut programs));
            if let Some(drawn) = census.drawn.get_mut(*place) {
                drawn.ends = Some(Ends { client, server });
            }
        }
        census.programs = programs.known;
    }

    /// Where several programs may have been at an end that is closed, each gets its part of such ends: `turn` says whose turn it is.
    fn end(&self, entry: &Entry, side: Side, turn: usize, programs: &mut Programs<'_>) -> End {
        let Some(ends) = sightings::Ends::of(entry, side) else { return End::NotHere };
        let told = self.told_by(entry, side);
        let in_turn = told.iter().cycle().skip(turn % told.len().max(1)).take(told.len());
        let by = in_turn.copied().find_map(|sighting| programs.of(sighting));
        let is_client_here = || side == Side::Client && self.has(self.table, ends.local.0);
        let by = by.or_else(|| if is_client_here() { programs.alone() } else { None });
        match self.own(ends) {
            Some(own) => End::Open { state: own.state, by },
            None => by.map_or(End::NotHere, |by| End::Closed { by }),
        }
    }

    /// The sockets that tell whose an end is: its own while somebody holds it, or those that stand for it.
    fn told_by(&self, entry: &Entry, side: Side) -> Vec<Sighting> {
        let Some(ends) = sightings::Ends::of(entry, side) else { return Vec::new() };
        if let Some(own) = self.own(ends).filter(|own| own.inode != 0) {
            return vec![own];
        }
        match side {
            Side::Client => {
                self.sightings.linked(ends).iter().copied().filter(|seen| self.is_told(ends, *seen)).collect()
            }
            Side::Server => self.waiting(ends).into_iter().collect(),
        }
    }

    /// The end's own socket. One of UDP that has no peer is the socket of all flows of its port.
    fn own(&self, ends: sightings::Ends) -> Option<Sighting> {
        let own = self.sightings.own(ends).iter().copied().filter(|seen| self.is_told(ends, *seen));
        // The table's own namespace first: what is said over loopback, or to addresses that others have too, is said there.
        let own = own.min_by_key(|seen| seen.at != self.table);
        own.or_else(|| (ends.protocol == Protocol::UDP).then(|| self.waiting(ends)).flatten())
    }

    /// Who waits at an end's port, for its address or for any of a namespace that has it.
    fn waiting(&self, ends: sightings::Ends) -> Option<Sighting> {
        let waits = self.sightings.waiting(ends).iter().filter(|waiting| {
            let is_bound_to_it = waiting.address == ends.local.0;
            let is_for_all = waiting.address.is_unspecified() && self.has(waiting.sighting.at, ends.local.0);
            (is_bound_to_it || is_for_all) && self.is_told(ends, waiting.sighting)
        });
        let waits = waits.min_by_key(|waiting| (waiting.sighting.at != self.table, waiting.address.is_unspecified()));
        waits.map(|waiting| waiting.sighting)
    }

    /// Flows over loopback are of the table's own namespace.
    fn is_told(&self, ends: sightings::Ends, seen: Sighting) -> bool {
        seen.at == self.table || !ends.local.0.is_loopback()
    }

    fn has(&self, at: Location, address: IpAddr) -> bool {
        self.addresses.get(&at).is_some_and(|addresses| addresses.contains(address))
    }
}

/// Programs as they are met.
struct Programs<'a> {
    known: Vec<Program>,
    by_inode: HashMap<u64, Option<ProgramId>>,
    ask: &'a mut dyn FnMut(u64, Location) -> Option<Program>,
    alone: Option<Program>,
}

impl Programs<'_> {
    fn of(&mut self, seen: Sighting) -> Option<ProgramId> {
        if seen.inode == 0 {
            return None;
        }
        let Self { known, by_inode, ask, .. } = self;
        *by_inode.entry(seen.inode).or_insert_with(|| id(known, ask(seen.inode, seen.at)?))
    }

    fn alone(&mut self) -> Option<ProgramId> {
        id(&mut self.known, self.alone.clone()?)
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
mod tests {
    use plimsoll_model::{Drawn, IdleAge, Layer4, Owner, Tuple, Untrusted};

    use super::*;

    const HERE: Location = Location(0);
    const CONTAINER: Location = Location(1);

    fn at(end: &str) -> (IpAddr, u16) {
        let socket: std::net::SocketAddr = end.parse().unwrap();
        (socket.ip(), socket.port())
    }

    fn flow(protocol: Protocol, from: &str, to: &str) -> Entry {
        let ((source, from), (destination, to)) = (at(from), at(to));
        let layer4 = Layer4::Ports { source: from, destination: to };
        Entry::of(Tuple { source, destination, protocol, layer4 })
    }

    fn own(addresses: &[&str]) -> OwnAddresses {
        let mut own = OwnAddresses::default();
        for address in addresses {
            own.add(address.parse().unwrap(), []);
        }
        own
    }

    fn census(entries: &[Entry]) -> Census {
        let mut census = plimsoll_census::Counting::new(plimsoll_census::Armings::in_force(
            &plimsoll_model::Timeouts::default(),
            plimsoll_model::Policies::None,
            1,
        ))
        .finish(
            plimsoll_model::Coverage::Complete,
            plimsoll_model::Occupancy(0),
            plimsoll_census::DumpNotes::default(),
        );
        census.drawn =
            entries.iter().map(|entry| Drawn { entry: *entry, idle: IdleAge::UNKNOWN, ends: None }).collect();
        census
    }

    fn program(inode: u64, at: Location) -> Option<Program> {
        let command = ["none", "web", "worker", "dns"].get(usize::try_from(inode / 100).unwrap())?;
        let owner = Owner {
            pid: u32::try_from(inode / 100).unwrap(),
            command: Untrusted::from(*command),
            unit: None,
            container: None,
            pod: None,
            called: None,
        };
        Some(Program { owner, namespace: Untrusted::from(if at == HERE { "host" } else { "c" }) })
    }

    /// The ends of each flow, as `state program`.
    fn answered(question: &Question, census: &mut Census) -> Vec<[String; 2]> {
        question.answer(census, &mut program, None);
        let in_words = |end: End| {
            let by = end.by().map_or("-".to_string(), |id| census.program(id).unwrap().to_string());
            match end {
                End::NotHere => "not here".to_string(),
                End::Open { state, .. } => format!("{state} {by}"),
                End::Closed { .. } => format!("closed {by}"),
            }
        };
        let ends = census.drawn.iter().map(|drawn| drawn.ends.unwrap());
        ends.map(|ends| [in_words(ends.client), in_words(ends.server)]).collect()
    }

    #[test]
    fn a_live_flow_is_its_sockets() {
        let flows =
            [flow(Protocol::TCP, "10.0.0.1:5000", "10.0.0.9:80"), flow(Protocol::TCP, "10.0.0.1:5001", "10.0.0.9:80")];
        let mut census = census(&flows);
        let mut question = Question::of(&census, HERE);
        question.sees(HERE, Protocol::TCP, [at("10.0.0.9:80"), at("10.0.0.1:5000")], SocketState::CloseWait, 101);
        question.sees(CONTAINER, Protocol::TCP, [at("10.0.0.1:5000"), at("10.0.0.9:80")], SocketState::FinWait2, 201);
        question.sees(HERE, Protocol::TCP, [at("10.0.0.9:80"), at("10.0.0.1:5001")], SocketState::TimeWait, 0);
        assert_eq!(question.inodes(), HashSet::from([101, 201]));
        let told = answered(&question, &mut census);
        assert_eq!(told[0], ["FIN_WAIT2 worker (process 2, in c)", "CLOSE_WAIT web (process 1)"]);
        assert_eq!(told[1], ["closed worker (process 2, in c)", "TIME_WAIT -"]);

        question.has_addresses(HERE, own(&["10.0.0.1"]));
        question.answer(&mut census, &mut |_, _| None, program(301, HERE));
        let client = census.drawn[1].ends.unwrap().client;
        assert_eq!(census.program(client.by().unwrap()), program(301, HERE).as_ref(), "nobody else is there");
    }

    #[test]
    fn a_translated_flow_is_looked_for_where_each_end_is() {
        let mut entry = flow(Protocol::TCP, "192.0.2.7:5000", "198.51.100.1:80");
        entry.reply = flow(Protocol::TCP, "10.0.0.2:8080", "192.0.2.7:5000").original;
        let mut census = census(&[entry]);
        let mut question = Question::of(&census, HERE);
        question.sees(
            CONTAINER,
            Protocol::TCP,
            [at("10.0.0.2:8080"), at("192.0.2.7:5000")],
            SocketState::Established,
            101,
        );
        assert_eq!(answered(&question, &mut census)[0], ["not here", "ESTABLISHED web (process 1, in c)"]);
    }

    #[test]
    fn a_flow_that_is_over_is_told_by_who_listens_and_who_connects() {
        let flows: Vec<_> =
            (0..4).map(|n| flow(Protocol::TCP, &format!("10.0.0.1:{}", 5000 + n), "10.0.0.9:80")).collect();
        let mut census = census(&flows);
        let mut question = Question::of(&census, HERE);
        question.has_addresses(HERE, own(&["10.0.0.9"]));
        question.sees(HERE, Protocol::TCP, [at("0.0.0.0:80"), at("0.0.0.0:0")], SocketState::Listen, 101);
        // Another namespace's: it has not the address.
        question.sees(CONTAINER, Protocol::TCP, [at("[::]:80"), at("[::]:0")], SocketState::Listen, 102);
        for inode in [201, 202, 301] {
            let from = at(&format!("10.0.0.1:{}", 6000 + inode));
            question.sees(CONTAINER, Protocol::TCP, [from, at("10.0.0.9:80")], SocketState::Established, inode);
        }
        let told = answered(&question, &mut census);
        let clients: Vec<_> = told.iter().map(|ends| ends[0].as_str()).collect();
        let (worker, dns) = ("closed worker (process 2, in c)", "closed dns (process 3, in c)");
        assert_eq!(clients, [worker, worker, dns, worker], "each gets its part");
        assert!(told.iter().all(|ends| ends[1] == "closed web (process 1)"), "{told:?}");
    }

    #[test]
    fn a_socket_of_udp_has_all_flows_of_its_port() {
        let mut census = census(&[flow(Protocol::UDP, "10.0.0.1:5000", "10.0.0.9:53")]);
        let mut question = Question::of(&census, HERE);
        question.has_addresses(HERE, own(&["10.0.0.9"]));
        question.sees(HERE, Protocol::UDP, [at("[::]:53"), at("[::]:0")], SocketState::Close, 301);
        assert_eq!(answered(&question, &mut census)[0], ["not here", "CLOSE dns (process 3)"]);
    }

    #[test]
    fn loopback_is_the_tables_own() {
        let mut census = census(&[flow(Protocol::TCP, "127.0.0.1:5000", "127.0.0.1:80")]);
        let mut question = Question::of(&census, HERE);
        question.has_addresses(HERE, own(&[]));
        question.sees(
            CONTAINER,
            Protocol::TCP,
            [at("127.0.0.1:80"), at("127.0.0.1:5000")],
            SocketState::Established,
            101,
        );
        question.sees(CONTAINER, Protocol::TCP, [at("127.0.0.1:80"), at("0.0.0.0:0")], SocketState::Listen, 102);
        assert_eq!(answered(&question, &mut census)[0], ["not here", "not here"]);
        assert!(question.is_open(&HashMap::new()));
        question.sees(HERE, Protocol::TCP, [at("127.0.0.1:5000"), at("127.0.0.1:80")], SocketState::Established, 201);
        assert!(!question.is_open(&HashMap::from([(201, 1)])));
    }
}
