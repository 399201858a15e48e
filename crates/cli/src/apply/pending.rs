//! What commands that only read say of changes that are not at rest.

use super::arguments::state_dir;
use crate::arguments::Color;
use crate::output;

/// Says on standard error what awaits confirmation, or is not undone.
pub(crate) fn say_what_is_pending(color: Color) {
    let say = |text: &str| output::write_progress(&format!("plimsoll: {text}\n"), color);
    match plimsoll_apply::pending(&state_dir()) {
        Ok(pending) => pending.iter().for_each(|one| say(&one.sentence)),
        Err(error) => say(&format!("whether a change awaits its confirmation is not known: {error}")),
    }
}
