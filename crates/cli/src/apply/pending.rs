//! What commands that only read say of changes that are not at rest.

use std::path::Path;

use anyhow::Context;
use plimsoll_model::{Namespace, Sysctl, Timeout, Untrusted};

use super::arguments::state_dir;
use crate::arguments::Color;
use crate::output;

/// The timeouts that the journals know to have been in force in a namespace: an entry may have been armed with any of them. Not to
/// know them is an error, since a live flow would look stale.
pub(crate) fn armed_with(state_dir: &Path, namespace: &Namespace) -> anyhow::Result<Vec<(Timeout, u32)>> {
    let Some(inode) = namespace.inode else { return Ok(Vec::new()) };
    let known = plimsoll_apply::armed_with(state_dir, inode.0);
    known.context(
        "reading which timeouts were in force earlier (--state-dir, or PLIMSOLL_STATE_DIR, names another folder)",
    )
}

/// What was applied last, by the journals; `None` where nothing was, or they may not be read.
pub(crate) fn what_was_applied() -> Option<Vec<(Sysctl, u32)>> {
    plimsoll_apply::applied(&state_dir()).ok().flatten()
}

/// Says on standard error what awaits confirmation, or is not undone.
pub(crate) fn say_what_is_pending(color: Color) {
    let say = |text: &str| output::write_progress(&format!("plimsoll: {text}\n"), color);
    match plimsoll_apply::pending(&state_dir()) {
        Ok(pending) => pending.into_iter().for_each(|one| say(Untrusted::from_escaped(one).as_str())),
        Err(error) => say(&format!("whether a change awaits its confirmation is not known: {error}")),
    }
}
