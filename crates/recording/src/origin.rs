//! Where a recording comes from.

use crate::state::named;
use crate::time::UnixMicros;

/// What each file of a recording says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The version of Plimsoll that wrote it.
    pub written_by: String,
    /// The kernel's release.
    pub kernel: String,
    /// The host's name; `None` where addresses are hidden.
    pub host: Option<String>,
    /// The network namespace, as `check` calls it.
    pub namespace: String,
    /// When the recording began.
    pub began_at: UnixMicros,
    /// What it was made from.
    pub sources: Sources,
    /// Whether addresses are the flows' own.
    pub addresses: Addresses,
}

named! {
    /// What a recording is made from.
    Sources {
        /// Events and repeated looks.
        EventsAndLooks = "events_and_looks",
        /// Repeated looks alone.
        Looks = "looks",
    }
}

named! {
    /// What addresses a recording holds.
    Addresses {
        /// Those that the kernel showed.
        Plain = "plain",
        /// Others, of which two have as long a prefix in common as the two that they stand for.
        Hidden = "hidden",
    }
}
