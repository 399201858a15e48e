//! Where the figures were measured.

use std::fs;
use std::num::NonZeroU64;
use std::thread::available_parallelism;
use std::time::Duration;

use plimsoll_observe::{Depth, Options, Target, observe};

/// Prints the machine, and what it has that a check looks at. Entries of others than the bench share the hash that is
/// measured, and their namespaces are checked too.
pub(crate) fn print() -> anyhow::Result<()> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let buckets = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_buckets")?;
    println!("kernel {}, {} CPUs, {} buckets", kernel.trim(), available_parallelism()?, buckets.trim());
    let options = Options {
        target: Target::All,
        interval: Duration::ZERO,
        depth: Depth::Sample(NonZeroU64::MIN),
        timeout: Duration::from_secs(10),
    };
    let host = observe(&options, &mut |_| {})?;
    let entries: u64 = host.namespaces.iter().filter_map(|ns| ns.occupancy).map(|count| u64::from(count.0)).sum();
    println!("{} namespaces, {} processes, {entries} entries", host.namespaces.len(), processes()?);
    println!();
    Ok(())
}

fn processes() -> anyhow::Result<usize> {
    let names = fs::read_dir("/proc")?.filter_map(|entry| Some(entry.ok()?.file_name()));
    Ok(names.filter(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit)).count())
}
