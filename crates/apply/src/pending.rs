//! What is not at rest, for commands that only read.

use std::path::Path;

use plimsoll_model::Untrusted;

use crate::Error;
use crate::application::{Application, Lasting, Phase};
use crate::journal::{self, now_ms};
use crate::recovery::is_ahead;
use crate::state_dir::StateDir;

/// What is to be known of each application that is not at rest, or of which that cannot be told: a sentence each. It reads, and writes
/// nothing.
pub fn pending(state_dir: &Path) -> Result<Vec<String>, Error> {
    let Some(folder) = StateDir::open(state_dir)? else { return Ok(Vec::new()) };
    let mut sentences = Vec::new();
    for id in folder.ids()? {
        match journal::read(&folder, id) {
            Ok(application) => sentences.extend(sentence(&folder, &application)?),
            // The others are told of all the same.
            Err(error) => sentences.push(format!("whether application {id} is pending is not known: {error}")),
        }
    }
    Ok(sentences)
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
        Phase::Applying if application.is_governed() && unguarded.is_empty() => format!(
            "application {id} is a governor's: it has changed timeouts of {} for as long as the table is full, and undoes them by \
             itself",
            Untrusted::from(begun.namespace.name.as_str())
        ),
        Phase::Applying if application.is_governed() => {
            format!(
                "application {id} is a governor's, and nobody guards it{unguarded}: `plimsoll rollback {id}` undoes it"
            )
        }
        Phase::Applying if !unguarded.is_empty() => {
            format!("application {id} was begun, and whoever made it was killed: `plimsoll rollback {id}` undoes it")
        }
        Phase::Applying => format!("application {id} is being made at this moment"),
        Phase::Awaiting { deadline_ms } if application.is_shield() && is_ahead(begun, deadline_ms)? => {
            let secs = deadline_ms.saturating_sub(now_ms()) / 1000;
            format!(
                "application {id} is a shield, which ends in {secs} s{unguarded}; `plimsoll shield --status` tells more"
            )
        }
        Phase::Awaiting { deadline_ms } if is_ahead(begun, deadline_ms)? => {
            let secs = deadline_ms.saturating_sub(now_ms()) / 1000;
            format!("application {id} is undone in {secs} s{unguarded} unless `plimsoll confirm` keeps it")
        }
        Phase::Awaiting { .. } => {
            format!(
                "application {id} was to be undone by now and is not yet{unguarded}: `plimsoll rollback {id}` undoes it"
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
