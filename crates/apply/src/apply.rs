//! Carrying a plan out, one change at a time.

use std::path::Path;
use std::time::Duration;

use plimsoll_host::HostFs;
use plimsoll_model::{Edit, Sysctl};

use crate::Error;
use crate::application::Application;
use crate::author::Author;
use crate::confirm::Superseded;
use crate::files::Root;
use crate::guard::Signal;
use crate::journal::{Journal, Observer, now_ms};
use crate::lasting::{LastingFiles, ToLast, lasting_files};
use crate::live::Live;
use crate::own_rules::{Armed, OwnRules};
use crate::place::Place;
use crate::plan::Change;
use crate::probe;
use crate::record::{Because, Begun, Event, Kind, SCHEMA, Where};
use crate::recovery::{Governors, recover};
use crate::revert::{Current, NotRevertible, Revert, in_force, reverts};
use crate::rules_in_force::refuse_what_is_not_safe;
use crate::settings::Settings;
use crate::soak::{Watch, Watched};
use crate::state_dir::{PATIENCE, StateDir};
use crate::undo::{Ground, holds, undo};
use crate::untracked::UntrackedWatch;
use crate::watchdog::Guardian;

/// How it is to be done.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How long each change is watched, and how long before the first one. 0 watches nothing.
    pub soak: Duration,
    /// How long the changes stay without a confirmation.
    pub confirm_within: Duration,
    /// The user's own check, a command of sh(1).
    pub probe: Option<String>,
    /// Who asks for it.
    pub by: Author,
}

impl Manner {
    /// How long so many changes take at most, if nothing hangs: twice the time of watching, and of the last run of the user's
    /// check, which may end later.
    fn longest(&self, changes: usize) -> Duration {
        let last_run = if self.probe.is_some() && !self.soak.is_zero() { probe::LONGEST } else { Duration::ZERO };
        let changes = u32::try_from(changes).unwrap_or(u32::MAX);
        (self.soak + last_run).saturating_mul(changes).saturating_mul(2) + WRITES
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// All changes are in force, and undone unless they are confirmed.
    Awaiting(Application),
    /// They were undone.
    Undone {
        /// Why.
        because: Because,
        /// What has become of each.
        application: Application,
        /// What could not be written down of it.
        unwritten: Vec<String>,
    },
}

/// A plan that can be carried out: rights were checked, and what undoes each change is known.
#[derive(Debug)]
pub struct Prepared {
    /// The changes that change something.
    pub changes: Vec<Change>,
    /// What undoes each.
    pub reverts: Vec<Revert>,
    pub(crate) namespace: Where,
    pub(crate) live: Live,
    pub(crate) id: u32,
}

/// Time for the writes themselves, which is added to that of watching before a process is taken to be stuck.
pub(crate) const WRITES: Duration = Duration::from_secs(30);

impl Prepared {
    /// Checks a plan against what is in force, and writes nothing. Changes that change nothing are left out.
    pub fn new(changes: Vec<Change>, place: Place, id: u32) -> Result<Self, Error> {
        let namespace = place.at().clone();
        let live = Live::at(place);
        let changes: Vec<_> = changes.into_iter().filter(|change| !changes_nothing(&change.edit)).collect();
        for change in &changes {
            live.may_edit(&change.edit, id)?;
        }
        let reverts = reverts(&changes, &current(&changes, &live)?, id)?;
        refuse_too_little_room(&changes, &live)?;
        refuse_what_is_not_safe(&changes, live.place()?)?;
        Ok(Self { changes, reverts, namespace, live, id })
    }

    /// The number of the next application.
    pub fn next_id(folder: Option<&StateDir>) -> Result<u32, Error> {
        let last = folder.map(StateDir::ids).transpose()?.and_then(|ids| ids.last().copied());
        last.unwrap_or(0).checked_add(1).ok_or_else(|| Error::Refused("there are too many journals".to_string()))
    }

    /// What a confirmation would do to files.
    pub fn lasting(&self, root: &Root) -> LastingFiles {
        let Self { id, namespace, changes, .. } = self;
        lasting_files(root, &ToLast { id: *id, namespace, changes, superseded: &Superseded::default() })
    }

    /// The namespace's name.
    pub fn namespace(&self) -> &str {
        &self.namespace.name
    }
}

/// Carries changes out. `make` prepares them, under the lock and after what another process has left undone is undone.
pub fn apply(
    state_dir: &Path,
    manner: &Manner,
    guardian: &Guardian,
    observer: Observer<'_>,
    stop: &dyn Fn() -> bool,
    make: impl FnOnce(u32) -> Result<Prepared, Error>,
) -> Result<Option<Applied>, Error> {
    let folder = StateDir::create(state_dir)?;
    let _lock = folder.lock(PATIENCE)?;
    recover(&folder, &Root::default(), Governors::GiveWay, observer)?;
    let prepared = make(Prepared::next_id(Some(&folder))?)?;
    if prepared.changes.is_empty() {
        return Ok(None);
    }
    let watch = Watch { live: &prepared.live, probe: manner.probe.as_deref(), baseline: None, harm: &|| Ok(None) };
    let baseline = match baseline(&watch, manner, stop)? {
        Baseline::Stopped => return Err(Error::Refused("stopped; nothing was changed".to_string())),
        Baseline::None => None,
        Baseline::Of(window) => Some(window),
    };
    let begun = begun(&prepared, manner, baseline)?;
    let mut journal = Journal::begin(&folder, begun, observer)?;
    let carried = Carrier { folder: &folder, prepared: &prepared, manner, guardian, stop }.carry_out(&mut journal);
    let because = match carried {
        Ok(()) => return Ok(Some(Applied::Awaiting(journal.application().clone()))),
        Err(because) => because,
    };
    let unwritten = undo(&mut journal, &Ground::There(&prepared.live), &Root::default(), because.clone());
    Ok(Some(Applied::Undone {
        because,
        application: journal.application().clone(),
        unwritten: unwritten.iter().map(ToString::to_string).collect(),
    }))
}

/// What can be said before anything is changed.
enum Baseline {
    Of(crate::window::Window),
    None,
    Stopped,
}

fn baseline(watch: &Watch<'_>, manner: &Manner, stop: &dyn Fn() -> bool) -> Result<Baseline, Error> {
    if manner.soak.is_zero() {
        return Ok(Baseline::None);
    }
    match watch.run(manner.soak, stop)? {
        Watched::Fine(window) if window.probes > 0 && window.failed_probes == window.probes => {
            Err(Error::Refused(format!(
                "the probe fails before anything is changed ({} of {} runs): it would tell nothing; nothing was changed",
                window.failed_probes, window.probes
            )))
        }
        Watched::Fine(window) => Ok(Baseline::Of(window)),
        Watched::Worse(_) | Watched::Stopped => Ok(Baseline::Stopped),
    }
}

fn begun(prepared: &Prepared, manner: &Manner, baseline: Option<crate::window::Window>) -> Result<Begun, Error> {
    let last_deadline = manner.longest(prepared.changes.len());
    Ok(Begun {
        schema: SCHEMA.to_string(),
        id: prepared.id,
        kind: Kind::Once,
        boot_id: HostFs::new().boot_id()?.as_str().to_string(),
        by: manner.by.clone(),
        namespace: prepared.namespace.clone(),
        changes: prepared.changes.clone(),
        reverts: prepared.reverts.clone(),
        soak_ms: millis(manner.soak),
        confirm_within_ms: millis(manner.confirm_within),
        last_deadline_ms: now_ms() + millis(last_deadline),
        probe: manner.probe.clone(),
        baseline,
    })
}

/// What carrying out takes beside the journal.
struct Carrier<'a> {
    folder: &'a StateDir,
    prepared: &'a Prepared,
    manner: &'a Manner,
    guardian: &'a Guardian,
    stop: &'a dyn Fn() -> bool,
}

impl Carrier<'_> {
    /// All changes; or why what was done of them is to be undone.
    fn carry_out(&self, journal: &mut Journal<'_>) -> Result<(), Because> {
        let id = self.prepared.id;
        self.guardian.launch(self.folder, id).map_err(failed)?;
        if let Some(asked) = self.guardian.schedule(self.folder, &journal.application().begun) {
            // The watchdog is there; the timer is for the case that somebody kills it.
            journal.append(Event::Scheduled { refused: asked.err().map(|error| error.to_string()) }).map_err(failed)?;
        }
        for (change, planned) in self.prepared.changes.iter().enumerate() {
            self.see_to_the_watchdog(id)?;
            // Time has passed since all were judged: minutes, where others were watched before.
            self.judge(planned).map_err(failed)?;
            journal.append(Event::Writing { change }).map_err(failed)?;
            self.write(change, &planned.edit).map_err(failed)?;
            journal.append(Event::Written { change }).map_err(failed)?;
            self.soak(journal, change)?;
        }
        self.see_to_the_watchdog(id)?;
        let deadline_ms = now_ms() + millis(self.manner.confirm_within);
        for revert in &self.prepared.reverts {
            if let Revert::Rules(name) = revert {
                self.prepared.live.rearm(name, Armed::For(self.manner.confirm_within)).map_err(failed)?;
            }
        }
        journal.append(Event::Applied { deadline_ms }).map_err(failed)
    }

    /// Whoever ended it: nothing is written, or left in force, that nobody would undo.
    fn see_to_the_watchdog(&self, id: u32) -> Result<(), Because> {
        if self.folder.watchdog_lives(id) { Ok(()) } else { self.guardian.launch(self.folder, id).map_err(failed) }
    }

    fn judge(&self, planned: &Change) -> Result<(), Error> {
        refuse_what_is_not_safe(std::slice::from_ref(planned), self.prepared.live.place()?)
    }

    fn write(&self, change: usize, edit: &Edit) -> Result<(), Error> {
        let live = &self.prepared.live;
        let no_revert = || Error::Refused(format!("change {change} has no revert of its kind"));
        match (edit, self.prepared.reverts.get(change)) {
            (Edit::Sysctl { sysctl, from, to }, Some(Revert::Sysctl { ours, .. })) => {
                let (sysctl, found) = (*sysctl, live.read(*sysctl)?);
                if found != *from {
                    return Err(NotRevertible::Moved { sysctl, expected: *from, found }.into());
                }
                live.write(sysctl, *to)?;
                match live.read(sysctl)? {
                    found if found == *ours => Ok(()),
                    found => Err(Error::NotTaken { sysctl, written: *to, found }),
                }
            }
            (edit, Some(Revert::Rules(name))) => {
                let rules = OwnRules::of(edit).ok_or_else(no_revert)?;
                live.make(rules, name, Armed::For(self.armed()))?;
                if live.rules()?.contains(name) {
                    Ok(())
                } else {
                    Err(Error::Refused(format!("the rules {name} are not there after they were made")))
                }
            }
            _ => Err(no_revert()),
        }
    }

    /// How long rules match that are made now: what is left to be watched, and the time to confirm.
    fn armed(&self) -> Duration {
        self.manner.longest(self.prepared.changes.len()) + self.manner.confirm_within
    }

    /// The service that a change leaves untracked, to be watched.
    fn untracked(&self, change: usize) -> Result<Option<UntrackedWatch<'_>>, Error> {
        let Prepared { changes, reverts, live, .. } = self.prepared;
        match (changes.get(change).map(|change| &change.edit), reverts.get(change)) {
            (Some(Edit::Bypass(bypass)), Some(Revert::Rules(name))) => {
                UntrackedWatch::begin(live, bypass, name).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn soak(&self, journal: &mut Journal<'_>, change: usize) -> Result<(), Because> {
        if (self.stop)() {
            return Err(Because::Interrupted);
        }
        let baseline = journal.application().begun.baseline.clone();
        let Some(baseline) = baseline else { return Ok(()) };
        let live = &self.prepared.live;
        let untracked = self.untracked(change).map_err(failed)?;
        let harm = || untracked.as_ref().map_or(Ok(None), UntrackedWatch::harm);
        let watch = Watch { live, probe: self.manner.probe.as_deref(), baseline: Some(&baseline), harm: &harm };
        match watch.run(self.manner.soak, self.stop).map_err(failed)? {
            Watched::Fine(window) => {
                let untracked = untracked.as_ref().map(UntrackedWatch::end).transpose().map_err(failed)?.map(Box::new);
                journal.append(Event::Soaked { change, window, untracked }).map_err(failed)
            }
            Watched::Worse(worse) => Err(Because::Worse(worse)),
            Watched::Stopped => Err(Because::Interrupted),
        }
    }
}

/// The signals that watching cannot judge, because they cannot be read.
pub fn unread(application: &Application) -> Vec<Signal> {
    application.begun.baseline.as_ref().map(crate::guard::unread).unwrap_or_default()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: Error) -> Because {
    Because::Failed { answer: error.to_string() }
}

fn changes_nothing(edit: &Edit) -> bool {
    matches!(edit, Edit::Sysctl { sysctl, from, to } if in_force(*sysctl, *to) == Some(*from))
}

fn current(changes: &[Change], live: &Live) -> Result<Current, Error> {
    let mut current = Current::default();
    for change in changes {
        match &change.edit {
            Edit::Sysctl { sysctl, .. } => {
                current.sysctls.insert(*sysctl, live.read(*sysctl)?);
            }
            Edit::Policy(_) | Edit::Bypass(_) => {
                current.rules.extend(live.rules()?.into_iter().map(|name| (name.does, name.protocol, name.port)));
            }
            Edit::Shield(_) | Edit::XdpStage(_) => {}
        }
    }
    Ok(current)
}

/// A capacity below what the tables hold would drop every new connection at once.
fn refuse_too_little_room(changes: &[Change], live: &Live) -> Result<(), Error> {
    for change in changes {
        if let Edit::Sysctl { sysctl: Sysctl::CAPACITY, from, to } = change.edit
            && (to < from || from == 0)
        {
            let fullest = live.fullest()?;
            if !holds(to, fullest) {
                return Err(Error::Refused(format!(
                    "{} is not lowered to {to}: the fullest network namespace has {fullest} entries, and a tenth of room above \
                     them is the least; `plimsoll check` says what they are. Nothing was changed",
                    Sysctl::CAPACITY
                )));
            }
        }
    }
    Ok(())
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
