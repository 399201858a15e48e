//! What changed, and what happened to the recording.

use crate::state::named;
use crate::time::UnixMicros;

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When it was seen.
    pub at: UnixMicros,
    /// Of what kind.
    pub kind: ChangeKind,
    /// What changed: a sysctl's name; or in words what happened.
    pub what: String,
    /// What it was before, if there was a before.
    pub from: Option<String>,
    /// What it is now.
    pub to: Option<String>,
}

named! {
    /// A kind of change.
    ChangeKind {
        /// A sysctl. Each segment begins with all that are in force.
        Setting = "setting",
        /// The recording began.
        Began = "began",
        /// Events were lost: what ended or began since the moment in `from`, in
        /// microseconds since 1970, may have been missed.
        EventsLost = "events_lost",
        /// After a loss, flows that were followed were looked for in the table.
        Resynchronised = "resynchronised",
        /// Another share of all entries is followed from here on.
        Share = "share",
        /// The hash was resized: other entries are looked at from here on.
        Resized = "resized",
        /// The wall clock was set; the recording's own goes on.
        ClockStepped = "clock_stepped",
        /// Old segments were removed to keep within the space given.
        SegmentsRemoved = "segments_removed",
        /// What could not be read.
        NotRead = "not_read",
        /// The recording ended.
        Ended = "ended",
    }
}
