//! Settings that no kernel has, and applications whose changes are in force in them.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;

use plimsoll_apply::{
    Application, Armed, Author, Because, Begun, Change, Current, Error, Event, Ground, JOURNAL_SCHEMA, Journal, Kind,
    NamespaceKind, OwnRules, Root, RulesName, Settings, StateDir, Undone, Where, in_force, reverts, undo,
};
use plimsoll_model::{Class, Edit, Occupancy, Ports, Reach, Shield, Sysctl, XdpStage};
use tempfile::TempDir;

/// Settings in memory.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) sysctls: RefCell<BTreeMap<Sysctl, u32>>,
    pub(crate) fullest: Cell<Option<u32>>,
    pub(crate) namespace_is_gone: Cell<bool>,
    pub(crate) refuses: Cell<Option<Sysctl>>,
    pub(crate) shield: Cell<Option<u32>>,
    /// The interface on which XDP is, and the application that it is of.
    pub(crate) stage: RefCell<Option<(XdpStage, u32)>>,
}

impl Fake {
    pub(crate) fn get(&self, sysctl: Sysctl) -> u32 {
        self.sysctls.borrow()[&sysctl]
    }

    pub(crate) fn set(&self, sysctl: Sysctl, value: u32) {
        self.sysctls.borrow_mut().insert(sysctl, value);
    }
}

impl Settings for Fake {
    fn holds(&self, reach: Reach) -> bool {
        reach == Reach::Host || !self.namespace_is_gone.get()
    }

    fn read(&self, sysctl: Sysctl) -> Result<u32, Error> {
        Ok(self.get(sysctl))
    }

    fn write(&self, sysctl: Sysctl, value: u32) -> Result<(), Error> {
        if self.refuses.get() == Some(sysctl) {
            let answer = std::io::ErrorKind::PermissionDenied.into();
            return Err(Error::Write { sysctl, value, answer });
        }
        self.set(sysctl, in_force(sysctl, value).unwrap());
        Ok(())
    }

    fn fullest(&self) -> Result<Occupancy, Error> {
        self.fullest.get().map(Occupancy).ok_or_else(|| Error::Refused("it is not known".to_string()))
    }

    fn rules(&self) -> Result<Vec<RulesName>, Error> {
        Ok(Vec::new())
    }

    fn make(&self, _: OwnRules<'_>, _: &RulesName, _: Armed) -> Result<(), Error> {
        Ok(())
    }

    fn rearm(&self, _: &RulesName, _: Armed) -> Result<(), Error> {
        Ok(())
    }

    fn remove(&self, _: &RulesName) -> Result<(), Error> {
        Ok(())
    }

    fn shield(&self) -> Result<Option<u32>, Error> {
        Ok(self.shield.get())
    }

    fn remove_shield(&self) -> Result<(), Error> {
        self.shield.set(None);
        Ok(())
    }

    fn detach(&self, stage: &XdpStage, application: u32) -> Result<Undone, Error> {
        let ours = Some((stage.clone(), application));
        let is_ours = *self.stage.borrow() == ours;
        Ok(if is_ours {
            self.stage.take().map_or(Undone::NothingToDo, |_| Undone::Restored)
        } else {
            Undone::NothingToDo
        })
    }
}

/// A folder that is removed at the end.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn state(&self) -> StateDir {
        StateDir::create(&self.path().join("state")).unwrap()
    }
}

pub(crate) fn timeout() -> Sysctl {
    "nf_conntrack_tcp_timeout_time_wait".parse().unwrap()
}

pub(crate) const NOBODY: fn(plimsoll_apply::Moment, &Event) = |_, _| {};

/// An application whose changes are all in force.
pub(crate) fn applied<'a>(folder: &StateDir, fake: &Fake, id: u32, edits: &[(Sysctl, u32)]) -> Journal<'a> {
    let change = |&(sysctl, to): &(Sysctl, u32)| {
        let edit = Edit::Sysctl { sysctl, from: fake.get(sysctl), to };
        Change { edit, why: String::new() }
    };
    let changes: Vec<_> = edits.iter().map(change).collect();
    let mut journal = begun(folder, fake, id, Kind::Once, changes);
    for (change, (sysctl, to)) in edits.iter().enumerate() {
        journal.append(Event::Writing { change }).unwrap();
        fake.write(*sysctl, *to).unwrap();
        journal.append(Event::Written { change }).unwrap();
    }
    journal.append(Event::Applied { deadline_ms: 0 }).unwrap();
    journal
}

/// A shield in shadow, for which a sysctl would be written if it were enforced.
pub(crate) fn shielded<'a>(folder: &StateDir, fake: &Fake, id: u32) -> Journal<'a> {
    let class = Class::Handshakes { ports: Ports::one(443).unwrap() };
    let shield = Shield { class, limits: None, drop: Vec::new(), allow: Vec::new() };
    let stage = XdpStage { interface: "eth0".parse().unwrap(), index: 3 };
    let edits = [
        Edit::Sysctl { sysctl: Sysctl::TCP_LOOSE, from: 1, to: 0 },
        Edit::Shield(shield),
        Edit::XdpStage(stage.clone()),
    ];
    let changes = edits.into_iter().map(|edit| Change { edit, why: String::new() }).collect();
    let mut journal = begun(folder, fake, id, Kind::Shield, changes);
    journal.append(Event::Writing { change: 1 }).unwrap();
    fake.shield.set(Some(id));
    journal.append(Event::Written { change: 1 }).unwrap();
    journal.append(Event::Writing { change: 2 }).unwrap();
    fake.stage.replace(Some((stage, id)));
    journal.append(Event::Written { change: 2 }).unwrap();
    journal.append(Event::Applied { deadline_ms: 0 }).unwrap();
    journal
}

fn begun<'a>(folder: &StateDir, fake: &Fake, id: u32, kind: Kind, changes: Vec<Change>) -> Journal<'a> {
    let current = Current { sysctls: fake.sysctls.borrow().clone(), ..Current::default() };
    let begun = Begun {
        schema: JOURNAL_SCHEMA.to_string(),
        id,
        kind,
        boot_id: "a-boot".to_string(),
        by: Author::default(),
        namespace: Where { name: "host".to_string(), inode: 1, kind: NamespaceKind::Host },
        reverts: reverts(&changes, &current, id).unwrap(),
        changes,
        soak_ms: 0,
        confirm_within_ms: 1000,
        last_deadline_ms: u64::MAX,
        probe: None,
        baseline: None,
    };
    Journal::begin(folder, begun, &NOBODY).unwrap()
}

pub(crate) fn undo_now(journal: &mut Journal<'_>, fake: &Fake) -> Application {
    let unwritten = undo(journal, &Ground::There(fake), &Root::at("/nowhere"), Because::NotConfirmed);
    assert!(unwritten.is_empty(), "{unwritten:?}");
    journal.application().clone()
}
