//! What is done by a process that is to be killed at an exact step of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::cell::Cell;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plimsoll_apply::watchdog::{Guardian, Timer};
use plimsoll_apply::{Author, Change, Event, Manner, Moment, Persistence, Place, Prepared, Root, Which};
use plimsoll_model::{Edit, PolicyProtocol, PolicyTimeout, ServicePolicy, Sysctl};
use rustix::process::{Signal, getpid, kill_process};

use super::PLIMSOLL;
use super::applying::kill_watchdogs;

/// A timeout that [`be_killed`] changes.
pub(crate) struct Changed {
    pub(crate) path: &'static str,
    pub(crate) before: u32,
    pub(crate) after: u32,
}

/// The timeouts that it changes; a policy comes between them.
pub(crate) const TIMEOUTS: [Changed; 2] = [
    Changed { path: "net/netfilter/nf_conntrack_tcp_timeout_time_wait", before: 120, after: 15 },
    Changed { path: "net/netfilter/nf_conntrack_udp_timeout", before: 30, after: 20 },
];

/// Does what the environment says, and kills this process at the step that it says.
pub(crate) fn be_killed() {
    let Ok(role) = env::var("KILLED_ROLE") else { return };
    let folder = PathBuf::from(env::var_os("KILLED_FOLDER").unwrap());
    let step: u32 = env::var("KILLED_STEP").unwrap().parse().unwrap();
    let victims = env::var("KILLED_VICTIMS").unwrap();
    let passed = Cell::new(0_u32);
    let observer = |_: Moment, _: &Event| {
        if passed.replace(passed.get() + 1) == step {
            if victims.contains("watchdog") {
                kill_watchdogs(&folder);
            }
            let signal = if victims.contains("stopped") { Signal::STOP } else { Signal::KILL };
            kill_process(getpid(), signal).unwrap();
        }
    };
    match role.as_str() {
        "apply" => apply(&folder, Duration::from_mins(5), &observer),
        "apply briefly" => apply(&folder, Duration::from_secs(1), &observer),
        "confirm" => {
            let by = Author::of_this_process();
            let files = env::var_os("KILLED_FILES").map(|_| Persistence::Files(Root::default()));
            plimsoll_apply::confirm(&folder, &files.unwrap_or(Persistence::RuntimeOnly), by, &observer).unwrap();
        }
        "rollback" => {
            plimsoll_apply::rollback(&folder, &Root::default(), Which::Last, &observer).unwrap();
        }
        other => panic!("{other}"),
    }
}

fn apply(folder: &Path, confirm_within: Duration, observer: &dyn Fn(Moment, &Event)) {
    let manner = Manner { soak: Duration::ZERO, confirm_within, probe: None, by: Author::of_this_process() };
    let guardian = Guardian { program: PLIMSOLL.into(), timer: Timer::None };
    let make = |id| Prepared::new(changes(), Place::named(&env::var("KILLED_NETNS").unwrap())?, id);
    let applied = plimsoll_apply::apply(folder, &manner, &guardian, observer, &|| false, make).unwrap();
    assert!(matches!(applied, Some(plimsoll_apply::Applied::Awaiting(_))), "{applied:#?}");
}

fn changes() -> Vec<Change> {
    let sysctl = |path: &str, from, to| Edit::Sysctl { sysctl: path.parse().unwrap(), from, to };
    let established: Sysctl = "nf_conntrack_tcp_timeout_established".parse().unwrap();
    let policy = ServicePolicy {
        protocol: PolicyProtocol::Tcp,
        port: 443,
        timeouts: vec![PolicyTimeout { sysctl: established, secs: 600 }],
    };
    let [first, second] = TIMEOUTS.map(|timeout| sysctl(timeout.path, timeout.before, timeout.after));
    let edits = [first, Edit::Policy(policy), second];
    edits.into_iter().map(|edit| Change { edit, why: "a test".to_string() }).collect()
}
