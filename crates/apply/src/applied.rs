//! What the journals tell of values: those that were applied last, and those that were in force earlier.

use std::collections::BTreeMap;
use std::path::Path;

use plimsoll_host::HostFs;
use plimsoll_model::{Edit, Reach, Sysctl, Timeout};

use crate::Error;
use crate::application::{Application, Phase, Progress};
use crate::pending::history;
use crate::record::NamespaceKind;

/// What was applied last to the host's own namespace and is not undone: what ought to be in force. `None` where nothing was ever
/// applied there. Of another boot only what was made to last counts.
pub fn applied(state_dir: &Path) -> Result<Option<Vec<(Sysctl, u32)>>, Error> {
    let boot_id = HostFs::new().boot_id()?;
    let history = history(state_dir)?;
    Ok(if history.is_empty() { None } else { Some(ought_to_be(&history, boot_id.as_str())) })
}

/// The timeouts that were in force in a namespace in this boot, before and after each change: an entry may have been armed with
/// any of them.
pub fn armed_with(state_dir: &Path, inode: u64) -> Result<Vec<(Timeout, u32)>, Error> {
    let boot_id = HostFs::new().boot_id()?;
    Ok(in_force_once(&history(state_dir)?, boot_id.as_str(), inode))
}

fn ought_to_be(history: &[Application], boot_id: &str) -> Vec<(Sysctl, u32)> {
    let mut values = BTreeMap::new();
    for application in history {
        let begun = &application.begun;
        let lasts = matches!(application.phase, Phase::Confirmed(_)) && !application.files.is_empty();
        for (change, progress) in begun.changes.iter().zip(&application.changes) {
            let Edit::Sysctl { sysctl, to, .. } = change.edit else { continue };
            if begun.namespace.kind == NamespaceKind::Other && sysctl.reach() == Reach::Namespace {
                continue;
            }
            // What is undone leaves what was there before.
            if matches!(progress, Progress::Written { .. }) && (begun.boot_id == boot_id || lasts) {
                values.insert(sysctl, to);
            }
        }
    }
    values.into_iter().collect()
}

fn in_force_once(history: &[Application], boot_id: &str, inode: u64) -> Vec<(Timeout, u32)> {
    let here = history.iter().filter(|of| of.begun.boot_id == boot_id && of.begun.namespace.inode == inode);
    let edits = here.flat_map(|application| &application.begun.changes).filter_map(|change| match change.edit {
        Edit::Sysctl { sysctl, from, to } => Some((sysctl.timeout()?, from, to)),
        Edit::Policy(_) => None,
    });
    let mut values: Vec<_> = edits.flat_map(|(timeout, from, to)| [(timeout, from), (timeout, to)]).collect();
    values.sort_unstable();
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::Lasting;
    use crate::author::Author;
    use crate::plan::Change;
    use crate::record::{Begun, FileEdit, SCHEMA, Undone, Where};

    const TIME_WAIT: &str = "nf_conntrack_tcp_timeout_time_wait";

    fn application(boot: &str, kind: NamespaceKind, name: &str, to: u32, progress: Progress) -> Application {
        let edit = Edit::Sysctl { sysctl: name.parse().unwrap(), from: 120, to };
        let changes = vec![Change { edit, why: String::new() }];
        let begun = Begun {
            schema: SCHEMA.to_string(),
            id: 1,
            boot_id: boot.to_string(),
            by: Author::of_this_process(),
            namespace: Where { name: "x".to_string(), inode: 7, kind },
            changes,
            reverts: Vec::new(),
            soak_ms: 0,
            confirm_within_ms: 0,
            last_deadline_ms: 0,
            probe: None,
            baseline: None,
        };
        Application {
            begun,
            began_unix_secs: 0,
            changes: vec![progress],
            phase: Phase::Confirmed(Lasting::Written),
            confirmed_by: None,
            files: Vec::new(),
            undone_because: Vec::new(),
        }
    }

    #[test]
    fn the_last_value_that_is_not_undone_ought_to_be_in_force() {
        let written = Progress::Written { at_ms: 1 };
        let host = |boot: &str, to, progress| application(boot, NamespaceKind::Host, TIME_WAIT, to, progress);
        let value = |history: &[Application]| ought_to_be(history, "now").first().map(|(_, value)| *value);
        assert_eq!(value(&[host("now", 60, written.clone()), host("now", 30, written.clone())]), Some(30));
        let undone = Progress::Undone(Undone::Restored);
        assert_eq!(value(&[host("now", 60, written.clone()), host("now", 30, undone)]), Some(60));
        assert_eq!(value(&[host("now", 60, written.clone()), host("now", 30, Progress::Untouched)]), Some(60));
        // Gone with its boot, unless files have it.
        let mut earlier = host("before", 60, written.clone());
        assert_eq!(value(std::slice::from_ref(&earlier)), None);
        earlier.files.push((FileEdit { path: "/x".into(), before: None, after: String::new() }, None));
        assert_eq!(value(&[earlier]), Some(60));
        let elsewhere = |name| application("now", NamespaceKind::Other, name, 60, written.clone());
        assert_eq!(value(&[elsewhere(TIME_WAIT)]), None);
        assert_eq!(value(&[elsewhere("nf_conntrack_max")]), Some(60), "it is the host's, from wherever it was set");
    }

    #[test]
    fn every_timeout_of_this_boot_may_have_armed_an_entry() {
        let history = [
            application("now", NamespaceKind::Other, TIME_WAIT, 60, Progress::Undone(Undone::Restored)),
            application("before", NamespaceKind::Other, TIME_WAIT, 45, Progress::Written { at_ms: 1 }),
            application("now", NamespaceKind::Other, "nf_conntrack_max", 9, Progress::Written { at_ms: 1 }),
        ];
        let time_wait = Timeout::Tcp(plimsoll_model::TcpState::TimeWait);
        assert_eq!(in_force_once(&history, "now", 7), [(time_wait, 60), (time_wait, 120)]);
        assert!(in_force_once(&history, "now", 8).is_empty());
    }
}
