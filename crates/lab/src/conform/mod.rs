//! How well the twin knows this machine's kernel: the same packets go through both, and after each step everything is
//! compared, entry for entry.
//!
//! Thousands of flows take their steps side by side. A step is one packet of each; then the kernel's table is dumped and held
//! against the twin's: which entries there are, their state, flags and reply tuple, the seconds they have left, and the
//! counters. What became of each single packet is known too: the kernel's rules write the packet's `ct state` into its header.

mod conditions;
mod contest;
mod flow;
mod ground;
mod odd;
mod probes;
mod round;
mod sctp;
mod shrink;
mod tcp;

pub use contest::Difference;
pub use ground::Class;
pub use probes::{Known, Probed, probe};
pub use round::{Agreement, Disagreement, Plan, Played, conform};
