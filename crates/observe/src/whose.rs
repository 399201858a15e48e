//! Whose the entries are: sockets of every namespace, and the processes that hold them.
//!
//! It is asked after a reading, and only of tables in which something is wrong: it takes a look at every socket and at the open files
//! of every process, which a healthy host need not bear. Nothing is opened that would load a module, and nothing is entered but to
//! ask which addresses a namespace has.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use plimsoll_attribute::{Location, Question};
use plimsoll_ctnetlink::own_addresses;
use plimsoll_host::{Found, Holders, HostFs, NetFiles, monotonic_now};
use plimsoll_model::{Namespace, NamespaceSnapshot, Owner, Program, Reading, Relation, Snapshot, Surroundings, Unseen};

use crate::place::Place;
use crate::resolvers::resolvers;
use crate::services::services;

/// What it may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// All of it ends after so long.
    pub longest: Duration,
    /// How often the table's own sockets are looked at again while short connections of this host cannot be told.
    pub looks: u32,
    /// Whether the rules are read, to tell services by.
    pub rules: Rules,
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
    pub const ONCE: Self = Self { longest: Duration::from_millis(1500), looks: 40, rules: Rules::Read };
    /// For somebody who looks at the answer as it changes.
    pub const LIVE: Self = Self { longest: Duration::from_millis(300), looks: 3, rules: Rules::Read };
    /// For a daemon that asks again and again.
    pub const OFTEN: Self = Self { longest: Duration::from_millis(200), looks: 3, rules: Rules::Leave };
}

/// Whether there was a table to ask of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// There was: findings may tell more now.
    Some,
    /// There was none.
    None,
}

/// Sockets that are read of a file. One takes about two microseconds.
const MOST_SOCKETS: usize = 200_000;

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
    for index in wanted {
        let asking = Asking { host: &host, found: &found, deadline, looks: bounds.looks, rules: bounds.rules };
        let unseen = asking.ask(&mut snapshot.namespaces[index]);
        snapshot.unseen.extend(unseen);
    }
    Asked::Some
}

struct Asking<'a> {
    host: &'a HostFs,
    found: &'a [Found],
    deadline: Duration,
    looks: u32,
    rules: Rules,
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
                unseen.push(gap(found, "the time that it may take was over", "a less busy moment"));
                break;
            }
            if let Ok(Ok(addresses)) = Place::of(found).visit(own_addresses) {
                if at == table {
                    around.own = addresses.clone();
                } else {
                    around.neighbours.push(addresses.clone());
                }
                question.has_addresses(Location(at), addresses);
            }
            unseen.extend(self.look(&mut question, at).err());
        }
        let held = self.hold(&mut question, table);
        if held.is_cut {
            let cut = "the time that it may take was over before every process was looked at";
            unseen.extend(self.found.get(table).map(|found| gap(found, cut, "a less busy moment")));
        }
        unseen.extend(held.first_refusal.as_ref().map(|error| Unseen {
            namespace: Some(ns.namespace.name.clone()),
            needs: "root, or CAP_SYS_PTRACE".to_string(),
            ..error.unseen(Reading::Programs)
        }));
        let mut owners = HashMap::<u32, Option<Owner>>::new();
        let program = &mut |inode: u64, at: Location| {
            let pid = *held.by_inode.get(&inode)?;
            let owner = owners.entry(pid).or_insert_with(|| self.host.describe(self.host.head_of(pid)).ok()).clone()?;
            Some(Program { owner, namespace: self.found.get(at.0)?.namespace.name.clone() })
        };
        question.answer(census, program, self.alone(&held, &ns.namespace));
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

    /// The one program that has sockets in a namespace.
    fn alone(&self, held: &Holders, namespace: &Namespace) -> Option<Program> {
        let inode = namespace.inode?;
        let is_in = |pid: &&u32| self.host.namespace_of(**pid).is_ok_and(|of| of == inode);
        let mut programs = held.with_sockets.iter().filter(is_in).map(|pid| self.host.head_of(*pid));
        let first = programs.next()?;
        let is_alone = !held.is_cut && held.first_refusal.is_none() && programs.all(|other| other == first);
        let owner = self.host.describe(first).ok().filter(|_| is_alone)?;
        Some(Program { owner, namespace: namespace.name.clone() })
    }

    /// Takes in the sockets of a namespace.
    fn look(&self, question: &mut Question, at: usize) -> Result<(), Unseen> {
        let Some(found) = self.found.get(at) else { return Ok(()) };
        let each = |socket: plimsoll_host::Socket| {
            let ends = [socket.local, socket.remote];
            question.sees(Location(at), socket.protocol, ends, socket.state, socket.inode);
        };
        let are_all = match (found.namespace.relation, found.process) {
            (Relation::Own, _) => self.host.sockets(NetFiles::OfThread, MOST_SOCKETS, each),
            (Relation::Other, Some(pid)) => self.host.sockets(NetFiles::OfProcess(pid), MOST_SOCKETS, each),
            // Nobody is in it, so nobody has sockets there.
            (Relation::Other, None) => return Ok(()),
        };
        match are_all {
            Ok(true) => Ok(()),
            Ok(false) => Err(gap(
                found,
                &format!("only the first {MOST_SOCKETS} of a kind were read"),
                "nothing: they are a sample of all",
            )),
            // It has gone meanwhile.
            Err(error) if error.is_absent() => Ok(()),
            Err(error) => {
                Err(Unseen { namespace: Some(found.namespace.name.clone()), ..error.unseen(Reading::Programs) })
            }
        }
    }

    /// Finds who holds the sockets. While clients of this host are not told, the table's own sockets are looked at again, and the files
    /// of those processes that have sockets at all: what is open for milliseconds is met so.
    fn hold(&self, question: &mut Question, table: usize) -> Holders {
        let Ok(mut held) = self.host.holders(&question.inodes(), self.deadline) else { return Holders::default() };
        for _ in 0..self.looks {
            if monotonic_now() >= self.deadline || !question.is_open(&held.by_inode) {
                break;
            }
            let before: HashSet<u64> = question.inodes();
            if self.look(question, table).is_err() {
                break;
            }
            let new: HashSet<u64> = question.inodes().difference(&before).copied().collect();
            self.host.holders_among(&mut held, &new);
        }
        held
    }
}

fn gap(found: &Found, answered: &str, needs: &str) -> Unseen {
    Unseen {
        reading: Reading::Programs,
        namespace: Some(found.namespace.name.clone()),
        tried: "read sockets".into(),
        answered: answered.into(),
        needs: needs.to_string(),
    }
}
