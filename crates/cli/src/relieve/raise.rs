//! Raising the limit, so that it can be undone.

use std::time::Duration;

use plimsoll_apply::{Applied, Author, Change, Manner, Persistence, Place, Prepared, confirm};
use plimsoll_diagnose::words::grouped;
use plimsoll_model::{Edit, Sysctl};

use super::RelieveArguments;
use crate::apply::guardian;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// It is in force until the next boot, or until this application is rolled back.
    ByApplication(u32),
    /// It is not; why, and what would do it.
    Not(String),
}

/// Raises the limit and keeps it: whoever asks for relief does not want it back in five minutes. The journal has it, so that
/// `rollback` undoes it.
pub(super) fn raise(arguments: &RelieveArguments, from: u32, to: u32, because: &str) -> Raised {
    match applied(arguments, from, to, because) {
        Ok(Some(id)) => Raised::ByApplication(id),
        Ok(None) => Raised::Not(format!("it is {} already", grouped(to.into()))),
        Err(error) => Raised::Not(format!("{error:#}; on the host itself: sysctl -w {}={to}", Sysctl::CAPACITY)),
    }
}

fn applied(arguments: &RelieveArguments, from: u32, to: u32, because: &str) -> anyhow::Result<Option<u32>> {
    let state_dir = arguments.common.state_dir();
    let manner = Manner {
        soak: Duration::ZERO,
        confirm_within: Duration::from_mins(1),
        probe: None,
        by: Author::of_this_process(),
    };
    let change = Change { edit: Edit::Sysctl { sysctl: Sysctl::CAPACITY, from, to }, why: because.to_string() };
    let make = |id| Prepared::new(vec![change], Place::named("this")?, id);
    match plimsoll_apply::apply(&state_dir, &manner, &guardian()?, &|_, _| {}, &|| false, make)? {
        None => Ok(None),
        Some(Applied::Awaiting(_)) => {
            let confirmed = confirm(&state_dir, &Persistence::RuntimeOnly, Author::of_this_process(), &|_, _| {})?;
            Ok(Some(confirmed.application.begun.id))
        }
        Some(Applied::Undone { because, .. }) => anyhow::bail!("it was undone at once: {because}"),
    }
}
