//! Undoing because somebody asks for it, or because nobody confirmed.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::Error;
use crate::application::{Application, Phase};
use crate::files::Root;
use crate::governed;
use crate::ground::Footing;
use crate::journal::{self, Journal, Observer, now_ms};
use crate::record::Because;
use crate::recovery::is_ahead;
use crate::state_dir::{PATIENCE, StateDir};
use crate::undo::undo;

/// What is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The last application of which anything is in force, governors' apart.
    Last,
    /// This one and all that came after it, the last first.
    Since(u32),
    /// This one, if it is not confirmed by its deadline, which is waited for.
    IfUnconfirmed(u32),
}

/// What came of undoing an application.
#[derive(Clone, Debug, PartialEq)]
pub struct RolledBack {
    /// The application.
    pub application: Application,
    /// What could not be written down.
    pub unwritten: Vec<String>,
}

/// Undoes. It may be done again: what is undone already is left. Governors give way first, whatever is undone: what they have set
/// lies above what others have applied.
pub fn rollback(state_dir: &Path, root: &Root, which: Which, observer: Observer<'_>) -> Result<Vec<RolledBack>, Error> {
    let Some(folder) = StateDir::open(state_dir)? else { return Ok(Vec::new()) };
    if let Which::IfUnconfirmed(id) = which {
        await_deadline(&folder, id)?;
    }
    let _lock = folder.lock(PATIENCE)?;
    let mut rolled_back = match which {
        Which::Last | Which::Since(_) => governed::give_way(&folder, root, observer)?,
        // No governor begins anything while one is unconfirmed.
        Which::IfUnconfirmed(_) => Vec::new(),
    };
    for id in chosen(&folder, which)? {
        let because = match which {
            Which::IfUnconfirmed(_) => journal::read(&folder, id)?.when_over(),
            Which::Last | Which::Since(_) => Because::Asked,
        };
        rolled_back.push(undo_application(&folder, root, id, because, observer)?);
    }
    Ok(rolled_back)
}

/// Undoes one application, under the lock.
pub(crate) fn undo_application(
    folder: &StateDir,
    root: &Root,
    id: u32,
    because: Because,
    observer: Observer<'_>,
) -> Result<RolledBack, Error> {
    let mut journal = Journal::resume(folder, id, observer)?;
    let footing = Footing::of(&journal.application().begun)?;
    let unwritten = undo(&mut journal, &footing.ground(), root, because);
    Ok(RolledBack {
        application: journal.application().clone(),
        unwritten: unwritten.iter().map(ToString::to_string).collect(),
    })
}

/// The applications to undo, the last first. No journal is read that does not matter: one that makes no sense keeps nobody from
/// undoing another.
fn chosen(folder: &StateDir, which: Which) -> Result<Vec<u32>, Error> {
    let mut ids = folder.ids()?;
    ids.reverse();
    let is_open = |id: &u32| journal::read(folder, *id).map(|of| (of.phase != Phase::Ended).then_some(*id));
    match which {
        Which::Last => ids.iter().find_map(|id| is_open(id).transpose()).transpose().map(Vec::from_iter),
        Which::Since(first) if !ids.contains(&first) => Err(Error::Refused(format!(
            "there is no application {first}; `plimsoll history` lists those that there are"
        ))),
        Which::Since(first) => ids.iter().filter(|id| **id >= first).filter_map(|id| is_open(id).transpose()).collect(),
        Which::IfUnconfirmed(id) => {
            let phase = journal::read(folder, id)?.phase;
            Ok(if matches!(phase, Phase::Confirmed(_) | Phase::Ended) { Vec::new() } else { vec![id] })
        }
    }
}

/// Waits until an application is confirmed, undone, or past its deadline.
fn await_deadline(folder: &StateDir, id: u32) -> Result<(), Error> {
    const LONGEST: Duration = Duration::from_secs(1);
    loop {
        let application = journal::read(folder, id)?;
        let deadline_ms = match application.phase {
            Phase::Awaiting { deadline_ms } => deadline_ms,
            Phase::Applying => application.begun.last_deadline_ms,
            Phase::Confirmed(_) | Phase::Undoing | Phase::Ended => return Ok(()),
        };
        if !is_ahead(&application.begun, deadline_ms)? {
            return Ok(());
        }
        // Meanwhile it may be confirmed, or undone: that is looked at again.
        thread::sleep(Duration::from_millis(deadline_ms.saturating_sub(now_ms())).min(LONGEST));
    }
}
