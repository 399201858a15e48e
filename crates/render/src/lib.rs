//! A plan's changes, written for those who carry them out: a script to read and run, files that make the values last, and
//! the configuration of whoever owns a setting. Nothing here reads or writes anything.
//!
//! What each program takes is in its own documentation, which the module of each format names. A format that cannot say a
//! change leaves it out and tells so ([`Rendered::left_out`]).

mod ansible;
mod change;
mod command_line;
mod daemon_set;
mod diff;
mod format;
mod iptables;
mod kube_proxy;
mod modprobe_d;
mod modules_load_d;
mod nft;
mod notrack;
mod quote;
mod rendered;
mod script;
mod sysctl_d;
mod tuned;
mod udev;

pub use change::{Place, Reasoned, Target, name_in_nft};
pub use diff::{diff, today};
pub use format::{Format, NoSuchFormat, in_time, lasting, render};
pub use nft::TABLE;
pub use notrack::{NOTRACK_TABLE, Way, counter_in_nft, notrack_in_nft};
pub use rendered::{File, LeftOut, Rendered};
