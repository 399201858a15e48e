//! A filter before tracking, put up in shadow, enforced, taken back to shadow, and removed.
//!
//! Before it there may be XDP stages, which do the same on interfaces. Where one cannot be, the rules go on without it.
//!
//! The table is made when the application begins. Its rules match only while an element with a timeout is in a set, and drop only while
//! another one is: the kernel ends both, whoever is alive. The sysctls that go with enforcement are written with it and undone without
//! it, each announced in the journal; what is left of them the watchdog undoes at the deadline, or whoever comes first.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use plimsoll_ctnetlink::{Dump, Unknowns, conntrack_is_hooked};
use plimsoll_host::{HostFs, NetFiles};
use plimsoll_model::{Class, Edit, Interface, Shield, Sysctl, Way, XdpStage};
use plimsoll_shield::{Peers, Reading, TABLE, asking, disarming, enforcing, fit, loading, rearming};

use crate::Error;
use crate::application::{Application, Phase, Progress};
use crate::apply::{Prepared, WRITES, millis};
use crate::author::Author;
use crate::files::Root;
use crate::ground::Footing;
use crate::handshakes::{refuse_unknown_connections, refuse_unsafe_proxy};
use crate::journal::{self, Journal, Observer, now_ms};
use crate::live::Live;
use crate::nft;
use crate::place::Place;
use crate::plan::Change;
use crate::record::{Because, Begun, Event, Kind, SCHEMA, Undone};
use crate::recovery::{Governors, is_ahead, recover};
use crate::revert::{NotRevertible, Revert};
use crate::rollback::{RolledBack, undo_application};
use crate::settings::Settings;
use crate::stage::{self, Met, Stage, StageAction, StageState, Task};
use crate::state_dir::{Lock, PATIENCE, StateDir};
use crate::undo::{Ground, undo, undo_one};
use crate::watchdog::{Guardian, Timer};

/// An application that is a shield, and was in force when it was looked for.
#[derive(Clone, Debug)]
pub struct Shielded {
    folder: StateDir,
    id: u32,
    shield: Shield,
    guardian: Guardian,
}

/// What is put up.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The rules.
    pub shield: Shield,
    /// The interfaces on which XDP does the same before them.
    pub interfaces: BTreeSet<Interface>,
    /// How long it is there.
    pub lasts: Duration,
}

impl Shielded {
    /// Puts a shield up, in shadow: it counts, and changes nothing else. An error where one is there already.
    pub fn begin(
        state_dir: &Path,
        place: Place,
        asked: Asked,
        by: Author,
        guardian: &Guardian,
        observer: Observer<'_>,
    ) -> Result<Self, Error> {
        let folder = StateDir::create(state_dir)?;
        let _lock = folder.lock(PATIENCE)?;
        recover(&folder, &Root::default(), Governors::Stay, observer)?;
        let prepared = prepared(place, &asked, Prepared::next_id(Some(&folder))?)?;
        let Asked { shield, lasts, .. } = asked;
        let begun = begun(&prepared, by, lasts)?;
        let (id, table) = (begun.id, table(&begun));
        let mut journal = Journal::begin(&folder, begun, observer)?;
        let put_up = |journal: &mut Journal<'_>| -> Result<(), Error> {
            guardian.launch(&folder, id)?;
            if let Some(asked) = guardian.schedule(&folder, &journal.application().begun) {
                journal.append(Event::Scheduled { refused: asked.err().map(|error| error.to_string()) })?;
            }
            let deadline_ms = now_ms() + millis(lasts);
            journal.append(Event::Writing { change: table })?;
            prepared.live.visit(|| nft::load(&loading(&shield, id, lasts)))??;
            journal.append(Event::Written { change: table })?;
            let task = Task { shield: &shield, application: id, action: StageAction::Shadow, lasts };
            for (change, stage) in stages(&journal.application().begun) {
                journal.append(Event::Writing { change })?;
                journal.append(match prepared.live.visit(|| stage::attach(&stage, &task))? {
                    Ok(()) => Event::Written { change },
                    Err(answer) => Event::Undone { change, result: Undone::NotMade { answer } },
                })?;
            }
            journal.append(Event::Applied { deadline_ms })
        };
        if let Err(error) = put_up(&mut journal) {
            let because = Because::Failed { answer: error.to_string() };
            undo(&mut journal, &Ground::There(&prepared.live), &Root::default(), because);
            return Err(error);
        }
        Ok(Self { folder, id, shield, guardian: guardian.clone() })
    }

    /// What would be loaded: makes sure that it could be, and changes nothing.
    pub fn rehearse(state_dir: &Path, place: Place, asked: &Asked) -> Result<Rehearsed, Error> {
        let id = Prepared::next_id(StateDir::open(state_dir)?.as_ref())?;
        let prepared = prepared(place, asked, id)?;
        let companions = prepared.changes.into_iter().filter(|change| matches!(change.edit, Edit::Sysctl { .. }));
        let Asked { shield, interfaces, lasts } = asked;
        let task = Task { shield, application: id, action: StageAction::Shadow, lasts: *lasts };
        let planned = |interface: &Interface| (interface.clone(), stage::why_not(interface, &task));
        Ok(Rehearsed {
            commands: loading(shield, id, *lasts),
            companions: companions.collect(),
            stages: prepared.live.visit(|| interfaces.iter().map(planned).collect())?,
        })
    }

    /// The shield that is in force in a namespace.
    pub fn in_force(state_dir: &Path, place: &Place, guardian: &Guardian) -> Result<Option<Self>, Error> {
        let found = Self::last(state_dir, place, guardian)?;
        let Some(shielded) = found else { return Ok(None) };
        let application = shielded.application()?;
        let is_in_force = match application.phase {
            Phase::Awaiting { deadline_ms } => is_ahead(&application.begun, deadline_ms)?,
            _ => false,
        };
        Ok(is_in_force.then_some(shielded))
    }

    /// The last shield of a namespace of which anything may be left.
    pub fn last(state_dir: &Path, place: &Place, guardian: &Guardian) -> Result<Option<Self>, Error> {
        let boot_id = HostFs::new().boot_id()?;
        let Some(folder) = StateDir::open(state_dir)? else { return Ok(None) };
        for id in folder.ids()?.into_iter().rev() {
            // One that makes no sense keeps nobody from finding another.
            let Ok(application) = journal::read(&folder, id) else { continue };
            let begun = &application.begun;
            let is_here = begun.namespace.inode == place.at().inode && begun.boot_id == boot_id.as_str();
            if !application.is_shield() || application.phase == Phase::Ended || !is_here {
                continue;
            }
            if let Some(shield) = shield_of(&application) {
                return Ok(Some(Self { folder, id, shield, guardian: guardian.clone() }));
            }
        }
        Ok(None)
    }

    /// The shield of an application, as its watchdog has it.
    pub(crate) fn of_watchdog(folder: &StateDir, application: &Application) -> Option<Self> {
        let guardian = Guardian { program: std::env::current_exe().ok()?, timer: Timer::None };
        Some(Self { folder: folder.clone(), id: application.begun.id, shield: shield_of(application)?, guardian })
    }

    /// What whoever looks after it holds.
    pub(crate) fn vigil_lock(&self, patience: Duration) -> Result<Lock, Error> {
        self.folder.vigil_lock(self.id, patience)
    }

    /// Its number.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// What it is.
    pub const fn shield(&self) -> &Shield {
        &self.shield
    }

    /// What has become of it, whoever has written to its journal.
    pub fn application(&self) -> Result<Application, Error> {
        journal::read(&self.folder, self.id)
    }

    /// How long it has been there, and how long it will be still.
    pub fn age_and_rest(&self) -> Result<(Duration, Duration), Error> {
        let application = self.application()?;
        let Phase::Awaiting { deadline_ms } = application.phase else { return Ok((Duration::ZERO, Duration::ZERO)) };
        let began_ms = match application.changes.get(table(&application.begun)) {
            Some(Progress::Written { at_ms }) => *at_ms,
            _ => now_ms(),
        };
        let now_ms = now_ms();
        let span = |from: u64, to: u64| Duration::from_millis(to.saturating_sub(from));
        Ok((span(began_ms, now_ms), span(now_ms, deadline_ms)))
    }

    /// What its rules have counted, and whom its XDP stages have dropped before them.
    pub fn reading(&self) -> Result<Reading, Error> {
        let application = self.application()?;
        let footing = Footing::of(&application.begun)?;
        let live = footing.live().ok_or_else(gone)?;
        let answers: Result<Vec<_>, Error> =
            live.visit(|| asking(self.id).iter().map(|question| nft::json(question)).collect())?;
        let mut reading = Reading::from_json(&answers?, &self.shield, self.id).map_err(|error| Error::Program {
            command: format!("nft -j list table {TABLE}"),
            answer: error.to_string(),
        })?;
        for (_, stage) in attached(&application) {
            if let Some((_, early)) = live.visit(|| stage::running(&stage, self.id))?? {
                reading = reading.and_early(early);
            }
        }
        Ok(reading)
    }

    /// Its XDP stages, those that could not be made among them.
    pub fn stages(&self) -> Result<Vec<Stage>, Error> {
        let application = self.application()?;
        let footing = Footing::of(&application.begun)?;
        let live = footing.live().ok_or_else(gone)?;
        let told = |(change, stage): (usize, XdpStage)| {
            let state = match application.changes.get(change) {
                Some(Progress::Undone(Undone::NotMade { answer })) => StageState::Absent { why: answer.clone() },
                Some(Progress::Undone(undone)) if undone.is_final() => StageState::Absent { why: undone.to_string() },
                _ => match live.visit(|| stage::running(&stage, self.id))?? {
                    Some((running, _)) => StageState::Attached(running),
                    None => StageState::Absent { why: "somebody has detached it, or moved its interface".to_string() },
                },
            };
            Ok(Stage { interface: stage.interface, state })
        };
        stages(&application.begun).map(told).collect()
    }

    /// Who has completed flows, as the table shows; half-open ones are counted of those who were hit.
    pub fn peers(&self, hit: &HashSet<IpAddr>) -> Result<Peers, Error> {
        let footing = Footing::of(&self.application()?.begun)?;
        footing.live().ok_or_else(gone)?.visit(|| peers_here(&self.shield, hit))?
    }

    /// Has it drop, and sets what goes with it. It may be done again. With SYNPROXY it is refused where the rules in force have come to mean
    /// something else with it.
    ///
    /// It is looked after from then on: by who holds a [`Vigil`](crate::Vigil)'s claim, else by its watchdog, and taken back where it hits
    /// more than that share of those who mean well.
    pub fn enforce(&self, max_collateral: f64, observer: Observer<'_>) -> Result<(), Error> {
        let footing = Footing::of(&self.application()?.begun)?;
        refuse_unsafe_proxy(footing.live().ok_or_else(gone)?.place()?, &self.shield)?;
        let enforced = self.with_journal(observer, |journal, live, rest| {
            for change in 0..journal.application().changes.len() {
                write(journal, live, change)?;
            }
            journal.append(Event::Enforced { max_collateral })?;
            live.visit(|| nft::load(&enforcing(&self.shield, rest)))??;
            self.turn_stages(journal, live, StageAction::Enforce, rest)
        });
        // What was written for it goes with it.
        if enforced.is_err() {
            drop(self.to_shadow(None, observer));
        }
        enforced
    }

    /// Has it count and not drop, and undoes what went with dropping; `why`, where it is for whom it has hit. It may be done again.
    pub fn to_shadow(&self, why: Option<String>, observer: Observer<'_>) -> Result<(), Error> {
        self.with_journal(observer, |journal, live, rest| {
            let turned = self.turn_stages(journal, live, StageAction::Shadow, rest);
            let disarmed = live.visit(|| nft::load(&disarming()))?;
            let to_undo = journal.application().to_undo();
            for change in to_undo {
                let revert = journal.application().begun.reverts.get(change).cloned();
                if let Some(revert @ Revert::Sysctl { .. }) = revert {
                    let result = undo_one(&revert, &journal.application().ours(change), live);
                    journal.append(Event::Undone { change, result })?;
                }
            }
            turned.and(disarmed)?;
            journal.append(Event::InShadow { why })
        })
    }

    /// Has it end so long from now, whenever it was to end. With SYNPROXY that drops it is refused as [`enforce`](Self::enforce) is, and ends
    /// when it was to.
    pub fn extend(&self, lasts: Duration, observer: Observer<'_>) -> Result<(), Error> {
        self.with_journal(observer, |journal, live, _| {
            // Under the lock: whoever watches it may have taken it back to shadow just before.
            let is_enforced = self.reading()?.is_enforced();
            if is_enforced {
                refuse_unsafe_proxy(live.place()?, &self.shield)?;
            }
            journal.append(Event::Applied { deadline_ms: now_ms() + millis(lasts) })?;
            let mut commands = rearming(&self.shield, self.id, lasts);
            if is_enforced {
                commands += &enforcing(&self.shield, lasts);
            }
            live.visit(|| nft::load(&commands))??;
            let action = if is_enforced { StageAction::Enforce } else { StageAction::Shadow };
            self.turn_stages(journal, live, action, lasts)
        })
    }

    /// Removes it, and undoes what went with it. It may be done again.
    pub fn stop(&self, observer: Observer<'_>) -> Result<RolledBack, Error> {
        let _lock = self.folder.lock(PATIENCE)?;
        let application = self.application()?;
        if application.phase == Phase::Ended {
            return Ok(RolledBack { application, unwritten: Vec::new() });
        }
        undo_application(&self.folder, &Root::default(), self.id, Because::Asked, observer)
    }

    /// Has the XDP stages do something else. What somebody has detached is theirs, and the rules go on without it.
    fn turn_stages(
        &self,
        journal: &mut Journal<'_>,
        live: &Live,
        action: StageAction,
        lasts: Duration,
    ) -> Result<(), Error> {
        let task = Task { shield: &self.shield, application: self.id, action, lasts };
        let turn = |journal: &mut Journal<'_>, change, stage: &XdpStage| match live
            .visit(|| stage::change(stage, &task))??
        {
            Met::There => Ok(()),
            Met::Gone => {
                let found = format!("XDP on {} is not that of application {}", stage.interface, self.id);
                journal.append(Event::Undone { change, result: Undone::Superseded { found } })
            }
            // It may come back, and is to be detached then.
            Met::Elsewhere { why } => journal.append(Event::Undone { change, result: Undone::Held { reason: why } }),
        };
        let mut turned = Ok(());
        // One that cannot be changed keeps no other one from being.
        for (change, stage) in attached(journal.application()) {
            turned = turn(journal, change, &stage).and(turned);
        }
        turned
    }

    /// Does something under the lock, while it is in force; with how long it will be.
    fn with_journal(
        &self,
        observer: Observer<'_>,
        work: impl FnOnce(&mut Journal<'_>, &Live, Duration) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _lock = self.folder.lock(PATIENCE)?;
        let mut journal = Journal::resume(&self.folder, self.id, observer)?;
        let application = journal.application();
        let rest_ms = match application.phase {
            Phase::Awaiting { deadline_ms } if is_ahead(&application.begun, deadline_ms)? => {
                deadline_ms - now_ms().min(deadline_ms)
            }
            _ => return Err(Error::Refused(format!("the shield (application {}) has ended", self.id))),
        };
        let footing = Footing::of(&application.begun)?;
        let live = footing.live().ok_or_else(gone)?;
        // Whoever ended it: nothing is written that nobody would undo.
        if !self.folder.watchdog_lives(self.id) {
            self.guardian.launch(&self.folder, self.id)?;
        }
        work(&mut journal, live, Duration::from_millis(rest_ms))
    }
}

/// What would be done.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// What is given to nft.
    pub commands: String,
    /// What is set while the shield is enforced.
    pub companions: Vec<Change>,
    /// The interfaces of XDP stages, and why there would be none.
    pub stages: Vec<(Interface, Option<String>)>,
}

/// Who has completed flows of a shield's class in a namespace.
pub fn peers(place: &Place, shield: &Shield) -> Result<Peers, Error> {
    place.visit(|| peers_here(shield, &HashSet::new()))?
}

/// Who is connected to a local port of a namespace.
pub fn connected_to(place: &Place, port: u16) -> Result<BTreeSet<IpAddr>, Error> {
    Ok(place.visit(|| HostFs::new().tcp_peers(NetFiles::OfThread, port))??)
}

fn peers_here(shield: &Shield, hit: &HashSet<IpAddr>) -> Result<Peers, Error> {
    let read = || -> Result<Peers, plimsoll_ctnetlink::Error> {
        let (mut peers, mut unknowns) = (Peers::default(), Unknowns::default());
        let mut dump = Dump::start()?;
        while let Some(batch) = dump.next_batch()? {
            for entry in batch.entries(&mut unknowns) {
                peers.count(&entry?.entry, shield, hit);
            }
        }
        Ok(peers)
    };
    read().map_err(|error| Error::Refused(format!("cannot read who has completed flows: {error}")))
}

/// The changes of a shield: what goes with it, its table, its XDP stages. They are undone from the last to the first.
fn prepared(place: Place, asked: &Asked, id: u32) -> Result<Prepared, Error> {
    let shield = &asked.shield;
    fit(shield).map_err(|unfit| Error::Refused(unfit.to_string()))?;
    refuse_a_second(&place)?;
    refuse_handshakes(&place, shield)?;
    let live = Live::at(place);
    let mut changes = companions(shield, &live)?;
    changes.push(Change { edit: Edit::Shield(shield.clone()), why: String::new() });
    for interface in &asked.interfaces {
        let stage = live.visit(|| stage::on(interface))??;
        changes.push(Change { edit: Edit::XdpStage(stage), why: String::new() });
    }
    Prepared::new(changes, live.into_place()?, id)
}

/// Refuses a shield with SYNPROXY where that has no place, or the firewall would not mean the same with it. One of another class is let
/// through.
pub fn refuse_handshakes(place: &Place, shield: &Shield) -> Result<(), Error> {
    if matches!(shield.class, Class::Handshakes { .. }) {
        refuse_untracked(place)?;
        refuse_unsafe_proxy(place, shield)?;
        refuse_unknown_connections(place, shield)?;
    }
    Ok(())
}

fn refuse_a_second(place: &Place) -> Result<(), Error> {
    if place.visit(|| nft::is_there(TABLE))?? {
        return Err(Error::Refused(format!(
            "there is a shield in this network namespace already (table {TABLE}); `plimsoll shield --status` tells of it, `plimsoll \
             shield --stop` removes it"
        )));
    }
    Ok(())
}

/// The rules of SYNPROXY would turn tracking on where nothing is tracked, and where it went with them, so would the translation of
/// sequence numbers of connections that live.
fn refuse_untracked(place: &Place) -> Result<(), Error> {
    match place.visit(conntrack_is_hooked)? {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Refused(
            "nothing is tracked in this network namespace: SYNPROXY would begin to, and there is no table to keep free"
                .to_string(),
        )),
        // Kernels before 5.14, and those without `nfnetlink_hook`, do not tell: entries show it.
        Err(_) if place.visit(|| HostFs::new().occupancy())??.0 > 0 => Ok(()),
        Err(error) => Err(Error::Refused(format!(
            "nothing is tracked in this network namespace, as far as can be told ({error}, and its table is empty): SYNPROXY would \
             begin to, and there is no table to keep free"
        ))),
    }
}

/// What is set while a shield is enforced.
fn companions(shield: &Shield, live: &Live) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    let mut set = |sysctl: Sysctl, to: u32, why: &str| -> Result<(), Error> {
        let from = live.read(sysctl)?;
        if from != to {
            changes.push(Change { edit: Edit::Sysctl { sysctl, from, to }, why: why.to_string() });
        }
        Ok(())
    };
    if matches!(shield.class, Class::Handshakes { .. }) {
        set(Sysctl::TCP_LOOSE, 0, "SYNPROXY has to see the last packet of a handshake as one of no connection")?;
    }
    // 2 answers with cookies always, and is more than is asked for.
    if matches!(shield.class, Class::Handshakes { .. } | Class::Syns { way: Way::Incoming, .. })
        && live.read(Sysctl::SYNCOOKIES)? == 0
    {
        set(Sysctl::SYNCOOKIES, 1, "a listener whose backlog is full answers with cookies, and is reached still")?;
    }
    Ok(changes)
}

/// Writes a sysctl that goes with enforcement, unless it is so already or is left to somebody else.
fn write(journal: &mut Journal<'_>, live: &Live, change: usize) -> Result<(), Error> {
    let application = journal.application();
    let Some(Edit::Sysctl { sysctl, from, to }) = application.begun.changes.get(change).map(|change| &change.edit)
    else {
        return Ok(());
    };
    let (sysctl, from, to) = (*sysctl, *from, *to);
    let found = live.read(sysctl)?;
    let is_anothers = matches!(application.changes.get(change), Some(Progress::Undone(Undone::Superseded { .. })));
    if found == to || is_anothers {
        return Ok(());
    }
    if found != from {
        return Err(NotRevertible::Moved { sysctl, expected: from, found }.into());
    }
    journal.append(Event::Writing { change })?;
    live.write(sysctl, to)?;
    match live.read(sysctl)? {
        found if found == to => journal.append(Event::Written { change }),
        found => Err(Error::NotTaken { sysctl, written: to, found }),
    }
}

fn begun(prepared: &Prepared, by: Author, lasts: Duration) -> Result<Begun, Error> {
    Ok(Begun {
        schema: SCHEMA.to_string(),
        id: prepared.id,
        kind: Kind::Shield,
        boot_id: HostFs::new().boot_id()?.as_str().to_string(),
        by,
        namespace: prepared.namespace.clone(),
        changes: prepared.changes.clone(),
        reverts: prepared.reverts.clone(),
        soak_ms: 0,
        confirm_within_ms: millis(lasts),
        last_deadline_ms: now_ms() + millis(WRITES),
        probe: None,
        baseline: None,
    })
}

/// Which change is the table.
fn table(begun: &Begun) -> usize {
    begun.changes.iter().take_while(|change| !matches!(change.edit, Edit::Shield(_))).count()
}

/// The changes that are XDP stages.
fn stages(begun: &Begun) -> impl Iterator<Item = (usize, XdpStage)> + use<> {
    let stage = |(change, made): (usize, &Change)| match &made.edit {
        Edit::XdpStage(stage) => Some((change, stage.clone())),
        _ => None,
    };
    begun.changes.iter().enumerate().filter_map(stage).collect::<Vec<_>>().into_iter()
}

/// Those that are there, as far as the journal tells.
fn attached(application: &Application) -> impl Iterator<Item = (usize, XdpStage)> + use<> {
    let to_undo = application.to_undo();
    stages(&application.begun).filter(move |(change, _)| to_undo.contains(change))
}

fn shield_of(application: &Application) -> Option<Shield> {
    application.begun.changes.iter().find_map(|change| match &change.edit {
        Edit::Shield(shield) => Some(shield.clone()),
        _ => None,
    })
}

fn gone() -> Error {
    Error::Refused("the network namespace is no more, and the shield neither".to_string())
}
