//! How much to say.

/// How much to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What one needs to act.
    WhatMatters,
    /// All of it.
    Everything,
}
