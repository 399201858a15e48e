//! What other processes have left undone.

use crate::Error;
use crate::application::{Lasting, Phase};
use crate::confirm::write_files;
use crate::files::Root;
use crate::ground::Footing;
use crate::journal::{self, Journal, Observer, now_ms};
use crate::record::{Because, Begun};
use crate::state_dir::{MOST_JOURNALS, StateDir};
use crate::undo::undo;

/// Brings every application to rest, under the lock: what was killed half-way or has passed its deadline is undone, files of
/// a confirmed one are written. An error where one awaits confirmation, or cannot be undone now.
pub(crate) fn recover(folder: &StateDir, root: &Root, observer: Observer<'_>) -> Result<(), Error> {
    let ids = folder.ids()?;
    for id in &ids {
        recover_one(folder, root, *id, observer)?;
    }
    prune(folder, &ids)
}

fn recover_one(folder: &StateDir, root: &Root, id: u32, observer: Observer<'_>) -> Result<(), Error> {
    let application = journal::read(folder, id)?;
    let because = match application.phase {
        Phase::Ended | Phase::Confirmed(Lasting::Written) => return Ok(()),
        Phase::Confirmed(Lasting::ToBeWritten) => {
            // What is somebody else's by now, or cannot be written, is no reason to do nothing more.
            return write_files(&mut Journal::resume(folder, id, observer)?, root).map(drop);
        }
        Phase::Awaiting { deadline_ms } if is_ahead(&application.begun, deadline_ms)? => {
            return Err(Error::Refused(format!(
                "application {id} awaits its confirmation: `plimsoll confirm` keeps it, `plimsoll rollback` undoes it; two are not \
                 watched at once"
            )));
        }
        Phase::Awaiting { .. } => Because::NotConfirmed,
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

fn prune(folder: &StateDir, ids: &[u32]) -> Result<(), Error> {
    // One more is about to begin.
    let surplus = (ids.len() + 1).saturating_sub(MOST_JOURNALS);
    ids.iter().take(surplus).try_for_each(|id| folder.remove(*id))
}
