//! Trimming what has certainly been silent for too long.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use plimsoll_host::{HostFs, monotonic_now};
use plimsoll_model::{Occupancy, TcpState, Timeout};
use plimsoll_observe::{Place, find};
use plimsoll_trim::{Acted, Ground, Limits, Manner, Selection, StateName, Trimming, Wish};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::Error;

/// What was trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Trimmed {
    /// Entries that the kernel counted before.
    pub before: Occupancy,
    /// Entries that were deleted: their connections are over, or never came to be.
    pub deleted: u64,
    /// Entries that were left ten seconds, in which a packet arms them again.
    pub expiring: u64,
    /// Processor time that it took, in milliseconds, the kernel's among it.
    pub cpu_ms: u64,
}

/// The states of connections that are over, or never came to be: what comes again makes an entry of its own. `relieve` deletes the
/// same.
const OVER: [TcpState; 4] = [TcpState::TimeWait, TcpState::Close, TcpState::SynSent, TcpState::SynRecv];

/// What is not trimmed by then is left for another time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Trims a namespace's entries as if these timeouts were in force, what is over first. `seen` are values that others have set, beside
/// those that the journals know.
pub(crate) fn trim(
    state_dir: &Path,
    namespace: &str,
    as_if: &[(Timeout, u32)],
    seen: &BTreeSet<(Timeout, u32)>,
) -> Result<Trimmed, Error> {
    let began = monotonic_now();
    let host = HostFs::new();
    let found = find(&host, namespace)?;
    // What armed entries must be known, or a live flow would look stale.
    let applied = match found.namespace.inode {
        Some(inode) => plimsoll_apply::armed_with(state_dir, inode.0)?,
        None => Vec::new(),
    };
    let armed: Vec<_> = applied.into_iter().chain(seen.iter().copied()).collect();
    let over = Selection { states: OVER.map(StateName::of_tcp).to_vec(), ..Selection::default() };
    let passes = [(over, Manner::Delete), (Selection::default(), Manner::Expire)];
    let place = Place::of(&found);
    let acted = place.visit(|| -> Result<(Vec<Acted>, Duration), plimsoll_trim::Error> {
        let before = cpu_of_this_thread();
        let ground = Ground::read(&host)?;
        let pass = |(selection, manner)| {
            let wish = Wish { selection, as_if: as_if.to_vec(), armed: armed.clone() };
            Trimming::new(&ground, wish, manner).act(&limits(began + PATIENCE))
        };
        let acted: Result<_, _> = passes.into_iter().map(pass).collect();
        Ok((acted?, cpu_of_this_thread().saturating_sub(before)))
    });
    let (acted, cpu) = acted.map_err(|answer| Error::Enter { namespace: namespace.to_string(), answer })??;
    let changed = |manner| acted.iter().filter(|one| one.manner == manner).map(Acted::changed).sum();
    Ok(Trimmed {
        before: acted.first().map_or(Occupancy(0), |first| first.before),
        deleted: changed(Manner::Delete),
        expiring: changed(Manner::Expire),
        cpu_ms: u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX),
    })
}

fn cpu_of_this_thread() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(used.tv_sec).unwrap_or(0), u32::try_from(used.tv_nsec).unwrap_or(0))
}

fn limits(deadline: Duration) -> Limits<'static> {
    // Nobody raises it: it is over in seconds.
    static STOP: AtomicBool = AtomicBool::new(false);
    Limits { deadline: Some(deadline), ..Limits::none(&STOP) }
}
