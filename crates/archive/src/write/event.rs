//! What becomes of segments.

use crate::segment::Segment;

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It was closed, and can be read.
    Closed {
        /// Which.
        segment: Segment,
        /// Bytes of its files.
        bytes: u64,
    },
    /// It was removed, to keep within the space given.
    Removed {
        /// Which.
        segment: Segment,
        /// Bytes that its files had.
        bytes: u64,
    },
    /// It was left open by a recorder that was killed, and was removed: its rows are lost.
    LeftoverRemoved {
        /// Its number.
        number: u32,
    },
    /// It was whole when its recorder was killed, and can be read now.
    LeftoverClosed {
        /// Which.
        segment: Segment,
    },
}
