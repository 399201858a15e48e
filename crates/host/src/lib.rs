//! What /proc, /sys, namespaces and the kernel log tell of connection tracking on a Linux host.
//!
//! [`HostFs`] reads files; [`in_namespace`] runs a closure in another network namespace. Reading changes nothing: no
//! module is loaded, no hook or table registered, nothing written. What belongs to a network namespace is read for the
//! *calling thread's*: through `/proc/thread-self/net` and `/proc/sys/net`, never `/proc/net`, which shows the namespace
//! of the thread group's leader. A few files may also be read through a process in the namespace, without entering it:
//! [`NetFiles`]. What cannot be read is an [`Error`], never a zero.

mod boot;
mod bpf;
mod bridges;
mod cgroup;
mod clock;
mod columns;
mod conf_files;
mod containers;
mod elsewhere;
mod enter;
mod error;
mod forwarding;
mod holders;
mod host_fs;
mod ini;
mod ipvs;
mod kernel_log;
mod lasting;
mod machine;
mod module;
mod mounts;
mod named_file;
mod namespace_file;
mod namespaces;
mod naming;
mod net_files;
mod net_settings;
mod open_files;
mod own_files;
mod owner;
mod packets;
mod places;
mod processors;
mod replication;
mod rooted;
mod rulesets;
mod search;
mod slab;
mod sockets;
mod started;
mod statistics;
mod system_process;
mod table;
mod tcp;
mod text;
mod writers;

#[cfg(test)]
mod testing;

pub use boot::BootId;
pub use clock::{boottime_now, monotonic_now, thread_processor_time};
pub use elsewhere::OtherTrackers;
pub use enter::in_namespace;
pub use error::Error;
pub use holders::{Holders, Search};
pub use host_fs::{HostFs, Partial};
pub use module::Subsystem;
pub use namespaces::{Discovery, Found};
pub use net_files::NetFiles;
pub use open_files::allow_many_open_files;
pub use rulesets::Rulesets;
pub use sockets::{Extent, Reads, Socket, Telling, Transport};
pub use started::Started;
pub use statistics::Statistics;
pub use tcp::TcpCounts;
