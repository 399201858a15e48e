//! Where the judgement of a segment changes.

use super::Windows;
use crate::Direction;

/// Numbers at which the tracker's judgement of a segment changes: for tests that want to hit them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// End of what this side has sent.
    pub sent_end: u32,
    /// The furthest end that the other side's window has allowed it.
    pub allowed_end: u32,
    /// End of what the other side has sent: the most that this one may acknowledge.
    pub received_end: u32,
    /// The largest window that the other side has offered.
    pub receiver_window: u32,
    /// The furthest that the other side has acknowledged.
    pub acknowledged_by_receiver: u32,
}

impl Edges {
    /// Those for a segment of a direction.
    pub(crate) fn of(windows: &Windows, direction: Direction) -> Self {
        let sender = windows.0[direction as usize];
        let receiver = windows.0[direction.other() as usize];
        Self {
            sent_end: sender.end,
            allowed_end: sender.max_end,
            received_end: receiver.end,
            receiver_window: receiver.max,
            acknowledged_by_receiver: receiver.max_ack,
        }
    }
}
