//! Flows that helpers expect (`nf_conntrack_expect.c`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use plimsoll_model::{Counter, Layer4, Protocol, Status, Tuple, Zone};

use crate::entry::Phase;
use crate::tick::Tick;
use crate::{EntryId, NamespaceId, Place, Twin};

/// A helper: how many flows it expects at one time, by class, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// Its classes; a class is known by its place.
    pub classes: Vec<HelperClass>,
    /// Seconds that each packet leaves the entries that it listens in on, whatever their tracker would; `None` where the
    /// tracker decides.
    pub refresh_secs: Option<u32>,
}

/// A class of expected flows (`struct nf_conntrack_expect_policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelperClass {
    /// The most at one time for each flow that the helper listens in on; 0 for no limit.
    pub most_expected: u32,
    /// Seconds until one is given up.
    pub timeout_secs: u32,
}

impl Helper {
    /// FTP: one data connection at a time (`nf_conntrack_ftp.c`).
    pub fn ftp() -> Self {
        Self { classes: vec![HelperClass { most_expected: 1, timeout_secs: 300 }], refresh_secs: None }
    }

    /// TFTP (`nf_conntrack_tftp.c`).
    pub fn tftp() -> Self {
        Self { classes: vec![HelperClass { most_expected: 1, timeout_secs: 300 }], refresh_secs: None }
    }

    /// SIP: signalling, audio, video, images, in this order. Each packet keeps the signalling's entry for an hour
    /// (`sip_timeout` in `nf_conntrack_sip.c`).
    pub fn sip() -> Self {
        let class = |most_expected| HelperClass { most_expected, timeout_secs: 180 };
        Self { classes: vec![class(1), class(4), class(4), class(2)], refresh_secs: Some(3600) }
    }
}

/// A helper of the twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelperId(NonZeroU8);

impl HelperId {
    const fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A flow that a helper expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its protocol.
    pub protocol: Protocol,
    /// Who opens it; anybody, if nobody is named.
    pub source: Option<IpAddr>,
    /// Where it goes.
    pub destination: IpAddr,
    /// To which port.
    pub port: u16,
    /// Which of the helper's classes it is of.
    pub class: u8,
}

/// Why a flow is not expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotExpected {
    /// The entry is gone, or no helper listens in on it, or the helper has no such class.
    #[error("no helper with such a class listens in on the entry")]
    NoHelper,
    /// Another flow expects the same (`EBUSY`).
    #[error("another flow expects the same")]
    Clash,
    /// `nf_conntrack_expect_max` is reached (`EMFILE`).
    #[error("the limit of expectations is reached")]
    TooMany,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expectation {
    what: Expected,
    master: u32,
    expires: Tick,
}

/// Where a flow goes: by this an expectation is looked up.
type Target = (NamespaceId, Zone, Protocol, IpAddr, u16);

/// All expectations.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    helpers: Vec<Helper>,
    by_target: HashMap<Target, Vec<Expectation>>,
    /// Oldest first.
    by_master: HashMap<u32, Vec<(Target, Expectation)>>,
    /// The entries whose expectations made others, by these.
    masters: HashMap<u32, u32>,
    /// How many an entry's expectations have made: while there are any, it is counted though it is gone.
    children: HashMap<u32, u32>,
}

impl Expectations {
    pub(crate) fn has_children(&self, slot: u32) -> bool {
        !self.children.is_empty() && self.children.contains_key(&slot)
    }

    /// Parts a child that goes from its master, and returns the master if it was the last child.
    pub(crate) fn part(&mut self, child: u32) -> Option<u32> {
        if self.masters.is_empty() {
            return None;
        }
        let master = self.masters.remove(&child)?;
        let count = self.children.get_mut(&master)?;
        *count -= 1;
        if *count > 0 {
            return None;
        }
        self.children.remove(&master);
        Some(master)
    }

    fn adopt(&mut self, master: u32, child: u32) {
        self.masters.insert(child, master);
        *self.children.entry(master).or_default() += 1;
    }
}

impl Twin {
    /// Adds a helper, which rules can give to new flows.
    ///
    /// # Panics
    /// With more than 255 of them.
    #[expect(clippy::expect_used, reason = "documented")]
    pub fn add_helper(&mut self, helper: Helper) -> HelperId {
        self.expectations.helpers.push(helper);
        let count = u8::try_from(self.expectations.helpers.len()).ok();
        HelperId(count.and_then(NonZeroU8::new).expect("at most 255 helpers"))
    }

    /// Has the helper of an entry expect a flow. Where its class is full, the oldest of the class is given up
    /// (`__nf_ct_expect_check`).
    pub fn expect(&mut self, now: Duration, master: EntryId, what: Expected) -> Result<(), NotExpected> {
        let now = self.tick(now);
        let slot = self.slot(master).ok_or(NotExpected::NoHelper)?;
        let entry = self.table.entry(slot);
        let (namespace, zone) = (entry.namespace, entry.zone);
        let helper = self.table.additions(slot).helper.ok_or(NotExpected::NoHelper)?;
        let helper = &self.expectations.helpers[helper.place()];
        let class = *helper.classes.get(what.class as usize).ok_or(NotExpected::NoHelper)?;
        let target = (namespace, zone, what.protocol, what.destination, what.port);
        let rivals: Vec<_> = self.expectations.by_target.get(&target).into_iter().flatten().copied().collect();
        // What nobody fulfilled in time goes as it is met.
        let (over, rivals): (Vec<_>, Vec<_>) = rivals.into_iter().partition(|other| other.expires.is_over(now));
        for other in over {
            self.give_up(target, other);
        }
        let rival = rivals
            .into_iter()
            .find(|other| other.what.source.is_none() || what.source.is_none() || other.what.source == what.source);
        match rival {
            Some(rival) if rival.master == slot && rival.what == what => self.give_up(target, rival),
            Some(_) => return Err(NotExpected::Clash),
            None => {}
        }
        let of_class = |(_, other): &&(Target, Expectation)| other.what.class == what.class;
        let own = self.expectations.by_master.get(&slot).into_iter().flatten().filter(of_class);
        let own: Vec<_> = own.copied().collect();
        let is_full = class.most_expected != 0 && own.len() >= class.most_expected as usize;
        if let Some((target, oldest)) = own.first().filter(|_| is_full) {
            self.give_up(*target, *oldest);
        }
        if self.namespace(namespace).expected >= self.host.expect_max {
            return Err(NotExpected::TooMany);
        }
        let expires = now.plus(self.host.capabilities.hz.jiffies(class.timeout_secs));
        let expectation = Expectation { what, master: slot, expires };
        self.expectations.by_target.entry(target).or_default().push(expectation);
        self.expectations.by_master.entry(slot).or_default().push((target, expectation));
        let namespace = self.namespace_mut(namespace);
        namespace.expected += 1;
        namespace.counters.count(Counter::ExpectCreate);
        Ok(())
    }

    /// Arms an entry anew as its helper would, if it has one that does.
    #[inline]
    pub(crate) fn refresh_by_helper(&mut self, slot: u32, now: Tick) {
        if self.table.entry(slot).is_ruled()
            && let Some(helper) = self.table.additions(slot).helper
        {
            self.refresh_by(helper, slot, now);
        }
    }

    fn refresh_by(&mut self, helper: HelperId, slot: u32, now: Tick) {
        let Some(secs) = self.expectations.helpers[helper.place()].refresh_secs else { return };
        let span = self.host.capabilities.hz.jiffies(secs);
        let entry = self.table.entry(slot);
        if entry.status().has(Status::FIXED_TIMEOUT) {
            return;
        }
        // Until it is confirmed, its expiry is a span.
        if entry.phase().is_in_table() {
            self.table.rearm(slot, now.plus(span));
        } else {
            self.table.arm(slot, Tick::from_span(span));
        }
    }

    /// Makes a new entry the child of the flow that expected it.
    pub(crate) fn fulfil_expectation(&mut self, now: Tick, place: Place, tuple: &Tuple, slot: u32) {
        let Layer4::Ports { destination: port, .. } = tuple.layer4 else { return };
        let target = (place.namespace, place.zone, tuple.protocol, tuple.destination, port);
        let there: Vec<_> = self.expectations.by_target.get(&target).into_iter().flatten().copied().collect();
        for expectation in there {
            if expectation.expires.is_over(now) {
                self.give_up(target, expectation);
                continue;
            }
            let is_it = expectation.what.source.is_none_or(|source| source == tuple.source);
            if !is_it || self.table.entry(expectation.master).phase() != Phase::InTable {
                continue;
            }
            self.give_up(target, expectation);
            self.expectations.adopt(expectation.master, slot);
            self.table.entry_mut(slot).add_status(Status::EXPECTED);
            self.namespace_mut(place.namespace).counters.count(Counter::ExpectNew);
            return;
        }
    }

    /// Gives up what an entry expects, as it goes.
    pub(crate) fn forget_expectations_of(&mut self, master: u32) {
        for (target, expectation) in self.expectations.by_master.remove(&master).unwrap_or_default() {
            self.give_up(target, expectation);
        }
    }

    /// Gives up what nobody fulfilled in time: gc does so as it passes their masters.
    pub(crate) fn expire_expectations(&mut self, now: Tick) {
        let of_all = self.expectations.by_master.values().flatten();
        let mut over: Vec<_> = of_all.filter(|(_, expectation)| expectation.expires.is_over(now)).copied().collect();
        // A map has no order of its own.
        over.sort_unstable_by_key(|(target, expectation)| (expectation.master, *target));
        for (target, expectation) in over {
            self.give_up(target, expectation);
        }
    }

    fn give_up(&mut self, target: Target, expectation: Expectation) {
        if let Some(there) = self.expectations.by_target.get_mut(&target) {
            there.retain(|other| *other != expectation);
            if there.is_empty() {
                self.expectations.by_target.remove(&target);
            }
        }
        if let Some(own) = self.expectations.by_master.get_mut(&expectation.master) {
            own.retain(|(_, other)| *other != expectation);
            if own.is_empty() {
                self.expectations.by_master.remove(&expectation.master);
            }
        }
        let namespace = self.namespace_mut(target.0);
        namespace.expected -= 1;
        namespace.counters.count(Counter::ExpectDelete);
    }
}
