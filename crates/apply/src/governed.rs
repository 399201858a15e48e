//! Sysctls that a process moves to and fro for as long as it lives.
//!
//! The application begins before anything is written, with what each sysctl was and the least that it may become. Every move is
//! announced in the journal before it is made. The process's end, however it comes, undoes all of it: by [`Governed::end`], else by
//! the watchdog, else by whoever applies or undoes something next, or [`release`]. In another boot nothing of it is in force.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use plimsoll_host::HostFs;
use plimsoll_model::{Edit, Sysctl};

use crate::Error;
use crate::application::{Application, Phase, Progress};
use crate::apply::Prepared;
use crate::author::Author;
use crate::files::Root;
use crate::ground::Footing;
use crate::journal::{self, Journal, Observer};
use crate::live::Live;
use crate::place::Place;
use crate::plan::Change;
use crate::record::{Because, Begun, Event, Kind, Move, SCHEMA, Undone};
use crate::recovery::{Governors, recover};
use crate::rollback::{RolledBack, undo_application};
use crate::settings::Settings;
use crate::state_dir::StateDir;
use crate::undo::{Ground, undo};
use crate::watchdog::Guardian;

/// A journal that is longer is long enough: of what is reserved for it on the disk, so much is left for undoing.
const LONG_BYTES: u64 = 40 << 10;

/// How long another process that writes is waited for. Who applies something has the lock for longer, and nothing is governed then.
const PATIENCE: Duration = Duration::from_secs(1);

/// An application whose sysctls this process moves.
#[derive(Clone, Debug)]
pub struct Governed {
    folder: StateDir,
    id: u32,
    guardian: Guardian,
}

/// What came of moving sysctls.
#[derive(Clone, Debug, PartialEq)]
pub enum Set {
    /// They are moved, but for those that somebody else had changed, each with what was found. These are left from now on.
    Moved {
        /// Of somebody else's.
        left: Vec<(Sysctl, u32)>,
    },
    /// The application was ended by somebody else meanwhile; nothing was moved.
    Ended(Because),
}

impl Governed {
    /// Begins an application: each change says what its sysctl is now, and the least that it may become. Nothing is written to the
    /// kernel yet, and none of the changes that change nothing is governed. An error where somebody else's application awaits its
    /// confirmation, or another governor is at work in the namespace.
    pub fn begin(
        state_dir: &Path,
        place: Place,
        least: Vec<Change>,
        by: Author,
        guardian: &Guardian,
        observer: Observer<'_>,
    ) -> Result<Self, Error> {
        let folder = StateDir::create(state_dir)?;
        let _lock = folder.lock(PATIENCE)?;
        recover(&folder, &Root::default(), Governors::Stay, observer)?;
        refuse_a_second(&folder, place.at().inode)?;
        let prepared = Prepared::new(least, place, Prepared::next_id(Some(&folder))?)?;
        if prepared.changes.is_empty() {
            return Err(Error::Refused(
                "there is nothing to govern: every value is the least that it may be".to_string(),
            ));
        }
        let begun = begun(&prepared, by)?;
        let id = begun.id;
        let mut journal = Journal::begin(&folder, begun, observer)?;
        if let Err(error) = guardian.launch(&folder, id) {
            let because = Because::Failed { answer: error.to_string() };
            undo(&mut journal, &Ground::There(&prepared.live), &Root::default(), because);
            return Err(error);
        }
        Ok(Self { folder, id, guardian: guardian.clone() })
    }

    /// Its number.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Whether its journal is so long that another application should go on with it.
    pub fn is_long(&self) -> bool {
        fs::metadata(self.folder.journal(self.id)).is_ok_and(|journal| journal.len() > LONG_BYTES)
    }

    /// What has become of it, whoever has written to its journal.
    pub fn application(&self) -> Result<Application, Error> {
        journal::read(&self.folder, self.id)
    }

    /// Moves sysctls that it governs, those that are not somebody else's by now. After an error some may be moved: it is to be ended
    /// then.
    pub fn set(&self, to: &[(Sysctl, u32)], observer: Observer<'_>) -> Result<Set, Error> {
        let _lock = self.folder.lock(PATIENCE)?;
        let mut journal = Journal::resume(&self.folder, self.id, observer)?;
        if let Some(because) = ended(journal.application()) {
            return Ok(Set::Ended(because));
        }
        let footing = Footing::of(&journal.application().begun)?;
        let live = footing.live().ok_or_else(|| Error::Refused("what is governed is no more".to_string()))?;
        // Whoever ended it: nothing is written that nobody would undo.
        if !self.folder.watchdog_lives(self.id) {
            self.guardian.launch(&self.folder, self.id)?;
        }
        let moves = moves(journal.application(), to);
        if moves.is_empty() {
            return Ok(Set::Moved { left: Vec::new() });
        }
        let before: Vec<_> = moves.iter().map(|one| before(journal.application(), one.change)).collect();
        journal.append(Event::Moving { moves: moves.clone() })?;
        let mut left = Vec::new();
        for (one, before) in moves.iter().zip(before) {
            let Some(sysctl) = sysctl(journal.application(), one.change) else { continue };
            if let Some(found) = make(live, sysctl, &before, one.to)? {
                journal.append(self::left(one.change, sysctl, found))?;
                left.push((sysctl, found));
            }
        }
        journal.append(Event::Moved)?;
        Ok(Set::Moved { left })
    }

    /// Notes that a sysctl is somebody else's by now, with what was found: it is neither moved nor undone any more, whatever it
    /// becomes.
    pub fn leave(&self, sysctl: Sysctl, found: u32, observer: Observer<'_>) -> Result<(), Error> {
        let _lock = self.folder.lock(PATIENCE)?;
        let mut journal = Journal::resume(&self.folder, self.id, observer)?;
        let application = journal.application();
        let is_its = |change: &usize| self::sysctl(application, *change) == Some(sysctl);
        let change = (0..application.changes.len()).find(is_its);
        match change.filter(|_| ended(application).is_none()) {
            Some(change) => journal.append(left(change, sysctl, found)),
            None => Ok(()),
        }
    }

    /// Undoes all that is its own still, and ends it. It may be done again.
    pub fn end(&self, because: Because, observer: Observer<'_>) -> Result<RolledBack, Error> {
        let _lock = self.folder.lock(PATIENCE)?;
        let application = self.application()?;
        if application.phase == Phase::Ended {
            return Ok(RolledBack { application, unwritten: Vec::new() });
        }
        undo_application(&self.folder, &Root::default(), self.id, because, observer)
    }
}

/// Undoes what governors have left behind that are no more, if the watchdogs that should have are no more either.
pub fn release(state_dir: &Path, observer: Observer<'_>) -> Result<Vec<RolledBack>, Error> {
    let Some(folder) = StateDir::open(state_dir)? else { return Ok(Vec::new()) };
    let _lock = folder.lock(PATIENCE)?;
    let unguarded = |application: &Application| !folder.watchdog_lives(application.begun.id);
    undo_governed(&folder, &Root::default(), unguarded, &Because::GovernorLost, observer)
}

/// Undoes what governors hold, under the lock, so that it is in nobody's way.
pub(crate) fn give_way(folder: &StateDir, root: &Root, observer: Observer<'_>) -> Result<Vec<RolledBack>, Error> {
    undo_governed(folder, root, |_| true, &Because::GaveWay, observer)
}

fn undo_governed(
    folder: &StateDir,
    root: &Root,
    is_meant: impl Fn(&Application) -> bool,
    because: &Because,
    observer: Observer<'_>,
) -> Result<Vec<RolledBack>, Error> {
    let mut rolled_back = Vec::new();
    for id in folder.ids()?.into_iter().rev() {
        // One that makes no sense keeps nobody from undoing another.
        let Ok(application) = journal::read(folder, id) else { continue };
        if application.is_governed() && application.phase != Phase::Ended && is_meant(&application) {
            rolled_back.push(undo_application(folder, root, id, because.clone(), observer)?);
        }
    }
    Ok(rolled_back)
}

fn refuse_a_second(folder: &StateDir, inode: u64) -> Result<(), Error> {
    for id in folder.ids()? {
        let application = journal::read(folder, id)?;
        if application.is_governed() && application.phase != Phase::Ended && application.begun.namespace.inode == inode
        {
            return Err(Error::Refused(format!(
                "application {id} is another governor's, which is at work in this network namespace; `plimsoll rollback {id}` \
                 undoes it"
            )));
        }
    }
    Ok(())
}

fn begun(prepared: &Prepared, by: Author) -> Result<Begun, Error> {
    Ok(Begun {
        schema: SCHEMA.to_string(),
        id: prepared.id,
        kind: Kind::Governed,
        boot_id: HostFs::new().boot_id()?.as_str().to_string(),
        by,
        namespace: prepared.namespace.clone(),
        changes: prepared.changes.clone(),
        reverts: prepared.reverts.clone(),
        soak_ms: 0,
        confirm_within_ms: 0,
        // It goes on for as long as the process lives.
        last_deadline_ms: u64::MAX,
        probe: None,
        baseline: None,
    })
}

/// Why it goes on no more, if it does not.
fn ended(application: &Application) -> Option<Because> {
    let is_over = application.phase != Phase::Applying;
    is_over.then(|| application.undone_because.last().cloned().unwrap_or(Because::Asked))
}

/// The moves that change something, of what is governed still.
fn moves(application: &Application, to: &[(Sysctl, u32)]) -> Vec<Move> {
    let to: BTreeMap<_, _> = to.iter().copied().collect();
    let numbered = application.changes.iter().enumerate();
    let moves = numbered.filter_map(|(change, progress)| {
        let to = *to.get(&sysctl(application, change)?)?;
        let is_ours = !matches!(progress, Progress::Undone(_));
        (is_ours && before(application, change) != [to]).then_some(Move { change, to })
    });
    moves.collect()
}

/// What a sysctl is as far as the journal knows: what it was moved to last, or what it was before.
fn before(application: &Application, change: usize) -> Vec<u32> {
    let ours = application.ours(change);
    match application.begun.changes.get(change).map(|change| &change.edit) {
        Some(Edit::Sysctl { from, .. }) if ours.is_empty() => vec![*from],
        _ => ours,
    }
}

fn sysctl(application: &Application, change: usize) -> Option<Sysctl> {
    application.begun.reverts.get(change)?.sysctl()
}

fn left(change: usize, sysctl: Sysctl, found: u32) -> Event {
    Event::Undone { change, result: Undone::Superseded { found: format!("{sysctl} = {found}") } }
}

/// Compares and sets. Returns what was found instead, where somebody else has changed it or does so now.
fn make(live: &Live, sysctl: Sysctl, before: &[u32], to: u32) -> Result<Option<u32>, Error> {
    let found = live.read(sysctl)?;
    if !before.contains(&found) {
        return Ok(Some(found));
    }
    live.write(sysctl, to)?;
    let found = live.read(sysctl)?;
    Ok((found != to).then_some(found))
}
