//! Trimming what nobody will miss.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
use plimsoll_host::HostFs;
use plimsoll_model::{Timeout, Untrusted};
use plimsoll_observe::{Place, find};
use plimsoll_plan::{Going, Stale};
use plimsoll_trim::{Acted, Ground, Limits, Manner, Selection, StateName, Trimming, Wish};

use crate::apply::armed_with;

/// Trims the states, those that go at once first, until the deadline on the monotonic clock. Where netlink's part of conntrack is
/// not loaded it is: this is no command that only reads.
pub(super) fn sweep(state_dir: &Path, netns: &str, stale: &[Stale], deadline: Duration) -> anyhow::Result<Vec<Acted>> {
    match trimmed(state_dir, netns, stale, deadline) {
        Err(error) if matches!(error.downcast_ref(), Some(plimsoll_trim::Error::NotAsked { .. })) => {
            load_module().with_context(|| format!("{error}"))?;
            trimmed(state_dir, netns, stale, deadline)
        }
        ended => ended,
    }
}

fn load_module() -> anyhow::Result<()> {
    let command = "modprobe nf_conntrack_netlink";
    let output = Command::new("modprobe").arg("nf_conntrack_netlink").output().context(command)?;
    if !output.status.success() {
        bail!("{command}: {}", Untrusted::from(String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(())
}

fn trimmed(state_dir: &Path, netns: &str, stale: &[Stale], deadline: Duration) -> anyhow::Result<Vec<Acted>> {
    let host = &HostFs::new();
    let found = find(host, netns)?;
    let armed = armed_with(state_dir, &found.namespace)?;
    let place = Place::of(&found);
    let trimmed = place.visit(|| {
        let ground = Ground::read(host)?;
        [(Going::AtOnce, Manner::Delete), (Going::UnlessAPacketComes, Manner::Expire)]
            .into_iter()
            .map(|(going, manner)| Trimming::new(&ground, wish(stale, going, &armed), manner).act(&limits(deadline)))
            .collect::<Result<Vec<_>, plimsoll_trim::Error>>()
    });
    Ok(trimmed.with_context(|| format!("entering the network namespace {}", found.namespace.name))??)
}

fn limits(deadline: Duration) -> Limits<'static> {
    // Nobody raises it: it is over in seconds.
    static STOP: AtomicBool = AtomicBool::new(false);
    Limits { deadline: Some(deadline), ..Limits::none(&STOP) }
}

fn wish(stale: &[Stale], going: Going, armed: &[(Timeout, u32)]) -> Wish {
    let of = stale.iter().filter(|stale| stale.going == going);
    let states = of.clone().map(|stale| StateName::of_tcp(stale.state)).collect();
    Wish {
        selection: Selection { states, ..Selection::default() },
        as_if: of.map(|stale| (stale.timeout(), stale.silent_secs)).collect(),
        armed: armed.to_vec(),
    }
}
