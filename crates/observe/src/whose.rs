//! Whose the entries are: sockets of every namespace, and the processes that hold them.
//!
//! It is asked after a reading, and only of tables in which something is wrong: it takes a look at every socket and at the open files
//! of every process, which a healthy host need not bear. Nothing is opened that would load a module, and nothing is entered but to
//! ask which addresses a namespace has.

use std::time::Duration;

use plimsoll_attribute::{Location, Met, Question};
use plimsoll_ctnetlink::own_addresses;
use plimsoll_host::{Extent, Found, HostFs, NetFiles, Reads, Telling, Transport, monotonic_now};
use plimsoll_model::{NamespaceSnapshot, Program, Reading, Relation, Snapshot, SocketFamily, Surroundings, Unseen};
use plimsoll_proxies::Limits;

use crate::openers;
use crate::place::Place;
use crate::resolvers::resolvers;
use crate::services::services;

/// What it may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// All of it ends after so long.
    pub longest: Duration,
    /// So long, of that, sockets are looked at again where connections are opened by nobody knows whom.
    pub again: Duration,
    /// Whether the rules are read, to tell services by.
    pub rules: Rules,
    /// What is read of the configuration of each proxy.
    pub configuration: Limits,
}

/// Whether rules are read. nft lists a hundred thousand in about a second, whatever `longest` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// They are.
    Read,
    /// They are not: services have no names.
    Leave,
}

impl Bounds {
    /// For somebody who waits for an answer.
    pub const ONCE: Self = Self {
        longest: Duration::from_millis(1500),
        again: Duration::from_millis(1200),
        rules: Rules::Read,
        configuration: Limits::ONCE,
    };
    /// For somebody who looks at the answer as it changes.
    pub const LIVE: Self = Self {
        longest: Duration::from_millis(300),
        again: Duration::from_millis(200),
        rules: Rules::Read,
        configuration: Limits::OFTEN,
    };
    /// For a daemon that asks again and again.
    pub const OFTEN: Self = Self {
        longest: Duration::from_millis(200),
        again: Duration::from_millis(100),
        rules: Rules::Leave,
        configuration: Limits::OFTEN,
    };
}

/// Whether there was a table to ask of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// There was: findings may tell more now.
    Some,
    /// There was none.
    None,
}

/// Sockets that are read of a file of TCP's. One takes about two microseconds.
const MOST_OF_TCP: usize = 200_000;
/// Of UDP's the time grows with the square of their number: 100,000 take ten seconds.
const MOST_OF_UDP: usize = 10_000;
/// Asks whose the entries are of those tables for which `is_wanted` holds and whose entries were read; what it tells is in their censuses.
pub fn ask_whose(snapshot: &mut Snapshot, bounds: Bounds, is_wanted: impl Fn(&NamespaceSnapshot) -> bool) -> Asked {
    let wanted: Vec<_> = (0..snapshot.namespaces.len())
        .filter(|index| {
            let ns = &snapshot.namespaces[*index];
            ns.census.is_some() && is_wanted(ns)
        })
        .collect();
    if wanted.is_empty() {
        return Asked::None;
    }
    let host = HostFs::new();
    let deadline = monotonic_now() + bounds.longest;
    let found = host.namespaces().found;
    for (asked, index) in wanted.iter().enumerate() {
        // Each has its part of the time that is left.
        let others = u32::try_from(wanted.len() - asked).unwrap_or(u32::MAX);
        let part = deadline.saturating_sub(monotonic_now()) / others;
        let asking =
            Asking { host: &host, found: &found, deadline, again: bounds.again.min(part), rules: bounds.rules };
        let unseen = asking.ask(&mut snapshot.namespaces[*index]);
        snapshot.unseen.extend(unseen);
    }
    Asked::Some
}

pub(crate) struct Asking<'a> {
    pub(crate) host: &'a HostFs,
    found: &'a [Found],
    pub(crate) deadline: Duration,
    pub(crate) again: Duration,
    rules: Rules,
}

/// Which sockets are looked at, and how.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) at: Location,
    pub(crate) transport: Transport,
    pub(crate) family: SocketFamily,
    pub(crate) telling: Telling,
}

impl Asking<'_> {
    fn ask(&self, ns: &mut NamespaceSnapshot) -> Vec<Unseen> {
        let mut unseen = Vec::new();
        let is_it = |found: &Found| {
            let (a, b) = (&found.namespace, &ns.namespace);
            a.inode.map_or(a.name == b.name, |inode| b.inode == Some(inode))
        };
        let Some(table) = self.found.iter().position(is_it) else { return unseen };
        let Some(census) = ns.census.as_mut() else { return unseen };
        let mut question = Question::of(census, Location(table));
        let mut around = Surroundings::default();
        // The table's own first, in case the time does not suffice.
        let others = (0..self.found.len()).filter(|other| *other != table);
        for (at, found) in std::iter::once(table).chain(others).filter_map(|at| Some((at, self.found.get(at)?))) {
            if monotonic_now() >= self.deadline {
                unseen.push(gap(found, OUT_OF_TIME, "a less busy moment"));
                break;
            }
            if let Ok(Ok(addresses)) = Place::of(found).visit(own_addresses) {
                if at == table {
                    around.own = addresses.clone();
                } else {
                    around.neighbours.push(addresses.clone());
                }
                question.has_addresses(Location(at), &addresses);
            }
            for transport in Transport::ALL {
                let look = |family| Look { at: Location(at), transport, family, telling: Telling::InBulk };
                let looks = SocketFamily::ALL.map(|family| self.look(&mut question, look(family), |_| {}));
                unseen.extend(looks.into_iter().find_map(Result::err));
            }
        }
        let held = openers::held(self, &mut question);
        if held.is_cut {
            let cut = "the time that it may take was over before every process was looked at";
            unseen.extend(self.found.get(table).map(|found| gap(found, cut, "a less busy moment")));
        }
        unseen.extend(held.first_refusal.as_ref().map(|error| Unseen {
            namespace: Some(ns.namespace.name.clone()),
            needs: "root, or CAP_SYS_PTRACE".to_string(),
            ..error.unseen(Reading::Programs)
        }));
        let program = &mut |inode: u64, at: Location| {
            Some(Program { owner: held.of(inode)?.clone(), namespace: self.found.get(at.0)?.namespace.name.clone() })
        };
        question.answer(census, program);
        let (resolvers, gap) = resolvers(self.host, census);
        around.resolvers = resolvers;
        unseen.extend(gap.map(|gap| Unseen { namespace: Some(ns.namespace.name.clone()), ..gap }));
        if let Some(found) = self.found.get(table).filter(|_| self.rules == Rules::Read) {
            let (services, gaps) = services(found);
            around.services = services;
            unseen.extend(gaps);
        }
        ns.surroundings = Some(around);
        unseen
    }

    /// Takes in sockets of a namespace, and tells of each connection to where asked flows went. The answer is how many sockets there were.
    pub(crate) fn look(&self, question: &mut Question, look: Look, mut met: impl FnMut(Met)) -> Result<usize, Unseen> {
        let Look { at, transport, family, telling } = look;
        let Some(found) = self.found.get(at.0) else { return Ok(0) };
        let from = match (found.namespace.relation, found.process) {
            (Relation::Own, _) => NetFiles::OfThread,
            (Relation::Other, Some(pid)) => NetFiles::OfProcess(pid),
            // Nobody is in it, so nobody has sockets there.
            (Relation::Other, None) => return Ok(0),
        };
        let most = match transport {
            Transport::Tcp => MOST_OF_TCP,
            Transport::Udp => MOST_OF_UDP,
        };
        let mut look = question.look(at, transport.protocol(), family);
        let mut sockets = 0;
        let reads = Reads { transport, family, telling, most };
        let read = self.host.sockets(from, reads, self.deadline, |socket| {
            sockets += 1;
            if let Some(connection) = look.sees([socket.local, socket.remote], socket.state, socket.inode) {
                met(connection);
            }
        });
        match read {
            Ok(Extent::Whole) => {
                look.saw_all();
                Ok(sockets)
            }
            Ok(Extent::ToLimit) => Err(gap(
                found,
                &format!("only the first {most} of a kind were read"),
                "nothing: they are a sample of all",
            )),
            Ok(Extent::ToDeadline) => Err(gap(found, OUT_OF_TIME, "a less busy moment")),
            // It has gone meanwhile.
            Err(error) if error.is_absent() => Ok(0),
            Err(error) => {
                Err(Unseen { namespace: Some(found.namespace.name.clone()), ..error.unseen(Reading::Programs) })
            }
        }
    }
}

const OUT_OF_TIME: &str = "the time that it may take was over";

fn gap(found: &Found, answered: &str, needs: &str) -> Unseen {
    Unseen {
        reading: Reading::Programs,
        namespace: Some(found.namespace.name.clone()),
        tried: "read sockets".into(),
        answered: answered.into(),
        needs: needs.to_string(),
    }
}
