//! What the journals tell of values: those that were applied last, and those that were in force earlier.

use std::collections::BTreeMap;
use std::path::Path;

use plimsoll_host::{HostFs, monotonic_now};
use plimsoll_model::{Edit, NamedBy, Reach, Snapshot, Sysctl, Timeout};

use crate::Error;
use crate::application::{Application, Phase, Progress};
use crate::pending::history;
use crate::record::NamespaceKind;
use crate::revert::Revert;

/// Notes in a snapshot what the journals tell of the host's own namespace. Where they cannot be read it is as where nothing was
/// applied.
pub fn note_applied(snapshot: &mut Snapshot, state_dir: &Path) {
    snapshot.applied = applied(state_dir).ok().flatten();
    let host = snapshot.namespaces.iter().find(|ns| ns.namespace.named_by == NamedBy::Host);
    let inode = host.and_then(|ns| ns.namespace.inode);
    snapshot.governed = inode.and_then(|inode| governed(state_dir, inode.0).ok()).unwrap_or_default();
}

/// What was applied last to the host's own namespace and is not undone: what ought to be in force. `None` where nothing was ever
/// applied there. Of another boot only what was made to last counts.
pub fn applied(state_dir: &Path) -> Result<Option<Vec<(Sysctl, u32)>>, Error> {
    let boot_id = HostFs::new().boot_id()?;
    let history = history(state_dir)?;
    Ok(if history.is_empty() { None } else { Some(ought_to_be(&history, boot_id.as_str())) })
}

/// The timeouts that were in force in a namespace in this boot, before and after each change: an entry may have been armed with
/// any of them. What a governor set is left out once every entry that it could have armed has expired.
pub fn armed_with(state_dir: &Path, inode: u64) -> Result<Vec<(Timeout, u32)>, Error> {
    let boot_id = HostFs::new().boot_id()?;
    // Timeouts do not run while the machine is suspended; counted so, less time seems to have passed than has.
    let now_ms = u64::try_from(monotonic_now().as_millis()).unwrap_or(0);
    Ok(in_force_once(&history(state_dir)?, boot_id.as_str(), inode, now_ms))
}

/// What a governor has changed in a namespace for a while, and what each was before: that is what was meant to be in force, and what
/// will be again.
pub fn governed(state_dir: &Path, inode: u64) -> Result<Vec<(Sysctl, u32)>, Error> {
    let boot_id = HostFs::new().boot_id()?;
    Ok(before_governing(&history(state_dir)?, boot_id.as_str(), inode))
}

fn before_governing(history: &[Application], boot_id: &str, inode: u64) -> Vec<(Sysctl, u32)> {
    let here = history.iter().filter(|of| of.begun.boot_id == boot_id && of.begun.namespace.inode == inode);
    let governed = here.filter(|of| of.is_governed()).flat_map(|of| of.begun.reverts.iter().zip(&of.changes));
    let changed = governed.filter(|(_, progress)| matches!(progress, Progress::Begun | Progress::Written { .. }));
    let before = changed.filter_map(|(revert, _)| match revert {
        Revert::Sysctl { sysctl, back, .. } => Some((*sysctl, *back)),
        Revert::Rules(_) | Revert::Shield { .. } | Revert::XdpStage { .. } => None,
    });
    before.collect()
}

fn ought_to_be(history: &[Application], boot_id: &str) -> Vec<(Sysctl, u32)> {
    let mut values = BTreeMap::new();
    for application in history {
        let begun = &application.begun;
        let lasts = matches!(application.phase, Phase::Confirmed(_)) && !application.files.is_empty();
        for (index, (change, progress)) in begun.changes.iter().zip(&application.changes).enumerate() {
            let Edit::Sysctl { sysctl, to, .. } = change.edit else { continue };
            if begun.namespace.kind == NamespaceKind::Other && sysctl.reach() == Reach::Namespace {
                continue;
            }
            // What is undone leaves what was there before.
            if matches!(progress, Progress::Written { .. }) && (begun.boot_id == boot_id || lasts) {
                let moved = application.is_governed().then(|| application.ours(index).first().copied()).flatten();
                values.insert(sysctl, moved.unwrap_or(to));
            }
        }
    }
    values.into_iter().collect()
}

fn in_force_once(history: &[Application], boot_id: &str, inode: u64, now_ms: u64) -> Vec<(Timeout, u32)> {
    let here = history.iter().filter(|of| of.begun.boot_id == boot_id && of.begun.namespace.inode == inode);
    let mut values = Vec::new();
    for application in here {
        for (index, change) in application.begun.changes.iter().enumerate() {
            let Edit::Sysctl { sysctl, from, to } = change.edit else { continue };
            let Some(timeout) = sysctl.timeout() else { continue };
            values.push((timeout, from));
            if application.is_governed() {
                values.extend(moved_to(application, index, now_ms).map(|secs| (timeout, secs)));
            } else {
                values.push((timeout, to));
            }
        }
    }
    values.sort_unstable();
    values.dedup();
    values
}

/// What a change's sysctl was moved to, as far as entries may be there that were armed with it.
fn moved_to(application: &Application, change: usize, now_ms: u64) -> impl Iterator<Item = u32> {
    let moves: Vec<_> = application.moves.iter().filter(|moved| moved.to.change == change).collect();
    let ended = (application.phase == Phase::Ended).then_some(application.last_ms);
    // Each was in force until the next one was made.
    let until: Vec<_> = moves.iter().skip(1).map(|next| next.made_at_ms).chain([None]).collect();
    let values: Vec<_> = moves.iter().map(|moved| moved.to.to).collect();
    values.into_iter().zip(until).filter_map(move |(secs, until)| {
        let all_expired_ms = until.or(ended).map(|until| until.saturating_add(u64::from(secs) * 1000));
        all_expired_ms.is_none_or(|expired| now_ms <= expired).then_some(secs)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::{Lasting, Moved};
    use crate::author::Author;
    use crate::plan::Change;
    use crate::record::{Begun, FileEdit, Kind, Move, SCHEMA, Undone, Where};

    const TIME_WAIT: &str = "nf_conntrack_tcp_timeout_time_wait";

    fn application(boot: &str, kind: NamespaceKind, name: &str, to: u32, progress: Progress) -> Application {
        let edit = Edit::Sysctl { sysctl: name.parse().unwrap(), from: 120, to };
        let changes = vec![Change { edit, why: String::new() }];
        let begun = Begun {
            schema: SCHEMA.to_string(),
            id: 1,
            kind: Kind::Once,
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
            untracked: BTreeMap::new(),
            moves: Vec::new(),
            max_collateral: None,
            withdrawn: None,
            phase: Phase::Confirmed(Lasting::Written),
            confirmed_by: None,
            files: Vec::new(),
            undone_because: Vec::new(),
            last_ms: 0,
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
        assert_eq!(in_force_once(&history, "now", 7, 0), [(time_wait, 60), (time_wait, 120)]);
        assert!(in_force_once(&history, "now", 8, 0).is_empty());
    }

    fn governed(moves: &[(u32, Option<u64>)]) -> Application {
        let made_at_ms = moves.last().and_then(|(_, made)| *made);
        let progress = made_at_ms.map_or(Progress::Begun, |at_ms| Progress::Written { at_ms });
        let mut governed = application("now", NamespaceKind::Host, TIME_WAIT, 30, progress);
        governed.begun.kind = Kind::Governed;
        governed.begun.reverts = vec![Revert::Sysctl { sysctl: TIME_WAIT.parse().unwrap(), ours: 30, back: 120 }];
        governed.phase = Phase::Applying;
        let one =
            |(to, made_at_ms): &(u32, Option<u64>)| Moved { to: Move { change: 0, to: *to }, made_at_ms: *made_at_ms };
        governed.moves = moves.iter().map(one).collect();
        governed
    }

    #[test]
    fn what_a_governor_set_last_ought_to_be_in_force() {
        let value = |governed| ought_to_be(&[governed], "now").first().map(|(_, value)| *value);
        assert_eq!(value(governed(&[(90, Some(1)), (60, Some(2))])), Some(60));
        assert_eq!(value(governed(&[(90, Some(1)), (60, None)])), None, "either");
        let before = |governed, inode| before_governing(&[governed], "now", inode);
        let time_wait: Sysctl = TIME_WAIT.parse().unwrap();
        assert_eq!(before(governed(&[(90, Some(1))]), 7), [(time_wait, 120)]);
        let mut undone = governed(&[(90, Some(1))]);
        undone.changes = vec![Progress::Undone(Undone::Restored)];
        assert!(before(undone, 7).is_empty() && before(governed(&[(90, Some(1))]), 8).is_empty());
    }

    #[test]
    fn what_a_governor_set_counts_until_nothing_that_it_armed_can_be_left() {
        let secs = |governed, now_ms| -> Vec<u32> {
            in_force_once(&[governed], "now", 7, now_ms).into_iter().map(|(_, secs)| secs).collect()
        };
        // 90 was in force until 5 s: what it armed last expires at 95 s.
        let moved = || governed(&[(90, Some(1000)), (60, Some(5000))]);
        assert_eq!(secs(moved(), 95_000), [60, 90, 120]);
        assert_eq!(secs(moved(), 95_001), [60, 120]);
        let ended = Application { phase: Phase::Ended, last_ms: 7000, ..moved() };
        assert_eq!((secs(ended.clone(), 67_000), secs(ended, 95_001)), (vec![60, 90, 120], vec![120]));
        let unsure = governed(&[(90, Some(1000)), (60, None)]);
        assert_eq!(secs(unsure, u64::MAX), [60, 90, 120]);
    }
}
