//! Undoing: compare and set, from the last change to the first, each on its own.

use plimsoll_model::{Occupancy, Reach, Sysctl};

use crate::Error;
use crate::application::{Application, Phase, Progress};
use crate::files::{self, Root};
use crate::journal::Journal;
use crate::record::{Because, Event, Undone};
use crate::revert::Revert;
use crate::settings::Settings;

/// What the changes of an application were written to.
pub enum Ground<'a> {
    /// It is there still.
    There(&'a dyn Settings),
    /// The boot is no more: what was set in it is gone with it.
    Gone,
}

/// Undoes what is left of an application, and says what of that could not be written down.
///
/// It goes on where it can: neither a change that cannot be undone nor a journal that cannot be written keeps it from the
/// next one. It can be done again: what is undone already is found to be so.
pub fn undo(journal: &mut Journal<'_>, ground: &Ground<'_>, root: &Root, because: Because) -> Vec<Error> {
    let mut unwritten = Vec::new();
    let mut note = |journal: &mut Journal<'_>, event: Event| {
        if let Err(error) = journal.append(event.clone()) {
            journal.follow_unwritten(event);
            unwritten.push(error);
        }
    };
    if journal.application().undone_because.last() != Some(&because) || journal.application().phase != Phase::Undoing {
        note(journal, Event::Undoing { because });
    }
    for file in journal.application().files_to_restore() {
        let result = files::restore(root, &file);
        note(journal, Event::FileRestored { path: file.path, result });
    }
    for change in journal.application().to_undo() {
        let Some(revert) = journal.application().begun.reverts.get(change).cloned() else { continue };
        let result = match ground {
            Ground::There(settings) => undo_one(&revert, &journal.application().ours(change), *settings),
            Ground::Gone => Undone::Gone,
        };
        let event = Event::Undone { change, result };
        if is_told(journal.application(), &event) {
            journal.follow_unwritten(event);
        } else {
            note(journal, event);
        }
    }
    if is_done(journal.application()) {
        note(journal, Event::Ended);
    }
    unwritten
}

/// Whether the journal tells it already. What is held, or fails, is tried again every few seconds, perhaps for days, and its
/// reason holds a count that changes: to tell each would make the journal longer than any that is read.
fn is_told(application: &Application, event: &Event) -> bool {
    let Event::Undone { change, result } = event else { return false };
    match (application.changes.get(*change), result) {
        (Some(Progress::Undone(Undone::Held { .. })), Undone::Held { .. })
        | (Some(Progress::Undone(Undone::Failed { .. })), Undone::Failed { .. }) => true,
        (Some(Progress::Undone(told)), result) => told == result,
        _ => false,
    }
}

fn is_done(application: &Application) -> bool {
    application.to_undo().is_empty() && application.files_to_restore().is_empty()
}

/// Undoes one change, whatever the journal tells of the others.
pub(crate) fn undo_one(revert: &Revert, ours: &[u32], settings: &dyn Settings) -> Undone {
    // A limit of the host's is in force, whatever has become of the namespace that it was set beside.
    if !settings.holds(revert.sysctl().map_or(Reach::Namespace, Sysctl::reach)) {
        return Undone::Gone;
    }
    let done = match revert {
        Revert::Sysctl { sysctl, back, .. } => restore(*sysctl, ours, *back, settings),
        Revert::Rules(name) => settings.rules().and_then(|rules| {
            if rules.contains(name) {
                settings.remove(name).map(|()| Undone::Restored)
            } else {
                Ok(Undone::NothingToDo)
            }
        }),
        Revert::Shield { application } => settings.shield().and_then(|there| {
            if there == Some(*application) {
                settings.remove_shield().map(|()| Undone::Restored)
            } else {
                Ok(Undone::NothingToDo)
            }
        }),
        Revert::XdpStage { stage, application } => settings.detach(stage, *application),
    };
    done.unwrap_or_else(|error| Undone::Failed { answer: error.to_string() })
}

/// Compares and sets. Between the two somebody else may write: the kernel offers nothing that does both at once.
fn restore(sysctl: Sysctl, ours: &[u32], back: u32, settings: &dyn Settings) -> Result<Undone, Error> {
    let found = settings.read(sysctl)?;
    if found == back {
        return Ok(Undone::NothingToDo);
    }
    if !ours.contains(&found) {
        return Ok(Undone::Superseded { found: format!("{sysctl} = {found}") });
    }
    if sysctl == Sysctl::CAPACITY {
        // An error here holds too: how full the tables are is then not known.
        let reason = match settings.fullest() {
            Ok(fullest) if holds(back, fullest) => None,
            Ok(fullest) => Some(format!(
                "{sysctl} stays {found}: the fullest network namespace has {fullest} entries, and {back} would leave less than a \
                 tenth of room above that: new connections would be dropped at once"
            )),
            Err(error) => Some(format!("{sysctl} stays {found}: how full the tables are is not known ({error})")),
        };
        if let Some(reason) = reason {
            return Ok(Undone::Held { reason });
        }
    }
    settings.write(sysctl, back)?;
    match settings.read(sysctl)? {
        found if found == back => Ok(Undone::Restored),
        found => Err(Error::NotTaken { sysctl, written: back, found }),
    }
}

/// Whether a capacity leaves a tenth of room above an occupancy. 0 is no limit (kernels before 7.0).
pub fn holds(capacity: u32, fullest: Occupancy) -> bool {
    capacity == 0 || u64::from(capacity) * 10 >= u64::from(fullest.0) * 11
}
