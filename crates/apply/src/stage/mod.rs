//! The XDP stage of a shield: the same filter once more, where a driver has just received a packet.
//!
//! It drops what the rules behind it would drop of packets that come in: those of the class that are over a limit, or of a listed
//! source. So in shadow, where both see every packet, the rules' counts say whom it would hit; once it drops, it says so itself. The
//! number of the application stands in the program, as it does in the table: none but its own is changed or detached.

#[cfg(feature = "xdp")]
mod program;
#[cfg(feature = "xdp")]
use program as kernel;

#[cfg(not(feature = "xdp"))]
mod not_built;
#[cfg(not(feature = "xdp"))]
use not_built as kernel;

use std::time::Duration;

use plimsoll_model::{Interface, Shield, XdpStage};
use plimsoll_shield::Early;
use serde::Serialize;

use crate::Error;

pub(crate) use kernel::{attach, change, detach, running, why_not};

/// An XDP stage of a shield.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// The interface.
    pub interface: Interface,
    /// Whether it is there.
    #[serde(flatten)]
    pub state: StageState,
}

/// How a stage is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StageState {
    /// It is attached.
    Attached(Running),
    /// It is not: the rules do its work.
    Absent {
        /// Why not.
        why: String,
    },
}

/// What a stage does, and what it has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Running {
    /// Where it runs.
    pub runs: Runs,
    /// What it does with what is too many.
    pub action: StageAction,
    /// Its end, in seconds from now.
    pub ends_in_secs: u64,
    /// Packets, since it was attached.
    pub counters: StageCounters,
}

/// Where a stage runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Runs {
    /// In the driver, before there is an skb.
    Native,
    /// Behind the driver, which takes no program: there is an skb, and nothing else has been done with the packet.
    Generic,
}

/// What a stage does with what is too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageAction {
    /// It counts it.
    Shadow,
    /// It drops it.
    Enforce,
}

/// Packets that a stage has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StageCounters {
    /// All that came to the interface.
    pub seen: u64,
    /// Of those who are allowed, known UDP peers among them.
    pub allowed: u64,
    /// Of the class, and within their limits.
    pub within_limit: u64,
    /// Of listed sources: dropped, or in shadow to be.
    pub listed: u64,
    /// Over the limit of their source, likewise.
    pub over_source: u64,
    /// Over the limit of their prefix, likewise.
    pub over_prefix: u64,
    /// Dropped.
    pub dropped: u64,
}

/// What a stage is told to do.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "xdp"), expect(dead_code, reason = "nobody is told"))]
pub(crate) struct Task<'a> {
    pub(crate) shield: &'a Shield,
    pub(crate) application: u32,
    pub(crate) action: StageAction,
    pub(crate) lasts: Duration,
}

/// Whether a stage was where it was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "xdp"), expect(dead_code, reason = "nobody looks"))]
pub(crate) enum Met {
    There,
    /// Somebody has detached it.
    Gone,
    /// Somebody has moved its interface to another network namespace, and it with that.
    Elsewhere {
        why: String,
    },
}

/// A stage that is there, and whose packets it has dropped.
pub(crate) type Told = (Running, Early);

/// The stage of an interface of the calling thread's network namespace.
pub(crate) fn on(interface: &Interface) -> Result<XdpStage, Error> {
    let links = plimsoll_ctnetlink::links();
    let links = links.map_err(|error| Error::Refused(format!("the network interfaces cannot be listed: {error}")))?;
    let link = links.into_iter().find(|link| link.name.as_str() == interface.as_str());
    let index = link.map(|link| link.index).ok_or_else(|| {
        Error::Refused(format!(
            "there is no network interface {interface} in this network namespace (`ip link` lists them)"
        ))
    })?;
    Ok(XdpStage { interface: interface.clone(), index })
}
