//! A silence inside a flow's life.

use std::net::IpAddr;
use std::time::Duration;

use plimsoll_model::{Protocol, Timeout};

use crate::life::{FlowKey, Translation};
use crate::state::named;
use crate::time::UnixMicros;

/// A silence of a flow, known from repeated looks at its entry.
///
/// Two looks bound its length from both sides, and what was first seen at an age could only be seen because it had come to
/// that age. Ages are counted from `began_at`, and are as exact as that.
#[derive(Clone, Debug, PartialEq)]
pub struct IdleGap {
    /// Whose.
    pub key: FlowKey,
    /// The address that opened the flow.
    pub client: IpAddr,
    /// The address that it opened it to.
    pub server: IpAddr,
    /// The flow's protocol.
    pub protocol: Protocol,
    /// The port that was opened to; `None` for protocols without ports.
    pub port: Option<u16>,
    /// What is translated of it.
    pub translation: Translation,
    /// The timeout of the state that the flow was in.
    pub held_by: Timeout,
    /// With how much the kernel had armed the entry: no longer gap can be seen.
    pub armed_secs: u32,
    /// When it began: the last packet before it.
    pub began_at: UnixMicros,
    /// It may have begun so much earlier or later: half a second or so where it is known what armed the entry.
    pub began_within: Duration,
    /// How old it was when it was first seen: shorter ones would not have been.
    pub seen_from: Duration,
    /// It was longer than this.
    pub longer_than: Duration,
    /// It was no longer than this: the look that showed the packets after it; `None` where its end was not seen.
    pub at_most: Option<Duration>,
    /// How it ended.
    pub end: GapEnd,
    /// How many gaps it stands for.
    pub weight: f64,
}

named! {
    /// How a silence ended.
    GapEnd {
        /// A packet came.
        Packet = "packet",
        /// The entry was due to expire, and is gone.
        Expired = "expired",
        /// The entry is gone, or out of what is looked at, before it was due.
        OutOfSight = "out_of_sight",
        /// The recording ended, or looking was broken off.
        StillSilent = "still_silent",
        /// It goes on: written now and then, in case that the recorder is killed. The flow's next row is of the same silence, and
        /// holds in its place.
        GoesOn = "goes_on",
    }
}
