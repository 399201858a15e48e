//! What other processes have left undone.

use std::collections::BTreeSet;

use crate::Error;
use crate::application::{Application, Lasting, Phase};
use crate::confirm::write_files;
use crate::files::Root;
use crate::ground::Footing;
use crate::journal::{self, Journal, Observer, now_ms};
use crate::record::{Because, Begun};
use crate::state_dir::{MOST_JOURNALS, StateDir};
use crate::undo::undo;

/// What governors do that are at work, while applications are brought to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Governors {
    /// They undo: what is planned, and what undoes it, is not to rest on values that a governor has set for a while.
    GiveWay,
    /// They go on.
    Stay,
}

/// Brings every application to rest, under the lock: what was killed half-way or has passed its deadline is undone, files of
/// a confirmed one are written. An error where one awaits confirmation, or cannot be undone now.
pub(crate) fn recover(
    folder: &StateDir,
    root: &Root,
    governors: Governors,
    observer: Observer<'_>,
) -> Result<(), Error> {
    let ids = folder.ids()?;
    let (mut of_governors, mut shields) = (BTreeSet::new(), BTreeSet::new());
    for id in &ids {
        let application = journal::read(folder, *id)?;
        if application.is_governed() && application.phase == Phase::Ended {
            of_governors.insert(*id);
        }
        recover_one(folder, root, &application, governors, observer)?;
        // What is in force is undone by its journal alone.
        if application.is_shield() && application.phase != Phase::Ended {
            shields.insert(*id);
        }
    }
    prune(folder, &ids.into_iter().filter(|id| !shields.contains(id)).collect::<Vec<_>>(), &of_governors)
}

fn recover_one(
    folder: &StateDir,
    root: &Root,
    application: &Application,
    governors: Governors,
    observer: Observer<'_>,
) -> Result<(), Error> {
    let id = application.begun.id;
    let because = match application.phase {
        Phase::Applying if application.is_governed() => match (governors, folder.watchdog_lives(id)) {
            (Governors::Stay, true) => return Ok(()),
            (Governors::GiveWay, true) => Because::GaveWay,
            (_, false) => Because::GovernorLost,
        },
        Phase::Ended | Phase::Confirmed(Lasting::Written) => return Ok(()),
        Phase::Confirmed(Lasting::ToBeWritten) => {
            // What is somebody else's by now, or cannot be written, is no reason to do nothing more.
            return write_files(&mut Journal::resume(folder, id, observer)?, root).map(drop);
        }
        // It rests on nothing that others change, and what undoes it compares before it sets.
        Phase::Awaiting { deadline_ms } if application.is_shield() && is_ahead(&application.begun, deadline_ms)? => {
            return Ok(());
        }
        Phase::Awaiting { deadline_ms } if is_ahead(&application.begun, deadline_ms)? => {
            return Err(Error::Refused(format!(
                "application {id} awaits its confirmation: `plimsoll confirm` keeps it, `plimsoll rollback` undoes it; two are not \
                 watched at once"
            )));
        }
        Phase::Awaiting { .. } => application.when_over(),
        Phase::Applying => Because::ApplierLost,
        Phase::Undoing => application.undone_because.last().cloned().unwrap_or(Because::ApplierLost),
    };
    let mut journal = Journal::resume(folder, id, observer)?;
    let footing = Footing::of(&application.begun)?;
    let unwritten = undo(&mut journal, &footing.ground(), root, because);
    if let Some(error) = unwritten.into_iter().next() {
        return Err(error);
    }
    let remaining = journal.application().remaining().into_iter().map(ToString::to_string);
    let remaining: Vec<_> = remaining.collect();
    if remaining.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "application {id} is not wholly undone yet ({}); `plimsoll rollback {id}` tries again",
        remaining.join("; ")
    )))
}

/// Whether a deadline is still to come. In another boot than its own it is past, whatever the clock shows.
pub(crate) fn is_ahead(begun: &Begun, deadline_ms: u64) -> Result<bool, Error> {
    let boot = plimsoll_host::HostFs::new().boot_id()?;
    Ok(boot.as_str() == begun.boot_id && now_ms() < deadline_ms)
}

/// Removes the oldest. A governor makes many, of which nobody asks to be undone: while they are half of all, they go first.
fn prune(folder: &StateDir, ids: &[u32], of_governors: &BTreeSet<u32>) -> Result<(), Error> {
    // One more is about to begin.
    let surplus = (ids.len() + 1).saturating_sub(MOST_JOURNALS);
    let governors_go = of_governors.len() > MOST_JOURNALS / 2;
    let may_go = |id: &&u32| !governors_go || of_governors.contains(id);
    ids.iter().filter(may_go).take(surplus).try_for_each(|id| folder.remove(*id))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn of_many_journals_governors_go_first_while_they_are_more_than_half() {
        let around = tempfile::tempdir().unwrap();
        let folder = StateDir::create(&around.path().join("state")).unwrap();
        // One too many, with the one that is about to begin.
        let ids: Vec<u32> = (1..=200).collect();
        let left = |of_governors: std::ops::Range<u32>| {
            for id in &ids {
                fs::write(folder.journal(*id), "").unwrap();
            }
            prune(&folder, &ids, &of_governors.collect()).unwrap();
            let left = folder.ids().unwrap();
            ids.iter().copied().filter(|id| !left.contains(id)).collect::<Vec<_>>()
        };
        assert_eq!((left(50..151), left(50..150), left(0..0)), (vec![50], vec![1], vec![1]));
    }
}
