//! What is not at rest, for commands that only read.

use std::path::Path;

use crate::Error;
use crate::application::{Application, Lasting, Phase};
use crate::journal::{self, now_ms};
use crate::recovery::is_ahead;
use crate::state_dir::StateDir;

/// An application that is not at rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// The application.
    pub application: Application,
    /// What is to be known of it, in a sentence.
    pub sentence: String,
}

/// All applications that are not at rest. It reads, and writes nothing.
pub fn pending(state_dir: &Path) -> Result<Vec<Pending>, Error> {
    let Some(folder) = StateDir::open(state_dir)? else { return Ok(Vec::new()) };
    let mut pending = Vec::new();
    for id in folder.ids()? {
        let application = journal::read(&folder, id)?;
        if let Some(sentence) = sentence(&folder, &application)? {
            pending.push(Pending { application, sentence });
        }
    }
    Ok(pending)
}

/// All applications, the oldest first. It reads, and writes nothing.
pub fn history(state_dir: &Path) -> Result<Vec<Application>, Error> {
    let Some(folder) = StateDir::open(state_dir)? else { return Ok(Vec::new()) };
    folder.ids()?.into_iter().map(|id| journal::read(&folder, id)).collect()
}

fn sentence(folder: &StateDir, application: &Application) -> Result<Option<String>, Error> {
    let begun = &application.begun;
    let id = begun.id;
    let unguarded = if folder.watchdog_lives(id) { "" } else { " (its watchdog does not live)" };
    Ok(Some(match application.phase {
        Phase::Ended | Phase::Confirmed(Lasting::Written) => return Ok(None),
        Phase::Applying if !unguarded.is_empty() => {
            format!("application {id} was begun, and whoever made it was killed: `plimsoll rollback {id}` undoes it")
        }
        Phase::Applying => format!("application {id} is being made at this moment"),
        Phase::Awaiting { deadline_ms } if is_ahead(begun, deadline_ms)? => {
            let secs = deadline_ms.saturating_sub(now_ms()) / 1000;
            format!("application {id} is undone in {secs} s{unguarded} unless `plimsoll confirm` keeps it")
        }
        Phase::Awaiting { .. } => {
            format!(
                "application {id} was not confirmed in time and is not undone yet{unguarded}: `plimsoll rollback {id}` undoes it"
            )
        }
        Phase::Confirmed(Lasting::ToBeWritten) => {
            format!("application {id} is confirmed, and its files are not written yet: `plimsoll confirm` writes them")
        }
        Phase::Undoing => {
            let left = application.remaining().into_iter().map(ToString::to_string).collect::<Vec<_>>();
            let left = if left.is_empty() { "begun and not ended".to_string() } else { left.join("; ") };
            format!("application {id} is not wholly undone{unguarded} ({left}): `plimsoll rollback {id}` tries again")
        }
    }))
}
